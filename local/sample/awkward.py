"""The values that exports stumble over. Each tenant of the sample has every one of them."""

TEXTS: tuple[str, ...] = (
    "",
    " ",
    "  leading and trailing  ",
    "\ttab first",
    "ends with a newline\n",
    "two\nlines",
    "Windows\r\nlines",
    "old Mac\rlines",
    'say "yes", or "no"',
    '"',
    '""',
    "it's; a,b;c\td|e",
    ",",
    "back\\slash \\n \\N \\",
    "NULL",
    "null",
    "\\N",
    "NA",
    "true",
    "0",
    "-0.0",
    "00123",
    "1e5",
    "NaN",
    "2026-02-30",
    "=1+1",
    '=HYPERLINK("http://example.com","click")',
    "+31 20 123 4567",
    "-5",
    "@here",
    "#REF!",
    "'leading quote",
    "<b>bold</b> & <script>alert(1)</script>",
    "{{7*7}} ${HOME} %s %(name)s",
    "'; DROP TABLE employees; --",
    "../../etc/passwd",
    "Zoë Ångström-Łukasiewicz",
    "nai\u0308ve, combining",
    "naïve, composed",
    "ﬁnancial ligature",
    "İstanbul ı ß ſ",
    "田中さん 漢字かな交じり文",
    "한국어 조합",
    "मानक हिन्दी",
    "مرحبا بالعالم",
    "שלום (right to left) 123",
    "\u202eoverridden\u202c",
    "emoji 🙂 👩🏽‍⚕️ 🇳🇱 👨‍👩‍👧‍👦",
    "beyond the BMP: 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𠜎",
    "zero\u200bwidth\u200djoiners",
    "no\u00a0break\u202fspaces\u3000wide",
    "line\u2028separator\u2029paragraph",
    "next\u0085line",
    "\ufeffbyte order mark first",
    "replacement \ufffd and noncharacter \uffff",
    "bell\x07 escape\x1b unit\x1f delete\x7f vertical\x0b form\x0c",
    "long " + "word " * 400,
)
"""NUL is left out: PostgreSQL cannot hold it, and the same values are to live in every source."""

INTEGERS: tuple[int, ...] = (
    0,
    1,
    -1,
    2**53 + 1,
    -(2**53) - 1,
    2**63 - 1,
    -(2**63),
)

DOUBLES: tuple[float, ...] = (
    0.0,
    -0.0,
    0.1,
    1 / 3,
    -2.5,
    1e21,
    123456789.123456789,
    5e-324,
    2.2250738585072014e-308,
    1.7976931348623157e308,
    -1.7976931348623157e308,
    9007199254740993.0,
)

DECIMALS: tuple[str, ...] = (
    "0.0000000000",
    "0.0000000001",
    "-0.0000000001",
    "1.0000000000",
    "1234567.8900000000",
    "9999999999999999999999999999.9999999999",
    "-9999999999999999999999999999.9999999999",
)
"""Of DECIMAL(38, 10), as text: Python's floats could not write them."""

DATES: tuple[str, ...] = (
    "0001-01-01",
    "1582-10-10",
    "1899-12-31",
    "1900-02-28",
    "1969-12-31",
    "1970-01-01",
    "2000-02-29",
    "2038-01-20",
    "9999-12-31",
)

TIMESTAMPS: tuple[str, ...] = (
    "0001-01-01 00:00:00",
    "1883-11-18 12:03:58",
    "1969-12-31 23:59:59.999999",
    "1970-01-01 00:00:00",
    "2024-02-29 12:00:00.5",
    "2025-03-30 01:30:00",
    "2025-10-26 00:59:59.000001",
    "2038-01-19 03:14:08",
    "9999-12-31 23:59:59.999999",
)

TIMES: tuple[str, ...] = ("00:00:00", "00:00:00.000001", "12:34:56.7", "23:59:59.999999")

DOCUMENTS: tuple[str, ...] = (
    "{}",
    "[]",
    "null",
    "false",
    "0",
    '""',
    '"text, with \\"quotes\\" and a \\n newline"',
    '{"a": {"b": [1, 2.50, {"c": null}]}, "d": true}',
    '{\n  "pretty": [\n    1,\n    2\n  ]\n}',
    '{"big": 9007199254740993, "small": 1e-7, "money": 115028.90}',
    '{"ключ": "значение", "絵文字": "🙂", "escaped": "\\u00e9\\ud83d\\ude00"}',
    '[[[[[[[[[["deep"]]]]]]]]]]',
    '{"": "an empty key", " ": "a blank one", "a.b": 1, "$x": [null, null]}',
)
"""JSON texts; the first ``null`` is JSON's, beside which there are SQL NULLs."""

BINARIES: tuple[bytes, ...] = (
    b"",
    b"\x00",
    b"\xff\xfe\xfd",
    b"plain text",
    b'","\n',
    bytes(range(256)),
)
