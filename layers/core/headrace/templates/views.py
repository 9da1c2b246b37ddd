"""Pages of templates as callers get them: JSON, CSV or NDJSON, of rows that are JSON already."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from headrace.kernel.clock import rfc3339
from headrace.kernel.errors import InvalidCursor, InvalidRequest
from headrace.kernel.ids import OPERATION_ID
from headrace.kernel.paging import cursor_behind, place_of
from headrace.kernel.view import View
from headrace.templates.model import Cursor
from headrace.templates.usecases import Page

JSON, CSV, NDJSON = "application/json", "text/csv", "application/x-ndjson"
FORMATS = (JSON, CSV, NDJSON)
"""What a page can be answered as; the first one unless the caller says otherwise."""

_BOUND = "walk"
"""Whose walk it is need not be bound: nobody else finds it."""
_DECODER = json.JSONDecoder()
_SPACE, _COLON, _COMMA = re.compile(r"\s*"), re.compile(r"\s*:\s*"), re.compile(r"\s*,?\s*")
_TO_QUOTE = re.compile(r'[",\r\n]')


@dataclass(frozen=True)
class TemplateView(View):
    """A template."""

    id: str
    name: str


@dataclass(frozen=True)
class TemplatePage(View):
    """A page of a template's rows."""

    template: TemplateView
    read_at: datetime
    """When its rows were read from the source: those of all pages that `next` leads to."""
    offset: int
    count: int
    """How many rows are here."""
    rows: list[dict[str, Any]]
    next: str | None
    """Where the next page is; null at the end."""
    total: int | None = None
    """How many rows all pages have; only with `showTotal`."""


def written(page: Page, media_type: str, next_url: str | None, *, with_total: bool) -> bytes:
    """The page in one of ``FORMATS``."""
    if media_type == NDJSON:
        return b"".join(row + b"\n" for row in page.rows)
    if media_type == CSV:
        return "".join(_csv(page)).encode()
    head: dict[str, Any] = {
        "template": {"id": page.template.template_id, "name": page.template.name},
        "readAt": rfc3339(page.walk.begun_at),
        "offset": page.offset,
        "count": len(page.rows),
        "next": next_url,
    }
    if with_total:
        head["total"] = page.total
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    return text[:-1] + b',"rows":[' + b",".join(page.rows) + b"]}"


def _csv(page: Page) -> Iterator[str]:
    """RFC 4180, as documents of exports are: NULL is nothing, an empty text a pair of quotes."""
    yield ",".join(_field(name) for name in page.template.columns) + "\r\n"
    for row in page.rows:
        yield ",".join(_cell(value) for value in _values(row.decode())) + "\r\n"


def _values(row: str) -> Iterator[str]:
    """The values of a JSON object as they are written there, so that no digit is lost."""
    place = _past(_SPACE, row, 1)
    while row[place] != "}":
        _, place = _DECODER.raw_decode(row, place)
        start = _past(_COLON, row, place)
        _, end = _DECODER.raw_decode(row, start)
        yield row[start:end]
        place = _past(_COMMA, row, end)


def _past(what: re.Pattern[str], row: str, place: int) -> int:
    found = what.match(row, place)
    return place if found is None else found.end()


def _cell(value: str) -> str:
    if value == "null":
        return ""
    return _field(json.loads(value)) if value.startswith('"') else _field(value)


def _field(text: str) -> str:
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if not text or _TO_QUOTE.search(text) else text


def cursor_text(cursor: Cursor) -> str:
    """The cursor as callers get it; what it means is our own."""
    return cursor_behind(f"{cursor.walk_id}.{cursor.offset}", _BOUND)


def cursor_of(text: str) -> Cursor:
    """The cursor of a text. Raises InvalidCursor."""
    try:
        walk_id, _, offset = place_of(text, _BOUND).partition(".")
    except InvalidRequest:
        walk_id, offset = "", ""
    if not OPERATION_ID.fullmatch(walk_id) or not re.fullmatch(r"[0-9]{1,12}", offset, re.ASCII):
        raise InvalidCursor("The cursor is none of ours; take it from a page's next link.")
    return Cursor(walk_id, int(offset))


def fitting(count: int, size: int, most: int) -> int:
    """How many rows of a page of ``count`` rows, which takes ``size`` bytes, ``most`` can hold."""
    return max(1, int(count * most / size * 0.9))
