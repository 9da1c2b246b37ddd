"""Moments as options take them."""

from datetime import UTC, datetime

from headrace.kernel.errors import InvalidRequest


def moment_of(option: str, text: str) -> datetime:
    """The moment in UTC. Raises InvalidRequest: it is none, has no time zone, or is not in the
    years 1 to 9999."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidRequest(f"{option} takes a moment as 2026-12-01T00:00:00Z, and not {text}.")
