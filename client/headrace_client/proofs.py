"""Proofs of possession (DPoP, RFC 9449): with each request a statement that the key is here."""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import httpx

from headrace_client.keys import SigningKey, base64url

_SKEW_SECONDS = 5.0
"""A clock that differs by less is no reason for a refusal."""


class Proofs:
    """Makes proofs for requests of one service. Threads may share it.

    `public_url` is what the service calls itself, if it is called by another address: `htu` is of
    that one. The service's nonces are used as they come (section 8), and the service's clock where
    ours is wrong.
    """

    def __init__(
        self,
        key: SigningKey,
        api_url: str,
        public_url: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.key = key
        self._api_url = str(httpx.URL(api_url))  # as requests spell it
        self._public_url = public_url
        self._now = now
        self._lock = threading.Lock()
        self._nonce: str | None = None
        self._ahead = 0.0  # the service's clock, compared with ours

    def sign(self, request: httpx.Request, token: str | None) -> None:
        """Put a proof of now into the request; of this access token, where it carries one."""
        address = str(request.url.copy_with(query=None, fragment=None))
        claims = {
            "jti": str(uuid.uuid4()),
            "htm": request.method,
            "htu": self._public_url + address.removeprefix(self._api_url),
            "iat": int(self._now() + self._ahead),
        }
        if token is not None:
            claims["ath"] = base64url(hashlib.sha256(token.encode("ascii")).digest())
        with self._lock:
            if self._nonce is not None:
                claims["nonce"] = self._nonce
        header = {"typ": "dpop+jwt", "jwk": dict(self.key.jwk)}
        request.headers["DPoP"] = self.key.sign(header, claims)

    def learn(self, response: httpx.Response) -> None:
        """Keep the nonce that an answer brings."""
        nonce = response.headers.get("DPoP-Nonce")
        if nonce:
            with self._lock:
                self._nonce = nonce

    def corrected(self, response: httpx.Response) -> bool:
        """Whether the refusal was for our clock: then the service's is taken from now on."""
        try:
            theirs = parsedate_to_datetime(response.headers["Date"]).timestamp()
        except (KeyError, ValueError):
            return False
        ahead = theirs - self._now()
        with self._lock:
            changed = abs(ahead - self._ahead) > _SKEW_SECONDS
            if changed:
                self._ahead = ahead
        return changed
