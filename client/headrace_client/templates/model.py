"""What a template's rows are asked for by, and what the service answers, as frozen dataclasses.

As in `headrace_client.model`, `from_json` demands what the client relies on and ignores the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from headrace_client.errors import ProtocolError, SetupError
from headrace_client.model import Document


class RowFormat(StrEnum):
    """How rows are written."""

    JSON = "json"
    CSV = "csv"
    NDJSON = "ndjson"

    @classmethod
    def of(cls, file: Path) -> RowFormat:
        """That of a file's name. Raises SetupError."""
        suffix = file.suffix.lower().removeprefix(".").replace("jsonl", "ndjson")
        if suffix not in list(cls):
            raise SetupError(
                f"{file} does not say of which format it is to be: name it .json, .csv or .ndjson, "
                "or give the format (--format)."
            )
        return cls(suffix)


@dataclass(frozen=True)
class Selected:
    """Which rows of a template: those changed on or after `since`, and persons who were made
    anonymous or not."""

    since: date | datetime | None = None
    include_anonymised: bool = False

    def query(self) -> dict[str, str]:
        """As the service names them."""
        wanted = {} if self.since is None else {"date": self.since.isoformat()}
        return wanted | ({"includeAnonymized": "true"} if self.include_anonymised else {})


@dataclass(frozen=True)
class TemplatePage:
    """One page of a template's rows; all pages of a walk show what was there at `read_at`.

    `next` is what the next page is asked for by, None after the last. Numbers with a fraction are
    `decimal.Decimal`, so that none changes.
    """

    template_id: str
    name: str
    read_at: datetime | None
    offset: int
    rows: tuple[Mapping[str, Any], ...]
    total: int | None
    next: Mapping[str, str] | None

    @classmethod
    def from_json(cls, held: object, following: Mapping[str, str] | None) -> TemplatePage:
        """Read the reply of GET …/exporttemplate/{id}."""
        doc = Document(held, "page of a template")
        about = Document(doc.get("template"), "page's template")
        return cls(
            template_id=about.text("id"),
            name=about.text("name"),
            read_at=doc.time_or_none("readAt"),
            offset=doc.count("offset"),
            rows=tuple(_row(one) for one in doc.documents("rows")),
            total=doc.count_or_none("total"),
            next=following,
        )


@dataclass(frozen=True)
class Piece:
    """The rows of one page as they are written: whole lines, of CSV without the header that each
    page begins with. `next` as of a page."""

    header: bytes
    lines: bytes
    rows: int
    next: Mapping[str, str] | None


@dataclass(frozen=True)
class TemplateFile:
    """A file with all rows of a walk, or one page of it: then there may be more. `resumed`: so
    many of the rows were there before."""

    template_id: str
    path: Path
    format: RowFormat
    rows: int
    bytes: int
    resumed: int
    has_more: bool = False


def _row(held: object) -> Mapping[str, Any]:
    if not isinstance(held, dict):
        raise ProtocolError("The service's page has a row that is not a JSON object.")
    return held
