// Drives the official TypeScript SDK, version 2: both eras over Streamable HTTP, and HTTP+SSE and stdio.

import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

import { answers, capabilities, report, scenario, transport } from './common.mjs';

const plan = await scenario();
const [asked, changes] = [[], []];
const mode = ['legacy', 'auto'].includes(plan.mode) ? plan.mode : { pin: plan.mode };
const options = { capabilities, versionNegotiation: { mode } };
if (plan.protocolVersion) options.supportedProtocolVersions = [plan.protocolVersion];
const client = new Client({ name: 'driver-ts2', version: '1.0.0' }, options);
for (const [method, say] of Object.entries(answers(asked))) client.setRequestHandler(method, (request) => say(request.params));
for (const list of ['tools', 'resources']) client.setNotificationHandler(`notifications/${list}/list_changed`, () => void changes.push(list));

const wire = transport(plan, { StreamableHTTPClientTransport, SSEClientTransport, StdioClientTransport });
await client.connect(wire);
const revision = client.getNegotiatedProtocolVersion();
const call = (params, options) => client.callTool(params, options);
const listen = revision < '2026' ? undefined : (list) => client.listen({ [`${list}ListChanged`]: true });
await report({ client, wire, call, listen, changes }, plan, revision, asked);
