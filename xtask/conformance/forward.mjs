// Passes requests on with a token added: the suite has no way to send one. The target is the argument, the token comes by
// the environment; the first line on stdout is the address to use instead.

import http from 'node:http';

const target = new URL(process.argv[2]);
const authorization = `Bearer ${process.env.FORWARD_TOKEN}`;

const server = http.createServer((request, response) => {
  const options = { host: target.hostname, port: target.port, path: request.url, method: request.method, headers: { ...request.headers, authorization }, agent: false };
  const forward = http.request(options, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    response.flushHeaders();
    answer.pipe(response);
  });
  // Whoever breaks off here breaks off there, and the other way round.
  forward.on('error', () => response.destroy());
  response.on('close', () => forward.destroy());
  request.pipe(forward);
});

server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`ready url=http://127.0.0.1:${server.address().port}${target.pathname}\n`);
});
