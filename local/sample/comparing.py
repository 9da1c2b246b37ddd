"""Two environments of an application compared: by SQL, table by table, without Headrace's help."""

from collections.abc import Iterator
from dataclasses import dataclass

from headrace.datasets.definitions import Definition, Table
from local.postgresql import Server


@dataclass(frozen=True)
class TableComparison:
    """A table in two databases: how many records are the same, other ones, or in one of them."""

    name: str
    same: int
    different: int
    only_first: int
    only_second: int

    @property
    def is_equal(self) -> bool:
        """Are all records in both, and the same."""
        return not (self.different or self.only_first or self.only_second)


def records(server: Server, database: str, definition: Definition, table: Table) -> dict[str, str]:
    """The records by their UUIDs: digests of what is carried, UUIDs in place of ids."""
    columns = [f"t.{_quoted(column)}::text" for column in table.columns]
    for reference in table.all_references:
        other = definition.table(reference.table_id)
        columns.append(
            f"(SELECT r.{_quoted(other.uuid_column)} FROM {_relation(other)} r "
            f"WHERE r.{_quoted(other.id_column)} = t.{_quoted(reference.column)})::text"
        )
    found = server.run(
        f"SELECT t.{_quoted(table.uuid_column)} || ' ' || md5(ROW({', '.join(columns)})::text) "
        f"FROM {_relation(table)} t",
        database,
    )
    return dict(line.split(" ") for line in found.splitlines())


def compared(
    definition: Definition, first: tuple[Server, str], second: tuple[Server, str]
) -> Iterator[TableComparison]:
    """Each table that the definition carries, in two databases."""
    for table in definition.tables:
        ours, theirs = records(*first, definition, table), records(*second, definition, table)
        both = ours.keys() & theirs.keys()
        same = sum(ours[uuid] == theirs[uuid] for uuid in both)
        yield TableComparison(
            table.name, same, len(both) - same, len(ours) - len(both), len(theirs) - len(both)
        )


def _relation(table: Table) -> str:
    schema, name = table.relation.split(".")
    return f"{_quoted(schema)}.{_quoted(name)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
