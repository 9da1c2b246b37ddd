"""Keys that encrypt what lies in a table: KMS makes them, and keeps the key that wraps them.

Of a data key two keys are derived (HKDF, RFC 5869), one to seal with and one to look up by, as no
key is to be used for two things.
"""

import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from headrace.adapters.kms.answers import answer_of_key

_KEY = "The key of the tenant's data"
_NONCE_BYTES = 12
_BYTES = 32


@dataclass(frozen=True)
class DataKey:
    """Seals texts, and makes of a value what it can be found by without being readable."""

    _sealing: bytes = field(repr=False)
    _looking_up: bytes = field(repr=False)

    @classmethod
    def of(cls, key: bytes) -> "DataKey":
        """The two keys that come of a data key."""
        return cls(_derived(key, b"headrace seal"), _derived(key, b"headrace look up"))

    def seal(self, text: bytes, *bound: str) -> bytes:
        """The text, encrypted by AES-256-GCM. It opens only where ``bound`` is the same.

        Nonces are random: good for 2^32 texts under one key (NIST SP 800-38D section 8.3).
        """
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self._sealing).encrypt(nonce, text, _joined(bound))

    def open(self, sealed: bytes, *bound: str) -> bytes:
        """The text again. Raises cryptography's InvalidTag if it was not sealed so."""
        nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        return AESGCM(self._sealing).decrypt(nonce, text, _joined(bound))

    def mark(self, kind: str, value: str) -> str:
        """What a value of this kind is found by: HMAC-SHA-256, as 64 hexadecimal digits."""
        return hmac.digest(self._looking_up, _joined((kind, value)), "sha256").hex()


@dataclass(frozen=True)
class KmsDataKeys:
    """Makes data keys and unwraps them. A wrapped key unwraps for the same purpose only."""

    client: Any

    def new(self, key_id: str, purpose: Mapping[str, str]) -> tuple[DataKey, bytes]:
        """A new key, and the same wrapped by the KMS key. Raises Unavailable."""
        with answer_of_key(_KEY):
            reply = self.client.generate_data_key(
                KeyId=key_id, KeySpec="AES_256", EncryptionContext=dict(purpose)
            )
        return DataKey.of(bytes(reply["Plaintext"])), bytes(reply["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, purpose: Mapping[str, str]) -> DataKey:
        """The key again. Raises Unavailable."""
        with answer_of_key(_KEY):
            reply = self.client.decrypt(CiphertextBlob=wrapped, EncryptionContext=dict(purpose))
        return DataKey.of(bytes(reply["Plaintext"]))


def _derived(key: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), _BYTES, salt=None, info=purpose).derive(key)


def _joined(texts: tuple[str, ...]) -> bytes:
    """Two different sequences are never joined to the same bytes."""
    return json.dumps(texts).encode()
