// Stands where the suite expects a client: starts the guard before the address that is the last argument, runs the client
// against the guard, and ends the guard. What to start comes by the environment.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const { GUARD, GUARD_POLICY, GUARD_STATES } = process.env;
const upstream = process.argv.at(-1);
const state = mkdtempSync(join(GUARD_STATES, 'client-'));
const guard = spawn(
  GUARD,
  ['up', '--listen', '127.0.0.1:0', '--gateway', 'anonymous', '-f', GUARD_POLICY, '--state', state, '--upstream', upstream],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);

const url = await new Promise((found, failed) => {
  guard.on('exit', (code) => failed(new Error(`the guard ended (${code})`)));
  createInterface({ input: guard.stdout }).on('line', (line) => {
    const address = line.match(/^sallyport ready .*\burl=(\S+)/);
    if (address) found(address[1]);
  });
});

const client = spawn(process.execPath, [new URL('client.mjs', import.meta.url).pathname, url], { stdio: 'inherit' });
const code = await new Promise((ended) => client.on('exit', (status) => ended(status ?? 1)));

const gone = new Promise((ended) => guard.on('exit', ended));
guard.kill('SIGTERM');
await gone;
rmSync(state, { recursive: true, force: true });
process.exit(code);
