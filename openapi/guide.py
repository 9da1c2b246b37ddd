"""The tables of docs/api-guide.md that follow from the code: errors, and the codes of failures."""

import re
from collections.abc import Callable, Mapping

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


TABLES: Mapping[str, Callable[[], str]] = {"errors": errors_table}


def with_tables(guide: str) -> str:
    """The guide with its tables as they should be. Raises LookupError if a place is missing."""
    for name, table in TABLES.items():
        place = re.compile(rf"(<!-- {name}: made by .*? -->\n).*?(\n<!-- end of {name} -->)", re.S)
        made = table()
        guide, found = place.subn(lambda m, made=made: m[1] + made + m[2], guide)  # type: ignore[misc]
        if found != 1:
            raise LookupError(f"docs/api-guide.md lacks the place of its table of {name}")
    return guide
