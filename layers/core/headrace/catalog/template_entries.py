"""The entries of templates in catalog files: see ``headrace.catalog.schema``."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from headrace.catalog.schema import ColumnEntry, Entry, column_by_name
from headrace.catalog.values import (
    Distinct,
    Id64,
    PublicName,
    SourceName,
    Title,
    VersionText,
    title,
)

_MAX_QUERY = 20_000


def _query(value: str) -> str:
    title(value)
    if len(value) > _MAX_QUERY:
        raise ValueError(f"is {len(value)} characters long; at most {_MAX_QUERY} are allowed")
    if value.rstrip().endswith(";"):
        raise ValueError("must be one SELECT, without a semicolon at its end")
    return value


class TemplateEntry(Entry):
    """Rows that a tenant's partners read page by page, once the operator activates the template.

    A *standard* template, which names no tenants, is there for every tenant whose application is
    of the minimum version or a later one; a *custom* one for the tenants that it names
    ([templates.md](templates.md)).
    """

    id: Id64 = Field(description="The template's id, as callers name it.")
    name: Title = Field(description="What people call it.")
    source: Id64 = Field(
        description="The source that it is read from: any kind but `athena`; for a `query`, one of "
        "`ducklake`, `duckdb` or `postgresql`."
    )
    table: SourceName | None = Field(
        default=None,
        description="The table in the source, `schema.table`; the schema may be left out where "
        "the name is clear without. Either this or `query`.",
        examples=["hr.persons"],
    )
    query: Annotated[str, AfterValidator(_query)] | None = Field(
        default=None,
        description="One SELECT in the source's SQL, whose result is read as a table is; it names "
        "tables as `schema.table`.",
        examples=["SELECT s.id, w.name FROM roster.shifts s JOIN roster.wards w ON w.id = s.ward"],
    )
    columns: list[Annotated[ColumnEntry, BeforeValidator(column_by_name)]] = Field(
        min_length=1,
        description="The columns of the table, or of what the query gives, in their order. What is "
        "not listed is not visible.",
        examples=[["id", {"source": "last_name", "name": "lastName"}]],
    )
    order: Distinct[PublicName] = Field(
        min_length=1,
        description="The columns (by the names callers see) that rows are ordered by; together "
        "they tell all rows apart.",
    )
    date_column: SourceName | None = Field(
        default=None,
        description="The column of the source, a date or a time stamp, by which the parameter "
        "`date` chooses rows: those of that moment or later. Without one, there is no such "
        "parameter.",
    )
    anonymized_column: SourceName | None = Field(
        default=None,
        description="The column of the source, true or false, that marks anonymised persons: their "
        "rows are left out unless `includeAnonymized` is asked for.",
    )
    minimum_version: VersionText | None = Field(
        default=None,
        description="The version of a tenant's application from which on it has the template; "
        "without one, any, also none.",
        examples=["2019.2603"],
    )
    tenants: Distinct[Id64] | None = Field(
        default=None,
        min_length=1,
        description="The tenants that a custom template is for; without them it is a standard one.",
    )
    tenant_column: SourceName | None = Field(
        default=None,
        description="The column of the source that holds the tenant's id. Only a template for a "
        "single tenant can do without, and then all rows are that one's.",
    )

    @model_validator(mode="after")
    def _reads_one_thing(self) -> "TemplateEntry":
        if self.table is not None and self.query is not None:
            raise ValueError("has a table and a query; take one of them out")
        if self.table is None and self.query is None:
            raise ValueError("says nothing of what is read: add table, or query")
        return self

    @model_validator(mode="after")
    def _says_whose_rows(self) -> "TemplateEntry":
        if self.tenant_column is None and (self.tenants is None or len(self.tenants) > 1):
            raise ValueError(
                "is for several tenants and says nothing of whose rows are whose: add tenant_column"
            )
        return self
