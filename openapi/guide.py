"""The table of docs/api-guide.md that follows from the code: the errors."""

import re

from headrace.runtime.api import problem, status_of
from openapi.problems import DESCRIBED, MEMBERS


def errors_table() -> str:
    """Every error that a reply can be, by status."""
    lines = [
        "| status | `code` | what it means, and what to do | besides |",
        "| --- | --- | --- | --- |",
    ]
    for one in sorted(DESCRIBED, key=lambda one: status_of(one.kind)):
        besides = [f"`{name}`" for name in MEMBERS if name in one.error.members and name != "allow"]
        headers = problem(one.error, "").headers
        besides += [f"`{name}` (header)" for name in sorted(headers) if name != "Cache-Control"]
        lines.append(
            f"| {status_of(one.kind)} | `{one.kind.code}` | {one.meaning} | {', '.join(besides)} |"
        )
    return "\n".join(lines)


_PLACE = re.compile(
    r"(<!-- errors: made by `python -m openapi\.generate` -->\n).*?(<!-- end of errors -->)",
    re.DOTALL,
)


def with_table(guide: str) -> str:
    """The guide with its table as it should be. Raises LookupError if its place is missing."""
    guide, found = _PLACE.subn(lambda place: f"{place[1]}{errors_table()}\n{place[2]}", guide)
    if found != 1:
        raise LookupError("docs/api-guide.md lacks the place of its table of errors")
    return guide
