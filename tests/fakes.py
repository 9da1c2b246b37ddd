"""Fakes of ports, for tests that are about something else."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise

from headrace.exports.model import Compression, FileFormat, Operation, QuotaRule
from headrace.exports.slices import PartPosition, RowRange, TableRange
from headrace.exports.sources import (
    ChangeWindow,
    Configuration,
    SharedAccounts,
    Source,
    Table,
    VersionPlace,
)
from headrace.exports.warehouses import HeldSnapshot, SourceColumn
from headrace.exports.webhooks import Delivery, Endpoint
from headrace.identity.model import BoundCertificate, IssuedCertificate
from headrace.kernel.clock import Clock
from headrace.kernel.errors import (
    Conflict,
    Fenced,
    HeadraceError,
    IncrementsUnavailable,
    NotFound,
    SourceChanged,
    SyncIdTaken,
    Unavailable,
)
from headrace.profiles.model import Profile
from tests.builders import a_configuration, a_rule, a_source


@dataclass
class FakeConfigurations:
    """A published catalog in memory; ``publish`` makes the next version."""

    versions: list[tuple[Configuration, ...]] = field(
        default_factory=lambda: [(a_configuration(),)]
    )
    rule: QuotaRule = field(default_factory=a_rule)
    key: str | None = None
    webhooks: tuple[Endpoint, ...] = ()
    origin: Source = field(default_factory=a_source)

    def publish(self, *configurations: Configuration) -> None:
        """Makes these the current ones."""
        self.versions.append(configurations)

    def find(
        self, tenant: str, client_id: str, configuration_id: str | None
    ) -> tuple[int, Configuration]:
        """See the port."""
        for one in self.versions[-1]:
            wanted = one.default if configuration_id is None else True
            named = configuration_id in (None, one.configuration_id)
            if (one.tenant, one.client_id) == (tenant, client_id) and wanted and named:
                return len(self.versions), one
        raise NotFound("There is no such configuration.")

    def at(self, version: int, tenant: str, client_id: str, configuration_id: str) -> Configuration:
        """See the port."""
        for one in self.versions[version - 1]:
            if one.configuration_id == configuration_id and one.tenant == tenant:
                return one
        raise NotFound("There is no such configuration.")

    def source(self, version: int, name: str) -> Source:
        """See the port."""
        return replace(self.origin, name=name)

    def quota_rule(self, tenant: str, client_id: str) -> QuotaRule:
        """See the port."""
        return self.rule

    def kms_key(self, tenant: str) -> str | None:
        """See the port."""
        return self.key

    def endpoints(self, tenant: str, client_id: str) -> tuple[Endpoint, ...]:
        """See the port: the webhooks are those of ``bureau`` for ``north``."""
        return self.webhooks if (tenant, client_id) == ("north", "bureau") else ()


@dataclass
class FakeWorkflows:
    """Remembers what was started; ``executions`` maps execution names to whether they run."""

    executions: dict[str, bool] = field(default_factory=dict)

    def start(self, operation: Operation) -> None:
        """See the port."""
        self.executions.setdefault(operation.execution_name, True)

    def stop(self, operation: Operation) -> None:
        """See the port."""
        if operation.execution_name in self.executions:
            self.executions[operation.execution_name] = False

    def is_running(self, operation: Operation) -> bool | None:
        """See the port."""
        return self.executions.get(operation.execution_name)


@dataclass
class FakeDeliveryRuns:
    """Remembers which deliveries were begun; ``executions`` as ``FakeWorkflows``.

    ``silent``: the service does not answer.
    """

    executions: dict[str, bool] = field(default_factory=dict)
    silent: bool = False

    def start(self, delivery: Delivery) -> None:
        """See the port."""
        if self.silent:
            raise Unavailable("busy")
        self.executions.setdefault(delivery.execution_name, True)

    def is_running(self, delivery: Delivery) -> bool | None:
        """See the port."""
        return self.executions.get(delivery.execution_name)


@dataclass
class FakeCourier:
    """Endpoints that answer what a test says, in turn, and then 200; ``sent`` is what came."""

    answers: list[int | HeadraceError] = field(default_factory=list)
    sent: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """See the port."""
        self.sent.append((url, body, dict(headers)))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, HeadraceError):
            raise answer
        return answer


@dataclass
class FakeStream:
    """Rows as NDJSON lines, cut into chunks of one line."""

    lines: list[bytes]
    rows: int = 0

    @property
    def rows_so_far(self) -> int:
        """See the port."""
        return self.rows

    def __iter__(self) -> Iterator[bytes]:
        for line in self.lines:
            self.rows += 1
            yield line


@dataclass
class FakeWarehouse:
    """Tables of numbered rows of ``row_bytes`` each, at snapshots that may be dropped."""

    rows: dict[str, int] = field(default_factory=lambda: {"main.employees": 3, "main.absences": 2})
    snapshot: int = 7
    dropped: set[str] = field(default_factory=set)
    row_bytes: int = 20
    ranges: int = 1
    failure: Exception | None = None

    def current_version(self, source: Source) -> str:
        """See the port."""
        return str(self.snapshot)

    def holds_version(self, source: Source, version: str) -> bool:
        """See the port."""
        return version not in self.dropped

    def tables(self, source: Source) -> tuple[str, ...]:
        """See the port."""
        return tuple(self.rows)

    def describe(self, source: Source, table: str) -> tuple[SourceColumn, ...]:
        """See the port."""
        return ()

    def count(self, source: Source, version: str, table: Table) -> int:
        """See the port."""
        return self.rows[table.source]

    def plan(
        self,
        source: Source,
        version: str,
        table: Table,
        file_format: FileFormat,
        *,
        target_bytes: int,
        max_ranges: int,
        compression: Compression = Compression.NONE,
    ) -> tuple[RowRange, ...]:
        """Equal ranges, as many as the test asked for."""
        total = self.rows[table.source]
        count = min(self.ranges, total)
        bounds = [total * index // count for index in range(count + 1)] if count else []
        return tuple(RowRange(first, last - 1, last - first) for first, last in pairwise(bounds))

    def line(self, version: str, table: Table, row: int) -> bytes:
        """A row, padded to its size."""
        text = json.dumps({"table": table.name, "version": version, "row": row})
        return text.ljust(self.row_bytes - 1).encode() + b"\n"

    @contextmanager
    def stream(
        self,
        source: Source,
        version: str,
        table: Table,
        row_range: TableRange | None,
        file_format: FileFormat,
        compression: Compression,
        position: PartPosition,
        snapshot: str | None = None,
    ) -> Iterator[FakeStream]:
        """See the port."""
        assert isinstance(row_range, RowRange | None)
        if self.failure is not None:
            raise self.failure
        if version in self.dropped:
            raise SourceChanged("The snapshot is gone.")
        wanted = row_range or RowRange(0, self.rows[table.source] - 1, self.rows[table.source])
        yield FakeStream(
            [self.line(version, table, row) for row in range(wanted.first, wanted.last + 1)]
        )

    def hold(self, source: Source) -> AbstractContextManager[HeldSnapshot]:
        """Its snapshots need nobody to hold them."""
        raise AssertionError("there is nothing to hold")


@dataclass
class FakeChanges:
    """Versions are numbers from ``oldest`` to ``latest``; a table's changes are given as lines."""

    latest: int = 7
    oldest: int = 3
    lines: dict[str, list[bytes]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    failures: dict[str, HeadraceError] = field(default_factory=dict)
    unrecorded: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def window(self, source: Source, tables: Sequence[Table], since: str | None) -> ChangeWindow:
        """See the port."""
        self._refuse(*tables)
        place = None
        if since is not None:
            place = VersionPlace.HELD
            if not since.isdecimal():
                place = VersionPlace.FOREIGN
            elif int(since) > self.latest:
                place = VersionPlace.FUTURE
            elif int(since) < self.oldest:
                place = VersionPlace.EXPIRED
        return ChangeWindow(str(self.latest), str(self.oldest), None, place)

    def resync_reason(
        self, source: Source, since: str, version: str, table: Table, snapshot: str | None = None
    ) -> str | None:
        """See the port."""
        self._refuse(table)
        if table.name in self.failures:
            raise self.failures[table.name]
        return self.reasons.get(table.name)

    def _refuse(self, *tables: Table) -> None:
        untold = [table.name for table in tables if table.name in self.unrecorded]
        if untold:
            raise IncrementsUnavailable("There is no record of them.", tables=untold)

    @contextmanager
    def stream_changes(
        self,
        source: Source,
        since: str,
        version: str,
        table: Table,
        file_format: FileFormat,
        compression: Compression,
        snapshot: str | None = None,
    ) -> Iterator[FakeStream]:
        """See the port."""
        self.asked.append((table.name, since, version))
        yield FakeStream(list(self.lines.get(table.name, [])))


def with_quota(configurations: FakeConfigurations, limit: int) -> FakeConfigurations:
    """The same catalog with another daily quota."""
    configurations.rule = replace(configurations.rule, limit=limit)
    return configurations


class FakeCertificates:
    """The ``Certificates`` port in memory."""

    def __init__(self, pem: str | None = None) -> None:
        self.pem = pem
        self.issued: dict[str, IssuedCertificate] = {}

    def authority(self) -> str | None:
        return self.pem

    def set_authority(self, pem: str, now: datetime) -> None:
        if self.pem is not None:
            raise Conflict("There is a certificate authority already.")
        self.pem = pem

    def of_key(self, key_id: str) -> IssuedCertificate | None:
        return self.issued.get(key_id)

    def find(self, thumbprint: str) -> BoundCertificate | None:
        found = (one for one in self.issued.values() if one.thumbprint == thumbprint)
        return next(found, None)

    def add(self, certificate: IssuedCertificate) -> None:
        if certificate.key_id in self.issued:
            raise Conflict("The key has a certificate already.")
        self.issued[certificate.key_id] = certificate


@dataclass
class FakeSharing:
    """The ``Sharing`` port: who shares is what ``begin`` and ``end`` said.

    An audience is ``service#CLIENT``, ``organisation#ID``, or of an organisation's membership
    ``broker#CLIENT``.
    """

    clock: Clock
    services: dict[str, str] = field(default_factory=dict)
    """``external`` or ``broker``, by client; who is not in it is no service."""
    _consents: dict[tuple[str, str], dict[str, tuple[datetime, datetime | None]]] = field(
        default_factory=dict
    )
    _ends: list[tuple[str, str, str, datetime | None]] = field(default_factory=list)
    """Tenant, audience, party, and the moment if it was the end of its validity."""

    def begin(
        self,
        tenant: str,
        audience: str,
        party: str,
        begins: datetime | None = None,
        ends: datetime | None = None,
    ) -> None:
        """The party shares from then (now) until then (for good)."""
        self.end(tenant, audience, party)
        with_it = self._consents.setdefault((tenant, audience), {})
        with_it[party] = (begins or self.clock.now(), ends)

    def end(self, tenant: str, audience: str, party: str) -> None:
        """The party shares no more."""
        before = self._consents.get((tenant, audience), {}).pop(party, None)
        if before is not None:
            has_ended = before[1] is not None and before[1] <= self.clock.now()
            self._ends.append((tenant, audience, party, before[1] if has_ended else None))

    def shared_by(
        self, tenant: str, client_id: str, organisation: str | None, at: datetime
    ) -> SharedAccounts | None:
        """See the port."""
        kind = self.services.get(client_id)
        if kind is None:
            return None
        audience = f"service#{client_id}"
        if kind == "broker":
            members = self._sharing(tenant, f"broker#{client_id}", at)
            audience = f"organisation#{organisation}" if organisation in members else "nobody"
        version = f"{len(self._ends):08d} {at.isoformat()}"
        return SharedAccounts(version, tuple(sorted(self._sharing(tenant, audience, at))))

    def ended_since(
        self, tenant: str, client_id: str, organisation: str | None, version: str
    ) -> frozenset[str]:
        """See the port."""
        number, _, moment = version.partition(" ")
        seen, at = int(number), datetime.fromisoformat(moment)
        kind = self.services.get(client_id)
        if kind is None or (kind == "broker" and organisation is None):
            return frozenset()
        if kind == "external":
            return self._ended(tenant, f"service#{client_id}", seen, at)
        ended = self._ended(tenant, f"organisation#{organisation}", seen, at)
        if organisation in self._ended(tenant, f"broker#{client_id}", seen, at):
            ended |= self._consents.get((tenant, f"organisation#{organisation}"), {}).keys()
        return ended

    def _sharing(self, tenant: str, audience: str, at: datetime) -> set[str]:
        consents = self._consents.get((tenant, audience), {})
        return {
            party
            for party, (begins, ends) in consents.items()
            if begins <= at and (ends is None or at < ends)
        }

    def _ended(self, tenant: str, audience: str, seen: int, at: datetime) -> frozenset[str]:
        recorded = {
            party
            for index, (*where, party, moment) in enumerate(self._ends)
            if where == [tenant, audience] and (index >= seen if moment is None else moment > at)
        }
        due = {
            party
            for party, (_, ends) in self._consents.get((tenant, audience), {}).items()
            if ends is not None and at < ends <= self.clock.now()
        }
        return frozenset(recorded | due)


@dataclass
class FakeProfiles:
    """Profiles in memory, of one process: nobody writes at the same time."""

    kept: dict[tuple[str, str], Profile] = field(default_factory=dict)

    def find(self, tenant: str, profile_id: str) -> Profile | None:
        """See the port."""
        return self.kept.get((tenant, profile_id))

    def by_sync_id(self, tenant: str, sync_id: str) -> Profile | None:
        """See the port."""
        return next((one for one in self._of(tenant) if one.sync_id == sync_id), None)

    def put_by_sync_id(
        self, tenant: str, sync_id: str, change: Callable[[Profile | None], Profile]
    ) -> Profile:
        """See the port."""
        before = self.by_sync_id(tenant, sync_id)
        return self._put(before, change(before))

    def change(
        self, tenant: str, profile_id: str, change: Callable[[Profile], Profile]
    ) -> Profile | None:
        """See the port."""
        before = self.find(tenant, profile_id)
        if before is None:
            return None
        after = change(before)
        is_new = after.sync_id is not None and after.sync_id != before.sync_id
        if is_new and self.by_sync_id(tenant, str(after.sync_id)) is not None:
            raise SyncIdTaken("Another profile of the tenant has this sync id.")
        return self._put(before, after)

    def merge(self, kept: Profile, merged: Profile) -> None:
        """See the port."""
        before = self.find(kept.tenant, kept.profile_id)
        gone = self.find(merged.tenant, merged.profile_id)
        if before is None or gone != merged or before.revision != kept.revision:
            raise Fenced("Somebody else changed one of the profiles just now; try again.")
        del self.kept[merged.tenant, merged.profile_id]
        self._put(before, kept)

    def delete(self, tenant: str, profile_id: str) -> bool:
        """See the port."""
        return self.kept.pop((tenant, profile_id), None) is not None

    def put_many(
        self,
        tenant: str,
        changes: Mapping[str, Callable[[Profile | None], Profile]],
        goes_on: Callable[[], bool],
    ) -> Mapping[str, Profile]:
        """See the port."""
        return {
            sync_id: self.put_by_sync_id(tenant, sync_id, change)
            for sync_id, change in changes.items()
            if goes_on()
        }

    def unlink(
        self, unlinked: Iterable[Profile], moment: datetime, goes_on: Callable[[], bool]
    ) -> int:
        """See the port."""
        done = 0
        for one in unlinked:
            before = self.find(one.tenant, one.profile_id)
            if before is not None and before.sync_id is not None and goes_on():
                self._put(before, before.changed(moment, sync_id=None))
                done += 1
        return done

    def by_external_id(
        self, tenant: str, external_id: str, after: str | None = None
    ) -> Iterator[Profile]:
        """See the port."""
        return self._by_id(tenant, after, lambda one: one.person.external_id == external_id)

    def of_group(self, tenant: str, group_id: str, after: str | None = None) -> Iterator[Profile]:
        """See the port."""
        return self._by_id(tenant, after, lambda one: group_id in one.groups)

    def modified_from(
        self, tenant: str, moment: datetime | None, after: str | None = None
    ) -> Iterator[Profile]:
        """See the port."""
        first = (moment, after or "")
        found = ((one.modified_at, one.profile_id) for one in self._of(tenant))
        return iter(
            [
                self.kept[tenant, profile_id]
                for at, profile_id in sorted(found)
                if moment is None or (at, profile_id) > first
            ]
        )

    def _by_id(
        self, tenant: str, after: str | None, holds: Callable[[Profile], bool]
    ) -> Iterator[Profile]:
        found = (one for one in self._of(tenant) if holds(one) and one.profile_id > (after or ""))
        return iter(sorted(found, key=lambda one: one.profile_id))

    def links(self, tenant: str) -> Iterator[Profile]:
        """See the port."""
        return iter([one for one in self._of(tenant) if one.sync_id is not None])

    def _of(self, tenant: str) -> list[Profile]:
        return [one for one in self.kept.values() if one.tenant == tenant]

    def _put(self, before: Profile | None, after: Profile) -> Profile:
        if after != before:
            after = replace(after, revision=after.revision + 1)
            self.kept[after.tenant, after.profile_id] = after
        return after
