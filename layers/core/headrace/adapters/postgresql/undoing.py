"""Undoing an import, by the undo set that it left: back to what the records were, ids and all.

Of each table there is a temporary one, ``undo``, with a row for each record of the undo set::

    item, id, before, after, was, now, does

``before`` is the whole row as it was, ``after`` the image that the import gave it; either is NULL
where there was no record. ``was`` is the image of ``before``, ``now`` that of the record as it is.
Where the record is as the import left it, ``does`` says what has to be done; where it is as it was
before, nothing is. A record that is neither was changed since by somebody else.
"""

# ruff: noqa: S608  All pieces of SQL are ours: names quoted, texts as literals, numbers of ours.

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from headrace.adapters.postgresql.applying import Applying, Order, in_order
from headrace.adapters.postgresql.import_plan import (
    FAILED,
    PROBLEMS,
    RECORDS_IN_A_BATCH,
    TODO,
    copied,
)
from headrace.adapters.postgresql.problems import problem_messages
from headrace.adapters.postgresql.session import Connection, settings_sql
from headrace.adapters.postgresql.target_tables import TargetTable, target_tables
from headrace.adapters.postgresql.writing_session import writing_session
from headrace.adapters.sql_text import literal
from headrace.datasets.definitions import Application, Definition
from headrace.datasets.messages import Message
from headrace.datasets.model import Counts

_RAW = "pg_temp.headrace_raw"


@contextmanager
def planned_undo(
    application: Application,
    definition: Definition,
    lines: Iterable[bytes],
    *,
    force: bool,
    keep_going: Callable[[int], None],
) -> Iterator["PlannedUndo"]:
    """See ``TargetDatabase.planned_undo``."""
    with writing_session(application, keep_going) as connection:
        targets, wrong = target_tables(connection, definition)
        tables = [] if wrong else [targets[table.table_id] for table in definition.tables]
        undo = PlannedUndo(connection, tables, wrong)
        if not wrong:
            undo.stage(lines, keep_going)
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            connection.execute(settings_sql().encode())
            undo.make(force=force)
        yield undo


@dataclass
class PlannedUndo:
    """What an undoing has to do, and its doing; the statements for ``Applying``."""

    connection: Connection
    tables: list[TargetTable]
    wrong: list[Message]
    todo: str = field(default=TODO, init=False)
    problems: str = field(default=PROBLEMS, init=False)
    failed: str = field(default=FAILED, init=False)
    backwards: bool = field(default=True, init=False)

    def stage(self, lines: Iterable[bytes], keep_going: Callable[[int], None]) -> None:
        """Copies the undo set."""
        self._run(
            f"CREATE TEMPORARY TABLE {PROBLEMS} (item int, code text, table_id int, col text, "
            "target int, ref jsonb)",
            f"CREATE TEMPORARY TABLE {FAILED} (item int PRIMARY KEY, again boolean)",
            f"CREATE TEMPORARY TABLE {_RAW} (line jsonb)",
        )
        for records in copied(self.connection, _RAW, lines):
            keep_going(records)
        self._run(f"ANALYZE {_RAW}")

    def make(self, *, force: bool) -> None:
        """Finds what there is to do. To be called in one transaction."""
        for target in self.tables:
            undo, table_id = target.temporary("undo"), target.table.table_id
            typed_id = target.id.typed("u.id")
            was, now, after = target.image_of("u.before"), target.image(), target.normal("u.after")
            here = f"t.{target.id.sql} IS NOT NULL"
            self._run(
                f"CREATE TEMPORARY TABLE {undo} AS SELECT item, id, before, after, was, now, "
                "CASE WHEN was IS NOT DISTINCT FROM now THEN 'nothing' "
                f"WHEN {'true' if force else 'now IS NOT DISTINCT FROM left_as'} "
                "THEN CASE WHEN now IS NULL THEN 'add' WHEN was IS NULL THEN 'delete' "
                "ELSE 'change' END ELSE 'conflict' END AS does FROM ("
                "SELECT u.item, u.id, u.before, u.after, "
                f"CASE WHEN u.before IS NOT NULL THEN {was} END AS was, "
                f"CASE WHEN u.after IS NOT NULL THEN {after} END AS left_as, "
                f"CASE WHEN {here} THEN {now} END AS now FROM ("
                "SELECT (line->>'item')::int AS item, line->>'id' AS id, "
                "nullif(line->'before', 'null') AS before, nullif(line->'after', 'null') AS after "
                f"FROM {_RAW} WHERE line->>'table' = '{table_id}') u "
                f"LEFT JOIN {target.sql} t ON t.{target.id.sql} = {typed_id}) p",
                f"CREATE INDEX ON {undo} (item)",
                f"CREATE INDEX ON {undo} (id)",
                f"ANALYZE {undo}",
                f"INSERT INTO {PROBLEMS} SELECT item, 'since', {table_id} FROM {undo} "
                "WHERE does = 'conflict'",
            )
        self._refuse_owners()
        self._run(f"INSERT INTO {FAILED} SELECT DISTINCT item, false FROM {PROBLEMS}")
        both = " UNION ALL ".join(
            f"SELECT item FROM {target.temporary('undo')} WHERE does IN ('add', 'change', 'delete')"
            for target in self.tables
        )
        self._run(
            f"CREATE TEMPORARY TABLE {TODO} AS SELECT item, records::int, ((sum(records) OVER "
            f"(ORDER BY item) - records) / {RECORDS_IN_A_BATCH})::int AS batch FROM ("
            f"SELECT item, count(*) AS records FROM ({both}) b WHERE NOT EXISTS "
            f"(SELECT FROM {FAILED} f WHERE f.item = b.item) GROUP BY item) c",
            f"ALTER TABLE {TODO} ADD PRIMARY KEY (item)",
            f"ANALYZE {TODO}",
        )

    def _refuse_owners(self) -> None:
        """What was added owns records since that the import did not add: they would go with it."""
        by_id = {target.table.table_id: target for target in self.tables}
        for target in self.tables:
            owner = target.table.owner
            if owner:
                parent, undo = by_id[owner.table_id], target.temporary("undo")
                self._run(
                    f"INSERT INTO {PROBLEMS} SELECT DISTINCT u.item, 'owns', "
                    f"{parent.table.table_id} FROM {parent.temporary('undo')} u "
                    f"JOIN {target.sql} t ON t.{target.columns[owner.column].sql}::text = u.id "
                    f"WHERE u.does = 'delete' AND NOT EXISTS (SELECT FROM {undo} c "
                    f"WHERE c.id = t.{target.id.sql}::text AND c.does IN ('change', 'delete'))"
                )

    # --- what there is to say -------------------------------------------------------------------

    def counts(self) -> Counts:
        """Of the items that are not refused; and how many are."""
        totals = dict.fromkeys(("add", "change", "delete", "nothing"), 0)
        for target in self.tables:
            for does, records in self._rows(
                f"SELECT does, count(*) FROM {target.temporary('undo')} x WHERE NOT EXISTS "
                f"(SELECT FROM {FAILED} f WHERE f.item = x.item) GROUP BY does"
            ):
                totals[str(does)] += int(str(records))
        ((failed,),) = self._rows(f"SELECT count(*)::int FROM {FAILED}")
        return Counts(
            totals["add"], totals["change"], totals["delete"], totals["nothing"], int(str(failed))
        )

    def messages(self) -> Iterator[Message]:
        """Why nothing at all, or which items, cannot be undone."""
        yield from self.wrong
        if not self.wrong:
            by_id = {target.table.table_id: target for target in self.tables}
            yield from problem_messages(self.connection, by_id, self._labels())

    def records(self) -> int:
        """How many there are to write."""
        ((records,),) = self._rows(f"SELECT coalesce(sum(records), 0)::int FROM {TODO}")
        return int(str(records))

    def apply(self) -> Iterator[int]:
        """See ``Applicable``."""
        self.connection.execute("COMMIT")
        yield from Applying(self.connection, self).run()

    def _labels(self) -> str:
        """A query of the failed items' names: those of their first records in the undo set."""
        named = " UNION ALL ".join(
            f"SELECT u.item, {place} AS place, {target.label('coalesce(u.before, u.after)')} "
            f"AS label FROM {target.temporary('undo')} u JOIN {FAILED} USING (item)"
            for place, target in enumerate(self.tables)
        )
        return f"SELECT DISTINCT ON (item) item, label FROM ({named}) n ORDER BY item, place, label"

    # --- statements -------------------------------------------------------------------------

    def statements(self, first: int, last: int, order: Order) -> Iterator[str]:
        """See ``Writing``."""
        which = (
            f"x.item BETWEEN {first} AND {last} "
            f"AND NOT EXISTS (SELECT FROM {FAILED} f WHERE f.item = x.item)"
        )
        yield from in_order(order, self.tables, which, _delete, _change, _add)

    def refuse_dependents(self, of_items: str) -> None:
        """Nothing: no item needs another one's undoing; what still refers to it, the server
        knows."""

    def failed_that_it_needs(self, item: int) -> str:
        """A query without an answer; see ``refuse_dependents``."""
        return f"SELECT {item} WHERE false"

    def _run(self, *statements: str) -> None:
        for statement in statements:
            self.connection.execute(statement.encode())

    def _rows(self, statement: str) -> list[tuple[object, ...]]:
        return self.connection.execute(statement.encode()).fetchall()


def _same(target: TargetTable) -> str:
    return f"t.{target.id.sql} = {target.id.typed('x.id')} AND {target.image()} = x.now"


def _delete(target: TargetTable, which: str) -> str:
    return (
        f"DELETE FROM {target.sql} t USING {target.temporary('undo')} x "
        f"WHERE x.does = 'delete' AND {which} AND {_same(target)}"
    )


def _change(target: TargetTable, which: str) -> str:
    return (
        f"UPDATE {target.sql} t SET {target.assignments('x.was')} "
        f"FROM {target.temporary('undo')} x "
        f"WHERE x.does = 'change' AND {which} AND {_same(target)}"
    )


def _add(target: TargetTable, which: str) -> str:
    columns = ", ".join(column.sql for column in target.written)
    values = ", ".join(
        column.typed(f"(x.before->>{literal(column.name)})") for column in target.written
    )
    return (
        f"INSERT INTO {target.sql} ({columns}) OVERRIDING SYSTEM VALUE SELECT {values} "
        f"FROM {target.temporary('undo')} x WHERE x.does = 'add' AND {which}"
    )
