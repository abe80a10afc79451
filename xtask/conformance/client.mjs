// A client on the official TypeScript SDK, version 2, that does what each client scenario of the suite asks for. The
// server's address is the last argument; the scenario comes by the environment, as the suite says it.

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');
const modern = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION === '2026-07-28';

const capabilities = { elicitation: { form: { applyDefaults: true } }, sampling: {}, roots: {} };
const client = new Client(
  { name: 'conformance-client', version: '1.0.0' },
  { capabilities, versionNegotiation: { mode: modern ? 'auto' : 'legacy' } },
);
client.setRequestHandler('elicitation/create', (request) => {
  const fields = request.params.requestedSchema?.properties ?? {};
  return { action: 'accept', content: 'confirmed' in fields ? { confirmed: true } : {} };
});

const call = (name, args = {}) => client.callTool({ name, arguments: args });

const acts = {
  initialize: () => client.listTools(),
  tools_call: async () => {
    await client.listTools();
    await call('add_numbers', { a: 5, b: 3 });
  },
  'elicitation-sep1034-client-defaults': async () => {
    await client.listTools();
    await call('test_client_elicitation_defaults');
  },
  'sse-retry': async () => {
    await client.listTools();
    await call('test_reconnection');
  },
  'request-metadata': () => client.listTools(),
  'sep-2322-client-request-state': async () => {
    await client.listTools();
    const asking = call('test_mrtr_echo_state');
    await call('test_mrtr_unrelated');
    await asking;
    await call('test_mrtr_no_state');
    // A result that does not say that it is complete is one that this SDK refuses; the suite looks at what comes after it.
    await call('test_mrtr_no_result_type').catch(() => {});
  },
  'http-standard-headers': async () => {
    const { tools } = await client.listTools();
    for (const tool of tools) await call(tool.name);
    const { resources } = await client.listResources();
    for (const resource of resources) await client.readResource({ uri: resource.uri });
    const { prompts } = await client.listPrompts();
    for (const prompt of prompts) await client.getPrompt({ name: prompt.name });
  },
  'http-custom-headers': async () => {
    await client.listTools();
    for (const wanted of context.toolCalls ?? []) await call(wanted.name, wanted.arguments);
  },
  'http-invalid-tool-headers': async () => {
    const { tools } = await client.listTools();
    for (const tool of tools) await call(tool.name, Object.fromEntries(Object.keys(tool.inputSchema.properties ?? {}).map((key) => [key, 'word'])));
  },
  'json-schema-ref-no-deref': () => client.listTools(),
};

await client.connect(new StreamableHTTPClientTransport(new URL(process.argv.at(-1))));
await acts[scenario]();
await client.close();
process.exit(0);
