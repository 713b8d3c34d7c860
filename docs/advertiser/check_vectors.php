<?php
// Prints what postback.php makes of each vector.

require __DIR__ . '/postback.php';

$vectors = json_decode(file_get_contents($argv[1]), true, flags: JSON_THROW_ON_ERROR);
foreach ($vectors['get'] as $v) {
    echo signed_query(array_column($v['parameters'], 1, 0), $v['key'], $v['signed_at']), "\n";
}
foreach ($vectors['post'] as $v) {
    $headers = signed_headers($v['body'], $v['key'], $v['id'], $v['timestamp']);
    echo substr(end($headers), strlen('webhook-signature: ')), "\n";
}
