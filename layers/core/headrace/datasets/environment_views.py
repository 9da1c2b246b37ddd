"""What callers are shown of environments, their properties and their data sets (seed 001)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NotRequired, Self, TypedDict

from headrace.datasets.environments import Available, Environment, FromSource, Property
from headrace.datasets.ports import Upload
from headrace.datasets.task_processing import Standing, TaskState
from headrace.kernel.view import View, documented


@dataclass(frozen=True)
class EnvironmentView(View):
    """An environment of an application."""

    identifier: str
    """How it is called: imports name it as `sourceEnvironment`."""
    version: str
    """The version of the application that runs there."""

    @classmethod
    def of(cls, environment: Environment) -> Self:
        """Of this one."""
        return cls(environment.identifier, environment.version)


@dataclass(frozen=True)
class PropertyView(View):
    """A property of an environment."""

    name: str
    value: str
    """Empty: it is not set."""

    @classmethod
    def of(cls, one: Property) -> Self:
        """Of this one."""
        return cls(one.name, one.value)


@dataclass(frozen=True)
class PropertyList(View):
    """The properties that are set."""

    items: tuple[PropertyView, ...]


@dataclass(frozen=True)
class UploadView(View):
    """Where a file is uploaded to."""

    upload_id: str
    """Names it at its import."""
    method: str
    """How it is sent."""
    url: str
    """Where to; whoever has it can send this one file."""
    headers: Mapping[str, str]
    """What is sent along: all of them, just so."""
    expires_at: datetime
    """The upload must have begun by then."""

    @classmethod
    def of(cls, upload: Upload) -> Self:
        """Of this one."""
        return cls(upload.upload_id, "PUT", upload.url, upload.headers, upload.expires_at)


@dataclass(frozen=True)
class TaskProcessingView(View):
    """How background processing stands."""

    status: Literal["started", "stopping", "stopped"]
    """`stopping`: no task is begun, and some are not at their end."""
    paused_for: str | None
    """The process that it was stopped for, and that will start it again."""
    links: Mapping[str, list[dict[str, str]]]
    """What can be done to it."""

    @classmethod
    def of(cls, standing: Standing, url: str) -> Self:
        """Of this standing; ``url`` is the resource's own."""
        action = "stop" if standing.state is TaskState.STARTED else "start"
        control = {
            "rel": "taskprocessing:control",
            "href": f"{url}?action={action}",
            "httpMethod": "POST",
        }
        status: Literal["started", "stopping", "stopped"] = _STATUSES[standing.state]
        links = {"defaultLink": [{"rel": "self", "href": url}, control]}
        return cls(status, standing.paused_for, links)


_STATUSES: Mapping[TaskState, Literal["started", "stopping", "stopped"]] = {
    TaskState.STARTED: "started",
    TaskState.STOPPING: "stopping",
    TaskState.STOPPED: "stopped",
}


@documented
class MomentDocument(TypedDict):
    """A moment."""

    value: datetime
    """RFC 3339."""


@documented
class DayDocument(TypedDict):
    """A day."""

    value: str
    """The day, as `2026-11-23`."""


@documented
class AvailableDocument(TypedDict):
    """A data set that an environment has built."""

    code: str
    """Its code."""
    description: str
    """What it is for."""
    env: str
    """The identifier of the environment that has it: an import names it as `sourceEnvironment`."""
    url: NotRequired[str]
    """Where the target reaches that environment; not in what a source says of itself."""
    numberOfItems: int
    """Top-level items in it."""
    exactVersionMatch: bool
    """Is it for the very version that built it."""
    generatedDescription: str
    """Always empty here."""
    disableDeleteByOmission: bool
    """Does its import delete nothing."""
    id: str
    """Its id in its environment."""
    inclusionDate: NotRequired[DayDocument]
    """Of tables with very many records, it has those from this day on."""
    objectLastUpdatedDate: MomentDocument
    """When it was changed last."""
    creationDate: MomentDocument
    """When it was created."""
    lastPayloadBuiltDateTime: MomentDocument
    """When its payload was built last."""


@dataclass(frozen=True)
class DataSetList(View):
    """The data sets that an environment has built."""

    environment: EnvironmentView
    data_set_meta_data_rest_entities: tuple[AvailableDocument, ...]

    @classmethod
    def of(cls, environment: Environment, found: Iterable[Available]) -> Self:
        """Of these."""
        return cls(EnvironmentView.of(environment), tuple(_document(one) for one in found))


@documented
class SourceDocument(TypedDict):
    """A source, and how it answered."""

    hostName: str
    """Its URL, as it is registered."""
    httpResponse: NotRequired[Literal["200"]]
    """It answered with its data sets."""
    errorDetails: NotRequired[str]
    """It did not: what went wrong, such as `HTTP 401 Unauthorized`."""


@documented
class SourceDataSetsDocument(TypedDict):
    """What one source has."""

    dataSetMetaDataRestEntities: NotRequired[list[AvailableDocument]]
    """Its data sets, if it answered."""
    dataSetMetaData: SourceDocument
    """The source."""


@documented
class AvailableDataSets(TypedDict):
    """What all registered sources have."""

    dataSetMetaDataResponse: list[SourceDataSetsDocument]
    """Each source, in the order they are registered in."""


def available_data_sets(answers: Iterable[FromSource]) -> AvailableDataSets:
    """The document of what sources answered, as seed 001 has it."""
    return {"dataSetMetaDataResponse": [_source(one) for one in answers]}


def _source(one: FromSource) -> SourceDataSetsDocument:
    if one.failure is not None:
        return {"dataSetMetaData": {"hostName": one.url, "errorDetails": one.failure}}
    return {
        "dataSetMetaDataRestEntities": [
            {**_document(found), "url": one.url} for found in one.data_sets
        ],
        "dataSetMetaData": {"hostName": one.url, "httpResponse": "200"},
    }


def _document(one: Available) -> AvailableDocument:
    document: AvailableDocument = {
        "code": one.code,
        "description": one.description,
        "env": one.environment,
        "numberOfItems": one.number_of_items,
        "exactVersionMatch": one.exact_version_match,
        "generatedDescription": "",
        "disableDeleteByOmission": one.disable_delete_by_omission,
        "id": one.data_set_id,
        "objectLastUpdatedDate": {"value": one.updated_at},
        "creationDate": {"value": one.created_at},
        "lastPayloadBuiltDateTime": {"value": one.payload_built_at},
    }
    if one.inclusion_date is not None:
        document["inclusionDate"] = {"value": one.inclusion_date}
    return document
