"""Hive's types, as the Glue Data Catalog writes them, in the words of DuckDB.

What Athena unloads is read by DuckDB, so one table of types says what can be carried exactly
(``adapters.warehouse.values``), and this one only how the types are called there.
"""

import re

from headrace.adapters.sql_text import identifier

_PLAIN = {
    "boolean": "BOOLEAN",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "real": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}

_TEXT = re.compile(r"(varchar|char)\(\d+\)")
_DECIMAL = re.compile(r"decimal(?:\((\d+)(?:,(\d+))?\))?")
_NESTED = re.compile(r"(array|map|struct)<(.*)>")


def duckdb_type(hive: str) -> str | None:
    """DuckDB's name of the type; None if there is none for it."""
    text = re.sub(r"\s+", "", hive)
    nested = _NESTED.fullmatch(text)
    if nested:
        return _nested(nested[1], _parts(nested[2]))
    text = text.lower()
    if text in _PLAIN:
        return _PLAIN[text]
    if _TEXT.fullmatch(text):
        return "VARCHAR"
    decimal = _DECIMAL.fullmatch(text)
    if decimal:
        precision, scale = int(decimal[1] or 10), int(decimal[2] or 0)
        return f"DECIMAL({precision},{scale})" if scale <= precision <= 38 else None
    return None


def _nested(kind: str, parts: list[str]) -> str | None:
    if kind == "struct":
        fields = []
        for part in parts:
            name, _, hive = part.partition(":")
            inner = duckdb_type(hive)
            if not name or inner is None:
                return None
            fields.append(f"{identifier(name)} {inner}")
        return f"STRUCT({', '.join(fields)})"
    inners = [duckdb_type(part) for part in parts]
    match kind, inners:
        case "array", [str(inner)]:
            return f"{inner}[]"
        case "map", [str(key), str(value)]:
            return f"MAP({key}, {value})"
    return None


def _parts(text: str) -> list[str]:
    """What commas part, but those inside brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "<(") - (character in ">)")
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return parts
