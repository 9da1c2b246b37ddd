"""What a table of an open format comes down to at a version: columns, files, deleted rows."""

from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from headrace.adapters.sql_text import identifier, literal
from headrace.adapters.warehouse.engine import listed


@dataclass(frozen=True)
class TableColumn:
    """A column of the table.

    ``key`` is what files have it under: a field's id, or a name; None if no file has it, as its
    value is the file's (a column of partitions). ``reason``: why it cannot be exported; its
    ``type`` is the format's word then, and SQL of the engine otherwise.
    """

    name: str
    type: str
    nullable: bool
    key: int | str | None
    reason: str | None = None


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of the table; ``constants`` are the texts of its columns of partitions."""

    path: str
    constants: Mapping[str, str | None] = field(default_factory=dict)
    deleted: Callable[[], "array[int]"] | None = None
    """Reads the numbers of its rows that are deleted, if any are."""


@dataclass(frozen=True)
class TableFiles:
    """A table at a version."""

    columns: tuple[TableColumn, ...]
    files: tuple[DataFile, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """The files' paths, in their order."""
        return tuple(file.path for file in self.files)

    def refused(self, reason: str) -> "TableFiles":
        """The table without files and with all columns refused."""
        columns = tuple(
            TableColumn(c.name, c.type, c.nullable, c.key, reason) for c in self.columns
        )
        return TableFiles(columns, ())


VIRTUAL = ("filename", "file_row_number", "file_index")
"""What the engine tells of a row's place; hidden by columns of these names."""


def relation(table: TableFiles, deleted: str | None) -> str:
    """SQL of the table's rows, under the names of its columns that are not refused.

    ``deleted`` names the engine's table of deleted rows: the file's index, the row's number.
    """
    columns = [column for column in table.columns if column.reason is None]
    if not table.files:
        empty = (f"CAST(NULL AS {c.type}) AS {identifier(c.name)}" for c in columns)
        return f"(SELECT {', '.join(empty)} WHERE false)"
    names = {column.name.lower() for column in columns}
    chosen = [f"r.{name}" for name in VIRTUAL if not names & set(VIRTUAL)]
    held: list[str] = []
    for column in columns:
        if column.key is None:
            value = _of_file(column, table.files)
        else:
            value = f"r.c{len(held)}"
            held.append(_held(column, len(held)))
        chosen.append(f"{value} AS {identifier(column.name)}")
    # Without a schema the engine has the columns of the files, of which none is wanted then.
    form = f"schema = MAP {{{', '.join(held)}}}" if held else "union_by_name = true"
    read = f"read_parquet({listed(table.paths)}, {form}, hive_partitioning = false) AS r"
    if deleted is not None:
        read += f" ANTI JOIN {deleted} AS d ON d.file = r.file_index AND d.row = r.file_row_number"
    return f"(SELECT {', '.join(chosen)} FROM {read})"  # noqa: S608  names quoted


def _held(column: TableColumn, index: int) -> str:
    key = column.key if isinstance(column.key, int) else literal(str(column.key))
    return f"{key}: {{name: 'c{index}', type: {literal(column.type)}, default_value: NULL}}"


def _of_file(column: TableColumn, files: Iterable[DataFile]) -> str:
    values = [file.constants.get(column.name) for file in files]
    texts = ["NULL" if value is None else literal(value) for value in values]
    if len(set(texts)) == 1:
        return f"CAST({texts[0]} AS {column.type})"
    return f"CAST([{', '.join(texts)}][r.file_index::BIGINT + 1] AS {column.type})"
