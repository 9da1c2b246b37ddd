"""The worker's part of a build: the items are gathered in one snapshot and written as a payload."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from headrace.datasets import messages
from headrace.datasets.definitions import Application, Definition, OutputFormat
from headrace.datasets.exchanging import KnowEnvironment
from headrace.datasets.messages import Message
from headrace.datasets.model import DataSet, Item, Options, Process, Progress, Result
from headrace.datasets.payload import Manifest
from headrace.datasets.ports import (
    Applications,
    DataSets,
    Gathered,
    Gathering,
    Items,
    Payloads,
    PayloadWriter,
    Processes,
    SourceDatabase,
)
from headrace.datasets.running import LEASE, Heartbeat, Ran, running
from headrace.datasets.tidying import payload_key
from headrace.datasets.usecases import everything
from headrace.kernel.clock import Clock
from headrace.kernel.errors import Fenced, Unavailable
from headrace.kernel.ids import Ids

_CONTENT_TYPES = {OutputFormat.ZIP: "application/zip", OutputFormat.XML: "application/xml"}


@dataclass(frozen=True)
class BuildDataSet:
    """Builds the payload of a data set. Another run of it begins anew, and writes another one; the
    data set has the one that was taken last."""

    applications: Applications
    environment: KnowEnvironment
    data_sets: DataSets
    items: Items
    processes: Processes
    source: SourceDatabase
    writer: PayloadWriter
    payloads: Payloads
    clock: Clock
    ids: Ids

    def __call__(self, tenant: str, process_id: str) -> Ran:
        """How it ended; what it failed for is told in messages. Raises Fenced, Unavailable."""
        process = running(self.processes, tenant, process_id)
        application = self.applications.of_tenant(tenant)
        definition = None if application is None else application.definition(process.definition)
        if application is None or definition is None:
            unknown = messages.UNKNOWN_DEFINITION(definition=process.definition)
            return self._failed(process, unknown)
        data_set = self.data_sets.find(tenant, definition.code, process.data_set)
        if data_set is None:
            unknown = messages.UNKNOWN_DATA_SET(
                definition=definition.code, data_set=process.data_set
            )
            return self._failed(process, unknown)
        heartbeat = Heartbeat(self.processes, process, self.clock)
        return self._build(application, definition, data_set, process, heartbeat)

    def _build(
        self,
        application: Application,
        definition: Definition,
        data_set: DataSet,
        process: Process,
        heartbeat: Heartbeat,
    ) -> Ran:
        if process.request["createItems"]:
            found = self.source.items(application, definition, everything(definition))
            number = self.items.write(data_set, _watched(found, heartbeat))
            data_set = replace(data_set, number_of_items=number)
        options = self._options(data_set, process)
        items = _watched(self.items.read(data_set), heartbeat)
        with self.source.gather(application, definition, items, options) as gathering:
            if gathering.items == 0:
                return self._failed(process, messages.EMPTY_DATA_SET())
            heartbeat.total = gathering.records
            manifest = self._manifest(application, definition, data_set, options, gathering)
            run = self.ids.new(self.clock.now())
            suffix = definition.output.lower()
            key = payload_key(data_set.data_set_id, process.process_id, run, suffix)
            size = self.payloads.store(
                data_set.tenant,
                key,
                _CONTENT_TYPES[definition.output],
                self.writer.write(manifest, _Watched(gathering, heartbeat)),
            )
        counted = gathering.records
        self.processes.renew(process, LEASE, Progress(counted, counted))
        built = replace(
            data_set,
            options=options,
            payload_key=key,
            payload_built_at=self.clock.now(),
            payload_bytes=size,
        )
        try:
            self.data_sets.built(built, process)
        except Fenced:
            self._remove(data_set.tenant, key)
            raise
        if data_set.payload_key is not None:
            self._remove(data_set.tenant, data_set.payload_key)
        return Ran(Result.SUCCESS, {"bytes": size, "items": gathering.items})

    def _failed(self, process: Process, message: Message) -> Ran:
        self.processes.tell(process, [message])
        return Ran(Result.FAILURE)

    def _remove(self, tenant: str, key: str) -> None:
        """What is of no use now. If it cannot be removed, that harms nobody: the sweeper does."""
        with suppress(Unavailable):
            self.payloads.remove(tenant, key)

    def _options(self, data_set: DataSet, process: Process) -> Options:
        asked = process.request
        return replace(
            data_set.options,
            exact_version_match=asked["exactVersionMatch"],
            disable_delete_by_omission=asked["disableDeleteByOmission"],
            inclusion_date=asked["inclusionDate"],
        )

    def _manifest(
        self,
        application: Application,
        definition: Definition,
        data_set: DataSet,
        options: Options,
        gathering: Gathering,
    ) -> Manifest:
        return Manifest(
            definition=definition.code,
            data_set=data_set.code,
            description=data_set.description,
            environment=self.environment.of(application).identifier,
            version=application.version,
            output=definition.output,
            items=gathering.items,
            exact_version_match=options.exact_version_match,
            disable_delete_by_omission=options.disable_delete_by_omission,
            inclusion_date=options.inclusion_date,
            excluded=tuple((one.top, one.dependent) for one in options.exclusions),
            tables=(),
        )


def _watched(items: Iterable[Item], heartbeat: Heartbeat) -> Iterator[Item]:
    """The same items; the lease is renewed on the way."""
    for item in items:
        heartbeat(0)
        yield item


@dataclass
class _Watched:
    """A gathering whose records are counted as the progress of the build."""

    gathering: Gathering
    heartbeat: Heartbeat
    done: int = 0

    @property
    def items(self) -> int:
        return self.gathering.items

    @property
    def records(self) -> int:
        return self.gathering.records

    def tables(self) -> Iterator[Gathered]:
        for one in self.gathering.tables():
            yield replace(one, lines=self._counted(one.lines))

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.done += chunk.count(b"\n")
            self.heartbeat(self.done)
            yield chunk
