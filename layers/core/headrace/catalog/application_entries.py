"""Applications as operators write them: what data sets may carry (docs/datasets.md)."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from headrace.catalog.schema import OPTIONS, Entry
from headrace.catalog.suggestions import did_you_mean
from headrace.catalog.values import Distinct, Id64, PublicName, SourceName, Title

_VERSION = re.compile(r"[0-9]{1,9}(\.[A-Za-z0-9-]{1,20}){0,9}")
_RELATION = re.compile(r"[^.]+\.[^.]+")
_MAX_TABLE_ID = 2**53 - 1
"""What every reader of JSON keeps exactly."""

DATABASE_OPTIONS = tuple(
    name
    for name in OPTIONS["postgresql"]
    if name not in ("replica_host", "max_connections", "change_retention_days")
)
"""Those of a source of kind ``postgresql`` that say how a database is reached."""


def _table_id(value: int) -> int:
    if not 0 < value <= _MAX_TABLE_ID:
        raise ValueError(f"must be 1 to {_MAX_TABLE_ID}")
    return value


def _version(value: str) -> str:
    if not _VERSION.fullmatch(value):
        raise ValueError(
            f'"{value}" is no version; write numbers with dots, as "4.24.1.0.0", the major one '
            "first"
        )
    return value


def _relation(value: str) -> str:
    if not _RELATION.fullmatch(value):
        raise ValueError(f'"{value}" does not name a table with its schema, as "claims.brands"')
    return value


class ReferenceEntry(Entry):
    """A column that holds the id of a record of a table, of another one or of the same."""

    column: SourceName = Field(description="The column.")
    table: PublicName = Field(description="The name of the table whose ids are in it.")


class ApplicationTableEntry(Entry):
    """A table of an application. Its records are told apart by a UUID, which is the same in all
    environments; their ids are each environment's own, and never travel.
    """

    id: Annotated[int, AfterValidator(_table_id)] = Field(
        description="The table's number, the same in all environments.", examples=[18039405]
    )
    name: PublicName = Field(
        description="What people call it, in messages and here.", examples=["GROUP CLIENTS"]
    )
    relation: Annotated[SourceName, AfterValidator(_relation)] = Field(
        description="The table in the database, `schema.table`.", examples=["claims.group_clients"]
    )
    functional_key: Distinct[SourceName] = Field(
        default=[],
        description="The columns by which people tell records apart, with a unique index over "
        "them; in a dependent, over them and the column of its owner. Without any, the UUID alone "
        "tells records apart.",
        examples=[["code"]],
    )
    owner: ReferenceEntry | None = Field(
        default=None,
        description="Of a dependent: the column that says which record owns it. Dependents are "
        "moved with their owner, and deleted with it.",
        examples=[{"column": "product_id", "table": "PRODUCTS"}],
    )
    references: list[ReferenceEntry] = Field(
        default=[],
        description="The other columns that hold ids. Where two environments meet, the UUIDs and "
        "functional keys of the records stand for them.",
        examples=[[{"column": "dynamic_logic_id", "table": "DYNAMIC LOGIC"}]],
    )
    inclusion_date: SourceName | None = Field(
        default=None,
        description="Of a table with very many records: a column with a date or time. A build that "
        "names an inclusion date carries records from that day on.",
    )
    columns: Distinct[SourceName] = Field(
        default=[],
        description="The columns that are carried, besides id, UUID and references; without any, "
        "all that the table has and the database does not compute by itself.",
    )
    leave_out: Distinct[SourceName] = Field(
        default=[],
        description="In place of `columns`: those that are not carried, such as who changed a "
        "record last.",
    )
    id_column: SourceName = Field(default="id", description="The column of the ids.")
    uuid_column: SourceName = Field(default="uuid", description="The column of the UUIDs.")

    @model_validator(mode="after")
    def _says_once_what_is_carried(self) -> "ApplicationTableEntry":
        if self.columns and self.leave_out:
            raise ValueError("has columns and leave_out; take one of them out")
        return self

    @model_validator(mode="after")
    def _uses_a_column_once(self) -> "ApplicationTableEntry":
        used = [self.id_column, self.uuid_column, *(one.column for one in self.all_references)]
        for name in used:
            if used.count(name) > 1:
                raise ValueError(f'names the column "{name}" for two things')
        for name in self.columns:
            if name in used:
                raise ValueError(
                    f'carries "{name}" as a value; it is its id, UUID or a reference already'
                )
        for name in self.functional_key:
            if name in used:
                raise ValueError(
                    f'has "{name}" in its functional_key, which is of values that are the same in '
                    "all environments; that of a dependent holds within its owner anyway"
                )
            if name in self.leave_out or (self.columns and name not in self.columns):
                raise ValueError(f'has "{name}" in its functional_key and does not carry it')
        return self

    @property
    def all_references(self) -> tuple[ReferenceEntry, ...]:
        """The owner's first."""
        return (self.owner, *self.references) if self.owner else tuple(self.references)


class DefinitionEntry(Entry):
    """A data set definition: what data sets of one kind are made of."""

    code: Id64 = Field(description="Its code, as paths name it.", examples=["CLAIMS_CONFIGURATION"])
    description: Title = Field(description="What it is for.")
    output: Literal["ZIP", "XML"] = Field(
        default="ZIP", description="What the payload of its data sets is."
    )
    sources: Literal["CONF", "PRD"] = Field(
        default="CONF",
        description="Which environments an environment asks for them: those that the property "
        "`ohi.application.uri.CONF` registers, of configuration, or `ohi.application.uri.PRD`, of "
        "product data.",
    )
    top_level: Distinct[PublicName] = Field(
        min_length=1,
        description="The tables that top-level items are of. Their dependents, of any depth, go "
        "along.",
    )
    reference_data: Distinct[PublicName] = Field(
        default=[],
        description="The tables whose records go along where an item refers to them, with their "
        "dependents. Records of any other table must be in the target already.",
    )


class TaskProcessingEntry(Entry):
    """The functions of the application that control its background processing, `schema.function`;
    none takes an argument.
    """

    stop: Annotated[SourceName, AfterValidator(_relation)] = Field(
        description="Stops that new tasks are taken on."
    )
    start: Annotated[SourceName, AfterValidator(_relation)] = Field(
        description="Starts it again; harmless where it goes on."
    )
    status: Annotated[SourceName, AfterValidator(_relation)] = Field(
        description="Gives a text: `STARTED` while tasks are taken on, `STOPPING` while tasks that "
        "were begun are not at their end, `STOPPED` when nothing is at work."
    )


class ApplicationEntry(Entry):
    """A tenant's application, in the environment that this deployment serves."""

    id: Id64 = Field(description="Its id, for messages.")
    tenant: Id64 = Field(description="The tenant; it has one application at most.")
    name: Title = Field(description="What people call it.")
    environment: Id64 = Field(
        description="The identifier of this environment, which no other one has. The property "
        "`ohi.environment.identifier` goes before it.",
        examples=["TEST"],
    )
    version: Annotated[str, AfterValidator(_version)] = Field(
        description="The version of the application that runs here, the major one first. What was "
        "built by another major version is not imported.",
        examples=["4.24.1.0.0"],
    )
    database: dict[str, str] = Field(
        description="How its PostgreSQL database is reached, by the options of a source of kind "
        "`postgresql`: " + ", ".join(f"`{name}`" for name in DATABASE_OPTIONS) + ". The role reads "
        "the tables; where data sets are imported, it writes to them as well."
    )
    tables: list[ApplicationTableEntry] = Field(min_length=1, description="Its tables.")
    definitions: list[DefinitionEntry] = Field(
        min_length=1, description="The data set definitions."
    )
    task_processing: TaskProcessingEntry | None = Field(
        default=None, description="Its background processing, if it can be stopped around imports."
    )

    @model_validator(mode="after")
    def _knows_its_options(self) -> "ApplicationEntry":
        for name in self.database:
            if name not in DATABASE_OPTIONS:
                hint = (
                    did_you_mean(name, DATABASE_OPTIONS)
                    or f"; it has {', '.join(DATABASE_OPTIONS)}"
                )
                raise ValueError(f'a database has no option "{name}"{hint}')
        return self
