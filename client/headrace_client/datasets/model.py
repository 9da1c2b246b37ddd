"""What the service tells of data sets and their processes, as frozen dataclasses.

As in `headrace_client.model`, `from_json` demands what the client relies on and ignores the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from headrace_client.errors import ProtocolError
from headrace_client.model import Document


class Result(StrEnum):
    """How a process ended."""

    SUCCESS = "S"
    FAILURE = "F"


class ChangeKind(StrEnum):
    """What becomes of a record."""

    ADDED = "added"
    CHANGED = "changed"
    DELETED = "deleted"


@dataclass(frozen=True)
class Selection:
    """What a data set is to have: one record of a table, or all that it has at that time."""

    table_id: int
    record_id: int | None = None


@dataclass(frozen=True)
class Exclusion:
    """Dependents or reference data that are not to go along with the items of a table."""

    top: int
    dependent: int


@dataclass(frozen=True)
class ImportOptions:
    """How an import is to be done. With `dry_run` it only tells what would change;
    `stop_task_processing` stops background processing before and starts it after."""

    exact_version_match: bool = False
    disable_delete_by_omission: bool = False
    dry_run: bool = False
    stop_task_processing: bool = False

    def members(self) -> dict[str, bool]:
        """Those that are wanted, as the service names them."""
        named = {
            "exactVersionMatch": self.exact_version_match,
            "disableDeleteByOmission": self.disable_delete_by_omission,
            "dryRun": self.dry_run,
            "stopTaskProcessing": self.stop_task_processing,
        }
        return {name: wanted for name, wanted in named.items() if wanted}


@dataclass(frozen=True)
class Environment:
    """An environment: how it is called, and the version of the application there."""

    identifier: str
    version: str

    @classmethod
    def from_json(cls, held: object) -> Environment:
        """Read the reply of GET /dataexchange/environment."""
        doc = Document(held, "environment")
        return cls(doc.text("identifier"), doc.text("version"))


@dataclass(frozen=True)
class DataSet:
    """A data set as it was created."""

    code: str
    description: str
    definition: str
    number_of_items: int
    created_at: datetime | None
    payload_built_at: datetime | None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, held: object) -> DataSet:
        """Read the reply of PUT /dataexchange/datasetdefinition/…/dataset."""
        doc = Document(held, "data set")
        return cls(
            code=doc.text("code"),
            description=doc.text_or_none("description") or "",
            definition=doc.text("dataSetDefinitionCode"),
            number_of_items=doc.count("numberOfItems"),
            created_at=_moment(doc, "creationDate"),
            payload_built_at=_moment(doc, "lastPayloadBuiltDateTime"),
            raw=held if isinstance(held, Mapping) else {},
        )


@dataclass(frozen=True)
class AvailableDataSet:
    """A data set that an environment has built. An import names `environment`, and `code`."""

    code: str
    description: str
    environment: str
    number_of_items: int
    payload_built_at: datetime | None

    @classmethod
    def from_json(cls, held: object) -> AvailableDataSet:
        """Read one of a source's data sets."""
        doc = Document(held, "data set")
        return cls(
            doc.text("code"),
            doc.text_or_none("description") or "",
            doc.text("env"),
            doc.count("numberOfItems"),
            _moment(doc, "lastPayloadBuiltDateTime"),
        )


@dataclass(frozen=True)
class Source:
    """What a registered source has built; `failure` says why it is not known."""

    url: str
    data_sets: tuple[AvailableDataSet, ...]
    failure: str | None

    @classmethod
    def from_json(cls, held: object) -> Source:
        """Read one source of GET /dataexchange/datasets/fetchavailabledatasets/…."""
        doc = Document(held, "list of data sets")
        of = Document(doc.get("dataSetMetaData"), "source")
        return cls(
            of.text("hostName"),
            tuple(
                AvailableDataSet.from_json(entry)
                for entry in doc.documents("dataSetMetaDataRestEntities")
            ),
            of.text_or_none("errorDetails"),
        )


@dataclass(frozen=True)
class Counts:
    """Records by what became of them; items that were refused."""

    added: int
    changed: int
    deleted: int
    unchanged: int
    failed_items: int

    @classmethod
    def from_json(cls, held: object) -> Counts | None:
        """Read the `counts` of an outcome; None stays None."""
        if held is None:
            return None
        doc = Document(held, "counts")
        return cls(
            doc.count("added", default=0),
            doc.count("changed", default=0),
            doc.count("deleted", default=0),
            doc.count("unchanged", default=0),
            doc.count("failedItems", default=0),
        )


@dataclass(frozen=True)
class Process:
    """A build, an import or an undoing. `done` and `total` are records; `total` is None until it
    is known. `retry_after` is what the reply asked to wait before the next look, or None.
    """

    process_id: str
    kind: str
    definition: str
    data_set: str
    started_at: datetime | None
    ended_at: datetime | None
    result: Result | None
    done: int
    total: int | None
    counts: Counts | None
    retry_after: float | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, held: object, retry_after: float | None = None) -> Process:
        """Read the reply of GET /generic/datasetprocesses/…; `raw` keeps it as it came."""
        doc = Document(held, "process")
        progress = Document(doc.get("progress") or {}, "progress")
        outcome = Document(doc.get("outcome") or {}, "outcome")
        return cls(
            process_id=doc.text("id"),
            kind=doc.text("type"),
            definition=doc.text_or_none("dataSetDefinitionCode") or "",
            data_set=doc.text_or_none("dataSetCode") or "",
            started_at=doc.time_or_none("startDateTime"),
            ended_at=doc.time_or_none("endDateTime"),
            result=_result(doc.text_or_none("result")),
            done=progress.count("done", default=0),
            total=progress.count_or_none("total"),
            counts=Counts.from_json(outcome.get("counts")),
            retry_after=retry_after,
            raw=held if isinstance(held, Mapping) else {},
        )

    @property
    def has_ended(self) -> bool:
        """Whether it has its result."""
        return self.result is not None

    @property
    def percent(self) -> float | None:
        """How far it is, where that is known."""
        if self.result is Result.SUCCESS:
            return 100.0
        return min(100.0, 100.0 * self.done / self.total) if self.total else None


@dataclass(frozen=True)
class ProcessMessage:
    """What a process has to say. `item` is what it is about, if it is about one."""

    code: str
    severity: str
    text: str
    item: str | None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, held: object) -> ProcessMessage:
        """Read one of a process's messages."""
        doc = Document(held, "message")
        return cls(
            doc.text("code"),
            doc.text("severity"),
            doc.text("text"),
            doc.text_or_none("item"),
            held if isinstance(held, Mapping) else {},
        )


@dataclass(frozen=True)
class MessagePage:
    """One page of a process's messages."""

    messages: tuple[ProcessMessage, ...]
    has_next_page: bool

    @classmethod
    def from_json(cls, held: object) -> MessagePage:
        """Read the reply of GET /generic/datasetprocesses/…/messages."""
        doc = Document(held, "list of messages")
        return cls(
            tuple(ProcessMessage.from_json(entry) for entry in doc.documents("messages")),
            doc.flag("hasNextPage"),
        )


@dataclass(frozen=True)
class Value:
    """A column's value before and after. A reference is a mapping: the UUID and functional key of
    what it refers to."""

    old: object
    new: object


@dataclass(frozen=True)
class Change:
    """What becomes of a record. `values` has its columns: of a changed record those that change."""

    kind: ChangeKind
    table: str
    item: str | None
    uuid: str
    key: tuple[str | None, ...]
    values: Mapping[str, Value]
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, held: object) -> Change:
        """Read one line of a difference."""
        doc = Document(held, "difference")
        values = doc.get("values") or {}
        try:
            kind = ChangeKind(doc.text("change"))
        except ValueError:
            raise ProtocolError("The service's difference has a change of another kind.") from None
        if not isinstance(values, Mapping):
            raise ProtocolError("The service's difference has values that are none.")
        return cls(
            kind=kind,
            table=doc.text("table"),
            item=doc.text_or_none("item"),
            uuid=doc.text_or_none("uuid") or "",
            key=tuple(None if one is None else str(one) for one in doc.documents("key")),
            values={
                str(column): Value(pair.get("old"), pair.get("new"))
                for column, pair in values.items()
                if isinstance(pair, Mapping)
            },
            raw=held if isinstance(held, Mapping) else {},
        )


@dataclass(frozen=True)
class Upload:
    """Where a file goes, and the headers that go with it."""

    upload_id: str
    url: str
    headers: Mapping[str, str]

    @classmethod
    def from_json(cls, held: object) -> Upload:
        """Read the reply of POST /dataexchange/uploads."""
        doc = Document(held, "upload")
        headers = doc.get("headers") or {}
        if not isinstance(headers, Mapping):
            raise ProtocolError("The service's upload has headers that are none.")
        return cls(
            doc.text("uploadId"),
            doc.text("url"),
            {str(name): str(value) for name, value in headers.items()},
        )


def _moment(doc: Document, name: str) -> datetime | None:
    """A time that is nested, as these documents have it."""
    held = doc.get(name)
    return None if held is None else Document(held, name).time_or_none("value")


def _result(held: str | None) -> Result | None:
    if not held:
        return None
    try:
        return Result(held)
    except ValueError:
        raise ProtocolError(
            "The service's process has a result that this client does not know."
        ) from None
