"""Every awkward value of every type, with the form that docs/types.md promises.

The expected forms are written out by hand, not computed by the code under test.
"""

from dataclasses import dataclass
from typing import Any

from local.sample.awkward import TEXTS
from tests.component.warehouse.places import Number

REFUSED = object()
"""In place of a Parquet value: the format has none, so the stream must fail."""


@dataclass(frozen=True)
class Case:
    """A value as SQL, its CSV cell, its JSON value, its Parquet value (as plain Python)."""

    sql: str
    csv: str
    json: Any
    parquet: Any


def _same(sql: str, text: str, parquet: Any) -> Case:
    return Case(sql, text, text, parquet)


def _number(sql: str, text: str, parquet: Any) -> Case:
    return Case(sql, text, Number(text), parquet)


def _text(text: str) -> Case:
    return _same("'" + text.replace("'", "''") + "'", text, text)


DAY = 86_400_000_000
"""Microseconds; Parquet's far dates and times are compared as the integers that they are."""

CASES: dict[str, tuple[Case, ...]] = {
    "BOOLEAN": (
        Case("true", "true", True, True),
        Case("false", "false", False, False),
    ),
    "TINYINT": tuple(_number(f"({n})", str(n), n) for n in (-128, 127)),
    "SMALLINT": tuple(_number(f"({n})", str(n), n) for n in (-32768, 32767)),
    "INTEGER": tuple(_number(f"({n})", str(n), n) for n in (-(2**31), 0, 2**31 - 1)),
    "USMALLINT": (_number("65535", "65535", 65535),),
    "UINTEGER": (_number("4294967295", "4294967295", 2**32 - 1),),
    "BIGINT": tuple(
        _number(f"({n})", str(n), n) for n in (-(2**63) + 1, -1, 0, 2**53 + 1, 2**63 - 1)
    ),
    "UBIGINT": (_number("18446744073709551615", "18446744073709551615", 2**64 - 1),),
    "HUGEINT": (
        _number("(-99999999999999999999999999999999999999)", "-" + "9" * 38, -(10**38) + 1),
        Case(
            "170141183460469231731687303715884105727",
            "170141183460469231731687303715884105727",
            Number("170141183460469231731687303715884105727"),
            REFUSED,
        ),
    ),
    "DECIMAL(12,2)": tuple(
        _number(text, text, text) for text in ("115028.90", "0.00", "-0.05", "9999999999.99")
    ),
    "DECIMAL(4,4)": tuple(_number(text, text, text) for text in ("0.5000", "-0.0001", "0.0000")),
    "DECIMAL(38,38)": tuple(
        _number(f"'{text}'", text, text) for text in ("0." + "9" * 38, "-0." + "0" * 37 + "1")
    ),
    "DECIMAL(38,10)": tuple(
        _number(f"'{text}'", text, text)
        for text in (
            "0.0000000001",
            "-0.0000000001",
            "99999999.0000000000",
            "99999999.9999999999",
            "-100000000.0000000001",
            "9999999999999999999999999999.9999999999",
        )
    ),
    "DECIMAL(38,0)": tuple(_number(f"'{text}'", text, text) for text in ("9" * 38, "-1", "0")),
    "DECIMAL(30,20)": (_number("'1.00000000000000000001'", "1.00000000000000000001", None),),
    "DOUBLE": (
        _number("0.1", "0.1", 0.1),
        _number("'-0.0'", "-0.0", -0.0),
        _number("1e0/3", "0.3333333333333333", 1 / 3),
        _number("1e21", "1e+21", 1e21),
        _number("'5e-324'", "5e-324", 5e-324),
        _number("'1.7976931348623157e308'", "1.7976931348623157e+308", 1.7976931348623157e308),
        _number("9007199254740993", "9007199254740992.0", 9007199254740992.0),
        _same("'NaN'", "NaN", "nan"),
        _same("'Infinity'", "Infinity", float("inf")),
        _same("'-Infinity'", "-Infinity", float("-inf")),
    ),
    "FLOAT": (_number("0.1", "0.1", 0.10000000149011612),),
    "VARCHAR": (
        *map(_text, TEXTS),
        _same("'nul' || chr(0) || 'nul'", "nul\0nul", "nul\0nul"),
    ),
    "ENUM('a b', '\"')": (_same("'a b'", "a b", "a b"), _same("'\"'", '"', '"')),
    "BIT": (_same("'0010'", "0010", "0010"),),
    "UUID": (
        _same(
            "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ),
    ),
    "BLOB": (
        _same("''::BLOB", "", b""),
        _same(r"'\x00\xFF\x0A,'::BLOB", "AP8KLA==", b"\x00\xff\n,"),
    ),
    "DATE": (
        _same("'1970-01-01'", "1970-01-01", 0),
        _same("'1969-12-31'", "1969-12-31", -1),
        _same("'0001-01-01'", "0001-01-01", -719162),
        _same("'9999-12-31'", "9999-12-31", 2932896),
        _same("'10000-01-01'", "+10000-01-01", 2932897),
        _same("'0001-12-31 (BC)'", "0000-12-31", -719163),
        _same("'0044-03-15 (BC)'", "-0043-03-15", -735160),
        _same("'infinity'", "infinity", REFUSED),
        _same("'-infinity'", "-infinity", REFUSED),
    ),
    "TIME": (
        _same("'00:00:00'", "00:00:00.000000", 0),
        _same("'12:34:56.7'", "12:34:56.700000", 45_296_700_000),
        _same("'23:59:59.999999'", "23:59:59.999999", DAY - 1),
        _same("'24:00:00'", "24:00:00.000000", REFUSED),
    ),
    "TIMESTAMP": (
        _same("'2024-01-31 12:00:00'", "2024-01-31T12:00:00.000000", 1_706_702_400_000_000),
        _same("'1969-12-31 23:59:59.999999'", "1969-12-31T23:59:59.999999", -1),
        _same("'0001-01-01 00:00:00'", "0001-01-01T00:00:00.000000", -719162 * DAY),
        _same("'12024-02-29 01:02:03'", "+12024-02-29T01:02:03.000000", None),
        _same("'0044-03-15 (BC) 12:00:00'", "-0043-03-15T12:00:00.000000", None),
        _same("'infinity'", "infinity", REFUSED),
    ),
    "TIMESTAMP_S": (_same("'2024-01-31 12:00:00'", "2024-01-31T12:00:00.000000", None),),
    "TIMESTAMP_MS": (_same("'2024-01-31 12:00:00.001'", "2024-01-31T12:00:00.001000", None),),
    "TIMESTAMP WITH TIME ZONE": (
        _same("'2024-07-01 12:00:00+02'", "2024-07-01T10:00:00.000000Z", 1_719_828_000_000_000),
        _same("'2025-03-30 02:30:00.000001+01:00'", "2025-03-30T01:30:00.000001Z", None),
        _same("'1883-11-18 12:00:00+00'", "1883-11-18T12:00:00.000000Z", None),
        _same("'0001-01-01 00:00:00+02'", "0000-12-31T22:00:00.000000Z", None),
        _same("'9999-12-31 23:59:59-01'", "+10000-01-01T00:59:59.000000Z", None),
        _same("'-infinity'", "-infinity", REFUSED),
    ),
    "JSON": (
        Case("'null'", "null", None, "null"),
        Case("'[]'", "[]", [], "[]"),
        Case(
            """'{"b": 1.10, "a": [true, null, "x\\n\\"y"]}'""",
            """{"b": 1.10, "a": [true, null, "x\\n\\"y"]}""",
            {"b": Number("1.10"), "a": [True, None, 'x\n"y']},
            """{"b": 1.10, "a": [true, null, "x\\n\\"y"]}""",
        ),
        Case(
            """'{"n":' || chr(10) || '0.12345678901234567890123,' || chr(13) || chr(10) || """
            """'"big":123456789012345678901234567890}'""",
            '{"n":\n0.12345678901234567890123,\r\n"big":123456789012345678901234567890}',
            {
                "n": Number("0.12345678901234567890123"),
                "big": Number("123456789012345678901234567890"),
            },
            '{"n":\n0.12345678901234567890123,\r\n"big":123456789012345678901234567890}',
        ),
        Case(
            """'{"what": "NaN, ]", "info": "inf"}'""",
            """{"what": "NaN, ]", "info": "inf"}""",
            {"what": "NaN, ]", "info": "inf"},
            """{"what": "NaN, ]", "info": "inf"}""",
        ),
    ),
    'STRUCT(a INTEGER, "b c" VARCHAR[])': (
        Case(
            "{'a': 1, 'b c': ['x', NULL, '\"']}",
            '{"a":1,"b c":["x",null,"\\""]}',
            {"a": Number("1"), "b c": ["x", None, '"']},
            '{"a":1,"b c":["x",null,"\\""]}',
        ),
    ),
    "MAP(VARCHAR, BIGINT)": (
        Case(
            "MAP {'k': 9223372036854775807}",
            '{"k":9223372036854775807}',
            {"k": Number("9223372036854775807")},
            '{"k":9223372036854775807}',
        ),
    ),
}


def column_name(engine_type: str) -> str:
    """The name of the column that holds the cases of this type: awkward as well."""
    return f'the "{engine_type}", kept'


def rows_as_sql(*, parquet: bool, types: tuple[str, ...] = tuple(CASES)) -> str:
    """A SELECT with a column per type: row i holds the i-th case of each, NULL beyond them.

    ``parquet``: with NULL in place of the cases that Parquet must refuse.
    """
    longest = max(len(CASES[kind]) for kind in types) + 1
    selects = []
    for index in range(longest):
        values = [f"{index}::BIGINT AS id"]
        for kind in types:
            case = CASES[kind][index] if index < len(CASES[kind]) else None
            refused = parquet and case is not None and case.parquet is REFUSED
            sql = "NULL" if case is None or refused else case.sql
            name = column_name(kind).replace('"', '""')
            values.append(f'CAST({sql} AS {kind}) AS "{name}"')
        selects.append("SELECT " + ", ".join(values))
    return " UNION ALL ".join(selects)


def expected(kind: str, index: int, form: str) -> Any:
    """What row ``index`` must show for the type in this form: ``csv``, ``json``, ``parquet``."""
    return getattr(CASES[kind][index], form) if index < len(CASES[kind]) else None
