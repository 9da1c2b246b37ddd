"""Logins that go on, in the table of credentials.

    pk                  sk              holds
    session#ID          session         a login (``LoginSession``); never a refresh token itself
    session#ID          spent#SHA256    a refresh token that was exchanged

``ttl`` removes both: past it they are refused for their age.
"""

from dataclasses import dataclass
from datetime import datetime

from headrace.adapters.dynamodb.table import ConditionFailed, Item, Table
from headrace.identity.api_keys import ApiKey, KeyKind
from headrace.identity.sessions import LoginSession
from headrace.kernel.caller import USER_CLIENT_ID
from headrace.kernel.clock import from_rfc3339, rfc3339

_SESSION, _SPENT = "session", "spent#"


@dataclass(frozen=True)
class DynamoLoginSessions:
    """The ``LoginSessions`` port."""

    table: Table

    def find(self, session_id: str) -> LoginSession | None:
        """See the port."""
        item = self.table.get(_partition(session_id), _SESSION)
        return None if item is None else _session(session_id, item)

    def begin(self, session: LoginSession) -> None:
        """See the port."""
        self.table.put(_item(session), "attribute_not_exists(pk)")

    def exchange(self, before: LoginSession, after: LoginSession) -> bool:
        """See the port."""
        spent: Item = {
            "pk": _partition(before.session_id),
            "sk": f"{_SPENT}{before.rotation.sha256}",
            "ttl": _forgotten(before),
        }
        try:
            self.table.transact(
                [
                    self.table.to_put(
                        _item(after),
                        "generation = :seen AND attribute_not_exists(revoked_at)",
                        seen=before.rotation.generation,
                    ),
                    self.table.to_put(spent),
                ]
            )
        except ConditionFailed:
            return False
        return True

    def was_spent(self, session_id: str, sha256: str) -> bool:
        """See the port."""
        return self.table.get(_partition(session_id), f"{_SPENT}{sha256}") is not None

    def end(self, session_id: str, now: datetime) -> None:
        """See the port."""
        try:
            self.table.update(
                _partition(session_id),
                _SESSION,
                "SET revoked_at = :now",
                "attribute_exists(pk) AND attribute_not_exists(revoked_at)",
                now=rfc3339(now),
            )
        except ConditionFailed:
            return  # it has ended, or never was


def _partition(session_id: str) -> str:
    return f"session#{session_id}"


def _forgotten(session: LoginSession) -> int:
    return int(session.rotation.expires_at.timestamp()) + 60


def _item(session: LoginSession) -> Item:
    rotation = session.rotation
    return {
        "pk": _partition(session.session_id),
        "sk": _SESSION,
        "tenant": session.tenant,
        "user_id": session.user_id,
        "user_generation": session.user_generation,
        "scope": session.scope,
        "created_at": rfc3339(rotation.created_at),
        "expires_at": rfc3339(rotation.expires_at),
        "generation": rotation.generation,
        "sha256": rotation.sha256,
        "previous_sha256": rotation.previous_sha256,
        "rotated_at": None if rotation.rotated_at is None else rfc3339(rotation.rotated_at),
        "bound_to": rotation.bound_to,
        "revoked_at": None if rotation.revoked_at is None else rfc3339(rotation.revoked_at),
        "ttl": _forgotten(session),
    }


def _session(session_id: str, item: Item) -> LoginSession:
    def moment(name: str) -> datetime | None:
        return from_rfc3339(item[name]) if name in item else None

    rotation = ApiKey(
        key_id=session_id,
        service=USER_CLIENT_ID,
        tenant=item["tenant"],
        kind=KeyKind.REFRESH,
        created_at=from_rfc3339(item["created_at"]),
        created_by=item["user_id"],
        expires_at=from_rfc3339(item["expires_at"]),
        sha256=item["sha256"],
        generation=item["generation"],
        rotated_at=moment("rotated_at"),
        previous_sha256=item.get("previous_sha256"),
        bound_to=item.get("bound_to"),
        revoked_at=moment("revoked_at"),
    )
    return LoginSession(rotation, item["user_generation"], item["scope"])
