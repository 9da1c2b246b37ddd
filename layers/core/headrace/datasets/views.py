"""What callers are shown of data sets and their processes (seed 001)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from headrace.datasets.messages import Message, Severity
from headrace.datasets.model import DataSet, Process, ProcessKind, Result
from headrace.kernel.paging import Page
from headrace.kernel.view import View, camel


@dataclass(frozen=True)
class MomentView(View):
    """A moment, as the seed nests it."""

    value: datetime


@dataclass(frozen=True)
class DataSetView(View):
    """A data set."""

    id: str
    code: str
    description: str
    data_set_definition_code: str
    number_of_items: int
    """Top-level items; 0 of a full one until its first build has found them."""
    exact_version_match: bool
    disable_delete_by_omission: bool
    inclusion_date: MomentView | None
    """That of the last build."""
    creation_date: MomentView
    object_last_updated_date: MomentView
    last_payload_built_date_time: MomentView | None
    """Null until it was built."""

    @classmethod
    def of(cls, data_set: DataSet) -> Self:
        """The view of a data set."""
        built, options = data_set.payload_built_at, data_set.options
        included = options.inclusion_date
        return cls(
            id=data_set.data_set_id,
            code=data_set.code,
            description=data_set.description,
            data_set_definition_code=data_set.definition,
            number_of_items=data_set.number_of_items,
            exact_version_match=options.exact_version_match,
            disable_delete_by_omission=options.disable_delete_by_omission,
            inclusion_date=_midnight(included) if included else None,
            creation_date=MomentView(data_set.created_at),
            object_last_updated_date=MomentView(data_set.updated_at),
            last_payload_built_date_time=MomentView(built) if built else None,
        )


def _midnight(day: str) -> MomentView:
    return MomentView(datetime.fromisoformat(f"{day}T00:00:00+00:00"))


_KEYS = frozenset({"difference", "undo"})
"""What an outcome tells of storage, and nobody else."""


def _told(outcome: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        camel(name): _told(of) if isinstance(of, Mapping) else of
        for name, of in outcome.items()
        if name not in _KEYS
    }


@dataclass(frozen=True)
class ProgressView(View):
    """How far a process is."""

    done: int
    """Records that were seen to."""
    total: int | None
    """Those there are; null until it is known."""


@dataclass(frozen=True)
class DataSetProcessLinks(View):
    """Where to go from here."""

    self_: str
    """The process itself."""
    messages: str
    """Its messages."""
    difference: str | None
    """What an import changed, or a dry run would; null where there is none."""


@dataclass(frozen=True)
class DataSetProcessView(View):
    """A build, an import or an undoing."""

    id: str
    type: ProcessKind
    data_set_definition_code: str
    data_set_code: str
    start_date_time: datetime
    end_date_time: datetime | None
    """Null while it runs."""
    result: Result | None
    """`S` if it succeeded, `F` if it failed; null while it runs."""
    progress: ProgressView
    outcome: Mapping[str, Any]
    """What it came to, in numbers; empty while it runs."""
    undone_by: str | None
    """The id of the process that has undone this import, if one has."""
    links: DataSetProcessLinks

    @classmethod
    def of(cls, process: Process, base_url: str) -> Self:
        """The view of a process, with links below this URL."""
        url = f"{base_url}{process.path}"
        return cls(
            id=process.process_id,
            type=process.kind,
            data_set_definition_code=process.definition,
            data_set_code=process.data_set,
            start_date_time=process.started_at,
            end_date_time=process.ended_at,
            result=process.result,
            progress=ProgressView(process.progress.done, process.progress.total),
            outcome=_told(process.outcome),
            undone_by=process.undone_by,
            links=DataSetProcessLinks(
                url,
                f"{url}/messages",
                f"{url}/difference" if process.outcome.get("difference") else None,
            ),
        )


@dataclass(frozen=True)
class DataSetMessageView(View):
    """A message of a process."""

    code: str
    severity: Severity
    text: str
    item: str | None
    """What it is about: a table and a record's functional key or UUID."""

    @classmethod
    def of(cls, message: Message) -> Self:
        """The view of a message."""
        return cls(message.code, message.severity, message.text, message.item)


@dataclass(frozen=True)
class DataSetMessagePage(View):
    """Messages of a process, in the order in which they were told."""

    messages: tuple[DataSetMessageView, ...]
    page_size: int
    current_page: int
    total_count: int
    total_pages: int
    has_previous_page: bool
    has_next_page: bool

    @classmethod
    def of(cls, page: Page[Message]) -> Self:
        """The view of a page."""
        return cls(
            messages=tuple(DataSetMessageView.of(one) for one in page.items),
            page_size=page.size,
            current_page=page.number,
            total_count=page.total,
            total_pages=page.pages,
            has_previous_page=page.has_previous,
            has_next_page=page.has_next,
        )
