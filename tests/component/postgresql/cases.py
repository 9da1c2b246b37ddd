"""Every awkward value of every type of PostgreSQL's, with the form that docs/types.md promises.

The expected forms are written out by hand, not computed by the code under test.
"""

from decimal import Decimal
from typing import Any

from local.sample.awkward import TEXTS
from tests.component.warehouse.cases import DAY, REFUSED, Case
from tests.component.warehouse.places import Number


def _same(sql: str, text: str, parquet: Any = None) -> Case:
    return Case(sql, text, text, text if parquet is None else parquet)


def _number(text: str, parquet: Any, sql: str | None = None) -> Case:
    return Case(sql or f"'{text}'", text, Number(text), parquet)


def _text(text: str) -> Case:
    return _same("'" + text.replace("'", "''") + "'", text)


SETUP = """
CREATE TYPE mood AS ENUM ('so so', '"', 'fine');
CREATE TYPE place AS (street text, number int);
CREATE DOMAIN price AS numeric(12,2) CHECK (VALUE >= 0);
CREATE DOMAIN fee AS price;
"""

CASES: dict[str, tuple[Case, ...]] = {
    "boolean": (Case("true", "true", True, True), Case("false", "false", False, False)),
    "smallint": tuple(_number(str(n), n) for n in (-32768, 32767)),
    "integer": tuple(_number(str(n), n) for n in (-(2**31), 0, 2**31 - 1)),
    "bigint": tuple(_number(str(n), n) for n in (-(2**63), -1, 2**53 + 1, 2**63 - 1)),
    "numeric(12,2)": (
        *(_number(t, Decimal(t)) for t in ("115028.90", "0.00", "-0.05", "9999999999.99")),
        _same("'NaN'", "NaN", REFUSED),
    ),
    "numeric(4,4)": tuple(_number(t, Decimal(t)) for t in ("0.5000", "-0.0001", "0.0000")),
    "numeric(38,10)": tuple(
        _number(t, Decimal(t))
        for t in ("0.0000000001", "-100000000.0000000001", "9" * 28 + ".9999999999")
    ),
    "numeric(50,20)": (_number("9" * 30 + "." + "9" * 20, "9" * 30 + "." + "9" * 20),),
    "numeric": (
        _number("115028.90", "115028.90"),
        _number("0.1", "0.1"),
        _number("-" + "9" * 60 + ".5", "-" + "9" * 60 + ".5"),
        _number("1" + "0" * 300, "1" + "0" * 300),
        _same("'NaN'", "NaN"),
        _same("'Infinity'", "Infinity"),
        _same("'-Infinity'", "-Infinity"),
    ),
    "numeric(5,-2)": (_number("1234500", "1234500", "1234512"),),
    "double precision": (
        _number("0.1", 0.1),
        _number("-0", -0.0),
        _number("1e+21", 1e21),
        _number("5e-324", 5e-324),
        _number("1.7976931348623157e+308", 1.7976931348623157e308),
        Case(
            "9007199254740993",
            "9.007199254740992e+15",
            Number("9007199254740992.0"),
            9007199254740992.0,
        ),
        _same("'NaN'", "NaN", "nan"),
        _same("'Infinity'", "Infinity", float("inf")),
        _same("'-Infinity'", "-Infinity", float("-inf")),
    ),
    "real": (_number("0.1", 0.10000000149011612),),
    "text": tuple(map(_text, TEXTS)),
    "varchar(20)": (_text("a,b\n\"c'd\\"), _text("")),
    "char(5)": (_same("'ab'", "ab"),),
    '"char"': (_same("'x'", "x"),),
    "name": (_same("'a name'", "a name"),),
    "mood": (_same("'so so'", "so so"), _same("'\"'", '"')),
    "price": (_number("12.50", Decimal("12.50")),),
    "fee": (_number("0.99", Decimal("0.99")),),
    "uuid": (
        _same(
            "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ),
    ),
    "bytea": (
        _same("''", "", b""),
        _same(r"'\x00ff0a2c'", "AP8KLA==", b"\x00\xff\n,"),
        _same("decode(repeat('ab', 60), 'hex')", "q6ur" * 20, b"\xab" * 60),
    ),
    "date": (
        _same("'1970-01-01'", "1970-01-01", 0),
        _same("'1969-12-31'", "1969-12-31", -1),
        _same("'0001-01-01'", "0001-01-01", -719162),
        _same("'9999-12-31'", "9999-12-31", 2932896),
        _same("'10000-01-01'", "+10000-01-01", 2932897),
        _same("'0001-12-31 BC'", "0000-12-31", -719163),
        _same("'0044-03-15 BC'", "-0043-03-15", -735160),
        _same("'4714-11-24 BC'", "-4713-11-24", -2440588),
        _same("'5874897-12-31'", "+5874897-12-31", 2145042905),
        _same("'infinity'", "infinity", REFUSED),
        _same("'-infinity'", "-infinity", REFUSED),
    ),
    "time": (
        _same("'00:00:00'", "00:00:00.000000", 0),
        _same("'12:34:56.7'", "12:34:56.700000", 45_296_700_000),
        _same("'23:59:59.999999'", "23:59:59.999999", DAY - 1),
        _same("'24:00:00'", "24:00:00.000000", REFUSED),
    ),
    "timestamp": (
        _same("'2024-01-31 12:00:00'", "2024-01-31T12:00:00.000000", 1_706_702_400_000_000),
        _same("'1969-12-31 23:59:59.999999'", "1969-12-31T23:59:59.999999", -1),
        _same("'0001-01-01 00:00:00'", "0001-01-01T00:00:00.000000", -719162 * DAY),
        _same(
            "'9999-12-31 23:59:59.999999'",
            "9999-12-31T23:59:59.999999",
            2932897 * DAY - 1,
        ),
        _same(
            "'12024-02-29 01:02:03'",
            "+12024-02-29T01:02:03.000000",
            3672207 * DAY + 3_723_000_000,
        ),
        _same("'0044-03-15 12:00:00 BC'", "-0043-03-15T12:00:00.000000", -735160 * DAY + DAY // 2),
        _same("'294247-01-10 04:00:54.775806'", "+294247-01-10T04:00:54.775806", 2**63 - 2),
        _same("'294276-12-31 23:59:59.999999'", "+294276-12-31T23:59:59.999999", REFUSED),
        _same("'4714-11-24 00:00:00 BC'", "-4713-11-24T00:00:00.000000", -2440588 * DAY),
        _same("'infinity'", "infinity", REFUSED),
        _same("'-infinity'", "-infinity", REFUSED),
    ),
    "timestamp(3)": (
        _same("'2024-01-31 12:00:00.1234'", "2024-01-31T12:00:00.123000", 1_706_702_400_123_000),
    ),
    "timestamptz": (
        _same("'2024-07-01 12:00:00+02'", "2024-07-01T10:00:00.000000Z", 1_719_828_000_000_000),
        _same(
            "'2025-03-30 02:30:00.000001+01:00'", "2025-03-30T01:30:00.000001Z", 1743298200000001
        ),
        _same("'0001-01-01 00:00:00+02'", "0000-12-31T22:00:00.000000Z", -719162 * DAY - DAY // 12),
        _same(
            "'9999-12-31 23:59:59-01'",
            "+10000-01-01T00:59:59.000000Z",
            2932897 * DAY + 3599_000_000,
        ),
        _same("'294276-12-31 23:59:59.999999+00'", "+294276-12-31T23:59:59.999999Z", REFUSED),
        _same("'-infinity'", "-infinity", REFUSED),
    ),
    "timetz": (_same("'12:34:56.7+05:30'", "12:34:56.7+05:30"),),
    "interval": (
        _same("'1 year 2 mons 3 days 4:05:06.7'", "P1Y2M3DT4H5M6.7S"),
        _same("'-1 mon +2 days'", "P-1M2D"),
        _same("'0'", "PT0S"),
    ),
    "jsonb": (
        Case("'null'", "null", None, "null"),
        Case(
            """'{"b": 1.10, "a": [true, null, "x\\n\\"y"]}'""",
            """{"a": [true, null, "x\\n\\"y"], "b": 1.10}""",
            {"a": [True, None, 'x\n"y'], "b": Number("1.10")},
            """{"a": [true, null, "x\\n\\"y"], "b": 1.10}""",
        ),
    ),
    "json": (
        Case(
            """E'{"n":\\n0.12345678901234567890123,\\r\\n"n":1}'""",
            '{"n":\n0.12345678901234567890123,\r\n"n":1}',
            {"n": Number("1")},
            '{"n":\n0.12345678901234567890123,\r\n"n":1}',
        ),
        Case("""'"NaN, ]"'""", '"NaN, ]"', "NaN, ]", '"NaN, ]"'),
    ),
    "integer[]": (
        Case("'{1,NULL,3}'", "[1,null,3]", [Number("1"), None, Number("3")], "[1,null,3]"),
        Case("'{}'", "[]", [], "[]"),
        Case(
            "'{{1,2},{3,4}}'",
            "[[1,2],[3,4]]",
            [[Number("1"), Number("2")], [Number("3"), Number("4")]],
            "[[1,2],[3,4]]",
        ),
    ),
    "numeric[]": (Case("'{1.50,NaN}'", '[1.50,"NaN"]', [Number("1.50"), "NaN"], '[1.50,"NaN"]'),),
    "text[]": (
        Case(
            """ARRAY['a,b', '"', '', NULL]""",
            """["a,b","\\"","",null]""",
            ["a,b", '"', "", None],
            """["a,b","\\"","",null]""",
        ),
    ),
    "mood[]": (Case("'{fine,NULL}'", '["fine",null]', ["fine", None], '["fine",null]'),),
    "date[]": (_same("'{2024-01-31,infinity}'", "{2024-01-31,infinity}"),),
    "int4range": (_same("'[1,5)'", "[1,5)"), _same("'empty'", "empty")),
    "int4multirange": (_same("'{[1,3),[5,9)}'", "{[1,3),[5,9)}"), _same("'{}'", "{}")),
    "tstzrange": (
        _same(
            "'[2024-01-31 12:00:00+02,)'",
            '["2024-01-31 10:00:00+00",)',
        ),
    ),
    "inet": (_same("'192.0.2.1/24'", "192.0.2.1/24"),),
    "point": (_same("'(1.5,-2)'", "(1.5,-2)"),),
    "bit(4)": (_same("'0101'", "0101"),),
    "place": (_same("ROW('High Street', 3)", '("High Street",3)'),),
    "oid": (_same("4294967295", "4294967295"),),
}

SINCE = {"numeric(5,-2)": 15, "int4multirange": 14}
"""Types that versions of the server before these do not have."""

_VALUES_SINCE = {("numeric", "'Infinity'"): 14, ("numeric", "'-Infinity'"): 14}

TEXT_OF = {
    "varchar(20)": None, "char(5)": None, "date[]": "date[]", "int4range": "int4range",
    "int4multirange": "int4multirange",
    "timetz": "time with time zone", "inet": "inet", "mood": None, "mood[]": None, "text": None,
    "place": "place", "name": "name",
}  # fmt: skip
"""The type that the metadata names, of columns that are carried as the source's own text."""


def column_name(kind: str) -> str:
    """The name of the column that holds the cases of this type: awkward as well."""
    return f'the "{kind}", kept'


def kinds_at(version: int) -> list[str]:
    """The types that a server of this version has."""
    return [kind for kind in CASES if SINCE.get(kind, 0) <= version]


def case_at(kind: str, index: int, version: int) -> Case | None:
    """What row ``index`` has of the type; None, for NULL, beyond its cases and before its time."""
    case = CASES[kind][index] if index < len(CASES[kind]) else None
    return case if case and _VALUES_SINCE.get((kind, case.sql), 0) <= version else None


def rows_as_sql(version: int, *, parquet: bool) -> str:
    """A SELECT with a column per type: row i holds the i-th case of each, NULL beyond them.

    ``parquet``: with NULL in place of the cases that Parquet must refuse.
    """
    selects = []
    for index in range(ROWS):
        values = [f"{index}::bigint AS id"]
        for kind in kinds_at(version):
            case = case_at(kind, index, version)
            refused = parquet and case is not None and case.parquet is REFUSED
            sql = "NULL" if case is None or refused else case.sql
            name = column_name(kind).replace('"', '""')
            values.append(f'CAST({sql} AS {kind}) AS "{name}"')
        selects.append("SELECT " + ", ".join(values))
    return " UNION ALL ".join(selects)


ROWS = max(len(cases) for cases in CASES.values()) + 1


def expected(kind: str, index: int, form: str, version: int) -> Any:
    """What row ``index`` must show for the type in this form: ``csv``, ``json``, ``parquet``."""
    case = case_at(kind, index, version)
    return None if case is None else getattr(case, form)
