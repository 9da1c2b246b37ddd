"""A service that takes profiles, to test the client against."""

from __future__ import annotations

import json
from typing import Any

from tests.component.client.service import Answer, ApiRequest, Service

ORGANISATION = "5f1c1b9e-4a0e-4d3b-9a55-0a3b1f6f2c11"


class PushedService(Service):
    """The service; a context manager. A line without a family name is refused."""

    def __init__(self) -> None:
        super().__init__({})
        self.profiles: dict[str, dict[str, Any]] = {}
        """By sync id."""
        self.fits: list[int] = []
        """So many lines are taken of the next batches, and the others left unfinished."""
        self.page = 100
        """Profiles of an answer."""

    def _route(self, request: ApiRequest) -> Answer:
        if (request.method, request.path) == ("GET", "/tenants"):
            one = {"id": ORGANISATION, "name": "Northwind", "region": None, "baseUrl": None}
            return Answer(200, {"tenants": [one]})
        if (request.method, request.path) == ("POST", "/profiles/import/batch"):
            return self._batch(request)
        if (request.method, request.path) == ("GET", "/profiles"):
            return self._search(request)
        return super()._route(request)

    def _batch(self, request: ApiRequest) -> Answer:
        lines = [json.loads(line) for line in request.body.splitlines()]
        fits = self.fits.pop(0) if self.fits else len(lines)
        told = [
            {"line": number, **(self._take(line) if number <= fits else _UNFINISHED)}
            for number, line in enumerate(lines, 1)
        ]
        body = "".join(f"{json.dumps(one)}\n" for one in told)
        headers = {"Content-Type": "application/x-ndjson"}
        return Answer(200, None, headers, content=body.encode())

    def _take(self, line: dict[str, Any]) -> dict[str, Any]:
        sync_id = line["syncId"]
        if "familyName" not in line:
            errors = {"FamilyName": ["Field required"]}
            return {"outcome": "refused", "syncId": sync_id, "profileId": None, "errors": errors}
        known = self.profiles.get(sync_id)
        outcome = "created" if known is None else "unchanged" if known == line else "changed"
        self.profiles[sync_id] = line
        return {"outcome": outcome, "syncId": sync_id, "profileId": f"p-{sync_id}", "errors": {}}

    def _search(self, request: ApiRequest) -> Answer:
        wanted, first = request.query.get("SyncId"), int(request.query.get("Cursor", "0"))
        found = [
            {"profileId": f"p-{sync_id}", "groupIds": [], **one}
            for sync_id, one in sorted(self.profiles.items())
            if wanted in {None, sync_id}
        ]
        page, left = found[first : first + self.page], len(found) > first + self.page
        if not page:
            return Answer(204)
        return Answer(200, {"profiles": page, "next": str(first + self.page) if left else None})


_UNFINISHED: dict[str, Any] = {
    "outcome": "unfinished",
    "syncId": None,
    "profileId": None,
    "errors": {},
}
