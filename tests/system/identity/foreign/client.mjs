// A client made with oauth4webapi: discovers the issuer, gets a token, calls the API with it.
// Told by JSON on standard input; what it got is JSON on standard output.
import * as oauth from "oauth4webapi";
import * as jose from "jose";
import { json } from "node:stream/consumers";

const told = await json(process.stdin);
const plain = { [oauth.allowInsecureRequests]: true }; // the local platform speaks http
const issuer = new URL(told.issuer);
const found = await oauth.discoveryRequest(issuer, { algorithm: "oidc", ...plain });
const server = await oauth.processDiscoveryResponse(issuer, found);
const client = { client_id: told.client_id };
const key = await oauth.generateKeyPair("ES256");
const dpop = told.bound ? oauth.DPoP(client, key) : undefined;

async function authentication() {
  if (told.jwk === undefined) return oauth.ClientSecretBasic(told.client_secret);
  const { kid, alg } = told.jwk;
  return oauth.PrivateKeyJwt({ key: await jose.importJWK(told.jwk, alg), kid });
}

// RFC 9449 section 8: who is told to use a nonce does so, once.
async function withNonce(call) {
  try {
    return await call();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    retried += 1;
    return await call();
  }
}
let retried = 0;

const parameters = new URLSearchParams(told.parameters);
const proof = await authentication();
const token = await withNonce(async () =>
  oauth.processClientCredentialsResponse(
    server,
    client,
    await oauth.clientCredentialsGrantRequest(server, client, proof, parameters, {
      DPoP: dpop,
      ...plain,
    }),
  ),
);
const statuses = [];
for (const url of told.urls) {
  try {
    const reply = await withNonce(() =>
      oauth.protectedResourceRequest(token.access_token, "GET", new URL(url), undefined, null, {
        DPoP: dpop,
        ...plain,
      }),
    );
    statuses.push(reply.status);
  } catch (error) {
    if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
    statuses.push(error.status);
  }
}
console.log(JSON.stringify({ token, statuses, retried }));
