"""The canonical form of every type, as SQL that DuckDB runs over whole vectors (docs/types.md).

Nothing here touches a row: each function turns a column's SQL into SQL. A value that a format
cannot carry exactly ends the query with ``error()``; the text names the column, never the value.
"""

import json
from dataclasses import dataclass

from duckdb.sqltypes import DuckDBPyType

from headrace.adapters.sql_text import identifier, literal
from headrace.exports.model import FileFormat
from headrace.exports.sources import ColumnType
from headrace.exports.warehouses import SourceColumn

REFUSAL = "headrace: "
"""What the text of an ``error()`` of ours begins with."""

BINARY = '"binary"'
"""The engine's collation by which texts are equal only if they are the same."""

_PLAIN = {
    "BOOLEAN": ColumnType.BOOLEAN,
    "TINYINT": ColumnType.INTEGER,
    "SMALLINT": ColumnType.INTEGER,
    "INTEGER": ColumnType.INTEGER,
    "UTINYINT": ColumnType.INTEGER,
    "USMALLINT": ColumnType.INTEGER,
    "UINTEGER": ColumnType.BIGINT,
    "BIGINT": ColumnType.BIGINT,
    "FLOAT": ColumnType.DOUBLE,
    "DOUBLE": ColumnType.DOUBLE,
    "VARCHAR": ColumnType.STRING,
    "BIT": ColumnType.STRING,
    "UUID": ColumnType.UUID,
    "BLOB": ColumnType.BINARY,
    "DATE": ColumnType.DATE,
    "TIME": ColumnType.TIME,
    "TIMESTAMP": ColumnType.TIMESTAMP,
    "TIMESTAMP_S": ColumnType.TIMESTAMP,
    "TIMESTAMP_MS": ColumnType.TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": ColumnType.TIMESTAMPTZ,
    "JSON": ColumnType.JSON,
}

_WIDE_INTEGERS = {"UBIGINT": 20, "HUGEINT": 39, "UHUGEINT": 39}
"""Integers beyond 64 bits with sign: decimals of this many digits."""

NUMBER_TEXT = "VARCHAR OF A NUMBER"
CHECKED_JSON = "VARCHAR OF JSON"
WRAPPED_TIMESTAMP = "TIMESTAMP THAT WRAPS"
WRAPPED_TIMESTAMPTZ = "TIMESTAMP WITH TIME ZONE THAT WRAPS"
"""Types that columns of another database have when they come to the engine: decimals and JSON as
texts that are right as they are; timestamps of which those beyond the engine's range (after
294247-01-10) come as ones before the first that the other database can have (4714 BC)."""

_WRAPS = (WRAPPED_TIMESTAMP, WRAPPED_TIMESTAMPTZ)
_FOUR_CENTURIES_US = 146_097 * 86_400_000_000
"""The calendar repeats itself after so many microseconds."""

_REASONS = {
    "TIMESTAMP_NS": "it has nanoseconds, and timestamps are carried with microseconds",
    "TIME_NS": "it has nanoseconds, and times are carried with microseconds",
    "TIME WITH TIME ZONE": "a time of day with an offset has no exact form in Parquet",
    "INTERVAL": "months, days and seconds do not add up to one exact value",
    "BIGNUM": "numbers of any size have no exact form in Parquet",
}

_NESTABLE = {
    "boolean",
    "tinyint",
    "smallint",
    "integer",
    "bigint",
    "utinyint",
    "usmallint",
    "uinteger",
    "ubigint",
    "varchar",
    "enum",
    "uuid",
}
"""What a list, struct or map may hold and still be exact JSON as DuckDB writes it."""


def classify(name: str, kind: DuckDBPyType, *, nullable: bool) -> SourceColumn:
    """The column as the port describes it; ``type`` None and a ``reason`` if it is refused."""
    engine_type = str(kind)

    def column(
        column_type: ColumnType | None,
        precision: int | None = None,
        scale: int | None = None,
        reason: str | None = None,
    ) -> SourceColumn:
        return SourceColumn(name, engine_type, column_type, nullable, precision, scale, reason)

    if engine_type in _PLAIN:
        return column(_PLAIN[engine_type])
    if engine_type in _WIDE_INTEGERS:
        return column(ColumnType.DECIMAL, _WIDE_INTEGERS[engine_type], 0)
    if kind.id == "decimal":
        (_, precision), (_, scale) = kind.children
        return column(ColumnType.DECIMAL, int(str(precision)), int(str(scale)))
    if kind.id == "enum":
        return column(ColumnType.STRING)
    if kind.id in ("list", "array", "struct", "map"):
        wrong = sorted(_not_nestable(kind))
        if not wrong:
            return column(ColumnType.JSON)
        reason = f"it holds {', '.join(wrong)}, not exact in the JSON of the engine"
        return column(None, reason=f"{kind.id.upper()}: {reason}")
    reason = _REASONS.get(engine_type, "there is no exact form for it")
    return column(None, reason=f"{engine_type}: {reason}")


def _not_nestable(kind: DuckDBPyType) -> set[str]:
    """The types within a nested one that keep it from being exact JSON."""
    if kind.id not in ("list", "array", "struct", "map"):
        exact = kind.id in _NESTABLE and str(kind) != "JSON"
        return set() if exact else {str(kind)}
    wrong: set[str] = set()
    for role, child in kind.children:
        if not isinstance(child, DuckDBPyType):
            continue  # the size of an array
        if kind.id == "map" and role == "key" and str(child) != "VARCHAR":
            wrong.add(f"keys of type {child}")
        else:
            wrong |= _not_nestable(child)
    return wrong


@dataclass(frozen=True)
class Field:
    """A column to be written: its public name, and the source column that it is read from.

    ``escaped``: in CSV, a text that a spreadsheet would run stands behind an apostrophe.
    """

    name: str
    source: SourceColumn
    escaped: bool = False


def select_list(fields: tuple[Field, ...], file_format: FileFormat) -> str:
    """What stands between SELECT and FROM, for a COPY with ``copy_options(file_format)``.

    CSV and Parquet have a column per field; JSON and NDJSON one column: the line of the row.
    """
    if file_format is FileFormat.CSV:
        return ", ".join(f"{csv_value(f)} AS {identifier(f.name)}" for f in fields)
    if file_format is FileFormat.PARQUET:
        return ", ".join(f"{parquet_value(f.source)} AS {identifier(f.name)}" for f in fields)
    return line_of(fields, file_format)


def line_of(
    fields: tuple[Field, ...], file_format: FileFormat, *, member: tuple[str, str] | None = None
) -> str:
    """SQL of a row's line. Of CSV (and of Parquet, as a guess at its size) it lacks the quotes.

    ``member`` leads the object: its name, and SQL of a text that needs no escapes.
    """
    if file_format in (FileFormat.CSV, FileFormat.PARQUET):
        return f"concat_ws(',', {', '.join(csv_value(f) for f in fields)})"
    # concat() over the pieces of the line is what costs least: as much as DuckDB's own JSON
    # writer, which loses the scale of decimals (CPU of 600,000 rows: 1.2 s; || 1.7, structs 2.0).
    pieces = []
    if member is not None:
        name, text = member
        pieces += [literal(f'{{{json.dumps(name)}:"'), text, literal('"')]
    for field in fields:
        key = json.dumps(field.name, ensure_ascii=False)
        pieces.append(literal(f"{',' if pieces else '{'}{key}:"))
        pieces.append(f"coalesce({json_value(field.source)}, 'null')")
    pieces.append(literal("}," if file_format is FileFormat.JSON else "}"))
    return f"concat({', '.join(pieces)})"


def csv_value(field: Field) -> str:
    """SQL whose text is the value's cell."""
    text = _text(field.source, identifier(field.source.name))
    if not field.escaped or field.source.type not in (ColumnType.STRING, ColumnType.JSON):
        return text
    text = f"CAST({text} AS VARCHAR)"
    formula = rf"regexp_matches({text}, '^[=+@\x00-\x1f-]')"
    return f"CASE WHEN {formula} THEN concat('''', {text}) ELSE {text} END"


def json_value(column: SourceColumn) -> str:
    """SQL of type VARCHAR: the value as JSON text; NULL for NULL."""
    source = identifier(column.name)
    match column.type:
        case ColumnType.JSON:
            return _json(column, source, one_line=True)
        case ColumnType.STRING:
            return f"CAST(to_json(CAST({source} AS VARCHAR)) AS VARCHAR)"
        case ColumnType.DOUBLE:
            return (
                f"CASE WHEN isfinite({source}) THEN CAST({source} AS VARCHAR) "
                f"ELSE '\"' || {_text(column, source)} || '\"' END"
            )
        case ColumnType.DATE | ColumnType.TIMESTAMP | ColumnType.TIMESTAMPTZ:
            return _calendar(column, source, '"')
        case ColumnType.TIME | ColumnType.UUID | ColumnType.BINARY | ColumnType.INTERVAL:
            return f"'\"' || {_text(column, source)} || '\"'"
        case ColumnType.DECIMAL if column.engine_type == NUMBER_TEXT:
            special = f"{source} >= 'A' OR {source} = '-Infinity'"
            return f"CASE WHEN {special} THEN '\"' || {source} || '\"' ELSE {source} END"
        case _:
            return f"CAST({_text(column, source)} AS VARCHAR)"


def parquet_value(column: SourceColumn) -> str:
    """SQL whose type DuckDB writes as the native Parquet type of the column."""
    source = identifier(column.name)
    match column.type:
        case ColumnType.JSON:
            value = _json(column, source, one_line=False)
            # A cast would look a second time whether it is JSON.
            return value if column.engine_type == "JSON" else f"CAST({value} AS JSON)"
        case ColumnType.STRING:
            return f"CAST({source} AS VARCHAR)"
        case ColumnType.INTEGER:
            return f"CAST({source} AS INTEGER)"
        case ColumnType.BIGINT:
            return f"CAST({source} AS BIGINT)"
        case ColumnType.DECIMAL if column.engine_type == NUMBER_TEXT:
            if column.precision is None or column.precision > 38:
                return source
            refusal = _refusal(column, "NaN, which Parquet's decimals have no value for")
            decimal = f"DECIMAL({column.precision},{column.scale})"
            return f"CASE WHEN {source} = 'NaN' THEN {refusal} ELSE CAST({source} AS {decimal}) END"
        case ColumnType.DECIMAL if column.engine_type in _WIDE_INTEGERS:
            digits = min(38, _WIDE_INTEGERS[column.engine_type])
            return f"CAST({source} AS DECIMAL({digits},0))"
        case ColumnType.DATE | ColumnType.TIMESTAMPTZ:
            return _finite(column, source, source)
        case ColumnType.TIMESTAMP:
            kept = source if column.engine_type in _WRAPS else f"CAST({source} AS TIMESTAMP)"
            return _finite(column, source, kept)
        case ColumnType.TIME:
            refusal = _refusal(column, "24:00:00, which Parquet has no value for")
            return f"CASE WHEN {source} >= TIME '24:00:00' THEN {refusal} ELSE {source} END"
        case _:
            return source


def fingerprint(columns: tuple[SourceColumn, ...]) -> str:
    """SQL of type UUID that tells whether any of the values differ: 128 bits of a SHA-256.

    It is taken over every value's own text, its length before it, so that no two rows have the same
    text; nobody has found two texts with the same 128 bits, and to look takes 2⁶⁴ tries. Unlike a
    comparison it tells 0.0 from -0.0, which documents do as well. Refuses no value.
    """
    parts = []
    for column in columns:
        source = identifier(column.name)
        nested = column.type is ColumnType.JSON and column.engine_type != "JSON"
        text = f"CAST({f'to_json({source})' if nested else source} AS VARCHAR)"
        parts.append(f"coalesce(strlen({text}) || ':' || {text}, '-')")
    return f"CAST(left(sha256(concat({', '.join([literal(''), *parts])})), 32) AS UUID)"


def _refusal(column: SourceColumn, holds: str) -> str:
    return f"error({literal(f'{REFUSAL}column {column.name} holds {holds}')})"


def _finite(column: SourceColumn, source: str, value: str) -> str:
    refusal = _refusal(column, "an infinite date, which Parquet has no value for")
    if column.engine_type in _WRAPS:
        beyond = _refusal(column, "a date after 294247-01-10, which Parquet has no value for")
        value = f"CASE WHEN {_wrapped(source)} THEN {beyond} ELSE {value} END"
    return f"CASE WHEN isinf({source}) THEN {refusal} ELSE {value} END"


def _text(column: SourceColumn, source: str) -> str:
    """SQL of the canonical text, unquoted; of type VARCHAR or one that casts to exactly that."""
    match column.type:
        case ColumnType.DECIMAL:
            return _decimal(column, source)
        case ColumnType.DOUBLE:
            return (
                f"CASE WHEN isfinite({source}) THEN CAST({source} AS VARCHAR) "
                f"WHEN isnan({source}) THEN 'NaN' WHEN {source} > 0 THEN 'Infinity' "
                f"WHEN {source} < 0 THEN '-Infinity' END"
            )
        case ColumnType.TIME:
            text = f"CAST({source} AS VARCHAR)"
            return (
                f"CASE WHEN length({text}) = 8 THEN {text} || '.000000' "
                f"ELSE rpad({text}, 15, '0') END"
            )
        case ColumnType.DATE | ColumnType.TIMESTAMP | ColumnType.TIMESTAMPTZ:
            return _calendar(column, source, "")
        case ColumnType.BINARY:
            return f"base64({source})"
        case ColumnType.JSON if column.engine_type == CHECKED_JSON:
            return source
        case ColumnType.JSON if column.engine_type != "JSON":
            return f"CAST(to_json({source}) AS VARCHAR)"
        case _:
            return source


def _decimal(column: SourceColumn, source: str) -> str:
    precision, scale = column.precision or 0, column.scale or 0
    if column.engine_type in _WIDE_INTEGERS or column.engine_type == NUMBER_TEXT:
        return source
    text = f"CAST({source} AS VARCHAR)"
    if precision == scale:
        # DuckDB writes the values of DECIMAL(2,2) as .50: not a number in JSON.
        if precision < 38:
            return f"CAST(CAST({source} AS DECIMAL({precision + 1},{scale})) AS VARCHAR)"
        return rf"regexp_replace({text}, '^(-?)[.]', '\10.')"
    if precision > 18 and scale < 18:
        # Text of a 128-bit decimal costs eight times that of a 64-bit one, and few are as wide
        # as their type allows.
        bound = 10 ** (18 - scale) - 1
        return (
            f"CASE WHEN {source} BETWEEN -{bound} AND {bound} "
            f"THEN CAST(CAST({source} AS DECIMAL(18,{scale})) AS VARCHAR) ELSE {text} END"
        )
    return text


def _calendar(column: SourceColumn, source: str, quote: str) -> str:
    """A date, or a date and time with six digits of a second; ``quote`` goes around it."""
    local, rest = source, "-%m-%d"
    first, last = "0001-01-01", "9999-12-31"
    kind = str(column.type).upper()
    if column.type is not ColumnType.DATE:
        first, last, rest = f"{first} 00:00:00", f"{last} 23:59:59.999999", f"{rest}T%H:%M:%S.%f"
        if column.type is ColumnType.TIMESTAMPTZ:
            # Not AT TIME ZONE 'UTC': it costs twice as much and is the same.
            local, rest = f"make_timestamp(epoch_us({source}))", f"{rest}Z"
            first, last = f"{first}+00", f"{last}+00"
        elif column.engine_type not in ("TIMESTAMP", WRAPPED_TIMESTAMP):
            local = f"CAST({source} AS TIMESTAMP)"
    wrapped = ""
    if column.engine_type in _WRAPS:
        unwound = (
            f"make_timestamp(CAST(CAST(epoch_us({source}) AS HUGEINT) + {2**64} "
            f"- {_FOUR_CENTURIES_US} AS BIGINT))"
        )
        year = f"CAST(year({unwound}) + 400 AS VARCHAR)"
        wrapped = f"WHEN {_wrapped(source)} THEN '+' || {year} || strftime({unwound}, '{rest}') "
    far = (
        f"CASE WHEN isinf({source}) THEN CAST({source} AS VARCHAR) {wrapped}"
        f"ELSE {_far_year(local)} || strftime({local}, '{rest}') END"
    )
    if quote:
        far = f"'{quote}' || {far} || '{quote}'"
    return (
        f"CASE WHEN {source} BETWEEN {kind} '{first}' AND {kind} '{last}' "
        f"THEN strftime({local}, '{quote}%Y{rest}{quote}') ELSE {far} END"
    )


def _wrapped(source: str) -> str:
    return f"{source} < TIMESTAMP '4720-01-01 (BC)'"


def _far_year(date: str) -> str:
    """The year of a date outside the years 1 to 9999, as ISO 8601 expands it."""
    year = f"year({date})"
    return (
        f"CASE WHEN {year} > 9999 THEN '+' || CAST({year} AS VARCHAR) "
        f"WHEN {year} < 0 THEN '-' || format('{{:04d}}', -{year}) ELSE '0000' END"
    )


_STRING = r'"([^"\\]|\\.)*"'
_LENIENCY = r"(?i)nan|inf|,\s*[\]}]"
"""What DuckDB's JSON parser lets pass and JSON does not: NaN, Infinity, trailing commas."""


def _json(column: SourceColumn, source: str, *, one_line: bool) -> str:
    """JSON text, proven to be JSON: the type's name is no promise in every source."""
    if column.engine_type == CHECKED_JSON:
        return _on_one_line(source) if one_line else source
    if column.engine_type != "JSON":
        return f"CAST(to_json({source}) AS VARCHAR)"
    text = f"CAST({source} AS VARCHAR)"
    # Of text that passes the quick look nothing more need be known; few documents do not.
    suspect = f"regexp_matches({text}, {literal(_LENIENCY)})"
    outside = f"regexp_replace({text}, {literal(_STRING)}, '', 'g')"
    lenient = f"regexp_matches({outside}, {literal(_LENIENCY)})"
    strict = f"json_valid({text}) AND (NOT {suspect} OR NOT {lenient})"
    shown = _on_one_line(text) if one_line else source
    refusal = _refusal(column, "text that is not JSON")
    return f"CASE WHEN {source} IS NULL THEN NULL WHEN {strict} THEN {shown} ELSE {refusal} END"


def _on_one_line(text: str) -> str:
    # In JSON a line break stands between tokens only; a blank says the same.
    return (
        f"CASE WHEN contains({text}, chr(10)) OR contains({text}, chr(13)) "
        f"THEN translate({text}, chr(10) || chr(13), '  ') ELSE {text} END"
    )
