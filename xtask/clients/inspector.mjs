// Drives the Inspector's CLI: each step is a run of it, with a connection of its own. The script to run is the argument.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { headers, scenario } from './common.mjs';

const plan = await scenario();
const run = promisify(execFile);

const wire = () => {
  if (plan.transport === 'stdio') return [...Object.entries(plan.env ?? {}).flatMap(([name, value]) => ['-e', `${name}=${value}`]), '--transport', 'stdio', ...plan.command];
  const sent = Object.entries(headers(plan)).flatMap(([name, value]) => ['--header', `${name}: ${value}`]);
  return ['--transport', plan.transport, '--server-url', plan.url, ...sent];
};

const methods = {
  listTools: () => ['tools/list'],
  listResources: () => ['resources/list'],
  listPrompts: () => ['prompts/list'],
  call: (step) => ['tools/call', '--tool-name', step.name, '--tool-args-json', JSON.stringify(step.arguments ?? {})],
  read: (step) => ['resources/read', '--uri', step.uri],
  prompt: (step) => ['prompts/get', '--prompt-name', step.name, ...Object.entries(step.arguments ?? {}).flatMap(([name, value]) => ['--prompt-args', `${name}=${value}`])],
};

const era = plan.mode === 'legacy' ? 'legacy' : 'modern';
const common = [process.argv[2], ...wire(), '--protocol-era', era, '--format', 'json', '--quiet', '--stored-auth-only'];

/** A tool's failure is told twice: as a result, and by exit code 5. */
async function outcome(step) {
  const began = Date.now();
  const { stdout, stderr } = await run(process.execPath, [...common, '--method', ...methods[step.do](step)], { timeout: 60_000 }).catch((error) => error);
  const told = stdout?.trim() ? JSON.parse(stdout) : { error: { code: null, ...JSON.parse(stderr).error, data: null } };
  return { ...told, progress: [], ms: Date.now() - began };
}

const outcomes = {};
for (const step of plan.steps) outcomes[step.as] = await outcome(step);
process.stdout.write(JSON.stringify({ connected: { protocolVersion: `${era} era` }, outcomes, asked: [] }) + '\n');
