"""What managers of a service are shown of it: its keys and who manages it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NotRequired, TypedDict

from headrace.identity.api_keys import LIFETIME, ApiKey, KeyKind, KeyState
from headrace.identity.services import CreatedKey
from headrace.identity.users import Management
from headrace.kernel.view import View, documented


@dataclass(frozen=True)
class KeyView(View):
    """An API key, but for the key itself."""

    key_id: str
    """Its id."""
    kind: KeyKind
    """How it is used."""
    state: KeyState
    """Does it work."""
    name: str | None
    """What its maker called it."""
    prefix: str | None
    """How it begins; of a refresh token, the one that is good now."""
    organisation: str | None
    """Of a data broker's key: the one organisation that it is for."""
    created_at: datetime
    """When it was made."""
    created_by: str
    """The id of the user who made it."""
    expires_at: datetime
    """When it ends; each exchange of a refresh token puts it off."""
    last_used_at: datetime | None
    """When it was last used, to ten minutes."""
    revoked_at: datetime | None
    """When it was revoked."""

    @classmethod
    def of(cls, key: ApiKey, now: datetime) -> "KeyView":
        """The key as it stands now."""
        return cls(
            key_id=key.key_id,
            kind=key.kind,
            state=key.state(now),
            name=key.name,
            prefix=key.shown,
            organisation=key.organisation,
            created_at=key.created_at,
            created_by=key.created_by,
            expires_at=key.expires_at,
            last_used_at=key.last_used_at,
            revoked_at=key.revoked_at,
        )


@dataclass(frozen=True)
class KeyList(View):
    """The API keys of a service."""

    keys: tuple[KeyView, ...]
    """Oldest first."""

    @classmethod
    def of(cls, keys: Iterable[ApiKey], now: datetime) -> "KeyList":
        """These."""
        return cls(tuple(KeyView.of(key, now) for key in keys))


@documented
class CreatedKeyDocument(TypedDict):
    """A new API key, shown this once; named as OAuth 2.0 names it (RFC 6749 section 5.1)."""

    key_id: str
    """Its id, to revoke it by."""
    kind: KeyKind
    """How it is used."""
    expires_in: int
    """The seconds until it ends."""
    access_token: NotRequired[str]
    """A static key: send it as `Authorization: Bearer …`."""
    refresh_token: NotRequired[str]
    """A refresh token, to be exchanged for the first access token."""
    cn: NotRequired[str]
    """The common name that the certificate request must have."""
    ou: NotRequired[str]
    """The organizational unit that the certificate request must have."""


def created_key(created: CreatedKey) -> CreatedKeyDocument:
    """The key that was made just now."""
    key = created.key
    document = CreatedKeyDocument(
        key_id=key.key_id, kind=key.kind, expires_in=int(LIFETIME.total_seconds())
    )
    if created.text is None:
        return document | {"cn": key.common_name, "ou": key.organizational_unit}
    if key.kind is KeyKind.STATIC:
        return document | {"access_token": created.text}
    return document | {"refresh_token": created.text}


@dataclass(frozen=True)
class ManagersView(View):
    """Who manages a service."""

    users: tuple[str, ...]
    """Ids of users."""
    teams: tuple[str, ...]
    """Names of teams."""

    @classmethod
    def of(cls, management: Management) -> "ManagersView":
        """As it stands."""
        return cls(tuple(sorted(management.users)), tuple(sorted(management.teams)))
