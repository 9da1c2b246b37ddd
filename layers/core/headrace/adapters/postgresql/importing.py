"""The application's database as the target of imports (port ``TargetDatabase``).

All is done in one session, as its temporary tables hold the plan (``import_plan``); so it takes
a connection to the server itself, or by way of a pooler that pools sessions. It needs PostgreSQL
16, the right to make temporary tables, and that to read and write the application's. Nothing of
ours stays in the database.
"""

# ruff: noqa: S608  All pieces of SQL are ours: names quoted, texts as literals, numbers of ours.

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from headrace.adapters.postgresql.applying import Applying, Order
from headrace.adapters.postgresql.import_plan import (
    DEPENDENCIES,
    FAILED,
    PROBLEMS,
    TODO,
    ImportPlan,
)
from headrace.adapters.postgresql.session import (
    Connection,
    connect,
    errors_translated,
    settings_sql,
)
from headrace.adapters.postgresql.target_tables import TargetTable, target_tables
from headrace.adapters.warehouse.engine import literal
from headrace.datasets.definitions import Application, Definition
from headrace.datasets.importing import covered_tables
from headrace.datasets.messages import (
    INCOMPATIBLE,
    MISSING_REFERENCE,
    REFUSED_REFERENCE,
    TECHNICAL_FAILURE,
    UNKNOWN_TABLE,
    Message,
)
from headrace.datasets.model import Counts
from headrace.datasets.ports import Payload
from headrace.exports.model import Source
from headrace.kernel.errors import SourceUnavailable

OLDEST_SERVER = 160000
"""``server_version_num`` of PostgreSQL 16, which can say whether a text is a value of a type."""

_EVERY_RECORDS = 10_000

_REASONS = {
    "value": "its column {name} of {table} cannot hold the value as it is",
    "twice": "a UUID is twice among its records of {table}",
    "ambiguous": "several records of {table} have its functional key, and none has its UUID",
    "later": "{name} of {table} refers to {reference}, which comes after it in the data set",
    "unique": "another record has values of it that are to be unique ({name})",
    "reference": "a reference of it leads nowhere, or a record that it deletes is referred to "
    "({name})",
    "null": "its column {name} must not be empty",
    "check": "a rule of the database does not allow its values ({name})",
    "rule": "a rule of the application does not allow it",
    "changed": "a record of it was changed meanwhile by somebody else",
}


@contextmanager
def writing_session(application: Application) -> Iterator[Connection]:
    """A connection to the application's own database, and to no replica of it.

    Raises SourceUnavailable.
    """
    options = {name: value for name, value in application.options.items() if name != "replica_host"}
    with closing(connect(Source(application.name, "postgresql", options))) as connection:
        if connection.info.server_version < OLDEST_SERVER:
            raise SourceUnavailable("Imports need PostgreSQL 16 or newer.")
        with errors_translated():
            yield connection


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
        with writing_session(application) as connection:
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
        deletes = [_delete(target, which) for target in reversed(self._plan.tables)]
        writes = [
            statement(target, which) for target in self._plan.tables for statement in _WRITES[order]
        ]
        last_of_all = order in (Order.CHANGE_ADD_DELETE, Order.ADD_CHANGE_DELETE)
        yield from [*writes, *deletes] if last_of_all else [*deletes, *writes]

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
    sets = ", ".join(
        f"{column.sql} = {column.typed(f'(x.new->>{literal(column.name)})')}"
        for column in target.carried
    )
    return (
        f"UPDATE {target.sql} t SET {sets} FROM {target.temporary('plan')} x "
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


_WRITES = {
    Order.DELETE_CHANGE_ADD: (_change, _add),
    Order.DELETE_ADD_CHANGE: (_add, _change),
    Order.CHANGE_ADD_DELETE: (_change, _add),
    Order.ADD_CHANGE_DELETE: (_add, _change),
}


def problem_messages(
    connection: Connection, targets: Mapping[int, TargetTable], labels: str
) -> Iterator[Message]:
    """The problems as messages, by item. ``labels``: a query of the items' names."""
    names = {table_id: target.table.name for table_id, target in targets.items()}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.code, p.table_id, p.col, p.target, p.ref->>'uuid', p.ref->>'key', l.label "
            f"FROM {PROBLEMS} p LEFT JOIN ({labels}) l USING (item) "
            "ORDER BY p.item, p.code, p.table_id, p.col, p.ref".encode()
        )
        seen: Message | None = None
        for code, table_id, column, to, uuid, key, label in cursor:
            told = _message(
                code, names.get(table_id, ""), column or "", names.get(to, ""), key, uuid, label
            )
            if told != seen:
                yield told
            seen = told


def _message(
    code: str, table: str, name: str, to: str, key: str | None, uuid: str | None, label: str | None
) -> Message:
    reference = uuid if not key or key == "[]" else f"{key} ({uuid})"
    match code:
        case "missing":
            return MISSING_REFERENCE(label, column=name, table=to, reference=reference)
        case "depends":
            return REFUSED_REFERENCE(label, column=name, table=to, reference=reference)
        case "locked":
            return TECHNICAL_FAILURE(label, reason="the application keeps a record of it locked")
        case _:
            reason = _REASONS[code].format(name=name, table=table, reference=f"{to} {reference}")
            return INCOMPATIBLE(label, reason=reason)
