"""What can be carried: an application's tables, and the definitions that data sets belong to.

An *application* is a tenant's; its *environments* (test, production) are deployments that serve it
over databases of their own. Its *tables* have each a number, which is the same in all environments,
an id column, which is not, a UUID column, which is, and perhaps a *functional key*: the columns by
which people tell its records apart.

A *definition* says which tables its data sets take their *top-level items* from, and which records
go along:

- *dependents* are owned by a top-level item, through a column that refers to their parent. They
  are moved with it, and deleted with it;
- *reference data* are records of other tables that the carried ones refer to. They go along where
  the definition lists their table, unless the data set excludes it for this top-level table; a data
  set can also take all records of such a table;
- a reference to any other record is carried as its UUID and functional key alone: the record is in
  the target already, or is a top-level item of the set.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from headrace.kernel.errors import ValidationFailed


class OutputFormat(StrEnum):
    """What the payload of a definition's data sets is."""

    ZIP = "ZIP"
    XML = "XML"


@dataclass(frozen=True)
class Reference:
    """A column whose value is the id of a record of the table ``table_id``."""

    column: str
    table_id: int


@dataclass(frozen=True)
class Table:
    """A table of the application. ``relation``: its name in the database, ``schema.table``.

    ``functional_key``: columns that tell its records apart in all environments; those of a
    dependent tell it apart from the others of its parent. Empty where the UUID alone does.
    ``owner``: of a dependent, the reference to its parent. ``columns`` are all that are carried,
    without the id and UUID columns and the references'.
    """

    table_id: int
    name: str
    relation: str
    columns: tuple[str, ...]
    id_column: str = "id"
    uuid_column: str = "uuid"
    functional_key: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    owner: Reference | None = None
    inclusion_date_column: str | None = None
    """In a table of high volume: only records from an inclusion date on are carried, if a build
    names one."""

    @property
    def all_references(self) -> tuple[Reference, ...]:
        """The owner's first."""
        return (self.owner, *self.references) if self.owner else self.references


@dataclass(frozen=True)
class Definition:
    """A data set definition. The tables are in an order in which each comes after those that its
    records refer to, itself aside; so records can be written in this order."""

    code: str
    description: str
    output: OutputFormat
    tables: tuple[Table, ...]
    top_level: tuple[int, ...]
    """The tables that top-level items are of."""
    reference_data: tuple[int, ...] = ()
    """The tables whose records go along where they are referred to."""
    sources_property: str = "CONF"
    """The environments that its data sets come from: those of ``ohi.application.uri.CONF``, for
    configuration, or ``….PRD``, for product data."""
    others: tuple[Table, ...] = ()
    """Tables that records refer to and that are not carried."""
    _by_id: dict[int, Table] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the tables."""
        by_id = {table.table_id: table for table in (*self.others, *self.tables)}
        object.__setattr__(self, "_by_id", by_id)

    def table(self, table_id: int) -> Table:
        """Raises ValidationFailed if the definition knows no such table."""
        try:
            return self._by_id[table_id]
        except KeyError:
            raise ValidationFailed(
                f"The data set definition {self.code} has no table {table_id}."
            ) from None

    def owned_by(self, table_id: int) -> Iterator[Table]:
        """The dependents of a table, of any depth, parents before children."""
        found = {table_id}
        for table in self.tables:
            if table.owner and table.owner.table_id in found:
                found.add(table.table_id)
                yield table

    def top_of(self, table_id: int) -> int | None:
        """The top-level or reference table that owns a table's records, perhaps itself."""
        table = self.table(table_id)
        while table.owner:
            table = self.table(table.owner.table_id)
        carried = table.table_id in (*self.top_level, *self.reference_data)
        return table.table_id if carried else None


@dataclass(frozen=True)
class Application:
    """A tenant's application, as the catalog has it. A tenant has one at most.

    ``identifier`` names this environment of it (unless the property ``ohi.environment.identifier``
    does), ``version`` is what runs here, as ``MAJOR.…``. ``options`` say how its database is
    reached, like those of a source of kind ``postgresql``. ``task_processing`` are the
    application's own SQL functions that stop and start its background processing and tell its
    status, by these three words; empty where it has none.
    """

    application_id: str
    tenant: str
    name: str
    identifier: str
    version: str
    options: Mapping[str, str]
    definitions: tuple[Definition, ...]
    task_processing: Mapping[str, str] = field(default_factory=dict)

    def definition(self, code: str) -> Definition | None:
        """By its code, if there is one."""
        return next((one for one in self.definitions if one.code == code), None)


def accepts(built_by: str, version: str, *, exactly: bool) -> bool:
    """May what was built in an environment of one version be imported into one of another.

    The whole version has to be the same if ``exactly``, else the major one (seed 001).
    """
    if exactly:
        return built_by == version
    return built_by.split(".", 1)[0] == version.split(".", 1)[0]
