"""What the API does for a caller who keeps a copy: tell it a version, and start from one.

A version is the caller's if an operation of its own brought its data there, or if it was told of
it before it had any. With each is kept what was granted then: no increment spans a change of that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from headrace.exports.model import (
    Baseline,
    Compression,
    ExportRequest,
    FileFormat,
    Operation,
    SyncStanding,
)
from headrace.exports.ports import Baselines
from headrace.exports.sources import (
    ChangeWindow,
    Configuration,
    Resync,
    Table,
    VersionPlace,
    mark_of,
    marked,
)
from headrace.exports.usecases import Export, Standing, Starter, chosen
from headrace.exports.warehouses import Changes
from headrace.kernel.caller import Caller
from headrace.kernel.errors import (
    IncrementsUnavailable,
    ResyncRequired,
    SyncVersionExpired,
    SyncVersionUnknown,
)
from headrace.kernel.idempotency import idempotency_of


@dataclass(frozen=True)
class Increments:
    """What the use cases share: whether the changes of some tables can be had, since when."""

    export: Export
    baselines: Baselines
    changes: Changes

    def window(
        self,
        catalog_version: int,
        configuration: Configuration,
        tables: Sequence[Table],
        since: str | None,
    ) -> ChangeWindow:
        """Between which versions. Raises IncrementsUnavailable, SourceUnavailable."""
        source = self.export.configurations.source(catalog_version, configuration.source)
        keyed = [table for table in tables if table.primary_key]
        keyless = [table.name for table in tables if not table.primary_key]
        if not keyed or (keyless and configuration.resync is Resync.REFUSE):
            raise IncrementsUnavailable(
                "Tables without a primary key have no increments; export them in full, each as "
                "`entity`.",
                tables=keyless,
            )
        try:
            return self.changes.window(source, keyed, since)
        except IncrementsUnavailable as refused:
            untold = refused.members.get("tables", ())
            told = [table for table in keyed if table.name not in untold]
            if configuration.resync is Resync.REFUSE or not told or len(told) == len(keyed):
                raise
        # Those of which the source keeps no record come as whole documents.
        return self.changes.window(source, told, since)


@dataclass(frozen=True)
class GetSyncVersion:
    """The version that a caller's data stands at, beside those that the source has."""

    increments: Increments

    def __call__(
        self, caller: Caller, configuration_id: str | None, entity: str | None
    ) -> SyncStanding:
        """Raises NotFound, IncrementsUnavailable, SourceUnavailable."""
        increments, export = self.increments, self.increments.export
        version, configuration = export.configurations.find(
            caller.tenant, caller.client_id, configuration_id
        )
        tables = chosen(configuration, entity)
        name = configuration.configuration_id
        # Looked up first: what is told as the latest is then never older than the baseline.
        baseline = self._baseline(caller, name, entity)
        window = increments.window(version, configuration, tables, None)
        # A service that has no data yet has nobody's rows.
        latest = window.latest
        told_version = marked(latest, mark_of(())) if configuration.by_consent else latest
        if baseline is None:
            # Looked for after the source was asked: one whose version is not fixed yet comes to
            # one that is no older than the latest. And one that has ended since left a baseline.
            under_way = self._under_way(caller, name)
            if under_way is None:
                baseline = self._baseline(caller, name, entity)
            else:
                told_version = under_way.told_version or told_version
        if baseline is None:
            told = Baseline(
                configuration_id=name,
                entity=entity,
                version=told_version,
                organisation=caller.organisation,
                # Of a table that was exported by itself the data stands at a version of its own.
                grants={
                    table.name: table.grant_hash
                    for table in tables
                    if (held := self._baseline(caller, name, table.name)) is None
                    or held.version == told_version
                },
                reached_at=export.clock.now(),
            )
            increments.baselines.tell(caller.tenant, caller.client_id, told)
        return SyncStanding(name, entity, baseline, window, told_version)

    def _baseline(self, caller: Caller, name: str, entity: str | None) -> Baseline | None:
        return self.increments.baselines.latest(
            caller.tenant, caller.client_id, name, entity, caller.organisation
        )

    def _under_way(self, caller: Caller, name: str) -> Operation | None:
        """The caller's operation that is bringing data of the configuration now. What changes in
        the source while it runs is not in its documents: no later version than its own is good.
        """
        operations = self.increments.export.operations
        newest = operations.page(caller.tenant, caller.client_id, 1, None, caller.organisation)
        for operation in newest:
            if operation.status.active and operation.request.configuration_id == name:
                return operation
        return None


@dataclass(frozen=True)
class StartIncrement:
    """Starts an increment: what changed in each table since a version of the caller's."""

    increments: Increments
    start: Starter

    def __call__(
        self,
        caller: Caller,
        since: str,
        configuration_id: str | None,
        file_format: FileFormat,
        compression: Compression,
        entity: str | None,
        idempotency_key: str | None,
        webhook: str | None = None,
        base_url: str = "",
    ) -> Standing:
        """Raises NotFound, ValidationFailed, SyncVersionUnknown, SyncVersionExpired,
        ResyncRequired, IncrementsUnavailable, SourceUnavailable, OperationActive, QuotaExhausted,
        IdempotencyKeyReused.
        """
        version, configuration = self.increments.export.configurations.find(
            caller.tenant, caller.client_id, configuration_id
        )
        tables = chosen(configuration, entity)
        request = ExportRequest(
            configuration.configuration_id,
            tuple(table.name for table in tables),
            file_format,
            compression,
            entity,
            since,
            self.increments.export.notice(caller, webhook, base_url),
        )
        self._check(caller, version, configuration, tables, request)
        asked = [since, configuration_id, file_format, compression, entity, webhook]
        key = idempotency_of(caller, idempotency_key, asked)
        return self.start(caller, version, request, {}, key)

    def _check(
        self,
        caller: Caller,
        catalog_version: int,
        configuration: Configuration,
        tables: Sequence[Table],
        request: ExportRequest,
    ) -> None:
        baseline = self.increments.baselines.find(
            caller.tenant,
            caller.client_id,
            request.configuration_id,
            request.entity,
            request.since or "",
            caller.organisation,
        )
        if baseline is None:
            _unknown()
        since = request.source_since
        window = self.increments.window(catalog_version, configuration, tables, since)
        match window.place:
            case VersionPlace.EXPIRED:
                raise SyncVersionExpired(
                    "The changes since this version are not kept any more; start a full export, "
                    "and go on from its version.",
                    minValidSyncVersion=window.oldest,
                )
            case VersionPlace.FOREIGN | VersionPlace.FUTURE:
                _unknown()
        changed = [
            {"table": table.name, "reason": reason}
            for table in tables
            if (reason := regranted(baseline, table)) is not None
        ]
        if changed and configuration.resync is Resync.REFUSE:
            raise ResyncRequired(
                "What is granted has changed since that version; start a full export, and go on "
                "from its version.",
                tables=changed,
            )


def regranted(baseline: Baseline | None, table: Table) -> str | None:
    """Why the table is not granted as it was at the baseline; None if it is."""
    before = baseline.grants.get(table.name) if baseline is not None else None
    if before is None:
        return "The table was not among the data at that version."
    if before != table.grant_hash:
        return "Columns or rows of the table are granted otherwise than at that version."
    return None


def _unknown() -> NoReturn:
    raise SyncVersionUnknown(
        "This is no version that data of yours stands at; take the one that "
        "GET /data/v1/incrementals/syncversion answers, or start a full export.",
        [{"field": "syncVersion", "message": "is not known"}],
    )
