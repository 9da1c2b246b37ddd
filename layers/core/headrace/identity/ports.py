"""What identity needs of the world. Adapters answer these; tests have fakes."""

from datetime import datetime
from typing import Protocol

from headrace.identity.model import BoundCertificate, Client, IssuedCertificate, StoredSecret


class Clients(Protocol):
    """The clients of the published catalog."""

    def find(self, client_id: str) -> Client | None:
        """The client as published now, or None. Never an exception for an odd id."""
        ...


class ClientSecrets(Protocol):
    """The hashes of clients' secrets; never a secret itself."""

    def of(self, client_id: str) -> tuple[StoredSecret, ...]:
        """The active ones, oldest first; consistent, so that a revoked one ends at once."""
        ...

    def add(self, client_id: str, secret: StoredSecret) -> None:
        """Adds one. Raises Conflict when the client has as many as it may have."""
        ...

    def revoke(self, client_id: str, secret_id: str) -> None:
        """Ends one at once. Raises NotFound when the client has no such secret."""
        ...


class UsedProofs(Protocol):
    """The proofs of possession that were used, for as long as they would be good again."""

    def first(self, use: str, until: datetime) -> bool:
        """Is this the first use; of several at once, one is. Raises Unavailable."""
        ...


class Certificates(Protocol):
    """Our certificate authority's certificate, and those that it issued."""

    def authority(self) -> str | None:
        """The authority's certificate in PEM, if there is one."""
        ...

    def set_authority(self, pem: str, now: datetime) -> None:
        """Keeps it. Raises Conflict when there is one."""
        ...

    def of_key(self, key_id: str) -> IssuedCertificate | None:
        """The certificate of an API key; consistent."""
        ...

    def find(self, thumbprint: str) -> BoundCertificate | None:
        """Whose the certificate is; consistent. None for every one that we did not issue."""
        ...

    def add(self, certificate: IssuedCertificate) -> None:
        """Keeps a new one. Raises Conflict when its key has one."""
        ...


class Signer(Protocol):
    """The key that signs our tokens; its private half never leaves its keeper."""

    def key_id(self) -> str:
        """The ``kid`` of the key that signs now (RFC 7638 thumbprint). Raises Unavailable."""
        ...

    def sign(self, key_id: str, message: bytes) -> bytes:
        """The RS256 signature of ``message`` by the key ``key_id``. Raises Unavailable."""
        ...
