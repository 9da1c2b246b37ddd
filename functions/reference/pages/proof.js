// Proofs of possession (DPoP, RFC 9449), by the browser's WebCrypto.

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** A key pair whose private half nobody can read, this page included. */
export function newKey() {
  return crypto.subtle.generateKey(ALGORITHM, false, ["sign"]);
}

/** A proof for one request (section 4.2): a JWT that names it, signed with the key. */
export async function proof(key, { method, url, token, nonce }) {
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", key.publicKey);
  const header = { typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } };
  const claims = {
    jti: crypto.randomUUID(),
    htm: method,
    htu: url.replace(/[?#].*/, ""),
    iat: Math.floor(Date.now() / 1000),
    ath: token && base64url(await crypto.subtle.digest("SHA-256", utf8(token))),
    nonce,
  };
  const text = [header, claims].map((one) => base64url(utf8(JSON.stringify(one)))).join(".");
  return `${text}.${base64url(await crypto.subtle.sign(ALGORITHM, key.privateKey, utf8(text)))}`;
}

function utf8(text) {
  return new TextEncoder().encode(text);
}

function base64url(bytes) {
  const text = String.fromCharCode(...new Uint8Array(bytes));
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
