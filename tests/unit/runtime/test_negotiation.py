"""Which format a caller gets."""

import pytest

from headrace.kernel.errors import NotAcceptable
from headrace.runtime.negotiation import accepts_gzip, preferred

FORMATS = ("application/json", "text/csv", "application/x-ndjson")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV; charset=utf-8", "text/csv"),
        ("text/*", "text/csv"),
        ("application/*, text/csv;q=0.9", "application/json"),
        ("application/json;q=0.1, text/csv;q=0.9", "text/csv"),
        ("application/json;q=0, */*;q=0.5", "text/csv"),
        ("text/html, application/x-ndjson;q=0.001", "application/x-ndjson"),
        ("text/csv;q=high", "text/csv"),
    ],
)
def test_the_format_that_is_liked_best_is_taken(accept: str | None, expected: str) -> None:
    assert preferred(accept, FORMATS) == expected


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "*/*;q=0", "json"])
def test_what_accepts_none_of_them_is_refused_with_those_there_are(accept: str) -> None:
    with pytest.raises(NotAcceptable) as refused:
        preferred(accept, FORMATS)
    assert refused.value.members == {"formats": list(FORMATS)}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, False),
        ("identity", False),
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip;q=0, *", False),
        ("*", True),
        ("*;q=0", False),
    ],
)
def test_content_is_compressed_where_gzip_is_accepted(header: str | None, expected: bool) -> None:
    assert accepts_gzip(header) is expected
