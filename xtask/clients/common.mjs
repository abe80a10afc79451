// What the TypeScript drivers share: read a scenario from stdin, take its steps one by one, print one JSON object.
//
// Nothing is judged here. A driver says what its SDK saw, and `cargo xtask test` compares.

/** The scenario: where to connect, how, and the steps. It comes by stdin because it carries the token. */
export async function scenario() {
  const parts = [];
  for await (const part of process.stdin) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString('utf8'));
}

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

export const capabilities = { elicitation: { form: {} }, sampling: {}, roots: {} };

const verbs = {
  listTools: (client) => client.listTools(),
  listResources: (client) => client.listResources(),
  listTemplates: (client) => client.listResourceTemplates(),
  listPrompts: (client) => client.listPrompts(),
  call: (client, step, onprogress) => client.call({ name: step.name, arguments: step.arguments ?? {} }, onprogress),
  read: (client, step) => client.readResource({ uri: step.uri }),
  prompt: (client, step) => client.getPrompt({ name: step.name, arguments: step.arguments }),
  complete: (client, step) => client.complete({ ref: step.ref, argument: step.argument }),
};

async function outcome(client, step) {
  const progress = [];
  const began = Date.now();
  try {
    const result = await verbs[step.do](client, step, step.progress ? (p) => progress.push(p) : undefined);
    return { result, progress, ms: Date.now() - began };
  } catch (error) {
    const told = { code: error.code ?? null, message: String(error.message), data: error.data ?? null };
    return { error: told, kind: error.name, progress, ms: Date.now() - began };
  }
}

/** Takes every step in turn and prints what was seen. */
export async function report(client, plan, connected, asked) {
  const outcomes = {};
  for (const step of plan.steps) outcomes[step.as] = await outcome(client, step);
  process.stdout.write(JSON.stringify({ connected, outcomes, asked }) + '\n');
}
