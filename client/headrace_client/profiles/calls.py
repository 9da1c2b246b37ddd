"""The calls of profiles: push many, find them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import batched
from typing import Any, Protocol
from urllib.parse import urlencode

import httpx

from headrace_client.errors import ProtocolError
from headrace_client.transport import json_object

type Document = Mapping[str, Any]

IN_A_CALL = 1_000
"""Profiles that are pushed at once; the service takes 10,000, and this shows how far it is."""
_TRIES = 20
_PAGE_SIZE = "100"


class Call(Protocol):
    """Makes an authenticated call."""

    def __call__(
        self,
        method: str,
        path: str,
        *,
        expected: tuple[int, ...] = ...,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response: ...


@dataclass(frozen=True)
class Pushed:
    """What came of a profile. `outcome`: created, changed, unchanged, refused, or unfinished: the
    service found no time for it, however often it was asked.

    `number` is its place among those that were pushed, from 1; `errors`: what is wrong with each
    field, of a refused one.
    """

    number: int
    outcome: str
    sync_id: str | None
    profile_id: str | None
    errors: Mapping[str, tuple[str, ...]]


class Profiles:
    """The profiles of tenants, as `HeadraceClient.profiles` has them.

    A tenant is named by its organisation id. To push a profile again changes nothing, so all of it
    may be repeated.
    """

    def __init__(self, call: Call, api_url: str) -> None:
        self._call = call
        self._api_url = api_url

    def tenants(self) -> tuple[Document, ...]:
        """Those that the caller may name: `id`, `name`, `region`, `baseUrl`."""
        return tuple(json_object(self._call("GET", "/tenants")).get("tenants", ()))

    def push(self, profiles: Iterable[Document]) -> Iterator[Pushed]:
        """Push profiles, as their documents say; what came of each, part by part.

        Raises AccessDenied: the caller may not push to the tenant of one of them.
        """
        for part in batched(enumerate(profiles, 1), IN_A_CALL, strict=False):
            yield from self._pushed(dict(part))

    def search(self, tenant_id: str, **wanted: str | None) -> Iterator[Document]:
        """The profiles that fit: `sync_id`, `external_id`, `group_id`, `modified_from_utc`."""
        names = {name: "".join(w.capitalize() for w in name.split("_")) for name in wanted}
        given = {names[name]: value for name, value in wanted.items() if value is not None}
        query = {"TenantId": tenant_id, "PageSize": _PAGE_SIZE, **given}
        while True:
            reply = self._call("GET", "/profiles", expected=(200, 204), params=query)
            if reply.status_code == 204:
                return
            page = json_object(reply)
            yield from page["profiles"]
            if not page.get("next"):
                return
            if page["next"] == query.get("Cursor"):
                raise ProtocolError("The service's list of profiles goes round in a circle.")
            query["Cursor"] = page["next"]

    def redirect_url(self, tenant_id: str, sync_id: str) -> str:
        """Where a button leads a user to the profile in the tenant's hub."""
        return f"{self._api_url}/redirect?{urlencode({'tenantId': tenant_id, 'syncId': sync_id})}"

    def _pushed(self, left: dict[int, Document]) -> list[Pushed]:
        """What came of these, by their numbers; those that the service had no time for again."""
        done: dict[int, Pushed] = {}
        for _ in range(_TRIES):
            numbers = list(left)
            for number, line in zip(numbers, self._batch(list(left.values())), strict=True):
                done[number] = _told(number, line)
                if done[number].outcome != "unfinished":
                    del left[number]
            if not left:
                break
        return [done[number] for number in sorted(done)]

    def _batch(self, profiles: list[Document]) -> list[Document]:
        lines = (json.dumps(one, ensure_ascii=False) for one in profiles)
        reply = self._call(
            "POST",
            "/profiles/import/batch",
            expected=(200,),
            content="\n".join(lines).encode(),
            headers={"Content-Type": "application/x-ndjson"},
        )
        told = [json.loads(line) for line in reply.text.splitlines() if line]
        if len(told) != len(profiles):
            raise ProtocolError(
                f"The service told of {len(told)} profiles, and {len(profiles)} were pushed."
            )
        return told


def _told(number: int, line: Document) -> Pushed:
    return Pushed(
        number,
        str(line["outcome"]),
        line.get("syncId"),
        line.get("profileId"),
        {name: tuple(said) for name, said in (line.get("errors") or {}).items()},
    )
