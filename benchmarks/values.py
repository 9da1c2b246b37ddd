"""What a contestant wrote, held against what the server says: every value of every row.

The truth is asked of the server by psql, in texts of the server's own, by none of our code.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import duckdb

from headrace.adapters.sql_text import identifier, literal

TRUTH_SQL = {
    "person": "person::text",
    "salary": "salary::text",
    "allowance": "allowance::text",
    "started_on": "started_on::text",
    "active": "active::text",
    "changed_at": "(extract(epoch FROM changed_at) * 1000000)::bigint::text",
    "attributes": "attributes::text",
}
"""How the truth is asked for, of columns whose own text does not say all."""

KINDS = {
    "id": "number",
    "person": "text",
    "number": "text",
    "full_name": "text",
    "job_title": "text",
    "salary": "number",
    "allowance": "number",
    "started_on": "date",
    "active": "boolean",
    "changed_at": "moment",
    "remarks": "text",
    "attributes": "json",
}

_JSON_TYPES = {
    "number": ("UBIGINT", "BIGINT", "DOUBLE", "HUGEINT"),
    "boolean": ("BOOLEAN",),
    "json": ("OBJECT",),
}
"""What ``json_type`` says of a value that is what the column is; all other kinds are strings."""

_PARQUET_TYPES = {
    "number": ("BIGINT", "INTEGER", "DECIMAL"),
    "boolean": ("BOOLEAN",),
    "date": ("DATE",),
    "moment": ("TIMESTAMP WITH TIME ZONE",),
}


@dataclass(frozen=True)
class Deviation:
    """How many values of a column (rows, if ``column`` is empty) are not what they should be."""

    column: str
    what: str
    count: int

    def __str__(self) -> str:
        where = f"{self.column}: " if self.column else ""
        return f"{where}{self.what} ({self.count:,})"


LOST = "another value"
BLURRED = "NULL and empty text alike"
MISTYPED = "another type of value"
FORM = "not the canonical text"


def read_truth(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Makes the table ``truth`` of a CSV in which every text is quoted and NULL is not."""
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in KINDS)
    connection.execute(
        f"CREATE OR REPLACE TABLE truth AS SELECT * FROM read_csv({literal(str(file))}, "
        f"columns = {{{columns}}}, {_CSV})"
    )


_CSV = (
    "header = true, delim = ',', quote = '\"', escape = '\"', nullstr = '', "
    "allow_quoted_nulls = false, strict_mode = true, max_line_size = 1000000"
)


def deviations(
    connection: duckdb.DuckDBPyConnection, file: Path, file_format: str, *, canonical: bool
) -> tuple[Deviation, ...]:
    """Where the file is not what the table ``truth`` says; empty if every value is right.

    ``canonical``: texts must be those of docs/types.md too, where a format leaves a choice.
    """
    path = literal(str(file))
    names = tuple(KINDS)
    typed: tuple[Deviation, ...] = ()
    match file_format:
        case "csv":
            columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
            relation = f"read_csv({path}, columns = {{{columns}}}, {_CSV})"
            texts = {name: identifier(name) for name in names}
        case "ndjson" | "json":
            columns = ", ".join(f"{literal(name)}: 'JSON'" for name in names)
            layout = "newline_delimited" if file_format == "ndjson" else "array"
            relation = f"read_json({path}, format = '{layout}', columns = {{{columns}}})"
            texts = {name: _json_text(name) for name in names}
        case _:
            relation = f"read_parquet({path})"
            texts = {name: f"{identifier(name)}::VARCHAR" for name in names}
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"CREATE OR REPLACE VIEW read AS SELECT * FROM {relation}")
    if file_format == "parquet":
        typed = _of_parquet(connection)
    chosen = ", ".join(f"{text} AS {identifier(name)}" for name, text in texts.items())
    kinds = ""
    if file_format in ("ndjson", "json"):
        kinds = "".join(f", json_type({identifier(n)}) AS {identifier('type ' + n)}" for n in names)
    connection.execute(f"CREATE OR REPLACE TABLE found AS SELECT {chosen}{kinds} FROM read")
    return typed + _compared(connection, file_format, canonical=canonical)


def _json_text(name: str) -> str:
    value = identifier(name)
    if KINDS[name] == "json":
        # A document within a string is read as what it stands for, and noted as mistyped.
        return f"CASE WHEN json_type({value}) = 'VARCHAR' THEN {value} ->> '$' ELSE {value} END"
    return f"({value} ->> '$')"


def _compared(
    connection: duckdb.DuckDBPyConnection, file_format: str, *, canonical: bool
) -> tuple[Deviation, ...]:
    counts: list[tuple[str, str, str]] = []
    for name, kind in KINDS.items():
        want, got = f"t.{identifier(name)}", f"f.{identifier(name)}"
        blurred = f"coalesce({want}, '') = '' AND coalesce({got}, '') = ''"
        if kind != "text":
            blurred = "false"
        # The same text is the same value; only others are looked at more closely.
        wrong = (
            f"CASE WHEN {want} = {got} THEN false "
            f"ELSE {_value(want, kind, True)} IS DISTINCT FROM {_value(got, kind, False)} END"
        )
        counts.append((name, LOST, f"{wrong} AND NOT ({blurred})"))
        counts.append((name, BLURRED, f"{wrong} AND {blurred}"))
        if file_format in ("ndjson", "json"):
            types = ", ".join(literal(t) for t in _JSON_TYPES.get(kind, ("VARCHAR",)))
            found = f"f.{identifier('type ' + name)}"
            counts.append((name, MISTYPED, f"{got} IS NOT NULL AND {found} NOT IN ({types})"))
        # The reader of JSON spells numbers anew; that theirs are right is a test's to show.
        respelt = kind == "number" and file_format in ("ndjson", "json")
        if canonical and file_format != "parquet" and kind != "json" and not respelt:
            wanted = _canonical(want, kind)
            counts.append((name, FORM, f"NOT ({wrong}) AND {wanted} IS DISTINCT FROM {got}"))
    sums = ", ".join(f"count(*) FILTER (WHERE {condition})" for _, _, condition in counts)
    row = connection.execute(
        "SELECT (SELECT count(*) FROM truth), (SELECT count(*) FROM found), count(*), "
        f"{sums} FROM truth t JOIN found f ON t.id = f.id"
    ).fetchone()
    assert row is not None
    wanted_rows, found_rows, both, *figures = (int(value) for value in row)
    missing = (
        Deviation("", "rows missing", wanted_rows - both),
        Deviation("", "rows too many", found_rows - both),
    )
    values = (
        Deviation(name, what, figure)
        for (name, what, _), figure in zip(counts, figures, strict=True)
    )
    return tuple(deviation for deviation in (*missing, *values) if deviation.count)


def _value(text: str, kind: str, is_truth: bool) -> str:
    """SQL that is equal of two texts when they mean one value; a wrong text means none."""
    missing = f"CASE WHEN {text} IS NULL THEN NULL ELSE"
    match kind:
        case "number":
            return f"{missing} coalesce(TRY_CAST({text} AS DECIMAL(38,10))::VARCHAR, 'none') END"
        case "boolean":
            short = f"lower({text})"
            return f"CASE {short} WHEN 't' THEN 'true' WHEN 'f' THEN 'false' ELSE {short} END"
        case "date":
            return f"{missing} coalesce(TRY_CAST({text} AS DATE)::VARCHAR, 'none') END"
        case "moment" if not is_truth:
            moment = f"epoch_us(TRY_CAST({text} AS TIMESTAMPTZ))"
            return f"{missing} coalesce({moment}::VARCHAR, 'none') END"
        case "json":
            shape = json.dumps(
                {
                    "grade": "VARCHAR",
                    "hours": "DECIMAL(18,6)",
                    "remote": "BOOLEAN",
                    "skills": ["VARCHAR"],
                    "note": "VARCHAR",
                }
            )
            parsed = f"json_transform_strict(TRY_CAST({text} AS JSON), {literal(shape)})"
            return f"{missing} coalesce(TRY({parsed})::VARCHAR, 'none') END"
        case _:
            return text


def _canonical(want: str, kind: str) -> str:
    if kind == "moment":
        return f"strftime(make_timestamp({want}::BIGINT), '%Y-%m-%dT%H:%M:%S.%fZ')"
    return want


def _of_parquet(connection: duckdb.DuckDBPyConnection) -> tuple[Deviation, ...]:
    found = []
    for name, kind, *_ in connection.execute("DESCRIBE read").fetchall():
        allowed = _PARQUET_TYPES.get(KINDS.get(str(name), ""), ())
        # A number of the server's without a scale has no other form than its text.
        if allowed and name != "allowance" and not str(kind).startswith(allowed):
            found.append(Deviation(str(name), f"{MISTYPED}: {kind}", 1))
    return tuple(found)
