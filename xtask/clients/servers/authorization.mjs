// A small authorization server for loopback: discovery, registration, authorization code with PKCE, JWTs, keys.
//
// Everybody who comes is Ada, who agrees to everything. Each request is told on stdout as one JSON line. The port is in PORT.

import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { createServer } from 'node:http';

const issuer = `http://127.0.0.1:${process.env.PORT}`;
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const kid = 'the-only-key';
const codes = new Map();

const metadata = {
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  registration_endpoint: `${issuer}/register`,
  jwks_uri: `${issuer}/keys`,
  response_types_supported: ['code'],
  grant_types_supported: ['authorization_code'],
  code_challenge_methods_supported: ['S256'],
  token_endpoint_auth_methods_supported: ['none'],
  authorization_response_iss_parameter_supported: true,
};

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function token({ resource, scope, client }) {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, sub: 'ada@example.com', aud: resource, azp: client, groups: ['stock-clerks'], scope, iat: now, exp: now + 600, jti: randomUUID() };
  const text = `${encoded({ alg: 'ES256', typ: 'at+jwt', kid })}.${encoded(claims)}`;
  return `${text}.${sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

const refused = (error) => ({ status: 400, body: { error } });

const paths = {
  '/.well-known/oauth-authorization-server': () => ({ body: metadata }),
  '/.well-known/openid-configuration': () => ({ body: metadata }),
  '/keys': () => ({ body: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' }] } }),
  '/register': (asked) => ({ status: 201, body: { ...asked, client_id: `client-${randomUUID()}` } }),
  '/authorize': (asked) => {
    const { response_type, code_challenge_method, code_challenge, resource, redirect_uri, client_id, scope = '', state } = asked;
    if (response_type !== 'code' || code_challenge_method !== 'S256' || !code_challenge || !resource) return refused('invalid_request');
    const code = randomUUID();
    codes.set(code, { code_challenge, resource, redirect_uri, client: client_id, scope });
    const back = new URL(redirect_uri);
    for (const [name, value] of Object.entries({ code, iss: issuer, state })) if (value) back.searchParams.set(name, value);
    return { status: 302, location: back.href };
  },
  '/token': ({ grant_type, code, code_verifier = '', redirect_uri, client_id, resource }) => {
    const given = codes.get(code);
    codes.delete(code);
    const proven = given?.code_challenge === createHash('sha256').update(code_verifier).digest('base64url');
    const meant = given?.redirect_uri === redirect_uri && given?.client === client_id && given?.resource === resource;
    if (grant_type !== 'authorization_code' || !proven || !meant) return refused('invalid_grant');
    return { body: { access_token: token(given), token_type: 'Bearer', expires_in: 600, scope: given.scope } };
  },
};

createServer(async (request, response) => {
  const url = new URL(request.url, issuer);
  const parts = [];
  for await (const part of request) parts.push(part);
  const text = Buffer.concat(parts).toString('utf8');
  const form = text.startsWith('{') ? JSON.parse(text) : Object.fromEntries(new URLSearchParams(text));
  const asked = { ...Object.fromEntries(url.searchParams), ...form };
  const { status = 200, body, location } = paths[url.pathname]?.(asked) ?? { status: 404, body: {} };
  process.stdout.write(`${JSON.stringify({ path: url.pathname, status, scope: asked.scope ?? '', resource: asked.resource ?? '' })}\n`);
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...(location && { location }) });
  response.end(body && JSON.stringify(body));
}).listen(Number(process.env.PORT), '127.0.0.1');
