// Calls one tool that is allowed and one that is not, in one session, for a while; counts what came of each.
//
// stdin: { url, token, allowed, denied, seconds }. stdout: one line when it has begun, one at the end.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { headers, scenario } from './common.mjs';

const plan = await scenario();
const client = new Client({ name: 'steady', version: '1.0.0' });
await client.connect(new StreamableHTTPClientTransport(new URL(plan.url), { requestInit: { headers: headers(plan) } }));

async function call(params) {
  try {
    const result = await client.callTool(params);
    return { ran: !result.isError, told: result.content?.[0]?.text ?? '' };
  } catch (error) {
    return { ran: false, told: String(error.message ?? error) };
  }
}

const say = (value) => process.stdout.write(JSON.stringify(value) + '\n');
const counts = { allowed: 0, lost: 0, denied: 0, leaked: 0 };
let firstLost = null;
say({ began: Date.now(), first: await call(plan.allowed) });
for (const end = Date.now() + plan.seconds * 1000; Date.now() < end; ) {
  const may = await call(plan.allowed);
  if (may.ran) counts.allowed += 1;
  else {
    counts.lost += 1;
    firstLost ??= may.told;
  }
  if ((await call(plan.denied)).ran) counts.leaked += 1;
  else counts.denied += 1;
}
say({ ...counts, firstLost });
process.exit(0);
