// Drives the official TypeScript SDK, version 1: Streamable HTTP, HTTP+SSE, stdio.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import * as types from '@modelcontextprotocol/sdk/types.js';

import { answers, capabilities, report, scenario, transport } from './common.mjs';

const plan = await scenario();
const [asked, changes] = [[], []];
const client = new Client({ name: 'driver-ts1', version: '1.0.0' }, { capabilities });
const say = answers(asked);
client.setRequestHandler(types.ElicitRequestSchema, (request) => say['elicitation/create'](request.params));
client.setRequestHandler(types.CreateMessageRequestSchema, (request) => say['sampling/createMessage'](request.params));
client.setRequestHandler(types.ListRootsRequestSchema, () => say['roots/list']());
client.setNotificationHandler(types.ToolListChangedNotificationSchema, () => void changes.push('tools'));
client.setNotificationHandler(types.ResourceListChangedNotificationSchema, () => void changes.push('resources'));

// This SDK always offers its newest revision; a scenario that wants an older one changes the offer on its way out.
function offering(wire, version) {
  const send = wire.send.bind(wire);
  wire.send = (message, options) =>
    send(message.method === 'initialize' && version ? { ...message, params: { ...message.params, protocolVersion: version } } : message, options);
  return wire;
}

const wire = offering(transport(plan, { StreamableHTTPClientTransport, SSEClientTransport, StdioClientTransport }), plan.protocolVersion);
let negotiated = null;
const noted = wire.setProtocolVersion?.bind(wire);
wire.setProtocolVersion = (version) => { negotiated = version; noted?.(version); };
await client.connect(wire);
const call = (params, options) => client.callTool(params, types.CallToolResultSchema, options);
await report({ client, wire, call, changes }, plan, negotiated, asked);
