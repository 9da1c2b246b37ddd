"""What bodies of calls on data sets hold (seed 001)."""

from datetime import date
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from headrace.datasets.model import CODE, Changes, Exclusion, Options, Selection, Wanted
from headrace.kernel.view import camel

TableId = Annotated[int, Field(ge=1, le=2**63 - 1)]
Description = Annotated[
    str, Field(max_length=2000, pattern=r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]*$")
]
"""A text that XML can hold."""


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=camel)


class MigrationItem(_Body):
    """An item of a data set, or all that a table has now."""

    table_id: TableId = Field(description="A top-level table of the definition")
    record_id: int | None = Field(
        None, ge=0, le=2**63 - 1, description="The record's id; all records if left out"
    )


class ExcludeOption(_Body):
    """What does not go along with the items of a table."""

    table_top_id: TableId = Field(description="The top-level table")
    table_dependent_id: TableId = Field(description="The dependent or reference data table")


class GlobalIncludeOption(_Body):
    """Reference data of which all records go along."""

    table_id: TableId = Field(description="The reference data table")


class BuildOptions(_Body):
    """Options of data sets, each of which may be left out."""

    exact_version_match: bool | None = Field(
        None, description="May it only be imported by the very version that it was built by"
    )
    disable_delete_by_omission: bool | None = Field(
        None, description="Does an import leave dependents alone that the set does not have"
    )


class CreateOptions(BuildOptions):
    """The options that a data set is created with."""

    exclude_options: list[ExcludeOption] = Field([], max_length=1000)
    global_include_options: list[GlobalIncludeOption] = Field([], max_length=1000)

    @property
    def options(self) -> Options:
        """As a data set has them."""
        return Options(
            exclusions=_exclusions(self.exclude_options),
            global_includes=tuple(one.table_id for one in self.global_include_options),
            exact_version_match=bool(self.exact_version_match),
            disable_delete_by_omission=bool(self.disable_delete_by_omission),
        )


class CreateDataSet(CreateOptions):
    """A data set, and what it is to have. The items go by either of two names."""

    model_config = ConfigDict(title="CreateDataSet")

    code: Annotated[str, Field(pattern=f"^{CODE.pattern}$")] = Field(
        description="Its code: no other data set of the definition has it"
    )
    description: Description = Field("", description="What it is")
    config_migration_items: list[MigrationItem] | None = Field(
        None, description="What it is to have"
    )
    items: list[MigrationItem] | None = Field(None, description="The same, by its other name")

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if self.config_migration_items is not None and self.items is not None:
            raise ValueError("name the items by configMigrationItems or by items, not by both")
        return self

    @property
    def wanted(self) -> Wanted:
        """What is wanted."""
        listed = self.config_migration_items or self.items or []
        selections = tuple(Selection(one.table_id, one.record_id) for one in listed)
        return Wanted(self.code, self.description, self.options, selections)


def _day(value: Any) -> Any:
    # A number would be read as seconds since 1970, and a moment as its day.
    if not isinstance(value, str) or len(value) != len("2023-12-31"):
        raise ValueError("must be a date, 2023-12-31 for example")
    return value


class StartBuild(BuildOptions):
    """How to build a data set. What is left out is as it was created with."""

    model_config = ConfigDict(title="StartBuild")

    inclusion_date: Annotated[date, BeforeValidator(_day), Field(strict=False)] | None = Field(
        None, description="Of tables of high volume, only records from this day on go along"
    )

    @property
    def changes(self) -> Changes:
        """What is to be otherwise."""
        return Changes(
            exact_version_match=self.exact_version_match,
            disable_delete_by_omission=self.disable_delete_by_omission,
            inclusion_date=self.inclusion_date.isoformat() if self.inclusion_date else None,
        )


class RebuildDataSet(BuildOptions):
    """What to change of a full data set. What is left out stays as it is."""

    model_config = ConfigDict(title="RebuildDataSet")

    description: Description | None = Field(None, description="What it is")
    exclude_options: list[ExcludeOption] | None = Field(None, max_length=1000)

    @property
    def changes(self) -> Changes:
        """What is to be otherwise."""
        excluded = self.exclude_options
        return Changes(
            description=self.description,
            exclusions=None if excluded is None else _exclusions(excluded),
            exact_version_match=self.exact_version_match,
            disable_delete_by_omission=self.disable_delete_by_omission,
        )


def _exclusions(options: list[ExcludeOption]) -> tuple[Exclusion, ...]:
    return tuple(Exclusion(one.table_top_id, one.table_dependent_id) for one in options)
