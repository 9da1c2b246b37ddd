"""SQL of the rows that a reader asked for, the same for DuckDB and for PostgreSQL."""

from headrace.adapters.sql_text import identifier, literal
from headrace.exports.sources import RowChoice


def chosen(choice: RowChoice | None) -> list[str]:
    """Conditions on columns of the source."""
    conditions = []
    if choice is not None and choice.since is not None:
        since = choice.since
        start = f"{literal(since.start)}::{since.type.upper()}"
        conditions.append(f"{identifier(since.column)} >= {start}")
    if choice is not None and choice.unmarked is not None:
        # One that nobody marked, NULL, is as one that is false.
        conditions.append(f"NOT coalesce({identifier(choice.unmarked)}, false)")
    return conditions
