<?php
// Reports sales by signed postbacks. PHP 8 or later; nothing else to install.
//
// Set POSTBACK_URL, POSTBACK_KEY and CLICK_ID, then run: php postback.php

// What follows the ? of a GET. $now is Unix time in whole seconds.
function signed_query(array $parameters, string $key, int $now): string
{
    $pairs = [];
    foreach (['signed_at' => $now] + $parameters as $name => $value) {
        $pairs[] = rawurlencode($name) . '=' . rawurlencode($value);
    }
    // Whole pairs are sorted, not names: sub1=x comes before sub=x.
    sort($pairs, SORT_STRING);
    $canonical = implode('&', $pairs);
    return "$canonical&signature=" . bin2hex(digest($key, $canonical));
}

// The headers of a POST of $body. A message that is sent again keeps its $id.
function signed_headers(string $body, string $key, string $id, int $now): array
{
    $signature = base64_encode(digest($key, "$id.$now.$body"));
    return [
        'Content-Type: application/json',
        "webhook-id: $id",
        "webhook-timestamp: $now",
        "webhook-signature: v1,$signature",
    ];
}

function digest(string $key, string $text): string
{
    return hash_hmac('sha256', $text, base64_decode(preg_replace('/^whsec_/', '', $key)), true);
}

// Sends a request, again if that can help, and returns whether it was accepted.
function send(string $method, callable $sign): bool
{
    foreach ([1, 2, 4, 8, null] as $pause) {
        // Signed anew each time, since a signature is good for five minutes only.
        [$status, $text, $retry_after] = attempt($method, ...$sign(time()));
        if ($pause === null || !($status === 0 || $status === 429 || $status >= 500)) {
            break;
        }
        sleep($retry_after === null ? $pause : min((int) $retry_after, 300));
    }
    echo $method, ' ', $status ?: 'no answer:', ' ', $text, "\n";
    return $status >= 200 && $status < 300;
}

function attempt(string $method, string $url, array $headers = [], string $body = ''): array
{
    $request = ['method' => $method, 'header' => $headers, 'content' => $body, 'timeout' => 10];
    $options = ['http' => $request + ['ignore_errors' => true, 'follow_location' => 0]];
    $answer = @fopen($url, 'r', false, stream_context_create($options));
    if ($answer === false) {
        return [0, error_get_last()['message'], null];
    }
    $head = implode("\n", stream_get_meta_data($answer)['wrapper_data']);
    preg_match('/^HTTP\S+ (\d+)/', $head, $status);
    preg_match('/^Retry-After: *(\d+)$/mi', $head, $retry_after);
    return [(int) $status[1], stream_get_contents($answer), $retry_after[1] ?? null];
}

function main(): int
{
    [$url, $key, $click_id] = array_map('getenv', ['POSTBACK_URL', 'POSTBACK_KEY', 'CLICK_ID']);
    if (in_array(false, [$url, $key, $click_id], true)) {
        throw new Exception('Set POSTBACK_URL, POSTBACK_KEY and CLICK_ID.');
    }
    // The amount is a text. A float is not exact.
    $sale = ['click_id' => $click_id, 'event' => 'sale', 'amount' => '99.95', 'currency' => 'EUR'];

    $first = $sale + ['transaction_id' => 'order-1001'];
    $by_get = send('GET', fn ($now) => ["$url?" . signed_query($first, $key, $now)]);

    $body = json_encode($sale + ['transaction_id' => 'order-1002'], JSON_THROW_ON_ERROR);
    $id = 'msg_' . bin2hex(random_bytes(16));
    $by_post = send('POST', fn ($now) => [$url, signed_headers($body, $key, $id, $now), $body]);
    return $by_get && $by_post ? 0 : 1;
}

// Not when this file is included.
if (realpath($_SERVER['SCRIPT_FILENAME']) === __FILE__) {
    exit(main());
}
