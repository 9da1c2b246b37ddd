"""`headrace template`: the rows of a template that the operator activated."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from headrace_client.client import HeadraceClient
from headrace_client.command.outcome import (
    Common,
    Exit,
    Printer,
    Stopped,
    answer,
    interruptible,
)
from headrace_client.command.template_display import rows_display
from headrace_client.errors import SetupError, printable
from headrace_client.templates.calls import PAGE_ROWS
from headrace_client.templates.model import RowFormat, Selected, TemplateFile
from headrace_client.templates.writing import written

_NO_OPTIONS = Common()
_PAGE_ROWS = 500
_MORE = "The template has more rows than this page; --all reads all of them."
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)

Switch = Annotated[bool, Parameter(negative="")]


def template(
    template_id: str,
    /,
    *,
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False,
    to: Path | None = None,
    format: RowFormat | None = None,
    since: str | None = None,
    include_anonymized: Switch = False,
    count: Annotated[int | None, Parameter(validator=Number(gte=1, lte=10_000))] = None,
    new: Switch = False,
    common: Common = _NO_OPTIONS,
) -> int:
    """Print the rows of a template, or put them into a file.

    Without --all the first page is read. All pages that a command reads show what was there when
    it began, whatever changes meanwhile. A file is seen when it is whole; after a kill the same
    command goes on with it.

    Parameters
    ----------
    template_id
        The template's id, as the operator has told you.
    all_
        Read page after page, to the last.
    to
        Put the rows into this file, and print how many there are.
    format
        json (one array), csv or ndjson; as the file is called unless given, else json.
    since
        Only rows on or after this day or time: 2026-01-31, 2026-01-31T12:00:00Z.
    include_anonymized
        Also persons who were made anonymous.
    count
        Rows of a page; 500 unless given, with --all 5,000.
    new
        Begin anew where an unfinished file is left.
    """
    rows = count or (PAGE_ROWS if all_ else _PAGE_ROWS)

    def work(client: HeadraceClient, printer: Printer) -> Exit:
        wanted = _Rows(template_id, format, _selected(since, include_anonymized), rows, not all_)
        if to is not None:
            return wanted.into(to, client, printer, new=new)
        if new:
            raise SetupError("--new is for a file: name it with --to.")
        if common.json and format not in (None, RowFormat.JSON):
            raise SetupError(
                "--json prints one document: leave --format out, or write --to a file."
            )
        return wanted.printed(client, printer)

    return interruptible(common, lambda: answer(common, work), lambda: Stopped(None))


@dataclass(frozen=True)
class _Rows:
    """What is wanted of a template, `count` rows a page."""

    template_id: str
    format: RowFormat | None
    selected: Selected
    count: int
    one_page: bool

    def into(self, file: Path, client: HeadraceClient, printer: Printer, *, new: bool) -> Exit:
        """Put them into a file, and print how many there are."""
        with rows_display(printer.common, printer.err) as shown:
            made = client.templates.download(
                self.template_id,
                file,
                self.format,
                self.selected,
                count=self.count,
                one_page=self.one_page,
                new=new,
                listener=shown,
            )
        said = f"{made.path}: {made.rows:,} rows, {made.bytes:,} bytes"
        printer.result(_document(made), lambda out: out.print(printable(said), markup=False))
        if made.has_more:
            printer.note(_MORE)
        return Exit.OK

    def printed(self, client: HeadraceClient, printer: Printer) -> Exit:
        """Print them, each page as it comes."""
        row_format = self.format or RowFormat.JSON
        pieces = client.templates.pieces(
            self.template_id, row_format, self.selected, count=self.count
        )
        if self.one_page:
            pieces = islice(pieces, 1)
        rows, first, more = 0, True, False
        for piece in pieces:
            more = piece.next is not None
            last = self.one_page or not more
            sys.stdout.buffer.write(written(row_format, piece, rows, first=first, last=last))
            rows, first = rows + piece.rows, False
        sys.stdout.buffer.flush()
        if more:
            printer.note(_MORE)
        return Exit.OK


def _selected(since: str | None, include_anonymised: bool) -> Selected:
    """What was asked for. Raises SetupError."""
    try:
        if since is None:
            moment: date | datetime | None = None
        elif _DAY.fullmatch(since):
            moment = date.fromisoformat(since)
        else:
            moment = datetime.fromisoformat(since)
    except ValueError:
        raise SetupError(
            f"{printable(since or '', 100)!r} is no day or time: 2026-01-31, 2026-01-31T12:00:00Z."
        ) from None
    return Selected(moment, include_anonymised)


def _document(made: TemplateFile) -> dict[str, Any]:
    return {
        "template": made.template_id,
        "path": str(made.path.resolve()),
        "format": made.format,
        "rows": made.rows,
        "bytes": made.bytes,
        "resumedRows": made.resumed,
    }
