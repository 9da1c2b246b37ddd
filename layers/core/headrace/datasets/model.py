"""Data sets, and the processes that build and import them.

A *data set* is made of the items that were asked for when it was created; its *payload* is what a
build wrote of them. Builds, imports and undoings are *processes*. Of those an environment runs one
at a time: whoever begins one takes its lease, and whoever runs it renews the lease, so that a
process whose worker died does not stand in the way of the next one::

    RUNNING ──> SUCCEEDED (result S)
            └─> FAILED (result F)
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from headrace.kernel.idempotency import IdempotencyKey

CODE_LENGTH = 100
CODE = re.compile(rf"[A-Za-z0-9_.-]{{1,{CODE_LENGTH}}}")
"""Codes of data sets and definitions: they stand in paths."""


def shown(code: str) -> str:
    """A code as a message may repeat it; of a text that is none, nothing."""
    return code if CODE.fullmatch(code) else "?"


@dataclass(frozen=True, order=True)
class Selection:
    """What a data set is to have: one record of a table, or all there are at its creation."""

    table_id: int
    record_id: int | None = None


@dataclass(frozen=True)
class Exclusion:
    """Not to go along with items of one table: dependents or reference data of another."""

    top: int
    dependent: int


@dataclass(frozen=True)
class Options:
    """How a data set is built and imported (seed 001), as it was created with."""

    exclusions: tuple[Exclusion, ...] = ()
    global_includes: tuple[int, ...] = ()
    exact_version_match: bool = False
    disable_delete_by_omission: bool = False
    inclusion_date: str | None = None
    """An ISO date; of the build."""


@dataclass(frozen=True)
class Wanted:
    """What a caller wants a data set to be."""

    code: str
    description: str
    options: Options
    selections: tuple[Selection, ...] = ()


@dataclass(frozen=True)
class Changes:
    """What a caller wants to be otherwise of a data set; None stays as it is."""

    description: str | None = None
    exclusions: tuple[Exclusion, ...] | None = None
    global_includes: tuple[int, ...] | None = None
    exact_version_match: bool | None = None
    disable_delete_by_omission: bool | None = None
    inclusion_date: str | None = None

    def of(self, data_set: "DataSet") -> "DataSet":
        """The data set with them."""
        wanted = {name: value for name, value in vars(self).items() if value is not None}
        description = wanted.pop("description", data_set.description)
        options = replace(data_set.options, **wanted)
        return replace(data_set, description=description, options=options)


@dataclass(frozen=True)
class DataSet:
    """A data set as it is kept. Its items are in a document of their own (``Items``)."""

    tenant: str
    definition: str
    code: str
    data_set_id: str
    description: str
    options: Options
    created_at: datetime
    updated_at: datetime
    number_of_items: int = 0
    payload_key: str | None = None
    """Where the payload lies, if it was built."""
    payload_built_at: datetime | None = None
    payload_bytes: int = 0
    is_full: bool = False
    """Was it created with all top-level items that there are (``createandexport``)."""
    created_with: IdempotencyKey | None = None
    """What its creator sent to be answered the same again."""

    @property
    def content_type(self) -> str:
        """Its payload's."""
        return f"application/{(self.payload_key or '').rpartition('.')[2]}"

    @property
    def file_name(self) -> str:
        """Its payload's, when it is downloaded."""
        suffix = (self.payload_key or "").rpartition(".")[2]
        return f"{self.definition}_{self.code}.{suffix}"


@dataclass(frozen=True)
class Item:
    """A top-level item that a data set has: its table, id and UUID in the source environment."""

    table_id: int
    record_id: int
    uuid: str


class ProcessKind(StrEnum):
    """What a process does."""

    BUILD = "build"
    IMPORT = "import"
    UNDO = "undo"


class Result(StrEnum):
    """How a process ended (seed 001)."""

    SUCCESS = "S"
    FAILURE = "F"


@dataclass(frozen=True)
class Progress:
    """How far a process is, in records; ``total`` is None until it is known."""

    done: int = 0
    total: int | None = None


@dataclass(frozen=True)
class Counts:
    """What an import did, or a dry run would do: records by what became of them."""

    added: int = 0
    changed: int = 0
    deleted: int = 0
    unchanged: int = 0
    failed_items: int = 0


@dataclass(frozen=True)
class Process:
    """A build, an import or an undoing.

    ``request`` is what its worker needs to know (plain JSON values); ``outcome`` what it left:
    the keys of its difference and undo set, counts.
    """

    tenant: str
    process_id: str
    kind: ProcessKind
    definition: str
    data_set: str
    started_at: datetime
    started_by: str
    request: Mapping[str, Any]
    progress: Progress = Progress()
    ended_at: datetime | None = None
    result: Result | None = None
    outcome: Mapping[str, Any] = field(default_factory=dict)
    attempt: int = 1
    undone_by: str | None = None
    """Of an import, the process that has undone it."""

    @property
    def has_ended(self) -> bool:
        """Has it a result."""
        return self.result is not None

    @property
    def path(self) -> str:
        """Where its state is read (seed 001)."""
        return f"/generic/datasetprocesses/{self.process_id}"

    @property
    def execution_name(self) -> str:
        """The name of the execution that runs it: a second start is a repeat."""
        return f"{self.process_id}-{self.attempt}"

    def ended(self, result: Result, now: datetime, outcome: Mapping[str, Any]) -> "Process":
        """Itself, at its end."""
        return replace(self, result=result, ended_at=now, outcome=outcome)
