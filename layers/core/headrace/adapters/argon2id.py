"""Passwords hashed by Argon2id (RFC 9106), as ``cryptography`` has it.

A module of its own, since only what logs persons in loads it. The text form is that of PHC strings:
``$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH``.
"""

import base64
import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

_SALT_BYTES = 16
_HASH_BYTES = 32


@dataclass(frozen=True)
class Argon2idPasswords:
    """The ``Passwords`` port.

    The parameters are those that OWASP's Password Storage Cheat Sheet names first for a machine
    with little memory to spare: 19 MiB, two passes, one lane.
    """

    memory_kib: int = 19_456
    passes: int = 2
    lanes: int = 1
    _nobodys: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Random bytes, not the hash of anything: no password leads to them.
        salt, digest = (_base64(os.urandom(size)) for size in (_SALT_BYTES, _HASH_BYTES))
        object.__setattr__(self, "_nobodys", f"{self._parameters}{salt}${digest}")

    def hash(self, password: str) -> str:
        """See the port."""
        hasher = Argon2id(
            salt=os.urandom(_SALT_BYTES),
            length=_HASH_BYTES,
            iterations=self.passes,
            lanes=self.lanes,
            memory_cost=self.memory_kib,
        )
        return hasher.derive_phc_encoded(password.encode())

    def verify(self, password_hash: str | None, password: str) -> bool:
        """See the port."""
        try:
            Argon2id.verify_phc_encoded(password.encode(), password_hash or self._nobodys)
        except InvalidKey:
            return False
        return True

    def is_outdated(self, password_hash: str) -> bool:
        """See the port."""
        return not password_hash.startswith(self._parameters)

    @property
    def _parameters(self) -> str:
        return f"$argon2id$v=19$m={self.memory_kib},t={self.passes},p={self.lanes}$"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii").rstrip("=")
