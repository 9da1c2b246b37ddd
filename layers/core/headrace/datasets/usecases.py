"""What callers do with data sets on the source side: create, build, download, and watch (seed 001).

All of it belongs to the caller's tenant. What another tenant has is as what never was.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime

from headrace.datasets import messages
from headrace.datasets.definitions import Application, Definition
from headrace.datasets.exchanging import KnowEnvironment
from headrace.datasets.messages import Message
from headrace.datasets.model import (
    CODE,
    Changes,
    DataSet,
    Item,
    Options,
    Process,
    ProcessKind,
    Selection,
    Wanted,
    shown,
)
from headrace.datasets.ports import (
    DataSets,
    Items,
    Payloads,
    Processes,
    ProcessStarts,
    Runs,
    SourceDatabase,
)
from headrace.datasets.running import LEASE, is_gone
from headrace.kernel.caller import Caller
from headrace.kernel.clock import Clock
from headrace.kernel.errors import (
    BuildWhileBusy,
    DataSetExists,
    EmptyDataSet,
    IdempotencyKeyReused,
    NotFound,
    Unavailable,
    UnknownDataSet,
    ValidationFailed,
)
from headrace.kernel.idempotency import idempotency_of
from headrace.kernel.ids import OPERATION_ID, Ids
from headrace.kernel.paging import Page


@dataclass(frozen=True)
class Exchange:
    """What the calls share."""

    environment: KnowEnvironment
    data_sets: DataSets
    starts: ProcessStarts
    clock: Clock

    def definition(self, caller: Caller, code: str) -> tuple[Application, Definition]:
        """The definition, and the caller's application. Raises UnknownDefinition."""
        return self.environment.definition(caller, code)

    def data_set(
        self, caller: Caller, definition_code: str, code: str
    ) -> tuple[Application, Definition, DataSet]:
        """The data set too. Raises UnknownDefinition, UnknownDataSet."""
        application, definition = self.definition(caller, definition_code)
        found = None
        if CODE.fullmatch(code):
            found = self.data_sets.find(caller.tenant, definition.code, code)
        if found is None:
            raise messages.UNKNOWN_DATA_SET.refusing(
                UnknownDataSet, definition=definition.code, data_set=shown(code)
            )
        return application, definition, found

    def check_is_new(self, caller: Caller, definition: Definition, code: str) -> None:
        """Raises DataSetExists."""
        if self.data_sets.find(caller.tenant, definition.code, code) is not None:
            raise _exists()

    def created_before(self, data_set: DataSet) -> DataSet | None:
        """The data set of this one's code, if the same call created it; None if there is none.

        Raises DataSetExists, IdempotencyKeyReused.
        """
        found = self.data_sets.find(data_set.tenant, data_set.definition, data_set.code)
        if found is None:
            return None
        now, then = data_set.created_with, found.created_with
        if now is None or then is None or now.key != then.key:
            raise _exists()
        if now.body_sha256 != then.body_sha256:
            raise IdempotencyKeyReused(
                "This Idempotency-Key created the data set with another body; use a new key."
            )
        return found


@dataclass(frozen=True)
class CreateDataSet:
    """Finds the items of a data set, and keeps them."""

    exchange: Exchange
    items: Items
    source: SourceDatabase
    ids: Ids

    def __call__(
        self, caller: Caller, definition_code: str, wanted: Wanted, idempotency_key: str | None
    ) -> DataSet:
        """The data set, or the one that the key created with the same body before.

        Raises UnknownDefinition, ValidationFailed, DataSetExists, IdempotencyKeyReused,
        SourceUnavailable.
        """
        application, definition = self.exchange.definition(caller, definition_code)
        check_options(definition, wanted.options)
        now = self.exchange.clock.now()
        data_set = _new(caller, definition, wanted, self.ids.new(now), now)
        if key := idempotency_of(caller, idempotency_key, [repr(wanted)]):
            who = caller.user or caller.client_id
            data_set = replace(data_set, created_with=replace(key, key=f"{who} {key.key}"))
        if created := self.exchange.created_before(data_set):
            return created
        with _closed(self.source.items(application, definition, wanted.selections)) as found:
            data_set = replace(data_set, number_of_items=self.items.write(data_set, found))
        if self.exchange.data_sets.add(data_set):
            return data_set
        with suppress(Unavailable):
            self.items.remove(data_set)
        if created := self.exchange.created_before(data_set):
            return created
        raise _exists()


@dataclass(frozen=True)
class Starter:
    """Starts builds: records the process, then begins its execution."""

    exchange: Exchange
    runs: Runs
    ids: Ids

    def __call__(
        self,
        caller: Caller,
        data_set: DataSet,
        idempotency_key: str | None,
        *,
        create_items: bool,
        is_new: bool = False,
        is_changed: bool = False,
    ) -> Process:
        """The process, or the one that the key started before.

        Raises BuildWhileBusy, DataSetExists, IdempotencyKeyReused.
        """
        now = self.exchange.clock.now()
        options = data_set.options
        process = Process(
            tenant=caller.tenant,
            process_id=self.ids.new(now),
            kind=ProcessKind.BUILD,
            definition=data_set.definition,
            data_set=data_set.code,
            started_at=now,
            started_by=caller.user or caller.client_id,
            request={
                "exactVersionMatch": options.exact_version_match,
                "disableDeleteByOmission": options.disable_delete_by_omission,
                "inclusionDate": options.inclusion_date,
                "createItems": create_items,
            },
        )
        asked = [str(process.kind), data_set.definition, data_set.code, is_new, is_changed]
        if is_new or is_changed:
            asked += [data_set.description, repr(options)]
        key = idempotency_of(caller, idempotency_key, [*asked, dict(process.request)])
        begun = self.exchange.starts.begin(
            process,
            LEASE,
            key,
            is_gone=lambda held: is_gone(self.runs, held),
            adding=data_set if is_new else None,
            changing=data_set if is_changed else None,
        )
        if begun is None:
            running = self.exchange.starts.running(caller.tenant)
            members = {} if running is None else {"blockingProcessId": running}
            raise messages.BUILD_WHILE_BUSY.refusing(BuildWhileBusy, members)
        if begun.process_id == process.process_id:
            with suppress(Unavailable):
                self.runs.start(begun)  # else the sweeper does
        return begun


@dataclass(frozen=True)
class StartBuild:
    """Builds a data set's payload."""

    exchange: Exchange
    start: Starter

    def __call__(
        self,
        caller: Caller,
        definition_code: str,
        code: str,
        idempotency_key: str | None,
        changes: Changes,
    ) -> Process:
        """``changes`` are those of the options that this build has. An inclusion date is of one
        build only.

        Raises UnknownDefinition, UnknownDataSet, EmptyDataSet, BuildWhileBusy,
        IdempotencyKeyReused.
        """
        _, _, data_set = self.exchange.data_set(caller, definition_code, code)
        if data_set.number_of_items == 0 and not data_set.is_full:
            raise messages.EMPTY_DATA_SET.refusing(EmptyDataSet)
        timeless = replace(data_set.options, inclusion_date=None)
        # One whose first build came to nothing is given its items by this one.
        create_items = data_set.number_of_items == 0
        wanted = changes.of(replace(data_set, options=timeless))
        return self.start(caller, wanted, idempotency_key, create_items=create_items)


@dataclass(frozen=True)
class CreateAndBuild:
    """Creates a data set of all top-level items, with all reference data, and builds it."""

    exchange: Exchange
    source: SourceDatabase
    start: Starter

    def __call__(
        self, caller: Caller, definition_code: str, wanted: Wanted, idempotency_key: str | None
    ) -> Process:
        """The items are found in the background.

        Raises UnknownDefinition, ValidationFailed, DataSetExists, EmptyDataSet, BuildWhileBusy,
        IdempotencyKeyReused, SourceUnavailable.
        """
        application, definition = self.exchange.definition(caller, definition_code)
        check_options(definition, wanted.options)
        if idempotency_key is None:
            self.exchange.check_is_new(caller, definition, wanted.code)
        with _closed(self.source.items(application, definition, everything(definition))) as found:
            if next(found, None) is None:
                raise messages.EMPTY_DATA_SET.refusing(EmptyDataSet)
        now = self.exchange.clock.now()
        wanted = replace(wanted, options=_full(definition, wanted.options))
        data_set = _new(caller, definition, wanted, self.start.ids.new(now), now)
        return self.start(
            caller,
            replace(data_set, is_full=True),
            idempotency_key,
            create_items=True,
            is_new=True,
        )


@dataclass(frozen=True)
class RebuildDataSet:
    """Gives a full data set another description or options, all items that there are now, and
    builds it (facts of seed 001: PATCH …/createandexport/…/dataset/{id})."""

    exchange: Exchange
    start: Starter

    def __call__(
        self, caller: Caller, data_set_id: str, idempotency_key: str | None, changes: Changes
    ) -> Process:
        """Raises NotFound, ValidationFailed, BuildWhileBusy,
        IdempotencyKeyReused.
        """
        found = None
        if OPERATION_ID.fullmatch(data_set_id):
            found = self.exchange.data_sets.by_id(caller.tenant, data_set_id)
        if found is None:
            raise NotFound("There is no such data set.")
        if not found.is_full:
            raise NotFound(
                "The data set has the items that it was created of, and no others: build it as "
                "it is."
            )
        _, definition = self.exchange.definition(caller, found.definition)
        found = changes.of(found)
        check_options(definition, found.options)
        options = replace(_full(definition, found.options), inclusion_date=None)
        found = replace(found, options=options, updated_at=self.exchange.clock.now())
        return self.start(caller, found, idempotency_key, create_items=True, is_changed=True)


@dataclass(frozen=True)
class GetPayload:
    """Hands out a data set's payload."""

    exchange: Exchange
    payloads: Payloads
    most_bytes: int
    """Of a payload that is handed out in the answer itself; a larger one is linked to."""

    def __call__(
        self, caller: Caller, definition_code: str, code: str
    ) -> tuple[DataSet, bytes | str | None]:
        """The data set, and its payload or a link to it; None if it was not built.

        Raises UnknownDefinition, UnknownDataSet, FileUnavailable, FileExpired.
        """
        _, _, data_set = self.exchange.data_set(caller, definition_code, code)
        if data_set.payload_key is None:
            return data_set, None
        if data_set.payload_bytes > self.most_bytes:
            link = self.payloads.link(caller.tenant, data_set.payload_key, data_set.file_name)
            return data_set, link
        with self.payloads.open(caller.tenant, data_set.payload_key) as file:
            return data_set, file.read()


@dataclass(frozen=True)
class GetProcess:
    """Tells how a process stands."""

    processes: Processes

    def __call__(self, caller: Caller, process_id: str) -> Process:
        """Raises NotFound."""
        found = None
        if OPERATION_ID.fullmatch(process_id):
            found = self.processes.find(caller.tenant, process_id)
        if found is None:
            raise NotFound("There is no such process.")
        return found


@dataclass(frozen=True)
class ListMessages:
    """Tells the messages of a process."""

    processes: Processes

    def __call__(self, caller: Caller, process_id: str, number: int, size: int) -> Page[Message]:
        """A page of them. Raises NotFound."""
        process = GetProcess(self.processes)(caller, process_id)
        return self.processes.messages(caller.tenant, process.process_id, number, size)


def everything(definition: Definition) -> tuple[Selection, ...]:
    """All top-level items of a definition."""
    return tuple(Selection(table_id) for table_id in definition.top_level)


def check_options(definition: Definition, options: Options) -> None:
    """Raises ValidationFailed: an option names a table that it cannot be about."""
    wrong = [
        {"field": f"excludeOptions.{index}.tableTopId", "message": "is no top-level table"}
        for index, one in enumerate(options.exclusions)
        if one.top not in definition.top_level
    ]
    for index, one in enumerate(options.exclusions):
        owned = {table.table_id for table in definition.owned_by(one.top)}
        if one.dependent not in owned and one.dependent not in definition.reference_data:
            wrong.append(
                {
                    "field": f"excludeOptions.{index}.tableDependentId",
                    "message": "is neither a dependent of the table nor reference data",
                }
            )
    wrong += [
        {"field": f"globalIncludeOptions.{index}.tableId", "message": "is no reference data"}
        for index, table_id in enumerate(options.global_includes)
        if table_id not in definition.reference_data
    ]
    if wrong:
        raise ValidationFailed("The options name tables that they cannot be about.", wrong)


def _full(definition: Definition, options: Options) -> Options:
    """With all reference data (seed 001: "along with the reference data")."""
    return replace(options, global_includes=definition.reference_data)


def _new(
    caller: Caller, definition: Definition, wanted: Wanted, data_set_id: str, now: datetime
) -> DataSet:
    return DataSet(
        tenant=caller.tenant,
        definition=definition.code,
        code=wanted.code,
        data_set_id=data_set_id,
        description=wanted.description,
        options=wanted.options,
        created_at=now,
        updated_at=now,
    )


def _exists() -> DataSetExists:
    return DataSetExists("There is a data set of this code already; take another code.")


@contextmanager
def _closed(found: Iterator[Item]) -> Iterator[Iterator[Item]]:
    """Ends it in any case: a generator holds its connection until then."""
    try:
        yield found
    finally:
        if isinstance(found, Generator):
            found.close()
