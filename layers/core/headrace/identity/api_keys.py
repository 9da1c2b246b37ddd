"""API keys of external services (seed 002): what they are, and how refresh tokens rotate.

A service is a client of the catalog. Its managers make keys, of three kinds: a static token, sent
as it is; a refresh token, exchanged for an access token and the next refresh token; a client
certificate, whose CN and OU are given out with the key. Whoever has any of them is the service.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from headrace.identity.encoding import from_base64url, to_base64url
from headrace.identity.model import Client

LIFETIME = timedelta(days=365)
"""How long a key lives (seed 002); of a refresh token, since it was last exchanged."""
TOKEN_LIFETIME = timedelta(hours=5)
"""How long the access tokens of refresh tokens live (seed 002)."""
GRACE = timedelta(seconds=10)
"""How long after an exchange the token that was exchanged comes by mistake, and not by theft."""
REMEMBERED = timedelta(days=90)
"""How long a key that has ended is still listed, at least."""
MAX_KEYS = 20
"""Keys of one service that work at the same time."""

STATIC_PREFIX, REFRESH_PREFIX = "hrk", "hrr"
"""They mark our keys, so that scanners recognise a leaked one."""
_TEXT = re.compile(r"(hrk|hrr)_([0-9a-hjkmnp-tv-z]{26})_([A-Za-z0-9_-]{43})")
_SHOWN = 8
"""Characters of the secret part that a list shows; 208 random bits are left."""


class KeyKind(StrEnum):
    """How a key is used."""

    STATIC = "static"
    REFRESH = "refresh"
    CERTIFICATE = "certificate"


class KeyState(StrEnum):
    """Does it work."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True)
class KeyText:
    """What stands in a header or form: ``hrk_ID_SECRET`` or ``hrr_ID_SECRET``, with 256 random
    bits for the secret."""

    kind: KeyKind
    key_id: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls, kind: KeyKind, key_id: str) -> "KeyText":
        """One with a secret of its own."""
        return cls(kind, key_id, secrets.token_urlsafe(32))

    @classmethod
    def read(cls, text: str) -> "KeyText | None":
        """None if it is no key of ours."""
        match = _TEXT.fullmatch(text)
        if match is None:
            return None
        try:
            from_base64url(match[3])
        except ValueError:
            return None
        kind = KeyKind.STATIC if match[1] == STATIC_PREFIX else KeyKind.REFRESH
        return cls(kind, match[2], match[3])

    def next(self, idempotency_key: str | None) -> "KeyText":
        """The refresh token that this one is exchanged for.

        With a key of the caller's it follows from both, so that an exchange whose answer was lost
        can be asked for again; neither of them alone tells it.
        """
        if idempotency_key is None:
            return KeyText.new(self.kind, self.key_id)
        derived = hmac.digest(from_base64url(self.secret), idempotency_key.encode(), "sha256")
        return replace(self, secret=to_base64url(derived))

    @property
    def text(self) -> str:
        """As the service has it."""
        prefix = STATIC_PREFIX if self.kind is KeyKind.STATIC else REFRESH_PREFIX
        return f"{prefix}_{self.key_id}_{self.secret}"

    @property
    def shown(self) -> str:
        """The beginning, by which people tell keys apart."""
        return self.text[: len(self.text) - len(self.secret) + _SHOWN]

    @property
    def sha256(self) -> str:
        """What is kept of it (see ``model.secret_hash`` for why no slow hash)."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class Turn(StrEnum):
    """What a refresh token that comes is, of a key that is active."""

    CURRENT = "current"
    """To be exchanged."""
    REPEATED = "repeated"
    """It was exchanged within ``GRACE``: two of the service's processes at once, or a retry."""
    OTHER = "other"
    """An older one, which somebody stole, or none that ever was."""


@dataclass(frozen=True)
class ApiKey:
    """What is kept of a key; never the key itself.

    ``sha256``: of a static key, or of the refresh token that is good now. ``generation`` counts the
    exchanges; an access token says which it is of. ``bound_to``: the thumbprint of the key that
    each exchange needs a proof of (RFC 9449 section 5).
    """

    key_id: str
    service: str
    tenant: str
    kind: KeyKind
    created_at: datetime
    created_by: str
    expires_at: datetime
    name: str | None = None
    organisation: str | None = None
    """Of a data broker's key: the one organisation that it is for."""
    shown: str | None = None
    sha256: str | None = field(default=None, repr=False)
    generation: int = 1
    rotated_at: datetime | None = None
    previous_sha256: str | None = field(default=None, repr=False)
    bound_to: str | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def common_name(self) -> str:
        """The CN of its certificate."""
        return self.key_id

    @property
    def organizational_unit(self) -> str:
        """The OU of its certificate."""
        return self.service

    @property
    def forgotten_at(self) -> datetime:
        """From when on nobody needs to be told of it: it works no more, known or not."""
        return (self.revoked_at or self.expires_at) + REMEMBERED

    def state(self, now: datetime) -> KeyState:
        """Does it work now."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        return KeyState.ACTIVE if now < self.expires_at else KeyState.EXPIRED

    def works_for(self, client: Client, now: datetime) -> bool:
        """Does it open anything now, its service being this client of the catalog. One that is no
        service any more has no key: consents would not bound what it sees."""
        is_active = self.state(now) is KeyState.ACTIVE
        return is_active and client.is_service and self.tenant in client.tenants

    def is_that_of(self, sent: KeyText) -> bool:
        """Is it this very key, or its refresh token of now."""
        return sent.kind is self.kind and _same(sent.sha256, self.sha256)

    def turn(self, sent: KeyText, now: datetime) -> Turn:
        """What the refresh token is."""
        if self.is_that_of(sent):
            return Turn.CURRENT
        if (
            _same(sent.sha256, self.previous_sha256)
            and self.rotated_at is not None
            and now < self.rotated_at + GRACE
        ):
            return Turn.REPEATED
        return Turn.OTHER

    def exchanged(
        self, sent: KeyText, given: KeyText, bound_to: str | None, now: datetime
    ) -> "ApiKey":
        """The key once ``sent`` is exchanged for ``given``."""
        return replace(
            self,
            sha256=given.sha256,
            previous_sha256=sent.sha256,
            shown=given.shown,
            generation=self.generation + 1,
            rotated_at=now,
            last_used_at=now,
            expires_at=now + LIFETIME,
            bound_to=bound_to,
        )


def _same(one: str, other: str | None) -> bool:
    return hmac.compare_digest(one.encode(), (other or "").encode())
