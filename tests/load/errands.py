"""What clients of the API do in a day, each call of it timed."""

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.load.seen import Seen
from tests.system.deployed import ACTIVE, Integrator, Json, Person

LONGEST_S = 900.0
"""An operation that has not ended by then counts as stuck."""

_FIRST_LOOK_S, _LATER, _RAREST_LOOK_S = 2.0, 1.5, 15.0
"""How long a client waits before it asks for a status: each time longer, up to so long."""

_ASKED_AGAIN = 20

type Errand = Callable[["Visitor"], Awaitable[None]]


class Wrong(Exception):
    """An answer that ends the errand; the message is for the report."""


@dataclass
class Visitor:
    """Somebody who calls the API: a client, or a person who logs in."""

    http: httpx.AsyncClient
    seen: Seen
    who: Integrator | Person
    kind: str
    token: str = ""
    sync_version: str = ""
    operations: list[str] = field(default_factory=list)

    @property
    def client(self) -> Integrator:
        """The client that it is."""
        assert isinstance(self.who, Integrator)
        return self.who

    async def does(self, errand: Errand) -> None:
        """Runs the errand to its end, and notes how it went."""
        begun = time.perf_counter()
        try:
            await errand(self)
        except (Wrong, httpx.HTTPError) as wrong:
            self.seen.wrong.append(f"{self.kind}: {wrong!r}")
        else:
            name = (errand.__doc__ or "").splitlines()[0].rstrip(".").lower()
            self.seen.whole[f"{self.kind}: {name}"].append(time.perf_counter() - begun)

    async def call(
        self, endpoint: str, path: str, *expected: int, **options: Any
    ) -> httpx.Response:
        """One call; ``endpoint`` is its method and path as the table shows them. Raises Wrong."""
        method = endpoint.partition(" ")[0]
        if self.token and "auth" not in options:
            headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
            options["headers"] = headers
        begun = time.perf_counter()
        reply = await self.http.request(method, self.who.platform.api_url + path, **options)
        problem = ""
        if reply.status_code >= 400 and "json" in reply.headers.get("Content-Type", ""):
            told = reply.json()
            problem = str(told.get("code") or told.get("error") or "")
        taken = time.perf_counter() - begun
        self.seen.answered(endpoint, taken, reply.status_code, problem)
        if reply.status_code not in (expected or (200,)):
            raise Wrong(f"{endpoint} answered {reply.status_code}: {reply.text[:200]}")
        if reply.status_code == 429 and not reply.headers.get("Retry-After", "").isdigit():
            raise Wrong(f"{endpoint} answered 429 without Retry-After")
        return reply


# --- identity ---------------------------------------------------------------------------------


async def get_token(visitor: Visitor) -> None:
    """A token."""
    form = {"grant_type": "client_credentials", "tenant_id": visitor.client.tenant}
    auth = (visitor.client.client_id, visitor.client.client_secret)
    reply = await visitor.call("POST /connect/token", "/connect/token", data=form, auth=auth)
    visitor.token = reply.json()["access_token"]


async def turn_over_token(visitor: Visitor) -> None:
    """A token had, looked at and given up."""
    await get_token(visitor)
    auth = (visitor.client.client_id, visitor.client.client_secret)
    form = {"token": visitor.token}
    for wanted, endpoint in ((True, "introspect"), (None, "revoke"), (False, "introspect")):
        path = f"/connect/{endpoint}"
        reply = await visitor.call(f"POST {path}", path, data=form, auth=auth)
        if wanted is not None and reply.json()["active"] is not wanted:
            raise Wrong(f"a token is active: {reply.text}")
    visitor.token = ""
    await visitor.call("GET /.well-known/jwks.json", "/.well-known/jwks.json")


async def log_in(visitor: Visitor) -> None:
    """A login."""
    person = visitor.who
    assert isinstance(person, Person)
    path, body = "/api/ver3/auth/login", {"username": person.username, "password": person.password}
    reply = await visitor.call(f"POST {path}", path, json=body)
    visitor.token = reply.json()["access_token"]


# --- exports ----------------------------------------------------------------------------------


async def look_around(visitor: Visitor) -> None:
    """What there is to export, and what was exported."""
    if not visitor.token:
        await get_token(visitor)
    await visitor.call("GET /data/v1/metadata", "/data/v1/metadata")
    await visitor.call("GET /data/v1/operations", "/data/v1/operations")


async def export(visitor: Visitor) -> None:
    """A full export, verified."""
    if not visitor.token:
        await get_token(visitor)
    await _taken(visitor, "fulldata", {"fileFormat": "csv", "compression": "gzip"})


async def export_increment(visitor: Visitor) -> None:
    """A full export and later increments, verified."""
    if not visitor.token:
        await get_token(visitor)
    if visitor.sync_version:
        body = {"fileFormat": "ndjson", "syncVersion": visitor.sync_version}
        manifest = await _taken(visitor, "incrementals", body)
    else:
        manifest = await _taken(visitor, "fulldata", {"fileFormat": "ndjson"})
    visitor.sync_version = manifest["syncVersion"]


async def start_too_many(visitor: Visitor) -> None:
    """An export, and one more than the day allows."""
    if not visitor.token:
        await get_token(visitor)
    if not visitor.operations:
        await export(visitor)
    endpoint = "POST /data/v1/fulldata"
    await visitor.call(endpoint, "/data/v1/fulldata", 429, json={"fileFormat": "csv"})


async def _taken(visitor: Visitor, of: str, body: Json) -> Json:
    """An operation from its start to its last document; its manifest."""
    key = {"Idempotency-Key": secrets.token_hex(16)}
    path = f"/data/v1/{of}"
    reply = await visitor.call(f"POST {path}", path, 202, json=body, headers=key)
    operation: Json = reply.json()
    operation_id = operation["operationId"]
    visitor.operations.append(operation_id)
    deadline, pause = time.monotonic() + LONGEST_S, _FIRST_LOOK_S
    while operation["status"] in ACTIVE:
        if time.monotonic() > deadline:
            raise Wrong(f"{operation_id} is stuck: {json.dumps(operation)[:300]}")
        await asyncio.sleep(pause)
        pause = min(pause * _LATER, _RAREST_LOOK_S)
        reply = await visitor.call(
            f"GET {path}/{{operationId}}/status", f"{path}/{operation_id}/status"
        )
        operation = reply.json()
    if operation["status"] != "succeeded":
        raise Wrong(f"{operation_id} {operation['status']}: {operation.get('error')}")
    manifest = await visitor.call(
        "GET /data/v1/operations/{operationId}/manifest",
        f"/data/v1/operations/{operation_id}/manifest",
    )
    told: Json = manifest.json()
    for document in told["files"]:
        await _verified(visitor, document)
    return told


async def _verified(visitor: Visitor, document: Json) -> None:
    """Downloads a document, whose parts are those of the manifest. Raises Wrong."""
    reply = await visitor.call(
        "GET /data/v1/jobs/{jobId}", f"/data/v1/jobs/{document['jobId']}", 303
    )
    begun = time.perf_counter()
    got = await visitor.http.get(reply.headers["Location"])
    visitor.seen.answered("GET (S3) document", time.perf_counter() - begun, got.status_code, "")
    if len(got.content) != document["bytes"]:
        raise Wrong(f"a document has {len(got.content)} bytes: {document}")
    for part in document["parts"]:
        piece = got.content[part["offset"] : part["offset"] + part["bytes"]]
        if hashlib.sha256(piece).hexdigest() != part["sha256"]:
            raise Wrong(f"part {part} of {document['jobId']} has another digest")


# --- templates and profiles -------------------------------------------------------------------


async def read_pages(visitor: Visitor) -> None:
    """Three pages of a template."""
    await log_in(visitor)
    path = "/api/ver3/services/exporttemplate"
    for offset in (0, 200, 400):
        reply = await visitor.call(
            f"GET {path}/{{templateId}}",
            f"{path}/persons",
            200,
            503,
            params={"count": 200, "offset": offset},
        )
        for _ in range(_ASKED_AGAIN):
            if reply.status_code == 200:
                break
            # The rows are being read for all pages: docs/templates.md has callers ask again.
            await asyncio.sleep(int(reply.headers["Retry-After"]))
            reply = await visitor.call(
                f"GET {path}/{{templateId}}",
                f"{path}/persons",
                200,
                503,
                params={"count": 200, "offset": offset},
            )
        if reply.status_code != 200:
            raise Wrong(f"a page is not there after {_ASKED_AGAIN} times")
        if reply.json()["count"] != 200:
            raise Wrong(f"a page has {reply.json()['count']} rows")


def push_profiles(organisation: str) -> Errand:
    """Pushes into the tenant that has this organisation's id."""

    def body(number: str) -> Json:
        return {
            "tenantId": organisation,
            "syncId": f"load-{number}",
            "givenName": "Emil",
            "familyName": "Zátopek",
            "dateOfBirth": "1998-09-19",
        }

    async def push(visitor: Visitor) -> None:
        """Profiles pushed, one and many, and one found."""
        if not visitor.token:
            await get_token(visitor)
        number = secrets.token_hex(8)
        await visitor.call("POST /profiles/import", "/profiles/import", 204, json=body(number))
        lines = "\n".join(json.dumps(body(f"{number}-{n}")) for n in range(20))
        reply = await visitor.call(
            "POST /profiles/import/batch", "/profiles/import/batch", content=lines
        )
        told = [json.loads(line) for line in reply.text.splitlines()]
        if {one["outcome"] for one in told} != {"created"} or len(told) != 20:
            raise Wrong(f"a batch was not taken: {reply.text[:300]}")
        query = {"TenantId": organisation, "SyncId": f"load-{number}"}
        await visitor.call("GET /profiles", "/profiles", params=query)

    return push
