// Drives the official TypeScript SDK, version 2: both eras over Streamable HTTP, and HTTP+SSE and stdio.

import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

import { answers, capabilities, report, scenario } from './common.mjs';

const plan = await scenario();
const asked = [];
const mode = ['legacy', 'auto'].includes(plan.mode) ? plan.mode : { pin: plan.mode };
const options = { capabilities: plan.answers ? capabilities : {}, versionNegotiation: { mode } };
if (plan.protocolVersion) options.supportedProtocolVersions = [plan.protocolVersion];
const client = new Client({ name: 'driver-ts2', version: '1.0.0' }, options);
if (plan.answers) {
  for (const [method, say] of Object.entries(answers(asked))) client.setRequestHandler(method, (request) => say(request.params));
}

function transport() {
  const requestInit = { headers: plan.token ? { Authorization: `Bearer ${plan.token}` } : {} };
  switch (plan.transport) {
    case 'http': return new StreamableHTTPClientTransport(new URL(plan.url), { requestInit });
    case 'sse': return new SSEClientTransport(new URL(plan.url), { requestInit });
    case 'stdio': return new StdioClientTransport({ command: plan.command[0], args: plan.command.slice(1), env: { ...process.env, ...plan.env } });
    default: throw new Error(`unknown transport ${plan.transport}`);
  }
}

const wire = transport();
await client.connect(wire);
client.call = (params, onprogress) => client.callTool(params, onprogress ? { onprogress } : undefined);
const connected = { protocolVersion: client.getNegotiatedProtocolVersion(), server: client.getServerVersion(), capabilities: client.getServerCapabilities() };
await report(client, plan, connected, asked);
await wire.terminateSession?.();
await client.close();
process.exit(0);
