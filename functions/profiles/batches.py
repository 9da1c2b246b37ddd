"""What batches of profiles hold: a profile as JSON on each line (NDJSON)."""

from collections.abc import Iterator, Mapping
from typing import Any

from headrace.kernel.errors import BodyTooLarge, HeadraceError, ValidationFailed
from headrace.profiles.importing import Line
from headrace.runtime.api import checked, json_object
from profiles.bodies import ImportedProfile

MOST_LINES = 10_000


def lines_of(body: bytes) -> list[Line]:
    """The lines of a batch but blank ones, each read or refused by itself. Raises BodyTooLarge."""
    texts = [(number, text) for number, text in enumerate(body.split(b"\n"), 1) if text.strip()]
    if len(texts) > MOST_LINES:
        raise BodyTooLarge(f"A batch may have {MOST_LINES:,} profiles at most; send several.")
    return [_line(number, text) for number, text in texts]


def _line(number: int, text: bytes) -> Line:
    try:
        values = json_object(text)
    except HeadraceError as error:
        return Line(number, wrong={"line": [error.detail]})
    try:
        profile = checked(ImportedProfile, values)
    except ValidationFailed as error:
        return Line(number, _tenant_of(values), wrong=dict(_by_field(error)))
    return Line(number, profile.tenant_id, profile.pushed())


def _tenant_of(values: Mapping[str, Any]) -> str | None:
    """Whom a line is about that is wrong in something else."""
    named = values.get("tenantId")
    return named if isinstance(named, str) else None


def _by_field(error: ValidationFailed) -> Iterator[tuple[str, list[str]]]:
    told: list[dict[str, str]] = error.members["errors"]
    for name in dict.fromkeys(one["field"] for one in told):
        yield name, [one["message"] for one in told if one["field"] == name]
