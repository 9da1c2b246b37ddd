"""What the queries of calls about profiles ask for (seed 004)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from headrace.kernel.errors import ValidationFailed
from headrace.profiles.finding import MOST_IDS, Search


def needed(asked: Mapping[str, Any], name: str) -> str:
    """The value of a parameter. Raises ValidationFailed where there is none."""
    if not asked[name]:
        raise _wrong(name, "is needed")
    return str(asked[name])


def tenant_of(asked: Mapping[str, Any]) -> str:
    """The organization id of the tenant. Raises ValidationFailed."""
    return needed(asked, "TenantId")


def search_of(asked: Mapping[str, Any]) -> Search:
    """The search; what is empty is not asked for. Raises ValidationFailed."""
    if len(asked["ProfileIds"]) > MOST_IDS:
        raise _wrong("ProfileIds", f"must be {MOST_IDS} at most")
    return Search(
        profile_ids=tuple(one.strip().lower() for one in asked["ProfileIds"]),
        sync_id=asked["SyncId"] or None,
        external_id=asked["ExternalId"] or None,
        modified_from=_moment(asked["ModifiedFromUtc"]),
        group_id=(asked["GroupId"] or "").lower() or None,
    )


def _moment(text: str | None) -> datetime | None:
    """In UTC, unless it says otherwise."""
    if not text:
        return None
    try:
        # A plus sign that nobody encoded arrives as a blank.
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _wrong("ModifiedFromUtc", "must be a moment, as in 2026-11-26T12:00:00Z") from None


def _wrong(name: str, message: str) -> ValidationFailed:
    return ValidationFailed("A query parameter is wrong.", [{"field": name, "message": message}])
