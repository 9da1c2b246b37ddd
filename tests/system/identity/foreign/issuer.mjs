// An identity provider made with oidc-provider: it gives clients JWT access tokens that are bound to
// their keys. Told by JSON on standard input; says its own URL in a line, and serves until its
// standard input ends.
import { createInterface } from "node:readline";
import { createServer } from "node:http";
import Provider from "oidc-provider";
import * as jose from "jose";

const lines = createInterface({ input: process.stdin });
const told = JSON.parse((await lines[Symbol.asyncIterator]().next()).value);
const { privateKey } = await jose.generateKeyPair("ES256", { extractable: true });
const key = { ...(await jose.exportJWK(privateKey)), kid: "partner-1", alg: "ES256", use: "sig" };

const server = createServer((request, reply) => provider.callback()(request, reply));
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const url = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(url, {
  clients: told.clients.map((one) => ({
    ...one,
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: "ES256",
  })),
  jwks: { keys: [key] },
  scopes: told.scope.split(" "),
  extraTokenClaims: () => ({ org: told.tenant }),
  features: {
    clientCredentials: { enabled: true },
    dPoP: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => told.audience,
      getResourceServerInfo: () => ({
        scope: told.scope,
        audience: told.audience,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
});
console.log(JSON.stringify({ url }));
for await (const _ of lines);
server.closeAllConnections();
server.close();
