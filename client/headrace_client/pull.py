"""A pull: from the wish for data to verified files in a directory, whatever happens between.

What a run does with what the last run left in the directory:

- complete: a new operation is started (a nightly job wants today's data);
- unfinished, the operation is active or has succeeded: it is gone on with, and only missing
  bytes are fetched;
- unfinished, the operation failed, was cancelled, expired or is gone: said, and a new one starts;
- killed before the service answered the start: the start is sent again with the same
  Idempotency-Key, so there are never two.

When the service says that another operation of this client is active, it is joined if it is
what would have been started; otherwise OperationActive explains what blocks.
"""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headrace_client.client import HeadraceClient
from headrace_client.download import Download, Downloader
from headrace_client.errors import (
    AccessDenied,
    ApiError,
    ConsentWithdrawn,
    NotFound,
    OperationActive,
    OperationUnsuccessful,
    ProtocolError,
    SetupError,
)
from headrace_client.events import Listener, Note, OperationChosen, OperationSeen, nobody
from headrace_client.model import Compression, FileFormat, Operation, Status
from headrace_client.workspace import Intent, Workspace

_STARTS_AT_MOST = 3


@dataclass(frozen=True)
class Wanted:
    """What the caller asks for; None leaves a choice open (a new operation takes the default).

    `since` asks for what changed since that version, instead of all rows.
    `new` starts an operation even where one could be gone on with; `operation_id` downloads
    this operation and starts none.
    """

    configuration_id: str | None = None
    file_format: FileFormat | None = None
    compression: Compression | None = None
    entity: str | None = None
    new: bool = False
    operation_id: str | None = None
    since: str | None = None


@dataclass(frozen=True)
class Pulled:
    """A pull that ended well. `how`: started, resumed, joined or given."""

    operation: Operation
    how: str
    download: Download


@dataclass(frozen=True)
class Pull:
    """Runs a pull into a directory. `parallel` files or ranges are downloaded at once;
    `timeout` bounds the wait for the operation, in seconds; `verify_rows` counts the rows of
    CSV and NDJSON files too."""

    client: HeadraceClient
    directory: Path
    parallel: int = 4
    timeout: float | None = None
    listener: Listener = nobody
    verify_rows: bool = False
    new_key: Callable[[], str] = lambda: str(uuid.uuid4())

    def __call__(self, wanted: Wanted) -> Pulled:
        """Raises OperationUnsuccessful, OperationActive, QuotaExhausted, VerificationError,
        LocalFileError, WaitTimeout and the other errors of the tree. An interrupted or failed
        pull is gone on with by calling it again."""
        workspace = Workspace(self.directory)
        with workspace.locked():
            intent, operation, how = self._choose(workspace, wanted)
            self.listener(OperationChosen(operation, how))
            operation = self.client.wait(
                operation.operation_id, timeout=self.timeout, on_status=self._seen
            )
            if operation.status is not Status.SUCCEEDED:
                raise OperationUnsuccessful(operation, why_unsuccessful(operation))
            try:
                download = self._downloaded(workspace, operation)
            except ConsentWithdrawn:
                # Its files never will be handed out again: the next pull begins anew.
                workspace.forget_intent()
                raise
            workspace.save(intent.completed())
            return Pulled(operation, how, download)

    def _downloaded(self, workspace: Workspace, operation: Operation) -> Download:
        manifest = self.client.manifest(operation.operation_id)
        if manifest.operation_id != operation.operation_id:
            raise ProtocolError("The service's manifest is of another operation.")
        downloader = Downloader(
            self.client,
            workspace,
            self.parallel,
            self.listener,
            verify_rows=self.verify_rows,
        )
        return downloader.run(manifest)

    def _seen(self, operation: Operation) -> None:
        self.listener(OperationSeen(operation))

    # -- which operation ---------------------------------------------------------------------

    def _choose(self, workspace: Workspace, wanted: Wanted) -> tuple[Intent, Operation, str]:
        if wanted.operation_id is not None:
            operation = self.client.status(wanted.operation_id)
            intent = self._intent_of(operation)
            workspace.save(intent)
            return intent, operation, "given"
        left = workspace.intent()
        if left is not None and not left.complete and not wanted.new:
            self._demand_same(left, wanted)
            resumed = self._resume(workspace, left)
            if resumed is not None:
                return resumed
        fresh = Intent(
            client_id=self.client.client_id,
            idempotency_key=self.new_key(),
            configuration_id=wanted.configuration_id,
            file_format=str(wanted.file_format or FileFormat.CSV),
            compression=str(wanted.compression or Compression.NONE),
            entity=wanted.entity,
            since=wanted.since,
        )
        return self._start(workspace, fresh, may_join=not wanted.new)

    def _demand_same(self, left: Intent, wanted: Wanted) -> None:
        """An unfinished pull is only gone on with by the client and for the data it was for."""
        if left.client_id != self.client.client_id:
            raise SetupError(
                f"{self.directory} holds an unfinished pull of client {left.client_id!r}. "
                "Finish it as that client, give it up with --new, or pull into another directory."
            )
        asked = (
            ("configuration", wanted.configuration_id, left.configuration_id),
            ("format", wanted.file_format, left.file_format),
            ("compression", wanted.compression, left.compression),
            ("entity", wanted.entity, left.entity),
        )
        differing = [
            f"{name} {held or 'default'}" for name, now, held in asked if now not in (None, held)
        ]
        if wanted.since != left.since:
            differing.append("all rows" if left.since is None else f"changes since {left.since}")
        if differing:
            raise SetupError(
                f"{self.directory} holds an unfinished pull with {', '.join(differing)}. Finish "
                "it without these options, give it up with --new, or pull into another directory."
            )

    def _resume(self, workspace: Workspace, left: Intent) -> tuple[Intent, Operation, str] | None:
        """Go on with what the last run began; None when there is nothing to go on with."""
        if left.operation_id is None:
            return self._start(workspace, left, may_join=True, how="resumed")
        try:
            operation = self.client.status(left.operation_id)
        except NotFound:
            self._note(f"Operation {left.operation_id} of the last pull is gone.")
            return None
        if operation.status.active or operation.status is Status.SUCCEEDED:
            return left, operation, "resumed"
        self._note(
            f"Operation {left.operation_id} of the last pull has {ended(operation)}; "
            "starting a new one."
        )
        return None

    def _start(
        self, workspace: Workspace, intent: Intent, *, may_join: bool, how: str = "started"
    ) -> tuple[Intent, Operation, str]:
        """Start what the intent says, or join it where it runs already."""
        workspace.save(intent)  # with its key, before the service hears of it
        try:
            operation, joined = self._started(intent, may_join)
        except ApiError as refusal:
            if refusal.status < 500:
                workspace.forget_intent()
            raise
        answered = intent.of(operation.operation_id)
        workspace.save(answered)
        return answered, operation, "joined" if joined else how

    def _started(self, intent: Intent, may_join: bool) -> tuple[Operation, bool]:
        """The operation, and whether it is one that ran already."""
        for tried in range(1, _STARTS_AT_MOST + 1):
            try:
                return self._sent(intent), False
            except NotFound as missing:
                raise self._what_is_missing(missing, intent) from None
            except OperationActive as active:
                blocking = self._blocking(active)
                if blocking is None and tried < _STARTS_AT_MOST:
                    continue  # it ended in this moment
                if blocking is None:
                    raise
                differing = self._differing(blocking, intent) if may_join else ["--new was given"]
                if differing:
                    raise _explained(active, blocking, differing) from None
                return blocking, True
        raise AssertionError("unreachable: the last try returns or raises")

    def _sent(self, intent: Intent) -> Operation:
        """The answer to the start."""
        if intent.since is None:
            return self.client.start_full_export(
                intent.file_format,
                intent.compression,
                entity=intent.entity,
                configuration_id=intent.configuration_id,
                idempotency_key=intent.idempotency_key,
            )
        return self.client.start_increment(
            intent.since,
            intent.file_format,
            intent.compression,
            entity=intent.entity,
            configuration_id=intent.configuration_id,
            idempotency_key=intent.idempotency_key,
        )

    def _what_is_missing(self, missing: NotFound, intent: Intent) -> NotFound:
        """The configuration or the table, by its name: the service only says that one is none."""
        named = intent.configuration_id
        command = "headrace metadata" + ("" if named is None else f" --configuration {named}")
        hint = f"`{command}` shows the tables that there are."
        try:
            held = self.client.metadata(named)
        except NotFound as configuration:
            return configuration
        except AccessDenied:
            return missing.reworded(missing.detail, hint)
        tables = [table.name for table in held.tables]
        if intent.entity is None or intent.entity in tables:
            return missing
        near = difflib.get_close_matches(intent.entity, tables, 1)
        return missing.reworded(
            f"The configuration {held.configuration_id} has no table {intent.entity!r}.",
            hint + (f" Is it {near[0]}?" if near else ""),
        )

    def _blocking(self, active: OperationActive) -> Operation | None:
        """The operation that blocks, while it does."""
        if active.blocking_operation_id is None:
            raise active
        try:
            operation = self.client.status(active.blocking_operation_id)
        except NotFound:
            return None
        return operation if operation.status.active else None

    def _differing(self, running: Operation, intent: Intent) -> list[str]:
        """In what a running operation is not the one that the intent would start."""
        differing = []
        if running.since_sync_version != intent.since:
            since = running.since_sync_version
            differing.append(
                f"it holds {'all rows' if since is None else f'changes since {since}'}"
            )
        if running.file_format != intent.file_format:
            differing.append(f"its format is {running.file_format}")
        if running.compression != intent.compression:
            differing.append(f"its compression is {running.compression}")
        configuration = intent.configuration_id or self._default_configuration()
        if configuration is None:
            differing.append(
                f"whether its configuration {running.configuration_id} is the default one cannot "
                "be told without the scope metadata:read, so name it with --configuration"
            )
        elif running.configuration_id != configuration:
            differing.append(f"its configuration is {running.configuration_id}")
        elif not self._same_tables(running, intent):
            tables = ", ".join(job.table for job in running.jobs) or "others"
            differing.append(f"its tables are {running.entity or tables}")
        return differing

    def _default_configuration(self) -> str | None:
        try:
            return self.client.metadata().configuration_id
        except AccessDenied:
            return None

    def _same_tables(self, running: Operation, intent: Intent) -> bool:
        if "entity" in running.raw:
            return running.entity == intent.entity
        tables = {job.table for job in running.jobs}
        if intent.entity is not None:
            return tables == {intent.entity}
        metadata = self.client.metadata(running.configuration_id)
        return not tables or tables == {table.name for table in metadata.tables}

    def _intent_of(self, operation: Operation) -> Intent:
        return Intent(
            client_id=self.client.client_id,
            idempotency_key=self.new_key(),
            configuration_id=operation.configuration_id,
            file_format=operation.file_format,
            compression=operation.compression,
            entity=operation.entity,
            operation_id=operation.operation_id,
            since=operation.since_sync_version,
        )

    def _note(self, text: str) -> None:
        self.listener(Note(text))


def ended(operation: Operation) -> str:
    """How it ended, to stand behind "has"."""
    return {"cancelled": "been cancelled"}.get(operation.status, str(operation.status))


def why_unsuccessful(operation: Operation) -> str:
    """A sentence on an operation that ended without files."""
    said = f"Operation {operation.operation_id} has {ended(operation)}"
    if operation.error is not None:
        said += f": {operation.error.detail or operation.error.code}"
    failed = [job for job in operation.jobs if job.error is not None]
    for job in failed:
        said += f"\n  {job.table}: {job.error.detail or job.error.code}"  # type: ignore[union-attr]
    return said if failed else f"{said.rstrip('.')}."


def _explained(
    active: OperationActive, blocking: Operation, differing: list[str]
) -> OperationActive:
    detail = (
        f"Operation {blocking.operation_id} ({blocking.status}, {blocking.percent:.0f} %) blocks: "
        f"a client has one at a time, and this one was not joined because "
        f"{'; '.join(differing)}. Wait for it, download it with "
        f"`headrace pull --operation {blocking.operation_id}`, or stop it with "
        f"`headrace cancel {blocking.operation_id}`."
    )
    return active.reworded(detail)
