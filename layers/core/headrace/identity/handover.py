"""Secrets on their way to whom they are for: a link that shows one, once (seed 004).

The link's token is the key of what it opens, and is kept nowhere: the store has its digest, to find
the item by, and the secret sealed under a key that follows from the token. So neither the table nor
a backup of it gives a secret away, nor does the operator's access to either.

    waiting ──> taken      somebody who had the link pressed the button
       └──────> expired    seven days went by
"""

import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LIFETIME = timedelta(days=7)
_NONCE_BYTES = 12


def new_token() -> str:
    """The secret part of a link: 256 random bits in base64url."""
    return secrets.token_urlsafe(32)


def handover_id(token: str) -> str:
    """What the store finds it by."""
    return hmac.digest(token.encode(), b"headrace handover id", "sha256").hex()


def _cipher(token: str) -> AESGCM:
    return AESGCM(hmac.digest(token.encode(), b"headrace handover key", "sha256"))


@dataclass(frozen=True)
class Handover:
    """A client's secret that waits to be taken."""

    handover_id: str
    client_id: str
    secret_id: str
    expires_at: datetime
    sealed: bytes | None = field(repr=False)
    """None: it was taken."""

    @classmethod
    def of(
        cls, token: str, client_id: str, secret_id: str, secret: str, now: datetime
    ) -> "Handover":
        """A new one."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + _cipher(token).encrypt(nonce, secret.encode(), client_id.encode())
        return cls(handover_id(token), client_id, secret_id, now + LIFETIME, sealed)

    def waits_at(self, now: datetime) -> bool:
        """Can it still be taken."""
        return self.sealed is not None and now < self.expires_at

    def opened(self, token: str) -> str:
        """The secret. Raises ValueError: this is not its token, or somebody changed the item."""
        sealed = self.sealed or b""
        nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return _cipher(token).decrypt(nonce, text, self.client_id.encode()).decode()
        except InvalidTag as error:
            raise ValueError("the sealed secret cannot be opened") from error
