"""Writing items, each whole or not at all: many in one transaction, and what fails by itself.

A transaction takes a batch of items. If it fails, it is halved until the item that fails is alone;
all others are written. An item that fails alone is tried in each order of its statements, since
another order may not meet a unique key or a reference that stands in the way; and once more at
the end, since another item may have been it. What no order helps against is two records that
exchange unique values.
"""

# ruff: noqa: S608  All pieces of SQL are ours: names quoted, texts as literals, numbers of ours.

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import psycopg
from psycopg import errors

from headrace.adapters.postgresql.session import Connection, settings_sql, translated
from headrace.adapters.postgresql.target_tables import TargetTable
from headrace.adapters.sql_text import literal
from headrace.kernel.errors import HeadraceError

_log = logging.getLogger(__name__)

LOCK_TIMEOUT = "3s"
"""So long an import waits for a lock of the application's. Who waits behind it waits as long."""

_TRIES = 5
_PAUSES_S = 0.2
_PASSES = 4


class Order(StrEnum):
    """In which order the statements of a transaction come."""

    DELETE_CHANGE_ADD = "dca"
    DELETE_ADD_CHANGE = "dac"
    CHANGE_ADD_DELETE = "cad"
    ADD_CHANGE_DELETE = "acd"


type Statement = Callable[[TargetTable, str], str]
"""Makes a statement about a table, of the items that a condition on ``x`` names."""


def in_order(
    order: Order,
    tables: Sequence[TargetTable],
    which: str,
    delete: Statement,
    change: Statement,
    add: Statement,
) -> Iterator[str]:
    """The statements of a transaction: what is referred to is added first and deleted last."""
    deletes = [delete(target, which) for target in reversed(tables)]
    made = {"c": change, "a": add}
    writes = [made[step](target, which) for target in tables for step in order if step in made]
    yield from [*writes, *deletes] if order.endswith("d") else [*deletes, *writes]


class Writing(Protocol):
    """What is to be written, by ranges of items; kept in the session's temporary tables.

    ``todo``, ``problems`` and ``failed`` name those that ``import_plan`` describes.
    """

    todo: str
    problems: str
    failed: str
    backwards: bool
    """The last items first."""

    def statements(self, first: int, last: int, order: Order) -> Iterator[str]:
        """Those that write these items, but for failed ones; each changes some rows, and all
        together as many as ``todo`` has records of them."""
        ...

    def refuse_dependents(self, of_items: str) -> None:
        """Refuses the items that cannot do without failed ones."""
        ...

    def failed_that_it_needs(self, item: int) -> str:
        """A query of the failed items that this one cannot do without."""
        ...


@dataclass(frozen=True)
class Reason:
    """Why items could not be written: a code of ``problems``, and the column or constraint."""

    code: str
    name: str = ""
    again: bool = False
    """Another order, or another item, may change it."""


class _Mismatch(Exception):
    """Fewer or more rows were changed than were to be."""


@dataclass
class Applying:
    """Applies what is to be written. ``pause`` waits for some seconds."""

    connection: Connection
    writing: Writing
    pause: Callable[[float], None] = time.sleep
    _again: bool = field(default=False, init=False)

    def run(self) -> Iterator[int]:
        """Yields, after each transaction, how many records of items were dealt with by it.

        Raises SourceUnavailable, SourceChanged: the server cannot go on. What was yielded stays.
        """
        todo = self.writing.todo
        direction = "DESC" if self.writing.backwards else "ASC"
        batches = self._rows(
            f"SELECT min(item), max(item) FROM {todo} GROUP BY batch ORDER BY 1 {direction}"
        )
        for first, last in batches:
            yield from self._range(first, last)
        yield from self._once_more()

    def _range(self, first: int, last: int) -> Iterator[int]:
        todo, failed = self.writing.todo, self.writing.failed
        ((items, records, middle),) = self._rows(
            f"SELECT count(*), coalesce(sum(records), 0)::int, "
            f"percentile_disc(0.5) WITHIN GROUP (ORDER BY item) FROM {todo} t "
            f"WHERE item BETWEEN {first} AND {last} "
            f"AND NOT EXISTS (SELECT FROM {failed} f WHERE f.item = t.item)"
        )
        if not items:
            return
        if items == 1:
            first = last = middle
        reason = self._write(first, last, records, Order.DELETE_CHANGE_ADD)
        if reason is None:
            yield records
        elif items == 1:
            self._single(first, records, reason)
            yield records
        else:
            halves = [(first, middle), (middle + 1, last)]
            for half in reversed(halves) if self.writing.backwards else halves:
                yield from self._range(*half)

    def _single(self, item: int, records: int, reason: Reason) -> None:
        for order in list(Order)[1:] if reason.again else ():
            other = self._write(item, item, records, order)
            if other is None:
                return
        self._fail(item, reason)

    def _fail(self, item: int, reason: Reason) -> None:
        failed, problems = self.writing.failed, self.writing.problems
        again = "true" if reason.again else "false"
        with self.connection.transaction():
            self._execute(f"INSERT INTO {failed} VALUES ({item}, {again})")
            self._execute(
                f"INSERT INTO {problems} (item, code, col) "
                f"VALUES ({item}, {literal(reason.code)}, {literal(reason.name)})"
            )
            self.writing.refuse_dependents(f"f.item = {item}")

    def _once_more(self) -> Iterator[int]:
        """Failed items that may not fail any more now that all others are written."""
        todo, failed = self.writing.todo, self.writing.failed
        # Items that wait for one another's values are a chain, in one direction or the other.
        for direction in ("DESC", "ASC") * _PASSES:
            candidates = self._rows(
                f"SELECT item, records FROM {failed} JOIN {todo} USING (item) WHERE again "
                f"ORDER BY item {direction}"
            )
            written = 0
            for item, records in candidates:
                if not self._rows(self.writing.failed_that_it_needs(item)):
                    written += self._retried(item, records)
                yield 0
            if not written and direction == "ASC":
                return

    def _retried(self, item: int, records: int) -> bool:
        failed, problems = self.writing.failed, self.writing.problems
        self._execute(f"DELETE FROM {failed} WHERE item = {item}")
        if any(self._write(item, item, records, order) is None for order in Order):
            self._execute(f"DELETE FROM {problems} WHERE item = {item}")
            return True
        self._execute(f"INSERT INTO {failed} VALUES ({item}, true)")
        return False

    # --- one transaction ------------------------------------------------------------------------

    def _write(self, first: int, last: int, records: int, order: Order) -> Reason | None:
        """None: these items are written. Else nothing of them is, and why."""
        for left in reversed(range(_TRIES)):
            try:
                with self.connection.transaction():
                    self._execute(settings_sql())
                    self._execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                    changed = 0
                    for statement in self.writing.statements(first, last, order):
                        changed += self.connection.execute(statement.encode()).rowcount
                    if changed != records:
                        raise _Mismatch
            except _Mismatch:
                return Reason("changed", again=True)
            except (
                errors.LockNotAvailable,
                errors.DeadlockDetected,
                errors.SerializationFailure,
                errors.QueryCanceled,
            ):
                if left:
                    self.pause(random.uniform(_PAUSES_S / 2, _PAUSES_S) * (_TRIES - left))  # noqa: S311
            except psycopg.Error as error:
                return _reason_of(error)
            else:
                return None
        return Reason("locked")

    def _execute(self, statement: str) -> None:
        self.connection.execute(statement.encode())

    def _rows(self, statement: str) -> list[tuple[int, ...]]:
        return self.connection.execute(statement.encode()).fetchall()


def _reason_of(error: psycopg.Error) -> Reason:
    """What refuses an item. Raises what ends the whole import. The server's text quotes values, so
    only names of columns and constraints are passed on."""
    named = error.diag.column_name or error.diag.constraint_name or ""
    match error:
        case errors.UniqueViolation() | errors.ExclusionViolation():
            return Reason("unique", named, again=True)
        case errors.ForeignKeyViolation() | errors.RestrictViolation():
            return Reason("reference", named, again=True)
        case errors.NotNullViolation():
            return Reason("null", named)
        case errors.CheckViolation():
            return Reason("check", named)
        case errors.DataError():
            return Reason("value", named)
        case errors.RaiseException() | errors.TriggeredActionException():
            return Reason("rule", named)
        case _:
            raise _ended(error) from None


def _ended(error: psycopg.Error) -> HeadraceError:
    _log.warning("the target ended an import: %s %s", type(error).__name__, error.sqlstate)
    return translated(error)
