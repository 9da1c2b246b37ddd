"""PostgreSQL's types as canonical ones, and the SQL that the server runs for each (docs/types.md).

A value leaves the server in one of two forms: as the very text of its CSV cell (``csv_cell``), or
as what DuckDB reads exactly (``engine_value``), to be written by ``adapters.warehouse.values``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from headrace.adapters.sql_text import identifier, literal
from headrace.adapters.warehouse.values import (
    CHECKED_JSON,
    NUMBER_TEXT,
    WRAPPED_TIMESTAMP,
    WRAPPED_TIMESTAMPTZ,
)
from headrace.exports.sources import ColumnType
from headrace.exports.warehouses import SourceColumn


@dataclass(frozen=True)
class PgType:
    """A type of the server's catalog (``pg_type``), by what it is read as."""

    oid: int
    name: str
    """With its schema, but for the server's own."""
    kind: str
    """``typtype``: base, composite, domain, enum, pseudo, range, multirange."""
    base: int
    base_modifier: int
    element: int
    is_array: bool
    written: str
    """Its name as SQL, with its schema where it needs one."""


_CANONICAL = {
    "bool": ColumnType.BOOLEAN,
    "int2": ColumnType.INTEGER,
    "int4": ColumnType.INTEGER,
    "int8": ColumnType.BIGINT,
    "float4": ColumnType.DOUBLE,
    "float8": ColumnType.DOUBLE,
    "numeric": ColumnType.DECIMAL,
    "text": ColumnType.STRING,
    "varchar": ColumnType.STRING,
    "bpchar": ColumnType.STRING,
    "date": ColumnType.DATE,
    "time": ColumnType.TIME,
    "timestamp": ColumnType.TIMESTAMP,
    "timestamptz": ColumnType.TIMESTAMPTZ,
    "uuid": ColumnType.UUID,
    "bytea": ColumnType.BINARY,
    "json": ColumnType.JSON,
    "jsonb": ColumnType.JSON,
    "interval": ColumnType.INTERVAL,
}

_ELEMENTS = frozenset(
    {"bool", "int2", "int4", "int8", "float4", "float8", "numeric", "text", "varchar", "uuid"}
    | {"json", "jsonb"}
)
"""Elements that the server's own JSON of an array shows in their canonical form."""

_AS_THE_ENGINE_HAS_IT = {
    "bool": "BOOLEAN",
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "float4": "FLOAT",
    "float8": "DOUBLE",
    "text": "VARCHAR",
    "varchar": "VARCHAR",
    "date": "DATE",
    "time": "TIME",
    "timestamp": WRAPPED_TIMESTAMP,
    "timestamptz": WRAPPED_TIMESTAMPTZ,
    "uuid": "UUID",
    "bytea": "BLOB",
}
"""What DuckDB's extension reads exactly from the server's binary form. Numerics are not among
them: those of no precision become doubles, and NaN becomes 0. Timestamps beyond its range wrap
around, which can be told and undone (``values``)."""

_TEXT = "as text"
"""The key of types that are carried as the text that the server writes of them."""
_JSON_ARRAY = "json array"


@dataclass(frozen=True)
class PgColumn:
    """A column of a relation: the port's description, and by which rule its values are read."""

    described: SourceColumn
    rule: str
    """A name of ``_CANONICAL``, ``as text`` or ``json array``."""
    compared_as: str
    """The type, without modifiers, that literals have which are compared with it."""
    exact: bool = True
    """Are its texts equal only if they are the same: not by a collation that is not
    deterministic."""

    @property
    def csv_cell(self) -> str:
        """SQL whose text is the cell, unquoted; NULL for NULL."""
        source = identifier(self.described.name)
        match self.rule:
            case "bool":
                # A third of what the cast to text costs the server.
                return f"CASE {source} WHEN true THEN 'true' WHEN false THEN 'false' END"
            case "bpchar" | "interval" | "as text":
                return f"{source}::text"
            case "bytea":
                # The server breaks base64 into lines of 76 characters (RFC 2045).
                return f"translate(encode({source}, 'base64'), E'\\n', '')"
            case "date":
                return _date(source)
            case "time":
                text = f"{source}::text"
                return (
                    f"CASE WHEN length({text}) = 8 THEN {text} || '.000000' "
                    f"ELSE rpad({text}, 15, '0') END"
                )
            case "timestamp":
                return _timestamp(source, source, "")
            case "timestamptz":
                return _timestamp(source, f"({source} AT TIME ZONE 'UTC')", "Z")
            case "json array":
                return f"array_to_json({source})::text"
            case _:
                return source

    def escaped_csv_cell(self) -> str:
        """The same, with texts that a spreadsheet would run behind an apostrophe."""
        if self.described.type not in (ColumnType.STRING, ColumnType.JSON):
            return self.csv_cell
        # No pattern is matched by a collation that is not deterministic.
        text = f'({self.csv_cell})::text COLLATE "C"'
        return f"CASE WHEN {text} ~ '^[-=+@\\x01-\\x1f]' THEN '''' || {text} ELSE {text} END"

    @property
    def engine_value(self) -> str:
        """SQL of what DuckDB's extension reads exactly; its type there is ``for_engine``'s."""
        source = identifier(self.described.name)
        if self.rule in _AS_THE_ENGINE_HAS_IT:
            return source
        return f"array_to_json({source})::text" if self.rule == _JSON_ARRAY else f"{source}::text"

    @property
    def is_carried_as_text(self) -> bool:
        """Enums, and what has no canonical form."""
        return self.rule == _TEXT

    @property
    def for_engine(self) -> SourceColumn:
        """The column as DuckDB sees it behind ``engine_value``."""
        if self.rule in _AS_THE_ENGINE_HAS_IT:
            engine_type = _AS_THE_ENGINE_HAS_IT[self.rule]
        elif self.described.type is ColumnType.DECIMAL:
            engine_type = NUMBER_TEXT
        elif self.described.type is ColumnType.JSON:
            engine_type = CHECKED_JSON
        else:
            engine_type = "VARCHAR"
        return replace(self.described, engine_type=engine_type)


def column_of(
    name: str,
    type_oid: int,
    modifier: int,
    written: str,
    types: Mapping[int, PgType],
    *,
    nullable: bool,
    promised: bool,
    exact: bool,
) -> PgColumn:
    """The column of this type; ``written`` is its type as the server writes it."""
    kind = types[type_oid]
    while kind.kind == "d":
        modifier = kind.base_modifier if modifier == -1 else modifier
        kind = types[kind.base]
    rule, column_type, text_of = _TEXT, ColumnType.STRING, written
    precision = scale = None
    if kind.name in _CANONICAL:
        rule, column_type = kind.name, _CANONICAL[kind.name]
    elif kind.is_array and types[kind.element].name in _ELEMENTS | _enums(types):
        rule, column_type = _JSON_ARRAY, ColumnType.JSON
    if column_type is ColumnType.DECIMAL:
        precision, scale = _digits(modifier)
    carried_as_text = rule == _TEXT and kind.kind != "e"
    described = SourceColumn(
        name,
        written,
        column_type,
        nullable,
        precision,
        scale,
        text_of=text_of if carried_as_text else None,
        promised=promised,
    )
    return PgColumn(described, rule, kind.written, exact)


def _enums(types: Mapping[int, PgType]) -> frozenset[str]:
    return frozenset(kind.name for kind in types.values() if kind.kind == "e")


def _digits(modifier: int) -> tuple[int | None, int | None]:
    """Precision and scale of a numeric; none where it has none, or a scale that decimals lack."""
    if modifier < 4:
        return None, None
    packed = modifier - 4
    precision, scale = packed >> 16 & 0xFFFF, packed & 0x7FF
    scale = scale - 0x800 if scale & 0x400 else scale
    return (precision, scale) if 0 <= scale <= precision else (None, None)


def _date(source: str) -> str:
    # Not to_char(): that makes a timestamp of it, which ends long before dates do.
    text = f"{source}::text"
    return (
        f"CASE WHEN {source} BETWEEN '0001-01-01' AND '9999-12-31' THEN {text} "
        f"WHEN NOT isfinite({source}) THEN {text} WHEN {source} > '9999-12-31' THEN '+' || {text} "
        f"ELSE {_far_year(source)} || substr({text}, 5, 6) END"
    )


def _timestamp(source: str, local: str, zone: str) -> str:
    """``local`` is the time to be shown; ``source`` what is compared, so that indexes of it do."""
    last = "9999-12-31 23:59:59.999999" + ("+00" if zone else "")
    first = "0001-01-01 00:00:00" + ("+00" if zone else "")
    rest = f'-MM-DD"T"HH24:MI:SS.US"{zone}"' if zone else '-MM-DD"T"HH24:MI:SS.US'
    return (
        f"CASE WHEN {source} BETWEEN {literal(first)} AND {literal(last)} "
        f"THEN to_char({local}, 'YYYY{rest}') "
        f"WHEN NOT isfinite({source}) THEN {source}::text "
        f"ELSE {_far_year(local)} || to_char({local}, '{rest}') END"
    )


def _far_year(source: str) -> str:
    """The year of a date outside the years 1 to 9999, as ISO 8601 expands it; 1 BC is year 0."""
    year = f"extract(year FROM {source})::int"
    return (
        f"CASE WHEN {year} > 9999 THEN '+' || {year} WHEN {year} = -1 THEN '0000' "
        f"ELSE '-' || lpad((-1 - {year})::text, 4, '0') END"
    )
