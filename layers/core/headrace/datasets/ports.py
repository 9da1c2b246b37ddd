"""What data sets need of the world."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, Protocol

from headrace.datasets.definitions import Application, Definition, Table
from headrace.datasets.environments import Available, Credential, Environment, Property
from headrace.datasets.messages import Message
from headrace.datasets.model import Counts, DataSet, Item, Options, Process, Progress, Selection
from headrace.datasets.notices import Notice
from headrace.datasets.payload import Manifest
from headrace.kernel.idempotency import IdempotencyKey
from headrace.kernel.paging import Page


class Applications(Protocol):
    """The applications of the catalog's current version."""

    def of_tenant(self, tenant: str) -> Application | None:
        """The tenant's, if it has one."""
        ...


class DataSets(Protocol):
    """The data sets of an environment, by definition and code."""

    def add(self, data_set: DataSet) -> bool:
        """False if there is one of this definition and code already; nothing changes then."""
        ...

    def find(self, tenant: str, definition: str, code: str) -> DataSet | None:
        """Read consistently."""
        ...

    def by_id(self, tenant: str, data_set_id: str) -> DataSet | None:
        """The same, by its id."""
        ...

    def of_definition(self, tenant: str, definition: str) -> Sequence[DataSet]:
        """All of them, by code."""
        ...

    def built(self, data_set: DataSet, process: Process) -> None:
        """Keeps what a build made of it: payload, number of items, and the options it was built
        with. Raises Fenced if the process has ended; nothing changes then."""
        ...


class Items(Protocol):
    """The items of data sets: encrypted documents, read and written as streams."""

    def write(self, data_set: DataSet, items: Iterable[Item]) -> int:
        """Whole or not at all; how many there were. Raises FileUnavailable."""
        ...

    def read(self, data_set: DataSet) -> Iterator[Item]:
        """In the order they were written in. Raises FileUnavailable."""
        ...

    def remove(self, data_set: DataSet) -> None:
        """Removes them, if they are there. Raises FileUnavailable."""
        ...

    def uploads(self, data_set: DataSet) -> "Sequence[OpenUpload]":
        """Items that are being written, or were not written to their end."""
        ...


class Processes(Protocol):
    """The processes of an environment, and the lease that the running one has."""

    def find(self, tenant: str, process_id: str) -> Process | None:
        """Read consistently."""
        ...

    def renew(self, process: Process, lease: timedelta, progress: Progress) -> None:
        """Says that it goes on, and how far it is. Raises Fenced if it has ended or lost its
        lease."""
        ...

    def tell(self, process: Process, messages: Iterable[Message]) -> None:
        """Adds messages, once however often this is repeated with the same ones. Raises Fenced."""
        ...

    def end(self, process: Process) -> None:
        """Its end, once, and that of its lease; a notice is owed then. Raises Fenced if it has
        ended otherwise."""
        ...

    def undone(self, process: Process, by: str) -> None:
        """Says of an import that another process has undone it. Raises Fenced if another one
        had."""
        ...

    def messages(self, tenant: str, process_id: str, number: int, size: int) -> Page[Message]:
        """A page of them, in the order they were told."""
        ...


class ProcessStarts(Protocol):
    """How processes begin, and are looked at by the sweeper."""

    def begin(
        self,
        process: Process,
        lease: timedelta,
        key: IdempotencyKey | None = None,
        *,
        is_gone: Callable[[Process], bool],
        adding: DataSet | None = None,
        changing: DataSet | None = None,
    ) -> Process | None:
        """Records it and takes the lease, all or nothing; with it a data set is added, or put in
        place of what there is.

        The process; or the one that the key has started before. None if another one runs;
        nothing changes then. One whose lease seems to be over, and that ``is_gone``, is failed by
        this.
        Raises DataSetExists, IdempotencyKeyReused.
        """
        ...

    def repeated(self, process: Process, key: IdempotencyKey) -> Process | None:
        """What the key has started before, if it has. Raises IdempotencyKeyReused."""
        ...

    def running(self, tenant: str) -> str | None:
        """The id of the process that has the lease, if one has."""
        ...

    def look_again(self, process: Process, moment: datetime) -> None:
        """When the sweeper looks at it next. Raises Fenced if it has ended."""
        ...

    def tidied(self, process: Process, again_at: datetime | None) -> None:
        """That the sweeper has seen to what an ended one left, or when it is to look again."""
        ...


class Notices(Protocol):
    """The notices that ends of processes owe the configured endpoints."""

    def find(self, tenant: str, process_id: str) -> Notice | None:
        """Read consistently."""
        ...

    def save(self, before: Notice, after: Notice) -> Notice:
        """Writes ``after`` if it stands as ``before`` says. Raises Fenced."""
        ...


@dataclass(frozen=True)
class Due:
    """What the sweeper should look at since ``due_at``: a process, or the notice of its end."""

    tenant: str
    process_id: str
    due_at: datetime


class DueProcesses(Protocol):
    """What is due for the sweeper, of all tenants; the one view across them."""

    def processes(self, moment: datetime) -> Iterator[Due]:
        """Those that run, and were not heard of for a while."""
        ...

    def notices(self, moment: datetime) -> Iterator[Due]:
        """Those whose time has passed."""
        ...

    def ended(self, moment: datetime) -> Iterator[Due]:
        """Those that have ended, and nobody has seen yet to what they left."""
        ...


class Runs(Protocol):
    """The executions of processes, and of notices that are owed apart from one."""

    def start(self, process: Process) -> None:
        """Starts the execution of the process; again is harmless. Raises Unavailable."""
        ...

    def is_running(self, process: Process) -> bool | None:
        """Does it run; None if it never began. Raises Unavailable."""
        ...

    def start_notice(self, notice: Notice) -> None:
        """Starts an execution that only sees to the notice; again is harmless."""
        ...

    def notice_is_running(self, notice: Notice) -> bool:
        """Does an execution see to the notice: the process's own, or one for it."""
        ...


class Properties(Protocol):
    """The properties of an environment (seed 001), by name."""

    def value(self, tenant: str, name: str) -> str | None:
        """Read consistently; None if it is not set."""
        ...


class SigningSecrets(Protocol):
    """What notices of a tenant are signed with."""

    def of(self, client_id: str, endpoint: str) -> Sequence[str]:
        """The secrets of an endpoint, oldest first; perhaps none. Raises Unavailable."""
        ...


class Courier(Protocol):
    """Carries messages to endpoints."""

    def put(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer. Raises AddressRefused, Unavailable."""
        ...


@dataclass(frozen=True)
class Gathered:
    """The records of one table of a payload. ``records``: how many; ``complete`` as in
    ``TableEntry``; ``lines`` as in ``headrace.datasets.payload``, each chunk whole lines, or none
    when a second went by without any; to be read once."""

    table: Table
    records: int
    complete: bool
    lines: Iterator[bytes]


class Gathering(Protocol):
    """What was found for a payload in one snapshot; tables in the definition's order.

    All that the definition carries are there, also those of which no record was found.
    """

    @property
    def items(self) -> int:
        """Top-level items that are still there, and records of reference data."""
        ...

    @property
    def records(self) -> int:
        """In all tables, for the progress."""
        ...

    def tables(self) -> Iterator[Gathered]:
        """Each to be read to its end before the next."""
        ...


class SourceDatabase(Protocol):
    """The application's database, read-only."""

    def items(
        self, application: Application, definition: Definition, selections: Sequence[Selection]
    ) -> Iterator[Item]:
        """The items that are there now: by table, then UUID, each once.

        Raises ValidationFailed: a table is no top-level one, or there is no such record.
        """
        ...

    def gather(
        self,
        application: Application,
        definition: Definition,
        items: Iterable[Item],
        options: Options,
    ) -> AbstractContextManager[Gathering]:
        """All that belongs to these items, in one snapshot that stands until this is left.

        Raises ValidationFailed: an option names a table that the definition has not. Its lines
        raise ValueNotExportable: a record has no UUID, or refers to none that there is.
        """
        ...


class EnvironmentProperties(Properties, Protocol):
    """The same, to be listed and set."""

    def listed(self, tenant: str) -> Sequence[Property]:
        """Those that are set, by name."""
        ...

    def put(self, tenant: str, wanted: Property) -> bool:
        """Sets it, or takes it away if its value is empty. Was there none before."""
        ...


class SourceCredentials(Protocol):
    """What an environment calls others with, sealed."""

    def of(self, tenant: str, name: str) -> Credential | None:
        """To call with. Raises Unavailable."""
        ...

    def put(self, tenant: str, name: str, credential: Credential) -> None:
        """In place of what there is. Raises Unavailable."""
        ...


class OtherEnvironments(Protocol):
    """Environments elsewhere, by the URLs of their ``/dataexchange``.

    Each call raises OtherEnvironmentRefused (with the status), TimedOut, AddressRefused,
    Unavailable.
    """

    def environment(self, url: str, credential: Credential) -> Environment:
        """What it says of itself."""
        ...

    def available(
        self, url: str, definition: str, version: str, credential: Credential
    ) -> Sequence[Available]:
        """The data sets that it has built, for an application of this version."""
        ...

    def payload(
        self, url: str, definition: str, data_set: str, credential: Credential, most_bytes: int
    ) -> AbstractContextManager[Iterator[bytes]]:
        """The payload of a data set. If the connection breaks it is taken up where it broke, as
        long as it is the same payload."""
        ...


@dataclass(frozen=True)
class Upload:
    """Where a file is uploaded to: by PUT of just so many bytes, with these headers."""

    upload_id: str
    url: str
    headers: Mapping[str, str]
    expires_at: datetime


@dataclass(frozen=True)
class Uploaded:
    """A file that was uploaded. ``key``: where the storage has it."""

    key: str
    file_name: str


class Uploads(Protocol):
    """Files that callers upload before they import them, encrypted."""

    def prepare(
        self, tenant: str, upload_id: str, suffix: str, size: int, until: datetime
    ) -> Upload:
        """Where it may be uploaded to until then."""
        ...

    def find(self, tenant: str, upload_id: str) -> Uploaded | None:
        """The file, once it has come. Raises FileUnavailable."""
        ...


class PayloadWriter(Protocol):
    """Makes payloads."""

    def write(self, manifest: Manifest, gathering: Gathering) -> Iterator[bytes]:
        """The payload, of the manifest's output format; its ``tables`` are filled in on the way.
        The same manifest and records give the same bytes. A chunk may be empty, as of ``Gathered``.

        Raises ValueNotExportable: a record is larger than a reader takes.
        """
        ...


class Payload(Protocol):
    """A payload that is read. Whatever is wrong with it raises PayloadRefused; nothing of it is
    trusted."""

    manifest: Manifest
    """Not proven before ``verify``; of an XML document, ``tables`` are not even known before."""

    def verify(self, keep_going: Callable[[int], None] = ...) -> None:
        """Reads all of it once: structure, digests, counts, and each record's shape and order.

        ``keep_going`` is called now and then with the records so far; by default it is nothing.
        """
        ...

    def lines(self, table_id: int) -> Iterator[bytes]:
        """The records of a table, each one a line that was checked against the definition.

        What was not verified before is now. None of a table that the payload does not hold.
        """
        ...


class PayloadReader(Protocol):
    """Reads payloads."""

    def read(self, file: BinaryIO, definition: Definition) -> AbstractContextManager[Payload]:
        """From a file that can seek; its manifest at first. Raises PayloadRefused."""
        ...


class Applicable(Protocol):
    """What is to be written to the target, item by item."""

    @property
    def wrong(self) -> Sequence[Message]:
        """Why nothing at all can be done; then nothing else is asked."""
        ...

    def counts(self) -> Counts:
        """Of the items that were not refused so far; and how many were."""
        ...

    def messages(self) -> Iterator[Message]:
        """``wrong``, and why items were refused so far, in their order."""
        ...

    def records(self) -> int:
        """How many there are to write."""
        ...

    def apply(self) -> Iterator[int]:
        """Writes batch after batch, an item whole or not at all; yields how many records of it
        were dealt with. What was yielded stays if this is left. Raises SourceUnavailable,
        SourceChanged."""
        ...


class Planned(Applicable, Protocol):
    """What an import would do to the target, and its doing."""

    def failed_items(self) -> frozenset[int]:
        """The numbers of the items that were refused so far."""
        ...

    def difference(self) -> Iterator[bytes]:
        """What is to be done, as NDJSON in chunks (docs/datasets.md)."""
        ...

    def undo_set(self) -> Iterator[bytes]:
        """What undoes it, as NDJSON in chunks; to be kept before anything is applied."""
        ...


class TargetDatabase(Protocol):
    """The application's database, written to. Each raises SourceUnavailable, SourceChanged."""

    def planned(
        self,
        application: Application,
        definition: Definition,
        payload: Payload,
        *,
        delete_by_omission: bool,
        dry: bool,
        keep_going: Callable[[int], None],
    ) -> AbstractContextManager[Planned]:
        """What the import of a payload would do. ``dry``: it is not going to be applied.

        ``keep_going`` is called now and then with how many records were read. Raises
        PayloadRefused.
        """
        ...

    def planned_undo(
        self,
        application: Application,
        definition: Definition,
        lines: Iterable[bytes],
        *,
        force: bool,
        keep_going: Callable[[int], None],
    ) -> AbstractContextManager[Applicable]:
        """What has to be done to undo an import. ``lines``: of its ``undo_set``.

        An item with a record that was changed since the import is refused, unless with ``force``.
        """
        ...


class Payloads(Protocol):
    """Payloads, differences and undo sets in storage, encrypted."""

    def store(self, tenant: str, key: str, content_type: str, chunks: Iterable[bytes]) -> int:
        """Whole or not at all; its bytes. Raises FileUnavailable."""
        ...

    def open(self, tenant: str, key: str) -> AbstractContextManager[BinaryIO]:
        """To read and seek in; a bounded part is in memory. Raises FileUnavailable, FileExpired."""
        ...

    def link(self, tenant: str, key: str, file_name: str) -> str:
        """Where a caller reads it, for a short time. Raises FileUnavailable, FileExpired."""
        ...

    def remove(self, tenant: str, key: str) -> None:
        """Removes it, if it is there."""
        ...


@dataclass(frozen=True)
class OpenUpload:
    """A document that is not whole: its key, and what the storage calls the upload."""

    key: str
    upload_id: str


class Leftovers(Protocol):
    """What lies in the storage, whole or not, whether anybody knows of it or not.

    Each call raises FileUnavailable.
    """

    def keys(self, tenant: str, prefix: str) -> Iterator[str]:
        """Of what is there that begin so."""
        ...

    def uploads(self, tenant: str, prefix: str) -> Sequence[OpenUpload]:
        """What is being stored, or was not stored to its end, under keys that begin so."""
        ...

    def abort(self, tenant: str, uploads: Iterable[OpenUpload]) -> None:
        """Ends them without a document; who still stores there fails."""
        ...

    def remove(self, tenant: str, key: str) -> None:
        """Removes a document, if it is there."""
        ...
