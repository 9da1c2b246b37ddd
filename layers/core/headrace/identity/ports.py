"""What identity needs of the world. Adapters answer these; tests have fakes."""

from datetime import datetime
from typing import Protocol

from headrace.identity.access_requests import AccessRequest
from headrace.identity.api_keys import ApiKey
from headrace.identity.handover import Handover
from headrace.identity.model import BoundCertificate, Client, IssuedCertificate, StoredSecret
from headrace.identity.sessions import LoginSession
from headrace.identity.users import Management, Role, Team, User


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


class Handovers(Protocol):
    """Secrets that wait behind a link, sealed."""

    def add(self, handover: Handover) -> None:
        """Keeps a new one."""
        ...

    def find(self, handover_id: str) -> Handover | None:
        """It, read consistently; taken and expired ones too, for a while."""
        ...

    def take(self, handover_id: str, now: datetime) -> bool:
        """Forgets what was sealed, if it was still there and had not expired; of several at once,
        one does. Raises Unavailable."""
        ...


class AccessRequests(Protocol):
    """Requests for access, and their evidence, encrypted."""

    def add(self, request: AccessRequest, evidence: bytes) -> None:
        """Keeps a new one. Raises Unavailable."""
        ...

    def find(self, request_id: str) -> AccessRequest | None:
        """It, read consistently."""
        ...

    def listed(self) -> tuple[AccessRequest, ...]:
        """All there are, oldest first."""
        ...

    def evidence(self, request_id: str) -> bytes | None:
        """What was kept with it. Raises Unavailable."""
        ...

    def decide(self, request: AccessRequest) -> bool:
        """Keeps what was decided; False: somebody has decided already. Of several at once, one
        does."""
        ...


class Revocations(Protocol):
    """Access tokens that were ended before their time, for as long as they would be good."""

    def revoke(self, token_id: str, until: datetime) -> None:
        """From now on it is. Raises Unavailable."""
        ...

    def has(self, token_id: str) -> bool:
        """Was it ended; consistent. Raises Unavailable."""
        ...


class Nonces(Protocol):
    """The nonces of proofs, one for each span of time."""

    def find(self, span: int) -> str | None:
        """The span's, if somebody needed it; consistent. Raises Unavailable."""
        ...

    def agree(self, span: int, proposed: str, until: datetime) -> str:
        """The span's: that which is proposed, unless there is one. Raises Unavailable."""
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


class ApiKeys(Protocol):
    """The keys of external services, as hashes."""

    def find(self, key_id: str) -> ApiKey | None:
        """The key as stored now, or None; consistent, so that a revoked one ends at once."""
        ...

    def listed(self, service: str) -> tuple[ApiKey, ...]:
        """All of the service's that are remembered, oldest first."""
        ...

    def add(self, key: ApiKey) -> None:
        """Adds one. Raises Conflict: the service has as many as may work at once."""
        ...

    def revoke(self, key_id: str, now: datetime) -> None:
        """Ends one at once; one that has ended stays as it is. Raises NotFound."""
        ...

    def exchange(self, before: ApiKey, after: ApiKey) -> bool:
        """Writes the next generation, and remembers the refresh token that is spent with it.

        False: the key is not as it was ``before``; somebody was faster, or it was revoked.
        """
        ...

    def was_spent(self, key_id: str, sha256: str) -> bool:
        """Was this once a refresh token of the key."""
        ...

    def used(self, key: ApiKey, now: datetime) -> None:
        """Notes that it was; never fails, as it is not worth a call."""
        ...


class Users(Protocol):
    """Persons who log in."""

    def find(self, tenant: str, user_id: str) -> User | None:
        """The user as stored now, or None."""
        ...

    def named(self, username: str) -> User | None:
        """The user of this name in its normal form, or None; the same reads either way."""
        ...

    def listed(self, tenant: str) -> tuple[User, ...]:
        """All of the tenant's, by their ids: oldest first."""
        ...

    def add(self, user: User) -> None:
        """Adds one. Raises Conflict: the name is somebody's already, in this tenant or another."""
        ...

    def save(self, user: User) -> None:
        """Writes a user that was read and changed. Raises Conflict: somebody was faster."""
        ...

    def remove(self, user: User) -> None:
        """Forgets a user. Raises Conflict: somebody changed it just now."""
        ...


class Roles(Protocol):
    """What users may do."""

    def find(self, tenant: str, name: str) -> Role | None:
        """The role as stored now, or None."""
        ...

    def listed(self, tenant: str) -> tuple[Role, ...]:
        """All of the tenant's, by name."""
        ...

    def put(self, role: Role) -> None:
        """Makes the role what it says, whether it was there or not."""
        ...

    def remove(self, tenant: str, name: str) -> None:
        """Forgets one. Raises NotFound."""
        ...


class Teams(Protocol):
    """Users that things are entrusted to together."""

    def find(self, tenant: str, name: str) -> Team | None:
        """The team as stored now, or None."""
        ...

    def listed(self, tenant: str) -> tuple[Team, ...]:
        """All of the tenant's, by name."""
        ...

    def save(self, team: Team) -> None:
        """Writes a team, a new one or one that was read and changed. Raises Conflict."""
        ...

    def remove(self, team: Team) -> None:
        """Forgets one. Raises Conflict: somebody changed it just now."""
        ...


class Managers(Protocol):
    """Who manages which service."""

    def of(self, service: str) -> Management:
        """As stored now; nobody, if nobody was ever named."""
        ...

    def save(self, service: str, management: Management) -> None:
        """Writes what was read and changed. Raises Conflict: somebody was faster."""
        ...


class LoginSessions(Protocol):
    """Logins that go on."""

    def find(self, session_id: str) -> LoginSession | None:
        """The login as stored now, or None."""
        ...

    def begin(self, session: LoginSession) -> None:
        """Remembers a new one."""
        ...

    def exchange(self, before: LoginSession, after: LoginSession) -> bool:
        """Puts ``after`` in the place of ``before``, and remembers its refresh token as spent;
        False if it was exchanged or ended meanwhile. Of several at once, one is True."""
        ...

    def was_spent(self, session_id: str, sha256: str) -> bool:
        """Was this a refresh token of the login that was exchanged."""
        ...

    def end(self, session_id: str, now: datetime) -> None:
        """Ends it with the next call; what has ended stays so."""
        ...


class LoginTries(Protocol):
    """How often was tried, by name and by address (``lockout``)."""

    def count(self, username: str, source_ip: str, now: datetime) -> None:
        """Counts a try before it is known to fail; of several at once each is counted.

        Raises TooManyTries: it may not be made now. Whether there is such a user plays no part.
        """
        ...

    def forget(self, username: str) -> None:
        """Takes back the tries of a name: one succeeded."""
        ...

    def take_back(self, source_ip: str, now: datetime) -> None:
        """Takes back the one try of an address that was counted at this moment."""
        ...


class Passwords(Protocol):
    """A slow hash of passwords, in the text form that carries its parameters."""

    def hash(self, password: str) -> str:
        """Hashes a password in its normal form, with a salt of its own."""
        ...

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Is it the password. The same work for None, the hash of nobody, which nothing fits."""
        ...

    def is_outdated(self, password_hash: str) -> bool:
        """Was it made with other parameters than those of today."""
        ...


class Memberships(Protocol):
    """Which organisations are members of a data broker."""

    def is_member(self, tenant: str, broker: str, organisation: str) -> bool:
        """Is it now, and the membership active; consistent. Raises Unavailable."""
        ...


class Signer(Protocol):
    """The key that signs our tokens; its private half never leaves its keeper."""

    def key_id(self) -> str:
        """The ``kid`` of the key that signs now (RFC 7638 thumbprint). Raises Unavailable."""
        ...

    def sign(self, key_id: str, message: bytes) -> bytes:
        """The RS256 signature of ``message`` by the key ``key_id``. Raises Unavailable."""
        ...
