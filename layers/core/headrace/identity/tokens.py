"""Access tokens as JWTs: made, taken apart and verified.

Verification is strict where the usual libraries are lenient: PyJWT, unless told otherwise, takes a
token without ``exp``, of any issuer and type, signed by a short key, with claims written twice or
a padded signature. The signature itself is checked by ``cryptography``; PyJWT is a second,
independent reader in the tests, and not loaded here, since importing it costs every cold start
more than all the rest of this module.

Key material named in a token (``jwk``, ``jku``, ``x5c``, ``x5u``) is never looked at: keys come
from the issuer's published set, by ``kid``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from headrace.identity.encoding import from_base64url, object_from_json, to_base64url, to_json
from headrace.identity.keys import MAX_KEY_ID, KeySet
from headrace.identity.model import ACCESS_TOKEN_TYPE, AccessToken, Issuer
from headrace.identity.ports import Signer
from headrace.kernel.clock import Clock
from headrace.kernel.errors import NotAuthenticated

MAX_TOKEN_LENGTH = 8192
"""Characters. API Gateway takes 10,240 bytes of headers in all."""
LEEWAY = timedelta(seconds=10)
"""How far the clocks of issuers may be from ours."""

NOT_VALID = "The access token is not valid."
EXPIRED = "The access token has expired. Ask for a new one."
NOT_YET = "The access token is not valid yet."
NOT_TRUSTED = "The access token is of an issuer that is not trusted here."
NOT_FOR_US = "The access token is not meant for this API."


def signed_by(signer: Signer, token: AccessToken) -> str:
    """The token, signed by the key that signs now. Raises Unavailable."""
    key_id = signer.key_id()
    return signed(token, key_id, lambda message: signer.sign(key_id, message))


def signed(token: AccessToken, key_id: str, sign: Callable[[bytes], bytes]) -> str:
    """The token as a JWT (RFC 9068), signed RS256 by ``sign`` under ``key_id``."""
    header = {"alg": "RS256", "typ": ACCESS_TOKEN_TYPE, "kid": key_id}
    message = f"{to_base64url(to_json(header))}.{to_base64url(to_json(token.claims()))}"
    return f"{message}.{to_base64url(sign(message.encode('ascii')))}"


@dataclass(frozen=True)
class UnverifiedToken:
    """A token taken apart. Nothing in it may be believed yet."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    message: bytes
    signature: bytes

    @classmethod
    def read(cls, text: str) -> "UnverifiedToken":
        """Raises NotAuthenticated unless ``text`` is one JWS of three canonical segments, with
        objects for header and claims."""
        if len(text) > MAX_TOKEN_LENGTH:
            raise NotAuthenticated(NOT_VALID)
        try:
            header, claims, signature = text.split(".")
            return cls(
                object_from_json(from_base64url(header)),
                object_from_json(from_base64url(claims)),
                f"{header}.{claims}".encode("ascii"),
                from_base64url(signature),
            )
        except ValueError as error:
            raise NotAuthenticated(NOT_VALID) from error

    @property
    def issuer(self) -> str:
        """Whom the token claims to be of; empty when it does not say."""
        issuer = self.claims.get("iss")
        return issuer if isinstance(issuer, str) else ""


@dataclass(frozen=True)
class Verifier:
    """Believes a token, or does not."""

    clock: Clock

    def __call__(self, token: UnverifiedToken, issuer: Issuer, keys: KeySet) -> Mapping[str, Any]:
        """The claims, once signature, type, audience and times hold.

        Raises NotAuthenticated, Unavailable (the issuer's keys cannot be read).
        """
        algorithm, key_id = self._header(token.header, issuer)
        key = keys.find(key_id)
        if key is None or not key.verifies(algorithm, token.message, token.signature):
            raise NotAuthenticated(NOT_VALID)
        self._claims(token.claims, issuer)
        return token.claims

    @staticmethod
    def _header(header: Mapping[str, Any], issuer: Issuer) -> tuple[str, str]:
        algorithm, key_id, kind = (header.get(name) for name in ("alg", "kid", "typ"))
        if not (isinstance(algorithm, str) and isinstance(key_id, str) and isinstance(kind, str)):
            raise NotAuthenticated(NOT_VALID)
        if algorithm not in issuer.algorithms or not 0 < len(key_id) <= MAX_KEY_ID:
            raise NotAuthenticated(NOT_VALID)
        # RFC 7515 section 4.1.9: media types compare without case, "application/" may be left off.
        if kind.lower().removeprefix("application/") not in issuer.types:
            raise NotAuthenticated(NOT_VALID)
        # We know no extension, so any that must be understood is not (RFC 7515 section 4.1.11).
        # "b64" changes what is signed, for readers who know it, so with it there are two readings.
        if "crit" in header or "b64" in header:
            raise NotAuthenticated(NOT_VALID)
        return algorithm, key_id

    def _claims(self, claims: Mapping[str, Any], issuer: Issuer) -> None:
        if claims.get("iss") != issuer.issuer:
            raise NotAuthenticated(NOT_TRUSTED)
        # One text, or a list of texts (RFC 7519 section 4.1.3).
        audience = claims.get("aud")
        listed = audience if isinstance(audience, list) else [audience]
        if issuer.audience not in listed or not all(isinstance(one, str) for one in listed):
            raise NotAuthenticated(NOT_FOR_US)
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise NotAuthenticated(NOT_VALID)
        now = self.clock.now().timestamp()
        leeway = LEEWAY.total_seconds()
        if _time(claims, "exp") + leeway <= now:
            raise NotAuthenticated(EXPIRED)
        if _time(claims, "iat") - leeway > now:
            raise NotAuthenticated(NOT_YET)
        if "nbf" in claims and _time(claims, "nbf") - leeway > now:
            raise NotAuthenticated(NOT_YET)


def _time(claims: Mapping[str, Any], name: str) -> float:
    """A NumericDate claim. Text and true are no numbers here, whatever Python thinks."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotAuthenticated(NOT_VALID)
    if not -1e15 < value < 1e15:  # also keeps out infinity, as 1e999 is read
        raise NotAuthenticated(NOT_VALID)
    return value
