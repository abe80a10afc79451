// Drives the official TypeScript SDK, version 2, as a client that knows nothing but the server's URL: it is turned away,
// discovers who issues tokens, gets one, calls, and gets another with a further scope where one is asked for.

import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';

import { scenario } from './common.mjs';

const plan = await scenario();
const kept = { visits: [], tokens: [] };

/** The user's browser, and what a client keeps: all the SDK's own doing but that it goes where it is sent. */
const authProvider = {
  redirectUrl: 'http://127.0.0.1:9/callback',
  clientMetadata: { client_name: 'driver-oauth', redirect_uris: ['http://127.0.0.1:9/callback'], grant_types: ['authorization_code'], token_endpoint_auth_method: 'none' },
  clientInformation: () => kept.client,
  saveClientInformation: (client) => void (kept.client = client),
  tokens: () => kept.tokens.at(-1),
  saveTokens: (tokens) => void kept.tokens.push(tokens),
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  codeVerifier: () => kept.verifier,
  saveDiscoveryState: (state) => void (kept.discovery = state),
  discoveryState: () => kept.discovery,
  redirectToAuthorization: async (url) => {
    const answer = await fetch(url, { redirect: 'manual' });
    kept.visits.push({ status: answer.status, scope: url.searchParams.get('scope') });
    kept.back = new URL(answer.headers.get('location')).searchParams;
  },
};

/** Does a thing, and once more after the user has agreed, as an application would. */
async function agreed(wire, work) {
  try {
    return await work(wire());
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    const transport = wire();
    await transport.finishAuth(kept.back);
    return await work(transport);
  }
}

const client = new Client({ name: 'driver-oauth', version: '1.0.0' }, { versionNegotiation: { mode: plan.mode } });
const fresh = () => new StreamableHTTPClientTransport(new URL(plan.url), { authProvider });
let wire;
await agreed(fresh, (transport) => client.connect((wire = transport)));
const outcomes = {};
for (const { as, name, arguments: given } of plan.steps) {
  const before = kept.visits.length;
  const result = await agreed(() => wire, () => client.callTool({ name, arguments: given }));
  outcomes[as] = { result, visits: kept.visits.length - before };
}
process.stdout.write(`${JSON.stringify({ outcomes, visits: kept.visits, tokens: kept.tokens.map((tokens) => tokens.access_token), protocolVersion: client.getNegotiatedProtocolVersion() })}\n`);
await client.close();
process.exit(0);
