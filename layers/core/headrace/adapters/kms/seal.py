"""Secrets that we must be able to read again, encrypted by KMS."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.adapters.kms.answers import answer_of_key

_KEY = "The key of the secrets"


@dataclass(frozen=True)
class KmsSeal:
    """Seals and opens short texts with one key. What is sealed opens for the same purpose only."""

    client: Any
    key_id: str

    def seal(self, text: str, purpose: Mapping[str, str]) -> bytes:
        """The text, encrypted. Raises Unavailable."""
        with answer_of_key(_KEY):
            reply = self.client.encrypt(
                KeyId=self.key_id, Plaintext=text.encode(), EncryptionContext=dict(purpose)
            )
        return bytes(reply["CiphertextBlob"])

    def open(self, sealed: bytes, purpose: Mapping[str, str]) -> str:
        """The text again. Raises Unavailable."""
        with answer_of_key(_KEY):
            reply = self.client.decrypt(
                KeyId=self.key_id, CiphertextBlob=sealed, EncryptionContext=dict(purpose)
            )
        return bytes(reply["Plaintext"]).decode()
