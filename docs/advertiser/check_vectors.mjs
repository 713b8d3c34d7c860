// Prints what postback.mjs makes of each vector.

import { readFileSync } from 'node:fs';
import { signedHeaders, signedQuery } from './postback.mjs';

const vectors = JSON.parse(readFileSync(process.argv[2], 'utf8'));
for (const v of vectors.get) {
  console.log(signedQuery(Object.fromEntries(v.parameters), v.key, v.signed_at));
}
for (const v of vectors.post) {
  console.log(signedHeaders(v.body, v.key, v.id, v.timestamp)['webhook-signature']);
}
