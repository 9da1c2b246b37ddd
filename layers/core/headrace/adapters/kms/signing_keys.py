"""The keys that sign access tokens, in KMS: private halves never leave it.

Key ids are those of the setting ``SIGNING_KEY_IDS``: the one that signs comes first, then those
whose tokens are still accepted (or will be, once they sign). Ids, ARNs and aliases all do.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from headrace.adapters.kms.answers import answer_of_key
from headrace.identity.keys import VerificationKey, key_from_der
from headrace.kernel.clock import Clock
from headrace.kernel.errors import Unavailable


@dataclass(frozen=True)
class _Current:
    key_id: str
    arn: str
    read_at: datetime


@dataclass
class KmsSigningKeys:
    """The ``Signer`` port, and the published keys, which it reads once and then keeps.

    The key that signs is resolved to its ARN, so that moving an alias to another key in between
    cannot make a token whose ``kid`` and signature are of two keys. It is resolved anew after
    ``KEPT_FOR``.
    """

    client: Any
    key_ids: tuple[str, ...]
    clock: Clock
    _current: _Current | None = field(default=None, init=False)

    KEPT_FOR = timedelta(minutes=10)

    def key_id(self) -> str:
        """The ``kid`` of the key that signs now. Raises Unavailable."""
        return self._signing().key_id

    def sign(self, key_id: str, message: bytes) -> bytes:
        """The RS256 signature by the key that ``key_id()`` gave. Raises Unavailable."""
        current = self._signing()
        if current.key_id != key_id:
            raise Unavailable("The signing key was changed just now.", retry_after=1)
        with answer_of_key("The signing key"):
            reply = self.client.sign(
                KeyId=current.arn,
                # The digest, so that the size of the message does not matter to KMS.
                Message=hashlib.sha256(message).digest(),
                MessageType="DIGEST",
                SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256",
            )
        return bytes(reply["Signature"])

    def published(self) -> tuple[VerificationKey, ...]:
        """The public halves of all keys, read from KMS now. Raises Unavailable."""
        return tuple(self._public(key_id)[0] for key_id in self.key_ids)

    def _signing(self) -> _Current:
        now = self.clock.now()
        if self._current is None or now - self._current.read_at >= self.KEPT_FOR:
            key, arn = self._public(self.key_ids[0])
            self._current = _Current(key.key_id, arn, now)
        return self._current

    def _public(self, key_id: str) -> tuple[VerificationKey, str]:
        with answer_of_key("The signing key"):
            reply = self.client.get_public_key(KeyId=key_id)
        return key_from_der(reply["PublicKey"]), str(reply["KeyId"])
