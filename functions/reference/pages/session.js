// Who calls, and how each call proves it. All of it is in this page's memory: nothing is stored.
import { newKey, proof } from "./proof.js";

const TOKEN_ENDPOINT = "/connect/token";
const LOGIN = "/api/ver3/auth/login";
const CHECK = "/data/v1/metadata?pageSize=1";

/** What each kind of credential is: a token already, or what is posted to get one. */
const KINDS = {
  secret: ({ client_id, client_secret, tenant_id }) =>
    form({ grant_type: "client_credentials", client_id, client_secret, tenant_id }),
  certificate: ({ client_id, tenant_id }) =>
    client_id
      ? form({ grant_type: "client_credentials", client_id, tenant_id })
      : { token: "client-certificate" },
  refresh: ({ refresh_token }) => form({ grant_type: "refresh_token", refresh_token }),
  login: ({ username, password }) => ({
    path: LOGIN,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ username, password }),
  }),
  token: ({ token }) => ({ token }),
};

function form(fields) {
  const given = Object.entries(fields).filter(([, value]) => value);
  return {
    path: TOKEN_ENDPOINT,
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams(given).toString(),
  };
}

/** A refusal, in words for whoever reads the page. */
export class Refused extends Error {}

export class Session {
  #base; // where this page calls the API
  #publicBase; // where the API says that it is: proofs name it
  #key = null;
  #nonce;
  #exchange = {}; // the last refresh token that was sent, and what repeats its exchange

  kind = null;
  token = null;
  scheme = null;
  scope = null;
  expires = null;
  refreshToken = null;

  constructor(base, publicBase) {
    this.#base = base;
    this.#publicBase = publicBase;
  }

  /** Signs in by a kind of credential. Throws Refused. */
  async signIn(kind, { bound, ...given }) {
    const sent = KINDS[kind](given);
    this.#key = bound && sent.path ? await newKey() : null;
    if (sent.path) await this.#ask(sent);
    else await this.#hold(sent.token);
    this.kind = kind;
  }

  /** Exchanges the refresh token for a new access token and the next one. Throws Refused. */
  renew() {
    return this.#ask(KINDS.refresh({ refresh_token: this.refreshToken }));
  }

  /** A request that Swagger UI has put the token into, with all else that proves the caller. */
  async proven(request, organisation) {
    if (!request.headers.Authorization) return request;
    if (organisation) request.headers.Authorization += `; grp=${organisation}`;
    if (this.#key) request.headers.DPoP = await this.#proof(request, this.token);
    return request;
  }

  /** fetch. Who is told which nonce a proof needs sends another one, once (RFC 9449 section 8). */
  async fetch(url, request) {
    const reply = await fetch(url, request);
    const nonce = reply.headers.get("DPoP-Nonce");
    if (reply.ok || !nonce || !this.#key) return reply;
    this.#nonce = nonce;
    const { headers, method } = request;
    const DPoP = await this.#proof({ method, url }, headers.Authorization && this.token);
    return fetch(url, { ...request, headers: { ...headers, DPoP } });
  }

  #proof({ method, url }, token) {
    const named = url.replace(this.#base, this.#publicBase);
    return proof(this.#key, { method, url: named, token, nonce: this.#nonce });
  }

  async #ask({ path, headers, body }) {
    const request = { method: "POST", url: this.#base + path, headers, body };
    if (path === TOKEN_ENDPOINT) headers["Idempotency-Key"] = this.#repeatable(body);
    if (this.#key) headers.DPoP = await this.#proof(request);
    const got = await answered(await this.fetch(request.url, request));
    this.token = got.access_token;
    this.scheme = got.token_type;
    this.scope = got.scope ?? null;
    this.expires = new Date(Date.now() + got.expires_in * 1000);
    this.refreshToken = got.refresh_token ?? null;
  }

  /** The same key for the same exchange: one whose answer was lost can then be sent again. */
  #repeatable(body) {
    if (this.#exchange.body !== body) this.#exchange = { body, key: crypto.randomUUID() };
    return this.#exchange.key;
  }

  /** Takes a token that the caller has, unless the API does not. */
  async #hold(token) {
    const reply = await fetch(this.#base + CHECK, { headers: { Authorization: `Bearer ${token}` } });
    if (reply.status === 401) await answered(reply);
    Object.assign(this, { token, scheme: "Bearer", scope: null, expires: null, refreshToken: null });
  }
}

/** What a reply says. Throws Refused, with the reason and the reply's correlation id. */
async function answered(reply) {
  const said = await reply.json().catch(() => ({}));
  if (reply.ok) return said;
  const reason = [said.title ?? said.error ?? `status ${reply.status}`];
  const detail = said.detail ?? said.error_description;
  if (detail) reason.push(detail);
  throw new Refused(`${reason.join(": ")} (correlation id ${reply.headers.get("X-Correlation-Id")})`);
}
