// Reports sales by signed postbacks. Node 18 or later; nothing else to install.
//
// Set POSTBACK_URL, POSTBACK_KEY and CLICK_ID, then run: node postback.mjs

import { createHmac, randomUUID } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

// What follows the ? of a GET. `now` is Unix time in whole seconds.
export function signedQuery(parameters, key, now) {
  const signed = { ...parameters, signed_at: now };
  const pairs = Object.entries(signed).map(([name, value]) => `${encode(name)}=${encode(value)}`);
  // Whole pairs are sorted, not names: sub1=x comes before sub=x.
  const canonical = pairs.sort().join('&');
  return `${canonical}&signature=${hmac(key, canonical).digest('hex')}`;
}

// The headers of a POST of `body`, a text. A message that is sent again keeps its `id`.
export function signedHeaders(body, key, id, now) {
  return {
    'Content-Type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(now),
    'webhook-signature': `v1,${hmac(key, `${id}.${now}.${body}`).digest('base64')}`,
  };
}

function hmac(key, text) {
  return createHmac('sha256', Buffer.from(key.replace(/^whsec_/, ''), 'base64')).update(text);
}

// encodeURIComponent leaves these five as they are.
function encode(text) {
  const hex = (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(text).replace(/[!'()*]/g, hex);
}

// Sends a request, again if that can help, and returns whether it was accepted.
async function send(method, sign) {
  for (const pause of [1, 2, 4, 8, null]) {
    // Signed anew each time, since a signature is good for five minutes only.
    const { url, ...request } = sign(Math.floor(Date.now() / 1000));
    const [status, text, retryAfter] = await attempt(url, { method, ...request });
    if (pause === null || !(status === 0 || status === 429 || status >= 500)) {
      console.log(method, status || 'no answer:', text);
      return status >= 200 && status < 300;
    }
    await sleep(1000 * (/^\d+$/.test(retryAfter) ? Math.min(retryAfter, 300) : pause));
  }
}

async function attempt(url, request) {
  try {
    const signal = AbortSignal.timeout(10_000);
    const answer = await fetch(url, { ...request, redirect: 'manual', signal });
    return [answer.status, await answer.text(), answer.headers.get('Retry-After')];
  } catch (failure) {
    return [0, String(failure.cause ?? failure), null];
  }
}

async function main() {
  const { POSTBACK_URL: url, POSTBACK_KEY: key, CLICK_ID: click_id } = process.env;
  if (!url || !key || !click_id) throw new Error('Set POSTBACK_URL, POSTBACK_KEY and CLICK_ID.');
  // The amount is a text. A number is not exact.
  const sale = { click_id, event: 'sale', amount: '99.95', currency: 'EUR' };

  const first = { ...sale, transaction_id: 'order-1001' };
  const byGet = await send('GET', (now) => ({ url: `${url}?${signedQuery(first, key, now)}` }));

  const body = JSON.stringify({ ...sale, transaction_id: 'order-1002' });
  const id = `msg_${randomUUID()}`;
  const byPost = await send('POST', (now) => ({ url, body, headers: signedHeaders(body, key, id, now) }));
  process.exitCode = byGet && byPost ? 0 : 1;
}

// Not when this file is imported.
const started = process.argv[1] && realpathSync(process.argv[1]);
if (started === fileURLToPath(import.meta.url)) await main();
