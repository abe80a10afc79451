// Knocks at each URL again and again, without a token, and counts who answers; what a server answers is kept.
//
// stdin: { urls, seconds }. stdout: one line when it has begun, one at the end.

import { scenario } from './common.mjs';

const PAUSE = 5;

const plan = await scenario();
const body = JSON.stringify({
  jsonrpc: '2.0', id: 1, method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'stranger', version: '1' } },
});
const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const counts = { knocks: 0, unanswered: 0, turnedAway: 0, served: 0 };
let kept = null;

async function knock(url) {
  counts.knocks += 1;
  try {
    const answer = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(2000) });
    const text = await answer.text();
    if (answer.ok || text.includes('serverInfo')) {
      counts.served += 1;
      kept ??= { url, status: answer.status, text: text.slice(0, 300) };
    } else counts.turnedAway += 1;
  } catch {
    counts.unanswered += 1;
  }
}

const say = (value) => process.stdout.write(JSON.stringify(value) + '\n');
await Promise.all(plan.urls.map(knock));
say({ began: Date.now() });
const end = Date.now() + plan.seconds * 1000;
await Promise.all(plan.urls.map(async (url) => {
  while (Date.now() < end) {
    await knock(url);
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}));
say({ ...counts, kept });
process.exit(0);
