// What the TypeScript drivers share: read a scenario from stdin, take its steps one by one, print one JSON object.
//
// Nothing is judged here. A driver says what its SDK saw, and `cargo xtask test` compares.

import { setTimeout as pause } from 'node:timers/promises';

const PATIENCE = 15_000;

/** The scenario: where to connect, how, and the steps. It comes by stdin because it carries the token. */
export async function scenario() {
  const parts = [];
  for await (const part of process.stdin) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString('utf8'));
}

/** What the client sends with each HTTP request: of these only the guard may see more than none. */
export function headers(plan) {
  return { ...(plan.token && { Authorization: `Bearer ${plan.token}` }), ...(plan.cookie && { Cookie: plan.cookie }) };
}

/** The transport that the plan wants, of those that both SDKs export under the same names. */
export function transport(plan, { StreamableHTTPClientTransport, SSEClientTransport, StdioClientTransport }) {
  const options = { requestInit: { headers: headers(plan) } };
  switch (plan.transport) {
    case 'http': return new StreamableHTTPClientTransport(new URL(plan.url), options);
    case 'sse': return new SSEClientTransport(new URL(plan.url), options);
    case 'stdio': return new StdioClientTransport({ command: plan.command[0], args: plan.command.slice(1), env: { ...process.env, ...plan.env }, stderr: 'ignore' });
    default: throw new Error(`unknown transport ${plan.transport}`);
  }
}

export const capabilities = { elicitation: { form: {} }, sampling: {}, roots: {} };

/** What the client says when the server asks it something; each question is written down. */
export function answers(asked) {
  return {
    'elicitation/create': (params) => {
      asked.push({ method: 'elicitation/create', message: params.message });
      return { action: 'accept', content: { name: 'Ada Lovelace' } };
    },
    'sampling/createMessage': (params) => {
      asked.push({ method: 'sampling/createMessage', messages: params.messages });
      return { role: 'assistant', model: 'driver-model', stopReason: 'endTurn', content: { type: 'text', text: 'sampled words' } };
    },
    'roots/list': () => {
      asked.push({ method: 'roots/list' });
      return { roots: [] };
    },
  };
}

const verbs = {
  listTools: ({ client }) => client.listTools(),
  listResources: ({ client }) => client.listResources(),
  listTemplates: ({ client }) => client.listResourceTemplates(),
  listPrompts: ({ client }) => client.listPrompts(),
  call: ({ call }, step, onprogress) => call(named(step), { onprogress }),
  read: ({ client }, step) => client.readResource({ uri: step.uri }),
  prompt: ({ client }, step) => client.getPrompt({ name: step.name, arguments: step.arguments }),
  complete: ({ client }, step) => client.complete({ ref: step.ref, argument: step.argument }),
  cancel,
  change,
};

const named = (step) => ({ name: step.name, arguments: step.arguments ?? {} });

/** Calls, and takes it back at the first sign that the server is at work. */
async function cancel({ call }, step) {
  const control = new AbortController();
  const taken = setTimeout(() => control.abort('too slow'), PATIENCE);
  try {
    return await call(named(step), { signal: control.signal, onprogress: () => control.abort('not wanted any more') });
  } finally {
    clearTimeout(taken);
  }
}

/** Calls a tool that changes a list, and waits to hear so. */
async function change({ call, listen, changes }, step) {
  changes.length = 0;
  const subscription = await listen?.(step.list);
  await call(named(step), {});
  for (const until = Date.now() + PATIENCE; changes.length === 0 && Date.now() < until; ) await pause(50);
  await subscription?.close();
  return { heard: changes.includes(step.list) };
}

async function outcome(sdk, step) {
  const progress = [];
  const began = Date.now();
  try {
    const result = await verbs[step.do](sdk, step, step.progress ? (p) => progress.push(p) : undefined);
    return { result, progress, ms: Date.now() - began };
  } catch (error) {
    const told = { code: error.code ?? null, message: String(error.message ?? error), data: error.data ?? null };
    return { error: told, kind: error.name, progress, ms: Date.now() - began };
  }
}

/** Takes every step in turn, prints what was seen, and ends the session.
 *
 * `sdk` is a connected `client`, its `wire`, a `call` of its own shape, `listen` where the revision has subscriptions,
 * and `changes`, which its notification handlers fill. */
export async function report(sdk, plan, protocolVersion, asked) {
  const { client, wire } = sdk;
  const connected = { protocolVersion, server: client.getServerVersion(), capabilities: client.getServerCapabilities() };
  const outcomes = {};
  for (const step of plan.steps) outcomes[step.as] = await outcome(sdk, step);
  process.stdout.write(JSON.stringify({ connected, outcomes, asked }) + '\n');
  await wire.terminateSession?.();
  await client.close();
  process.exit(0);
}
