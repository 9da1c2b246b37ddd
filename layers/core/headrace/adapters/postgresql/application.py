"""The SourceDatabase port: an application's database, that data sets are built from.

What goes along is worked out by the server (``gathering``) and each table's records leave it by its
own COPY, as lines that it made: neither ids nor records are held here, whatever their number.
Temporary tables take a session of their own: no pooler may stand between that hands transactions
out, and a replica has none, so the primary is read.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from headrace.adapters.postgresql.copying import CopyOut
from headrace.adapters.postgresql.gathering import (
    Gatherer,
    Plan,
    id_sql,
    prepare,
    relation_sql,
    uuid_sql,
)
from headrace.adapters.postgresql.session import Connection, session
from headrace.datasets.definitions import Application, Definition, Table
from headrace.datasets.model import Item, Options, Selection
from headrace.datasets.ports import Gathered
from headrace.exports.sources import Source
from headrace.kernel.errors import ValidationFailed, ValueNotExportable

_LINES = "FORMAT csv, QUOTE E'\\x01', ESCAPE E'\\x01', DELIMITER E'\\x02'"
"""Lines as they are: JSON holds neither of these characters, nor a line break."""

_NAMED = 10
"""How many records an error names at most."""


def source_of(application: Application) -> Source:
    """The application's database, the primary one, as what sessions are opened to."""
    options = {key: value for key, value in application.options.items() if key != "replica_host"}
    return Source(application.application_id, "postgresql", options)


@dataclass(frozen=True)
class PostgresqlApplication:
    """Reads data sets from PostgreSQL; a new session for every call."""

    def items(
        self, application: Application, definition: Definition, selections: Sequence[Selection]
    ) -> Iterator[Item]:
        """The items that are there now: by table, then UUID, each once.

        Raises ValidationFailed: a table is no top-level one, or there is no such record;
        ValueNotExportable: a record has no UUID.
        """
        for selection in selections:
            if selection.table_id not in definition.top_level:
                top_level = (
                    f"{one} ({definition.table(one).name})" for one in definition.top_level
                )
                raise ValidationFailed(
                    f"The table {selection.table_id} has no top-level items of the data set "
                    f"definition {definition.code}; those are of {', '.join(top_level)}."
                )

        def load(connection: Connection) -> None:
            connection.execute("CREATE TABLE pg_temp.headrace_selected (table_id int8, id int8)")
            with (
                connection.cursor() as cursor,
                cursor.copy("COPY pg_temp.headrace_selected FROM STDIN") as copy,
            ):
                for one in selections:
                    if one.record_id is not None:
                        copy.write_row((one.table_id, one.record_id))
            connection.execute("ANALYZE pg_temp.headrace_selected")

        whole = {one.table_id for one in selections if one.record_id is None}
        single = {one.table_id for one in selections if one.record_id is not None}
        tables = [definition.table(number) for number in definition.top_level]
        with session(source_of(application), before=load) as connection:
            for table in tables:
                if table.table_id in single:
                    _check_selected(connection, table)
            for table in tables:
                if table.table_id in whole:
                    yield from _items(connection, table, "true")
                elif table.table_id in single:
                    chosen = f"{id_sql(table)} IN ({_selected(table)})"
                    yield from _items(connection, table, chosen)

    @contextmanager
    def gather(
        self,
        application: Application,
        definition: Definition,
        items: Iterable[Item],
        options: Options,
    ) -> Iterator["PostgresqlGathering"]:
        """All that belongs to these items, in one snapshot that stands until this is left.

        Raises ValidationFailed, SourceUnavailable, SourceChanged, and its lines also
        ValueNotExportable.
        """
        plan = Plan(definition, options)
        with session(
            source_of(application),
            before=lambda connection: prepare(connection, plan, iter(items)),
        ) as connection:
            gatherer = Gatherer(connection, plan)
            gatherer()
            counts = {table.table_id: gatherer.count(table) for table in plan.carried}
            yield PostgresqlGathering(
                sum(counts[top.table_id] for top in plan.tops),
                sum(counts.values()),
                connection,
                gatherer,
                tuple((table, counts[table.table_id]) for table in plan.carried),
            )


@dataclass(frozen=True)
class PostgresqlGathering:
    """What was found: its tables are streams out of the snapshot."""

    items: int
    records: int
    _connection: Connection
    _gatherer: Gatherer
    _tables: tuple[tuple[Table, int], ...]

    def tables(self) -> Iterator[Gathered]:
        """Each to be read to its end before the next."""
        for table, count in self._tables:
            copy = CopyOut(self._connection, self._gatherer.select(table), _LINES, header=False)
            complete = self._gatherer.plan.is_complete(table)
            yield Gathered(table, count, complete, self._lines(table, copy))

    def _lines(self, table: Table, copy: CopyOut) -> Iterator[bytes]:
        chunks = iter(copy)
        for chunk in chunks:
            # A line that is NULL is an empty one.
            if chunk.startswith(b"\n") or b"\n\n" in chunk:
                for _ in chunks:
                    """The server is asked for the reason when it has ended."""
                raise ValueNotExportable(self._gatherer.reason(table))
            yield chunk


def _selected(table: Table) -> str:
    return f"SELECT id FROM pg_temp.headrace_selected WHERE table_id = {table.table_id}"  # noqa: S608


def _check_selected(connection: Connection, table: Table) -> None:
    rows = connection.execute(
        f"SELECT DISTINCT s.id FROM ({_selected(table)}) s LEFT JOIN {relation_sql(table)} t "  # noqa: S608
        f"ON {id_sql(table)} = s.id WHERE {id_sql(table)} IS NULL "
        f"ORDER BY 1 LIMIT {_NAMED}".encode()
    ).fetchall()
    if rows:
        raise ValidationFailed(
            f"The table {table.table_id} has no record {', '.join(str(row[0]) for row in rows)}."
        )


def _items(connection: Connection, table: Table, chosen: str) -> Iterator[Item]:
    select = (
        f"SELECT {id_sql(table)}, {uuid_sql(table)} FROM {relation_sql(table)} t "  # noqa: S608
        f"WHERE {chosen} ORDER BY {uuid_sql(table)}"
    )
    for chunk in CopyOut(connection, select, "FORMAT csv", header=False):
        for number, uuid in csv.reader(io.StringIO(chunk.decode(), newline="")):
            if not uuid:
                raise ValueNotExportable(f"A record of the table {table.name} has no UUID.")
            yield Item(table.table_id, int(number), uuid)
