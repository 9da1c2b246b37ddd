"""How imports begin: from a file that came with the call, from one that was uploaded before, or
from another environment (seed 001)."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from headrace.datasets import messages
from headrace.datasets.definitions import Definition, OutputFormat
from headrace.datasets.environments import CREDENTIAL, SOURCES, sources_of
from headrace.datasets.exchanging import KnowEnvironment
from headrace.datasets.model import CODE, Process, ProcessKind
from headrace.datasets.ports import (
    Payloads,
    ProcessStarts,
    Runs,
    SourceCredentials,
    Upload,
    Uploads,
)
from headrace.datasets.running import LEASE, is_gone
from headrace.kernel.caller import Caller
from headrace.kernel.clock import Clock
from headrace.kernel.errors import (
    ImportWhileBusy,
    NotAZip,
    NotFound,
    Unavailable,
    ValidationFailed,
)
from headrace.kernel.idempotency import IdempotencyKey, idempotency_of
from headrace.kernel.ids import OPERATION_ID, Ids

UPLOAD_LIFETIME = timedelta(hours=1)
"""How long an upload may begin."""
_CONTENT_TYPES = {OutputFormat.ZIP: "application/zip", OutputFormat.XML: "application/xml"}


@dataclass(frozen=True)
class ImportOptions:
    """How an import is to be done (seed 001; the last two are ours)."""

    exact_version_match: bool = False
    disable_delete_by_omission: bool = False
    dry_run: bool = False
    stop_task_processing: bool = False

    def request(self) -> dict[str, Any]:
        """As the process keeps it."""
        return {
            "exactVersionMatch": self.exact_version_match,
            "disableDeleteByOmission": self.disable_delete_by_omission,
            "dryRun": self.dry_run,
            "stopTaskProcessing": self.stop_task_processing,
        }


@dataclass(frozen=True)
class ImportStarter:
    """Starts imports: records the process, then begins its execution."""

    environment: KnowEnvironment
    starts: ProcessStarts
    runs: Runs
    clock: Clock
    ids: Ids

    def new_id(self) -> tuple[str, datetime]:
        """The id of a process, and when it is made."""
        now = self.clock.now()
        return self.ids.new(now), now

    def __call__(self, process: Process, caller: Caller, key: str | None, digest: str) -> Process:
        """The process, or the one that the key started before. ``digest``: of the payload.

        Raises ImportWhileBusy, IdempotencyKeyReused.
        """
        begun = self.starts.begin(
            process,
            LEASE,
            _key_of(process, caller, key, digest),
            is_gone=lambda held: is_gone(self.runs, held),
        )
        if begun is None:
            running = self.starts.running(caller.tenant)
            members = {} if running is None else {"blockingProcessId": running}
            raise messages.IMPORT_WHILE_BUSY.refusing(ImportWhileBusy, members)
        if begun.process_id == process.process_id:
            with suppress(Unavailable):
                self.runs.start(begun)  # else the sweeper does
        return begun

    def repeated(self, process: Process, caller: Caller, key: str | None) -> Process | None:
        """What the key has started before, if it has. Raises IdempotencyKeyReused."""
        asked = _key_of(process, caller, key, "")
        return None if asked is None else self.starts.repeated(process, asked)


def _key_of(
    process: Process, caller: Caller, key: str | None, digest: str
) -> IdempotencyKey | None:
    what = {name: value for name, value in process.request.items() if name != "payload"}
    asked = [str(process.kind), process.definition, process.data_set, what, digest]
    return idempotency_of(caller, key, asked)


def _process(
    caller: Caller,
    definition: Definition,
    data_set: str,
    made: tuple[str, datetime],
    request: Mapping[str, Any],
) -> Process:
    process_id, now = made
    return Process(
        tenant=caller.tenant,
        process_id=process_id,
        kind=ProcessKind.IMPORT,
        definition=definition.code,
        data_set=data_set,
        started_at=now,
        started_by=caller.user or caller.client_id,
        request=request,
    )


def check_name(definition: Definition, file_name: str) -> None:
    """Raises NotAZip (GEN-MIGR-007): the name does not end as those of the definition's payloads
    do, which is ``.zip``, or ``.xml`` where they are XML."""
    suffix = f".{definition.output.lower()}"
    if not file_name.lower().endswith(suffix):
        text = messages.NOT_A_ZIP.text.replace(".zip", suffix)
        raise NotAZip(text, severity=str(messages.NOT_A_ZIP.severity))


def payload_key(definition: Definition, process_id: str) -> str:
    """Where the payload of an import lies."""
    return f"imports/{process_id}.{definition.output.lower()}"


@dataclass(frozen=True)
class ImportFile:
    """Imports a file that came with the call."""

    start: ImportStarter
    payloads: Payloads

    def __call__(
        self,
        caller: Caller,
        definition_code: str,
        file_name: str,
        content: bytes,
        options: ImportOptions,
        idempotency_key: str | None,
    ) -> Process:
        """Raises UnknownDefinition, NotAZip, ValidationFailed, ImportWhileBusy,
        IdempotencyKeyReused, FileUnavailable."""
        _, definition = self.start.environment.definition(caller, definition_code)
        check_name(definition, file_name)
        if not content:
            raise _wrong("file", "is empty")
        made = self.start.new_id()
        key = payload_key(definition, made[0])
        kind = _CONTENT_TYPES[definition.output]
        self.payloads.store(caller.tenant, key, kind, [content])
        request = {"payload": key, "sourceEnvironment": None, **options.request()}
        process = _process(caller, definition, "", made, request)
        begun = None
        try:
            digest = hashlib.sha256(content).hexdigest()
            begun = self.start(process, caller, idempotency_key, digest)
        finally:
            if begun is None or begun.process_id != process.process_id:
                with suppress(Unavailable):
                    self.payloads.remove(caller.tenant, key)
        return begun


@dataclass(frozen=True)
class ImportUpload:
    """Imports a file that was uploaded before; again as often as one likes."""

    start: ImportStarter
    uploads: Uploads

    def __call__(
        self,
        caller: Caller,
        definition_code: str,
        upload_id: str,
        options: ImportOptions,
        idempotency_key: str | None,
    ) -> Process:
        """Raises UnknownDefinition, NotFound, NotAZip, ImportWhileBusy, IdempotencyKeyReused,
        FileUnavailable."""
        _, definition = self.start.environment.definition(caller, definition_code)
        found = None
        if OPERATION_ID.fullmatch(upload_id):
            found = self.uploads.find(caller.tenant, upload_id)
        if found is None:
            raise NotFound("There is no such upload, or nothing has come of it yet.")
        check_name(definition, found.file_name)
        request = {"payload": found.key, "sourceEnvironment": None, **options.request()}
        process = _process(caller, definition, "", self.start.new_id(), request)
        return self.start(process, caller, idempotency_key, upload_id)


@dataclass(frozen=True)
class PrepareUpload:
    """Says where a file can be uploaded to that is too large for a call."""

    environment: KnowEnvironment
    uploads: Uploads
    clock: Clock
    ids: Ids
    most_bytes: int

    def __call__(self, caller: Caller, file_name: str, size: int) -> Upload:
        """Raises NotFound: the tenant has no application; NotAZip, ValidationFailed."""
        self.environment(caller)
        suffix = file_name.lower().rpartition(".")[2]
        if suffix not in ("zip", "xml"):
            raise messages.NOT_A_ZIP.refusing(NotAZip)
        if not 0 < size <= self.most_bytes:
            raise _wrong("size", f"must be 1 to {self.most_bytes} bytes")
        now = self.clock.now()
        return self.uploads.prepare(
            caller.tenant, self.ids.new(now), suffix, size, now + UPLOAD_LIFETIME
        )


@dataclass(frozen=True)
class ImportFromEnvironment:
    """Imports a data set that another environment has built; it is fetched in the background."""

    start: ImportStarter
    credentials: SourceCredentials

    def __call__(
        self,
        caller: Caller,
        definition_code: str,
        data_set: str,
        source_environment: str,
        options: ImportOptions,
        idempotency_key: str | None,
    ) -> Process:
        """Raises UnknownDefinition, ValidationFailed, ImportWhileBusy, IdempotencyKeyReused."""
        environment = self.start.environment
        application, definition = environment.definition(caller, definition_code)
        if not CODE.fullmatch(data_set):
            raise _wrong("dataSetCode", "is no code of a data set")
        name = f"{SOURCES}{definition.sources_property}"
        if not sources_of(environment.properties.value(application.tenant, name)):
            raise _wrong("sourceEnvironment", f"no environment is registered in {name}")
        if self.credentials.of(caller.tenant, CREDENTIAL) is None:
            raise _wrong("sourceEnvironment", f"the credential {CREDENTIAL} is not set")
        made = self.start.new_id()
        request = {
            # Where it will lie, once it is fetched.
            "payload": payload_key(definition, made[0]),
            "sourceEnvironment": source_environment,
            **options.request(),
        }
        process = _process(caller, definition, data_set, made, request)
        return self.start(process, caller, idempotency_key, "")


def _wrong(name: str, message: str) -> ValidationFailed:
    return ValidationFailed(
        "The import cannot be started so.", [{"field": name, "message": message}]
    )
