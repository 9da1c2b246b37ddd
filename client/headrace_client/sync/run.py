"""A sync: it brings a destination to the source's present version, whatever happened before.

What a run does:

- nothing is there yet: a full export, the *baseline*, is applied;
- an operation of an earlier run is under way or finished: it is gone on with, and applied;
- nothing has changed since: it says so, and starts no operation;
- else the changes since the destination's version are exported and applied.

Where the service says that changes cannot be told (410 `sync_version_expired`, `resync_required`,
422 `sync_version_unknown`), or the configuration has changed under the operation, a full export
replaces everything, and the run says why.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from headrace_client.client import HeadraceClient
from headrace_client.download import Download, Downloader
from headrace_client.errors import (
    ApiError,
    ConsentWithdrawn,
    NotFound,
    OperationActive,
    OperationUnsuccessful,
    ProtocolError,
    ResyncRequired,
    SetupError,
    SyncVersionUnknown,
)
from headrace_client.events import Listener, Note, OperationChosen, OperationSeen, nobody
from headrace_client.model import (
    Content,
    Manifest,
    Metadata,
    Operation,
    OperationKind,
    Status,
    TableMetadata,
)
from headrace_client.pull import ended, why_unsuccessful
from headrace_client.sync.destination import Applied, Destination, Document
from headrace_client.sync.state import SyncState
from headrace_client.workspace import Workspace

_OPERATIONS_AT_MOST = 3
_WAITS_AT_MOST = 20
_ONLY_FULL_HELPS = ("resync_required", "sync_version_expired")


class Action(StrEnum):
    """What a run did, or would do."""

    BASELINE = "baseline"
    """The first full export."""
    FULL = "full"
    """Another full export, which replaced everything."""
    INCREMENT = "increment"
    NOTHING = "nothing"
    """The destination was up to date."""


@dataclass(frozen=True)
class Synced:
    """A run that ended well. `reason` says why a full export was needed, if it was no baseline."""

    action: Action
    destination: str
    configuration_id: str
    version_before: str | None
    version: str
    tables: tuple[Applied, ...] = ()
    operation: Operation | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Planned:
    """What a run would do now. `operation_id` is the operation that it would go on with."""

    action: Action
    destination: str
    configuration_id: str
    version: str | None
    latest: str
    operation_id: str | None


class _OnlyFull(Exception):
    """The increment cannot be had or applied, and a full export can."""


@dataclass(frozen=True)
class Sync:
    """Syncs a destination. `full` starts with a full export whatever there is; `parallel` files or
    ranges are downloaded at once; `timeout` bounds each wait for an operation, in seconds."""

    client: HeadraceClient
    destination: Destination
    configuration_id: str | None = None
    full: bool = False
    parallel: int = 4
    timeout: float | None = None
    listener: Listener = nobody
    new_id: Callable[[], str] = lambda: str(uuid.uuid4())

    def __call__(self) -> Synced:
        """Raises IncrementsUnavailable, DestinationInUse, DestinationError, and what a pull raises.

        A run that was interrupted or failed is gone on with by the next.
        """
        with self.destination.locked():
            return self._run()

    def plan(self) -> Planned:
        """What a run would do. Changes nothing, and starts no operation."""
        state = self.destination.state()
        if state is None:
            standing = self.client.sync_version(self.configuration_id)
            return self._planned(Action.BASELINE, standing.configuration_id, None, standing.latest)
        self._demand_same(state)
        standing = self.client.sync_version(state.configuration_id)
        flight = state.in_flight
        if flight is not None and not (self.full and flight.since is not None):
            action, going_on = _action(state, flight.since), flight.operation_id
        else:
            action, going_on = self._next(state, standing.latest), None
        return self._planned(
            action, state.configuration_id, state.version, standing.latest, going_on
        )

    def _planned(
        self,
        action: Action,
        configuration_id: str,
        version: str | None,
        latest: str,
        operation_id: str | None = None,
    ) -> Planned:
        name = self.destination.name
        return Planned(action, name, configuration_id, version, latest, operation_id)

    # -- the run -----------------------------------------------------------------------------

    def _run(self) -> Synced:
        state = self._state()
        before = state.version
        reason = "--full was given" if self.full else None
        flight = state.in_flight
        if flight is None or (self.full and flight.since is not None):
            standing = self.client.sync_version(state.configuration_id)
            action = self._next(state, standing.latest)
            if action is Action.NOTHING:
                return Synced(
                    action,
                    self.destination.name,
                    state.configuration_id,
                    before,
                    standing.latest,
                )
            state = self._begun(state, before if action is Action.INCREMENT else None)
        for _ in range(_OPERATIONS_AT_MOST):
            try:
                state, operation = self._operation(state)
                return self._apply(state, operation, before, reason)
            except _OnlyFull as hopeless:
                reason = str(hopeless)
                self._note(f"{reason} Starting a full export.")
                state = self._begun(state, None)
            except ConsentWithdrawn as withdrawn:
                # What came of its files must not stay, and the next one has what is still shared.
                self._note(f"{withdrawn.detail} Starting another operation.")
                shutil.rmtree(self.destination.workspace(state), ignore_errors=True)
                state = self._begun(state, state.since)
        raise ProtocolError("What is granted changes faster than it can be exported.")

    def _state(self) -> SyncState:
        """The destination's state; that of a new one is written first."""
        state = self.destination.state()
        if state is not None:
            self._demand_same(state)
            return state
        standing = self.client.sync_version(self.configuration_id)  # refused before quota is used
        metadata = self.client.metadata(standing.configuration_id)
        self.destination.demand_room(metadata.tables, None)
        state = SyncState(self.new_id(), self.client.client_id, standing.configuration_id)
        self.destination.record(state)
        return state

    def _demand_same(self, state: SyncState) -> None:
        if state.client_id != self.client.client_id:
            raise SetupError(
                f"{self.destination.name} is kept by the client {state.client_id!r}. Run as that "
                "client, or choose another destination."
            )
        if self.configuration_id not in (None, state.configuration_id):
            raise SetupError(
                f"{self.destination.name} holds the configuration {state.configuration_id}. Sync "
                "another one to a destination of its own."
            )

    def _next(self, state: SyncState, latest: str) -> Action:
        """What is to be done where nothing is under way."""
        if state.version is None:
            return Action.BASELINE
        if self.full:
            return Action.FULL
        if state.version != latest:
            return Action.INCREMENT
        metadata = self.client.metadata(state.configuration_id)
        granted = {table.name: table.schema_hash for table in metadata.tables}
        same = granted == state.schemas and metadata.catalog_version == state.catalog_version
        return Action.NOTHING if same else Action.INCREMENT

    def _begun(self, state: SyncState, since: str | None) -> SyncState:
        """The state with another operation under way: kept before the service hears of it."""
        begun = state.begun(since)
        self.destination.record(begun)
        return begun

    # -- the operation -----------------------------------------------------------------------

    def _operation(self, state: SyncState) -> tuple[SyncState, Operation]:
        """The operation under way, once it has succeeded."""
        state, operation, how = self._chosen(state)
        self.listener(OperationChosen(operation, how))
        operation = self.client.wait(
            operation.operation_id,
            timeout=self.timeout,
            on_status=lambda seen: self.listener(OperationSeen(seen)),
        )
        if operation.status is Status.SUCCEEDED:
            return state, operation
        failures = [operation.error, *(job.error for job in operation.jobs)]
        codes = {failure.code for failure in failures if failure is not None}
        if "consent_withdrawn" in codes:
            raise ConsentWithdrawn(403, "consent_withdrawn", why_unsuccessful(operation))
        if state.since is not None and codes.intersection(_ONLY_FULL_HELPS):
            raise _OnlyFull(why_unsuccessful(operation))
        raise OperationUnsuccessful(operation, why_unsuccessful(operation))

    def _chosen(self, state: SyncState) -> tuple[SyncState, Operation, str]:
        """Go on with the operation under way, or start it."""
        known = state.in_flight.operation_id if state.in_flight is not None else None
        if known is not None:
            try:
                operation = self.client.status(known)
                if operation.status.active or operation.status is Status.SUCCEEDED:
                    return state, operation, "resumed"
                self._note(f"Operation {known} has {ended(operation)}; starting a new one.")
            except NotFound:
                self._note(f"Operation {known} is gone; starting a new one.")
            state = self._begun(state, state.since)
        operation = self._started(state)
        if not (operation.status.active or operation.status is Status.SUCCEEDED):
            # a copy that was restored from a backup sends a key that it has used before
            self._note(f"Operation {operation.operation_id} has {ended(operation)} already.")
            state = self._begun(state, state.since)
            operation = self._started(state)
        state = state.answered(operation.operation_id)
        self.destination.record(state)
        return state, operation, "started"

    def _started(self, state: SyncState) -> Operation:
        """Start it, once no other operation of this client blocks it."""
        for _ in range(_WAITS_AT_MOST):
            try:
                return self._sent(state)
            except OperationActive as active:
                blocking = active.blocking_operation_id
                if blocking is None:
                    raise
                self._note(f"Operation {blocking} of this client is active; waiting for its end.")
                self._await(blocking)
            except (ResyncRequired, SyncVersionUnknown) as refusal:
                if state.since is None:
                    raise
                raise _OnlyFull(_sentence(refusal)) from refusal
        return self._sent(state)

    def _await(self, operation_id: str) -> None:
        try:
            self.client.wait(operation_id, timeout=self.timeout)
        except NotFound:
            return

    def _sent(self, state: SyncState) -> Operation:
        wanted, since = self.destination, state.since
        if since is None:
            return self.client.start_full_export(
                wanted.file_format,
                wanted.compression,
                configuration_id=state.configuration_id,
                idempotency_key=state.idempotency_key,
            )
        return self.client.start_increment(
            since,
            wanted.file_format,
            wanted.compression,
            configuration_id=state.configuration_id,
            idempotency_key=state.idempotency_key,
        )

    # -- its documents -----------------------------------------------------------------------

    def _apply(
        self, state: SyncState, operation: Operation, before: str | None, reason: str | None
    ) -> Synced:
        manifest = self.client.manifest(operation.operation_id)
        version = self._version(state, operation, manifest)
        metadata = self.client.metadata(state.configuration_id)
        granted = self._granted(state, manifest, metadata)
        self.destination.demand_room(metadata.tables, state)
        workspace = Workspace(self.destination.workspace(state))
        with workspace.locked():
            download = Downloader(self.client, workspace, self.parallel, self.listener).run(
                manifest
            )
        documents = self._documents(download, granted)
        after = state.applied(
            version,
            operation.catalog_version,
            {name: table.schema_hash for name, table in granted.items()},
        )
        self._note(f"Applying {download.rows:,} rows to {self.destination.name}")
        tables = self.destination.apply(state, after, documents)
        shutil.rmtree(workspace.directory, ignore_errors=True)
        action = _action(state, state.since)
        return Synced(
            action,
            self.destination.name,
            state.configuration_id,
            before,
            version,
            tables,
            operation,
            reason if action is Action.FULL else None,
        )

    @staticmethod
    def _version(state: SyncState, operation: Operation, manifest: Manifest) -> str:
        """The version that the documents lead to. ProtocolError unless the manifest is of what was
        asked for."""
        since = state.since
        if (
            manifest.operation_id != operation.operation_id
            or manifest.configuration_id != state.configuration_id
            or manifest.since_sync_version != since
            or (since is not None and operation.kind != OperationKind.INCREMENTAL)
        ):
            raise ProtocolError("The service's manifest is of another operation.")
        if manifest.sync_version is None:
            raise ProtocolError("The service's manifest tells no version to go on from.")
        if since is not None and not all("content" in file for file in manifest.raw["files"]):
            raise ProtocolError("The service does not say which documents hold changes.")
        return manifest.sync_version

    def _granted(
        self, state: SyncState, manifest: Manifest, metadata: Metadata
    ) -> dict[str, TableMetadata]:
        """The metadata of each document's table. _OnlyFull unless they are those of the documents,
        and those of what the changes are to be applied to."""
        now = {table.name: table for table in metadata.tables}
        if now.keys() != {file.table for file in manifest.files}:
            raise _OnlyFull("The tables of the configuration changed while they were exported.")
        for file in manifest.files:
            if now[file.table].schema_hash != file.schema_hash:
                raise _OnlyFull(f"The columns of {file.table} changed while it was exported.")
            held = state.schemas.get(file.table, "")
            if file.content is Content.CHANGES and held != file.schema_hash:
                raise _OnlyFull(f"The columns of {file.table} have changed since they were synced.")
        return now

    @staticmethod
    def _documents(
        download: Download, granted: Mapping[str, TableMetadata]
    ) -> tuple[Document, ...]:
        content = {file.table: file.content for file in download.manifest.files}
        return tuple(
            Document(granted[file.table], content[file.table], file.path, file.rows)
            for file in download.files
        )

    def _note(self, text: str) -> None:
        self.listener(Note(text))


def _action(state: SyncState, since: str | None) -> Action:
    if since is not None:
        return Action.INCREMENT
    return Action.BASELINE if state.version is None else Action.FULL


def _sentence(refusal: ApiError) -> str:
    """Why the service wants a full export."""
    said = refusal.detail
    if isinstance(refusal, ResyncRequired):
        said += "".join(f" {table}: {reason}" for table, reason in refusal.tables)
    return said
