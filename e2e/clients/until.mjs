// Calls one tool in a row, by the official SDK and in one session, until what comes of it changes; then says when.
//
// stdin: { url, token, call: { name, arguments }, seconds }. stdout: one line when it has begun, one at the end.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { headers, scenario } from './common.mjs';

const PAUSE = 5;

const plan = await scenario();
const client = new Client({ name: 'until', version: '1.0.0' });
await client.connect(new StreamableHTTPClientTransport(new URL(plan.url), { requestInit: { headers: headers(plan) } }));

async function once() {
  try {
    const result = await client.callTool(plan.call);
    return { ran: !result.isError, told: result.content?.[0]?.text ?? '' };
  } catch (error) {
    return { ran: false, told: String(error.message ?? error) };
  }
}

const say = (value) => process.stdout.write(JSON.stringify(value) + '\n');
const first = await once();
say({ began: Date.now(), first });
const end = Date.now() + plan.seconds * 1000;
let calls = 1;
let last = first;
let before = Date.now();
while (Date.now() < end && last.ran === first.ran) {
  await new Promise((resolve) => setTimeout(resolve, PAUSE));
  before = Date.now();
  last = await once();
  calls += 1;
}
// `sent` is when the call that was judged anew left, `seen` when its answer was here.
say({ changed: last.ran !== first.ran, sent: before, seen: Date.now(), calls, last });
process.exit(0);
