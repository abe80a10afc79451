// Drives the official TypeScript SDK, version 1: Streamable HTTP, HTTP+SSE, stdio.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema, CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';

import { answers, capabilities, report, scenario } from './common.mjs';

const plan = await scenario();
const asked = [];
const client = new Client({ name: 'driver-ts1', version: '1.0.0' }, { capabilities: plan.answers ? capabilities : {} });
if (plan.answers) {
  const say = answers(asked);
  client.setRequestHandler(ElicitRequestSchema, (request) => say['elicitation/create'](request.params));
  client.setRequestHandler(CreateMessageRequestSchema, (request) => say['sampling/createMessage'](request.params));
  client.setRequestHandler(ListRootsRequestSchema, () => say['roots/list']());
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

// This SDK always offers its newest revision; a scenario that wants an older one changes the offer on its way out.
function offering(wire, version) {
  const send = wire.send.bind(wire);
  wire.send = (message, options) =>
    send(message.method === 'initialize' && version ? { ...message, params: { ...message.params, protocolVersion: version } } : message, options);
  return wire;
}

const wire = offering(transport(), plan.protocolVersion);
let negotiated = null;
const noted = wire.setProtocolVersion?.bind(wire);
wire.setProtocolVersion = (version) => { negotiated = version; noted?.(version); };
await client.connect(wire);
client.call = (params, onprogress) => client.callTool(params, CallToolResultSchema, onprogress ? { onprogress } : undefined);
const connected = { protocolVersion: negotiated, server: client.getServerVersion(), capabilities: client.getServerCapabilities() };
await report(client, plan, connected, asked);
await wire.terminateSession?.();
await client.close();
process.exit(0);
