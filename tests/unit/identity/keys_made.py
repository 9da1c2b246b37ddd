"""API keys for tests, and the port that holds them, in memory."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from headrace.identity.api_keys import LIFETIME, MAX_KEYS, ApiKey, KeyKind, KeyText
from headrace.kernel.errors import Conflict, NotFound
from tests.unit.identity.tokens_made import NOW

KEY_ID = "01m8an0essshk7q0mcj5snr2sd"


def a_key(kind: KeyKind = KeyKind.STATIC, **changes: Any) -> tuple[ApiKey, KeyText]:
    """A key of the client ``acme-hr`` for the tenant ``acme``, and what its service has of it."""
    text = KeyText.new(kind, changes.get("key_id", KEY_ID))
    key = ApiKey(
        key_id=text.key_id,
        service="acme-hr",
        tenant="acme",
        kind=kind,
        created_at=NOW,
        created_by="id-ada",
        expires_at=NOW + LIFETIME,
        shown=text.shown,
        sha256=text.sha256,
    )
    return replace(key, **changes), text


@dataclass
class FakeApiKeys:
    """The ``ApiKeys`` port."""

    by_id: dict[str, ApiKey] = field(default_factory=dict)
    spent: set[tuple[str, str | None]] = field(default_factory=set)

    @classmethod
    def of(cls, *keys: ApiKey) -> "FakeApiKeys":
        """With these."""
        return cls({key.key_id: key for key in keys})

    def find(self, key_id: str) -> ApiKey | None:
        """See the port."""
        return self.by_id.get(key_id)

    def listed(self, service: str) -> tuple[ApiKey, ...]:
        """See the port."""
        return tuple(key for _, key in sorted(self.by_id.items()) if key.service == service)

    def add(self, key: ApiKey) -> None:
        """See the port."""
        working = [
            one
            for one in self.listed(key.service)
            if one.revoked_at is None and one.expires_at > key.created_at
        ]
        if len(working) >= MAX_KEYS:
            raise Conflict("too many")
        self.by_id[key.key_id] = key

    def revoke(self, key_id: str, now: datetime) -> None:
        """See the port."""
        if key_id not in self.by_id:
            raise NotFound("no such key")
        key = self.by_id[key_id]
        self.by_id[key_id] = replace(key, revoked_at=key.revoked_at or now)

    def exchange(self, before: ApiKey, after: ApiKey) -> bool:
        """See the port."""
        now = self.by_id[before.key_id]
        if now.generation != before.generation or now.revoked_at is not None:
            return False
        self.by_id[before.key_id] = after
        self.spent.add((before.key_id, before.sha256))
        return True

    def was_spent(self, key_id: str, sha256: str) -> bool:
        """See the port."""
        return (key_id, sha256) in self.spent

    def used(self, key: ApiKey, now: datetime) -> None:
        """See the port."""
        self.by_id[key.key_id] = replace(self.by_id[key.key_id], last_used_at=now)
