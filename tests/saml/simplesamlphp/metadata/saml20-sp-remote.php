<?php
// Service providers, from the metadata that they publish, each with what the test adds.

foreach (json_decode(file_get_contents(getenv('IDP_FOLDER') . '/service-providers.json'), true) as $one) {
    $parsed = SimpleSAML\Metadata\SAMLParser::parseString($one['metadata'])->getMetadata20SP();
    $metadata[$parsed['entityid']] = array_merge($parsed, $one['options']);
}
