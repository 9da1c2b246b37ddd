"""The application's database as the target of imports (port ``TargetDatabase``).

All is done in one session, as its temporary tables hold the plan (``import_plan``); so it takes
a connection to the server itself, or by way of a pooler that pools sessions. It needs PostgreSQL
16, the right to make temporary tables, and that to read and write the application's. Nothing of
ours stays in the database.
"""

# ruff: noqa: S608  All pieces of SQL are ours: names quoted, texts as literals, numbers of ours.

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from headrace.adapters.postgresql.applying import Applying, Order, in_order
from headrace.adapters.postgresql.import_plan import (
    DEPENDENCIES,
    FAILED,
    PROBLEMS,
    TODO,
    ImportPlan,
)
from headrace.adapters.postgresql.problems import problem_messages
from headrace.adapters.postgresql.session import settings_sql
from headrace.adapters.postgresql.target_tables import TargetTable, target_tables
from headrace.adapters.postgresql.undoing import PlannedUndo, planned_undo
from headrace.adapters.postgresql.writing_session import writing_session
from headrace.adapters.sql_text import literal
from headrace.datasets.definitions import Application, Definition
from headrace.datasets.importing import covered_tables
from headrace.datasets.messages import UNKNOWN_TABLE, Message
from headrace.datasets.model import Counts
from headrace.datasets.ports import Payload

_ROOM = "SET temp_buffers = '64MB'; SET work_mem = '64MB'"
"""Of the server's memory, at most, for the plan's tables and for each sorting or hashing."""


@dataclass(frozen=True)
class PostgresqlTarget:
    """The application's database, written to."""

    @contextmanager
    def planned(
        self,
        application: Application,
        definition: Definition,
        payload: Payload,
        *,
        delete_by_omission: bool,
        dry: bool,
        keep_going: Callable[[int], None],
    ) -> Iterator["PlannedImport"]:
        """See ``TargetDatabase``."""
        with writing_session(application, keep_going) as connection:
            targets, wrong = target_tables(connection, definition)
            known = {table.table_id for table in definition.tables}
            wrong += (
                UNKNOWN_TABLE(entry.name, table=entry.name)
                for entry in payload.manifest.tables
                if entry.table_id not in known
            )
            if wrong:
                yield PlannedImport(None, definition, wrong)
                return
            covered = covered_tables(definition, payload.manifest) if delete_by_omission else ()
            plan = ImportPlan(connection, definition, targets, frozenset(covered), dry)
            connection.execute(settings_sql().replace("SET LOCAL", "SET").encode())
            connection.execute(_ROOM)
            plan.begin()
            carried = {entry.table_id for entry in payload.manifest.tables}
            records = 0
            for target in plan.tables:
                table_id = target.table.table_id
                lines = payload.lines(table_id) if table_id in carried else iter(())
                here = 0
                for here in plan.stage(target, lines):
                    keep_going(records + here)
                records += here
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            connection.execute(settings_sql().encode())
            plan.make(lambda: keep_going(records))
            yield PlannedImport(plan, definition, [])

    def planned_undo(
        self,
        application: Application,
        definition: Definition,
        lines: Iterable[bytes],
        *,
        force: bool,
        keep_going: Callable[[int], None],
    ) -> AbstractContextManager[PlannedUndo]:
        """See ``TargetDatabase``."""
        return planned_undo(application, definition, lines, force=force, keep_going=keep_going)


@dataclass
class PlannedImport:
    """What an import would do, and its doing; the statements for ``Applying``."""

    plan: ImportPlan | None
    definition: Definition
    wrong: list[Message]
    todo: str = field(default=TODO, init=False)
    problems: str = field(default=PROBLEMS, init=False)
    failed: str = field(default=FAILED, init=False)
    backwards: bool = field(default=False, init=False)

    @property
    def _plan(self) -> ImportPlan:
        if self.plan is None:
            raise ValueError("Nothing is planned, as the data set does not fit the database.")
        return self.plan

    def counts(self) -> Counts:
        """Of what was not refused so far."""
        return self._plan.counts() if self.plan else Counts()

    def messages(self) -> Iterator[Message]:
        """Why nothing at all, or which items, cannot be imported."""
        yield from self.wrong
        if self.plan is not None:
            labels = self.plan.labels(FAILED)
            yield from problem_messages(self.plan.connection, self.plan.targets, labels)

    def failed_items(self) -> frozenset[int]:
        """See ``Planned``."""
        return frozenset(item for (item,) in self._plan.rows(f"SELECT item FROM {FAILED}"))

    def difference(self) -> Iterator[bytes]:
        """See ``Planned``."""
        yield from self._plan.difference()

    def undo_set(self) -> Iterator[bytes]:
        """See ``Planned``."""
        yield from self._plan.undo_set()

    def records(self) -> int:
        """How many there are to write."""
        ((records,),) = self._plan.rows(f"SELECT coalesce(sum(records), 0)::int FROM {TODO}")
        return int(records)

    def apply(self) -> Iterator[int]:
        """See ``Planned``."""
        self._plan.connection.execute("COMMIT")
        yield from Applying(self._plan.connection, self).run()

    # --- statements -------------------------------------------------------------------------

    def statements(self, first: int, last: int, order: Order) -> Iterator[str]:
        """See ``Writing``."""
        which = (
            f"x.item BETWEEN {first} AND {last} "
            f"AND NOT EXISTS (SELECT FROM {FAILED} f WHERE f.item = x.item)"
        )
        yield from in_order(order, self._plan.tables, which, _delete, _change, _add)

    def refuse_dependents(self, of_items: str) -> None:
        """See ``Writing``."""
        self._plan.refuse_dependents(of_items)

    def failed_that_it_needs(self, item: int) -> str:
        """See ``Writing``."""
        return (
            f"SELECT d.on_item FROM {DEPENDENCIES} d JOIN {FAILED} f ON f.item = d.on_item "
            f"WHERE d.item = {item}"
        )


def _delete(target: TargetTable, which: str) -> str:
    return (
        f"DELETE FROM {target.sql} t USING {target.temporary('gone')} x WHERE {which} "
        f"AND t.{target.id.sql} = {target.id.typed('x.id')} AND {target.image()} = x.old"
    )


def _change(target: TargetTable, which: str) -> str:
    return (
        f"UPDATE {target.sql} t SET {target.assignments('x.new')} "
        f"FROM {target.temporary('plan')} x "
        f"WHERE x.matched AND {which} AND t.{target.id.sql} = {target.id.typed('x.id')} "
        # What was changed since the plan was made is neither overwritten nor lost to the undo set.
        f"AND {target.image()} = x.old"
    )


def _add(target: TargetTable, which: str) -> str:
    columns = ", ".join(column.sql for column in (target.id, *target.carried))
    values = ", ".join(
        column.typed(f"(x.new->>{literal(column.name)})") for column in target.carried
    )
    return (
        f"INSERT INTO {target.sql} ({columns}) OVERRIDING SYSTEM VALUE "
        f"SELECT {target.id.typed('x.id')}, {values} FROM {target.temporary('plan')} x "
        f"WHERE NOT x.matched AND {which}"
    )
