// A small server of both eras on the official TypeScript SDK, version 2, served by `createMcpHandler` with its defaults:
// what came with revision 2026-07-28 is answered by that, older clients are served without sessions.
//
// Its tools have the names of `@modelcontextprotocol/server-everything`, so that one scenario and one policy serve all.
// The port is in PORT.

import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

import { toNodeHandler } from '@modelcontextprotocol/node';
import { acceptedContent, completable, createMcpHandler, inputRequired, inputResponse, McpServer, ResourceTemplate } from '@modelcontextprotocol/server';
import { z } from 'zod';

const annotations = { readOnlyHint: true };
const said = (text) => ({ content: [{ type: 'text', text }] });
const departments = ['Engineering', 'Sales', 'Marketing', 'Support'];

function tools(server, era) {
  const tool = (name, description, inputSchema, work) => server.registerTool(name, { description, inputSchema: z.object(inputSchema), annotations }, work);
  tool('echo', 'Echoes back the input string', { message: z.string() }, ({ message }) => said(`Echo: ${message}`));
  tool('get-sum', 'Returns the sum of two numbers', { a: z.number(), b: z.number() }, ({ a, b }) => said(`The sum of ${a} and ${b} is ${a + b}.`));
  tool('get-env', 'Returns all environment variables', {}, () => said(JSON.stringify(process.env, null, 2)));
  tool('get-tiny-image', 'Stands where the other server returns a picture', {}, () => said('a tiny image'));
  tool('toggle-simulated-logging', 'Is hidden by policy', {}, () => said('toggled'));
  tool('trigger-long-running-operation', 'Reports progress', { duration: z.number(), steps: z.number() }, work);
  tool('trigger-elicitation-request', 'Asks the user for a name', {}, elicit);
  tool('trigger-sampling-request', "Asks the client's model", { prompt: z.string() }, sample);
  tool('trigger-list-changed', 'Says that the list of tools has changed', {}, (_, ctx) => announce(era, ctx));
  const outputSchema = z.object({ temperature: z.number(), conditions: z.string(), humidity: z.number() });
  const description = 'Returns structured content along with an output schema';
  server.registerTool('get-structured-content', { description, inputSchema: z.object({ location: z.string() }), outputSchema, annotations }, ({ location }) => {
    const structuredContent = { temperature: 36, conditions: `Light rain in ${location}`, humidity: 82 };
    return { ...said(JSON.stringify(structuredContent)), structuredContent };
  });
}

async function work({ duration, steps }, ctx) {
  const progressToken = ctx.mcpReq._meta?.progressToken;
  for (let progress = 1; progress <= steps; progress += 1) {
    await pause((duration * 1000) / steps, undefined, { signal: ctx.mcpReq.signal });
    if (progressToken !== undefined) await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: steps } });
  }
  return said(`Long running operation completed. Duration: ${duration} seconds, Steps: ${steps}.`);
}

function elicit(_, ctx) {
  const answer = acceptedContent(ctx.mcpReq.inputResponses, 'name');
  if (answer) return said(`User inputs: ${answer.name}`);
  const requestedSchema = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] };
  return inputRequired({ inputRequests: { name: inputRequired.elicit({ message: 'Please provide inputs for the following fields:', requestedSchema }) } });
}

function sample({ prompt }, ctx) {
  const answer = inputResponse(ctx.mcpReq.inputResponses, 'words');
  if (answer.kind === 'sampling') return said(`LLM sampling result: ${answer.result.content.text}`);
  const text = `Resource trigger-sampling-request context: ${prompt}`;
  const messages = [{ role: 'user', content: { type: 'text', text } }];
  return inputRequired({ inputRequests: { words: inputRequired.createMessage({ messages, maxTokens: 10 }) } });
}

async function announce(era, ctx) {
  if (era === 'modern') handler.notify.toolsChanged();
  else await ctx.mcpReq.notify({ method: 'notifications/tools/list_changed' });
  return said('announced');
}

function documents(server) {
  const kept = (name, text) =>
    server.registerResource(name, `demo://resource/static/document/${name}`, { mimeType: 'text/markdown' }, (uri) => ({
      contents: [{ uri: uri.href, mimeType: 'text/markdown', text }],
    }));
  kept('architecture.md', '# Architecture\n\nOne handler, both eras.');
  kept('startup.md', '# Startup');
  const template = new ResourceTemplate('demo://resource/dynamic/text/{resourceId}', { list: undefined });
  server.registerResource('Dynamic Text Resource', template, { mimeType: 'text/plain' }, (uri, { resourceId }) => ({
    contents: [{ uri: uri.href, mimeType: 'text/plain', text: `Resource ${resourceId}` }],
  }));
}

function prompts(server) {
  const words = (text) => ({ messages: [{ role: 'user', content: { type: 'text', text } }] });
  server.registerPrompt('simple-prompt', { description: 'A prompt with no arguments' }, () => words('This is a simple prompt without arguments.'));
  server.registerPrompt('args-prompt', { argsSchema: z.object({ city: z.string() }) }, ({ city }) => words(`The weather in ${city}?`));
  const department = completable(z.string(), (value) => departments.filter((name) => name.startsWith(value)));
  server.registerPrompt('completable-prompt', { argsSchema: z.object({ department }) }, (given) => words(`Promote somebody in ${given.department}.`));
}

const handler = createMcpHandler(({ era }) => {
  const capabilities = { tools: { listChanged: true }, resources: {}, prompts: {} };
  const server = new McpServer({ name: 'handler', version: '1.0.0' }, { capabilities });
  tools(server, era);
  documents(server);
  prompts(server);
  return server;
});

createServer(toNodeHandler(handler)).listen(Number(process.env.PORT), '127.0.0.1');
