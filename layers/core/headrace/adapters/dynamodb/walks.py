"""Walks over templates, in the table of templates.

    pk                  sk                          holds
    walk#TENANT#NAME    walk#ID                     a walk of this reader's (``Walk``)
    walk#TENANT#NAME    latest#TEMPLATE#PARAMETERS  ``walk_id`` of the reader's latest walk of the
                                                    template with parameters of this digest

``ttl`` removes both a day after a walk has expired; no rule relies on it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from headrace.adapters.dynamodb.table import ConditionFailed, Item, Table
from headrace.kernel.clock import from_rfc3339, rfc3339
from headrace.kernel.errors import Fenced, NotFound
from headrace.templates.model import LEASE, Parameters, Reader, Walk, WalkState

_KEPT = timedelta(days=1)
_MINE = "#state = :reading AND #take = :take"


@dataclass(frozen=True)
class DynamoWalks:
    """The ``Walks`` port."""

    table: Table

    def begin(self, walk: Walk) -> None:
        """See the port."""
        latest = self.table.to_put(_latest(walk))
        self.table.transact([self._to_begin(walk), latest])

    def begin_unless_there(self, walk: Walk, since: datetime) -> Walk:
        """See the port."""
        while True:
            pointer = self.table.get(_partition(walk.reader), _latest_key(walk))
            found = None if pointer is None else self.find(walk.reader, pointer["walk_id"])
            if found is not None and found.begun_at > since and found.state is not WalkState.FAILED:
                return found
            condition, values = "attribute_not_exists(pk)", {}
            if pointer is not None:
                condition, values = "walk_id = :seen", {"seen": pointer["walk_id"]}
            latest = self.table.to_put(_latest(walk), condition, **values)
            try:
                self.table.transact([self._to_begin(walk), latest])
            except ConditionFailed:
                continue  # somebody else has begun one; if that has failed already, so again
            return walk

    def find(self, reader: Reader, walk_id: str) -> Walk | None:
        """See the port."""
        item = self.table.get(_partition(reader), f"walk#{walk_id}")
        return None if item is None else _walk(reader, item)

    def take(self, reader: Reader, walk_id: str, now: datetime) -> Walk:
        """See the port."""
        walk = self.find(reader, walk_id)
        if walk is None:
            raise NotFound("There is no such walk.")
        if walk.take and not walk.is_left(now):
            raise Fenced("The walk has ended, or another worker reads it.")
        self._update(
            walk,
            "SET #take = :next, heard_at = :now",
            # Another worker may have been heard of since it was looked at.
            f"{_MINE} AND (attribute_not_exists(heard_at) OR heard_at <= :left)",
            next=walk.take + 1,
            now=rfc3339(now),
            left=rfc3339(now - LEASE),
        )
        return replace(walk, take=walk.take + 1, heard_at=now)

    def fix(self, walk: Walk, version: str | None) -> Walk:
        """See the port."""
        if version is None:
            return replace(walk, series=walk.take)
        self._update(walk, "SET #version = :version", _MINE, version=version)
        return replace(walk, version=version)

    def grow(self, walk: Walk, rows: int, now: datetime) -> None:
        """See the port."""
        self._update(
            walk,
            "SET #rows = :rows, heard_at = :now, #series = :series",
            f"{_MINE} AND #rows <= :rows",
            rows=rows,
            now=rfc3339(now),
            series=walk.series,
        )

    def complete(self, walk: Walk, rows: int) -> None:
        """See the port."""
        self._update(
            walk,
            "SET #state = :complete, #rows = :rows, #series = :series",
            f"{_MINE} AND #rows <= :rows",
            complete=str(WalkState.COMPLETE),
            rows=rows,
            series=walk.series,
        )

    def fail(self, walk: Walk, code: str) -> None:
        """See the port."""
        self._update(
            walk,
            "SET #state = :failed, failure = :code",
            _MINE,
            failed=str(WalkState.FAILED),
            code=code,
        )

    def _to_begin(self, walk: Walk) -> Item:
        return self.table.to_put(_item(walk), "attribute_not_exists(pk)")

    def _update(self, walk: Walk, update: str, condition: str, **values: Any) -> None:
        """Changes the walk, as long as it is read, and by the worker that has it so."""
        pk, sk = _partition(walk.reader), f"walk#{walk.walk_id}"
        values |= {"reading": str(WalkState.READING), "take": walk.take}
        try:
            self.table.update(pk, sk, update, condition, **values)
        except ConditionFailed:
            raise Fenced("The walk has ended, or another worker reads it.") from None


def _partition(reader: Reader) -> str:
    return f"walk#{reader.tenant}#{quote(reader.name, safe='@')}"


def _latest_key(walk: Walk) -> str:
    return f"latest#{walk.template_id}#{walk.parameters.digest}"


def _forgotten(walk: Walk) -> int:
    return int((walk.expires_at + _KEPT).timestamp())


def _latest(walk: Walk) -> Item:
    return {
        "pk": _partition(walk.reader),
        "sk": _latest_key(walk),
        "walk_id": walk.walk_id,
        "ttl": _forgotten(walk),
    }


def _item(walk: Walk) -> Item:
    since = walk.parameters.since
    return {
        "pk": _partition(walk.reader),
        "sk": f"walk#{walk.walk_id}",
        "walk_id": walk.walk_id,
        "template_id": walk.template_id,
        "since": None if since is None else since.isoformat(),
        "include_anonymised": walk.parameters.include_anonymised,
        "catalog_version": walk.catalog_version,
        "begun_at": rfc3339(walk.begun_at),
        "state": str(walk.state),
        "rows": walk.rows,
        "failure": walk.failure,
        "take": walk.take,
        "version": walk.version,
        "heard_at": None if walk.heard_at is None else rfc3339(walk.heard_at),
        "series": walk.series,
        "ttl": _forgotten(walk),
    }


def _walk(reader: Reader, item: Item) -> Walk:
    since, heard_at = item.get("since"), item.get("heard_at")
    return Walk(
        walk_id=item["walk_id"],
        reader=reader,
        template_id=item["template_id"],
        parameters=Parameters(
            None if since is None else datetime.fromisoformat(since), item["include_anonymised"]
        ),
        catalog_version=item["catalog_version"],
        begun_at=from_rfc3339(item["begun_at"]),
        state=WalkState(item["state"]),
        rows=item["rows"],
        failure=item.get("failure"),
        take=item["take"],
        version=item.get("version"),
        heard_at=None if heard_at is None else from_rfc3339(heard_at),
        series=item.get("series", 0),
    )
