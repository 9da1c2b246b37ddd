"""Why items were refused, as messages of the process."""

# ruff: noqa: S608  All pieces of SQL are ours: names quoted, texts as literals, numbers of ours.

from collections.abc import Iterator, Mapping

from headrace.adapters.postgresql.import_plan import PROBLEMS
from headrace.adapters.postgresql.session import Connection
from headrace.adapters.postgresql.target_tables import TargetTable
from headrace.datasets.messages import (
    CHANGED_SINCE,
    INCOMPATIBLE,
    MISSING_REFERENCE,
    OWNS_OTHERS,
    REFUSED_REFERENCE,
    TECHNICAL_FAILURE,
    Message,
)

_SHOWN = 200
"""Characters of a name that a message shows: a functional key may be as long as a record, and a
message is kept in one item, with others in one write (``adapters.dynamodb``)."""

_REASONS = {
    "value": "its column {name} of {table} cannot hold the value as it is",
    "twice": "a UUID is twice among its records of {table}",
    "ambiguous": "several records of {table} have its functional key, and none has its UUID",
    "later": "{name} of {table} refers to {reference}, which comes after it in the data set",
    "unique": "another record has values of it that are to be unique ({name})",
    "reference": "a reference of it leads nowhere, or a record that it deletes is referred to "
    "({name})",
    "null": "its column {name} must not be empty",
    "check": "a rule of the database does not allow its values ({name})",
    "rule": "a rule of the application does not allow it",
    "changed": "a record of it was changed meanwhile by somebody else",
}


def problem_messages(
    connection: Connection, targets: Mapping[int, TargetTable], labels: str
) -> Iterator[Message]:
    """The problems as messages, by item. ``labels``: a query of the items' names."""
    names = {table_id: target.table.name for table_id, target in targets.items()}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.code, p.table_id, p.col, p.target, p.ref->>'uuid', "
            f"{_short("p.ref->>'key'")}, {_short('l.label')} "
            f"FROM {PROBLEMS} p LEFT JOIN ({labels}) l USING (item) "
            "ORDER BY p.item, p.code, p.table_id, p.col, p.ref".encode()
        )
        seen: Message | None = None
        for code, table_id, column, to, uuid, key, label in cursor:
            told = _message(
                code, names.get(table_id, ""), column or "", names.get(to, ""), key, uuid, label
            )
            if told != seen:
                yield told
            seen = told


def _short(text: str) -> str:
    """SQL of a text, or of what is shown of a long one."""
    return (
        f"CASE WHEN length({text}) > {_SHOWN} THEN left({text}, {_SHOWN}) || '...' ELSE {text} END"
    )


def _message(
    code: str, table: str, name: str, to: str, key: str | None, uuid: str | None, label: str | None
) -> Message:
    reference = uuid if not key or key == "[]" else f"{key} ({uuid})"
    match code:
        case "missing":
            return MISSING_REFERENCE(label, column=name, table=to, reference=reference)
        case "depends":
            return REFUSED_REFERENCE(label, column=name, table=to, reference=reference)
        case "since":
            return CHANGED_SINCE(label, table=table)
        case "owns":
            return OWNS_OTHERS(label, table=table)
        case "locked":
            return TECHNICAL_FAILURE(label, reason="the application keeps a record of it locked")
        case _:
            reason = _REASONS[code].format(name=name, table=table, reference=f"{to} {reference}")
            return INCOMPATIBLE(label, reason=reason)
