"""What batches of profiles hold: a profile as JSON on each line (NDJSON)."""

from collections.abc import Iterator

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
        profile = checked(ImportedProfile, json_object(text))
    except ValidationFailed as error:
        return Line(number, wrong=dict(_by_field(error)))
    except HeadraceError as error:
        return Line(number, wrong={"line": [error.detail]})
    return Line(number, profile.tenant_id, profile.pushed())


def _by_field(error: ValidationFailed) -> Iterator[tuple[str, list[str]]]:
    told: list[dict[str, str]] = error.members["errors"]
    for name in dict.fromkeys(one["field"] for one in told):
        yield name, [one["message"] for one in told if one["field"] == name]
