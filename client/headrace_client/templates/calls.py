"""The calls of templates: one page, all rows, a file of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import httpx

from headrace_client.errors import InvalidRequest, ProtocolError, ServiceError
from headrace_client.templates.model import (
    Piece,
    RowFormat,
    Selected,
    TemplateFile,
    TemplatePage,
)
from headrace_client.templates.receiving import (
    FileEvent,
    Wanted,
    received,
    unheard,
)
from headrace_client.transport import path_segment

PAGE_ROWS = 5_000
"""Rows that are asked for at once where all are wanted; fewer where so many are too large."""
_ALL = Selected()
_CONTENT_TYPES = {
    RowFormat.JSON: "application/json",
    RowFormat.CSV: "text/csv",
    RowFormat.NDJSON: "application/x-ndjson",
}


class Call(Protocol):
    """Makes an authenticated call."""

    def __call__(
        self,
        method: str,
        path: str,
        *,
        expected: tuple[int, ...] = ...,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response: ...


@dataclass(frozen=True)
class Templates:
    """The templates that are activated for the caller, as `HeadraceClient.templates` has them.

    `reader` is who reads: nobody else goes on with their walks.
    """

    _call: Call
    _api_url: str
    _reader: str

    def page(
        self,
        template_id: str,
        selected: Selected = _ALL,
        *,
        count: int | None = None,
        offset: int | None = None,
        show_total: bool = False,
        following: Mapping[str, str] | None = None,
    ) -> TemplatePage:
        """One page: the first, the one at `offset` of the caller's latest walk, or with
        `following` the one that another page's `next` is of.

        Raises NotFound, and InvalidRequest (`page_too_large`); FileExpired: the walk is over.
        """
        query = dict(following) if following is not None else selected.query()
        asked = {"count": count, "offset": offset}
        query |= {name: str(value) for name, value in asked.items() if value is not None}
        if show_total:
            query["showTotal"] = "true"
        response = self._send(template_id, RowFormat.JSON, query)
        try:
            held = json.loads(response.content, parse_float=Decimal)
        except ValueError:
            raise ProtocolError(f"The page of {template_id} is not JSON.") from None
        return TemplatePage.from_json(held, following_of(response))

    def rows(
        self,
        template_id: str,
        selected: Selected = _ALL,
        *,
        count: int = PAGE_ROWS,
    ) -> Iterator[Mapping[str, Any]]:
        """All rows of one snapshot, in the template's order, page after page as they are asked for.

        Numbers with a fraction are `decimal.Decimal`. Raises as `page` does.
        """
        for piece in self.pieces(template_id, RowFormat.NDJSON, selected, count=count):
            for line in piece.lines.splitlines():
                yield json.loads(line, parse_float=Decimal)

    def pieces(
        self,
        template_id: str,
        row_format: RowFormat,
        selected: Selected = _ALL,
        *,
        count: int = PAGE_ROWS,
        following: Mapping[str, str] | None = None,
    ) -> Iterator[Piece]:
        """Page after page as lines of CSV or NDJSON, from the first or from `following` on.

        Of JSON they are those of NDJSON, whose values are as they came. Raises as `page` does.
        """
        wire = RowFormat.CSV if row_format is RowFormat.CSV else RowFormat.NDJSON
        query = dict(following) if following is not None else selected.query()
        query.setdefault("count", str(count))
        header: bytes | None = None
        while True:
            response = self._fitting(template_id, wire, query)
            piece = _piece(response, wire)
            if header is not None and piece.rows and piece.header != header:
                raise ProtocolError(f"Two pages of {template_id} have different columns.")
            header = piece.header
            yield piece
            if piece.next is None:
                return
            if piece.next == query:
                raise ProtocolError(f"The pages of {template_id} go round in a circle.")
            query = {**piece.next, "count": query["count"]}

    def download(
        self,
        template_id: str,
        file: Path | str,
        row_format: RowFormat | None = None,
        selected: Selected = _ALL,
        *,
        count: int = PAGE_ROWS,
        one_page: bool = False,
        new: bool = False,
        listener: Callable[[FileEvent], None] = unheard,
    ) -> TemplateFile:
        """All rows of one snapshot in a file, which is seen only when it is whole.

        What an interrupted call with the same values left is gone on with, unless `new`. The
        format is that of the file's name, unless given. Raises as `page` does, LocalFileError,
        SetupError: the format is not known.
        """
        file = Path(file)
        wanted = Wanted(
            service=self._api_url,
            reader=self._reader,
            template_id=template_id,
            format=RowFormat.of(file) if row_format is None else row_format,
            query={**selected.query(), **({"count": str(count)} if one_page else {})},
            one_page=one_page,
        )

        def pieces(following: Mapping[str, str] | None) -> Iterator[Piece]:
            return self.pieces(
                template_id, wanted.format, selected, count=count, following=following
            )

        return received(wanted, file, pieces, listener, new=new)

    def _fitting(self, template_id: str, wire: RowFormat, query: dict[str, str]) -> httpx.Response:
        """A page of as many rows as fit into an answer, and no more than `query` says, where it
        is noted. It is waited for as long as more rows get ready."""
        ready = -1
        while True:
            try:
                return self._send(template_id, wire, query)
            except InvalidRequest as refusal:
                fits = refusal.members.get("fits")
                if refusal.code != "page_too_large" or not isinstance(fits, int):
                    raise
                if not 0 < fits < int(query["count"]):
                    raise
                query["count"] = str(fits)
            except ServiceError as late:
                rows = late.members.get("rows")
                if not isinstance(rows, int) or rows <= ready:
                    raise
                ready = rows

    def _send(self, template_id: str, wire: RowFormat, query: Mapping[str, str]) -> httpx.Response:
        return self._call(
            "GET",
            f"/api/ver3/services/exporttemplate/{path_segment(template_id)}",
            expected=(200,),
            params=query,
            headers={"Accept": _CONTENT_TYPES[wire]},
        )


def following_of(response: httpx.Response) -> Mapping[str, str] | None:
    """What the next page is asked for by: the query of the Link (RFC 8288).

    Only that: the next call goes to where this one went, and so does what proves who calls.
    """
    url = response.links.get("next", {}).get("url")
    if url is None:
        return None
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    if not query:
        raise ProtocolError("The link to the next page says nothing of it.")
    return query


def _piece(response: httpx.Response, wire: RowFormat) -> Piece:
    following = following_of(response)
    content = response.content
    if content and not content.endswith(b"\n"):
        raise ProtocolError("The page that came is not whole: its last line has no end.")
    if wire is RowFormat.NDJSON:
        return Piece(b"", content, content.count(b"\n"), following)
    try:
        return _csv_piece(content, following)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ProtocolError(f"The page that came cannot be read as CSV: {error}.") from None


def _csv_piece(content: bytes, following: Mapping[str, str] | None) -> Piece:
    """A quoted line break ends no row, nor the header."""
    text = content.decode()
    source = io.StringIO(text, newline="")
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(source, strict=True)
    next(reader, None)
    end = source.tell()
    header = text[:end].encode()
    rows = sum(1 for _ in reader)
    return Piece(header, content[len(header) :], rows, following)
