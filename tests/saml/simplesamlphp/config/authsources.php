<?php
$person = fn (string $name, array $groups) => [
    'uid' => [$name],
    'mail' => ["$name@idp.example"],
    'givenName' => [ucfirst($name)],
    'sn' => ['Example'],
    'groups' => $groups,
];
$config = [
    'people' => [
        'exampleauth:UserPass',
        'ann:annpass' => $person('ann', ['staff', 'engineering']),
        'ben:benpass' => $person('ben', ['staff']),
    ],
];
