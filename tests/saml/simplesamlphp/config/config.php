<?php
// SimpleSAMLphp 1.19 as an identity provider for one test: where it is and what it keeps, its environment says.

$folder = getenv('IDP_FOLDER') . '/';
$config = [
    'baseurlpath' => getenv('IDP_URL') . '/',
    'certdir' => $folder,
    'loggingdir' => $folder,
    'datadir' => $folder,
    'tempdir' => $folder . 'tmp',
    'metadatadir' => dirname(__DIR__) . '/metadata',
    'secretsalt' => 'not a secret: its people are made up',
    'auth.adminpassword' => bin2hex(random_bytes(16)),
    'technicalcontact_email' => 'nobody@idp.example',
    'timezone' => 'UTC',
    'enable.saml20-idp' => true,
    'module.enable' => ['core' => true, 'saml' => true, 'exampleauth' => true],
    'store.type' => 'phpsession',
    'session.phpsession.savepath' => $folder,
    'session.cookie.secure' => false,
    'session.cookie.samesite' => null,
    'language.cookie.secure' => false,
    'language.cookie.samesite' => null,
    'logging.handler' => 'errorlog',
    'logging.level' => SimpleSAML\Logger::WARNING,
    'trusted.url.domains' => null, // wherever a test wants to return to
    'metadata.sources' => [['type' => 'flatfile']],
];
