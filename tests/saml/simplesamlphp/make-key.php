<?php
// Makes the key and the certificate that config/config.php expects in this folder.

$folder = $argv[1];
$options = ['private_key_bits' => 2048, 'digest_alg' => 'sha256'];
$key = openssl_pkey_new($options);
$certificate = openssl_csr_sign(openssl_csr_new(['commonName' => 'idp.example'], $key, $options), null, $key, 30, $options);
openssl_pkey_export_to_file($key, "$folder/idp.key");
openssl_x509_export_to_file($certificate, "$folder/idp.crt");
