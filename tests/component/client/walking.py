"""A Headrace service with a template: walks show one snapshot, page by page."""

from __future__ import annotations

import csv
import io
import json
import re
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.component.client.service import Answer, ApiRequest, Service, problem

TEMPLATE = "persons"
COLUMNS = ("id", "name", "score")


def persons(count: int) -> list[str]:
    """Rows as the service writes them: texts that are quoted in CSV, decimals with their scale."""
    return [
        f'{{"id":{number},"name":{json.dumps(name(number), ensure_ascii=False)},'
        f'"score":{number}.{number % 10}0}}'
        for number in range(count)
    ]


def name(number: int) -> str:
    """Of a person; some have line breaks and quotes."""
    return f'Åsa "{number}"\nof Lund' if number % 7 == 0 else f"Person {number}"


def as_csv(rows: list[str]) -> bytes:
    """The rows as a document of CSV."""
    made = io.StringIO(newline="")
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(json.loads(row, parse_float=str).values())
    return made.getvalue().encode()


def as_ndjson(rows: list[str]) -> bytes:
    """The rows as a document of NDJSON."""
    return "".join(f"{row}\n" for row in rows).encode()


@dataclass(frozen=True)
class Walk:
    """Rows as they were when it began, and which of them were asked for."""

    rows: tuple[str, ...]
    asked: dict[str, str]


class WalkingService(Service):
    """The service; a context manager."""

    def __init__(self, rows: list[str]) -> None:
        super().__init__({})
        self.people = rows
        """What the source has now; a walk has what it had then."""
        self.page_fits = 10_000
        """Rows that fit into an answer."""
        self.walks: dict[str, Walk] = {}
        self.ready: list[int] = []
        """Rows that are ready at the next calls, which are fewer than these want."""

    def pages(self) -> list[ApiRequest]:
        """The calls for pages."""
        return self.calls("GET", f"/exporttemplate/{TEMPLATE}")

    def end_walks(self) -> None:
        """No page of the walks so far can be had any more."""
        with self.lock:
            self.walks.clear()

    def _route(self, request: ApiRequest) -> Answer:
        found = re.fullmatch("/api/ver3/services/exporttemplate/([^/]+)", request.path)
        if found is None:
            return super()._route(request)
        if found[1] != TEMPLATE:
            return problem(404, "not_found", "There is no such template.")
        count = int(request.query.get("count", "500"))
        if self.ready:
            said = "The rows are read at this moment."
            return problem(503, "unavailable", said, {"Retry-After": "0"}, rows=self.ready.pop(0))
        if count > self.page_fits:
            said = f"So many rows are too large; {self.page_fits} fit."
            return problem(422, "page_too_large", said, fits=self.page_fits)
        if "cursor" not in request.query:
            walk_id, offset = uuid.uuid4().hex, int(request.query.get("offset", "0"))
            asked = {
                key: value for key, value in request.query.items() if key not in ("count", "offset")
            }
            self.walks[walk_id] = Walk(tuple(self.people), asked)
        else:
            walk_id, _, at = request.query["cursor"].partition(".")
            offset = int(at)
            if walk_id not in self.walks:
                return problem(410, "cursor_expired", "The walk is over.")
        return self._page(request, walk_id, offset, count)

    def _page(self, request: ApiRequest, walk_id: str, offset: int, count: int) -> Answer:
        all_rows = self.walks[walk_id].rows
        rows = list(all_rows[offset : offset + count])
        headers, following = {}, None
        if offset + count < len(all_rows):
            cursor = {"cursor": f"{walk_id}.{offset + count}", "count": str(count)}
            # An address that is not the client's, as behind a proxy: nothing is to go there.
            following = f"https://elsewhere.example.com{request.path}?{urlencode(cursor)}"
            headers["Link"] = f'<{following}>; rel="next"'
        accepted = request.headers["accept"]
        if accepted == "text/csv":
            return Answer(200, None, headers | {"Content-Type": accepted}, content=as_csv(rows))
        if accepted == "application/x-ndjson":
            return Answer(200, None, headers | {"Content-Type": accepted}, content=as_ndjson(rows))
        about: dict[str, Any] = {
            "template": {"id": TEMPLATE, "name": "Persons"},
            "readAt": "2026-11-26T11:00:00.000000Z",
            "offset": offset,
            "count": len(rows),
            "rows": [],
            "next": following,
        }
        if request.query.get("showTotal") == "true":
            about["total"] = len(all_rows)
        text = json.dumps(about).replace('"rows": []', f'"rows": [{",".join(rows)}]')
        kind = {"Content-Type": "application/json"}
        return Answer(200, None, headers | kind, content=text.encode())
