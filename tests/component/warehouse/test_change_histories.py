"""Whatever happens to a DuckLake: a full document and increments are its rows at every version."""

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from headrace.adapters.warehouse.changes import DuckLakeChanges
from headrace.exports.model import FileFormat
from headrace.exports.sources import ColumnType, RowFilter
from headrace.kernel.errors import SyncVersionExpired
from tests.component.warehouse.copies import Copy, changes_between, latest, lists_of
from tests.component.warehouse.places import Document, a_table_of, lake_source, loader
from tests.examples import examples

HISTORIES = int(os.environ.get("HEADRACE_HISTORIES") or examples(8))
"""Hundreds were run; a few are in every test run."""

IDS = 40
names = st.sampled_from(["'one'", "'two'", "NULL"])
tenants = st.sampled_from(["'a'", "'b'"])
some = st.builds(lambda m, r: f"id % {m} = {r % m}", st.integers(1, 5), st.integers(0, 4))
statements = st.one_of(
    st.builds(
        lambda first, count, tenant, name: (
            f"INSERT INTO t(id, tenant, name, note) SELECT i, {tenant}, {name}, 'x' "
            f"FROM range({first}, {first + count}) r(i) WHERE i NOT IN (SELECT id FROM t)"
        ),
        st.integers(0, IDS),
        st.sampled_from([1, 3, 20]),
        tenants,
        names,
    ),
    st.builds("DELETE FROM t WHERE {}".format, some),
    st.just("DELETE FROM t"),
    st.builds("UPDATE t SET name = {} WHERE {}".format, names, some),
    st.builds("UPDATE t SET tenant = {} WHERE {}".format, tenants, some),
    st.builds("UPDATE t SET note = note || 'y' WHERE {}".format, some),
    st.builds("UPDATE t SET id = id + {}".format, st.integers(1, 3)),
    st.just("UPDATE t SET id = id + 1 - 2 * (id % 2)"),  # neighbours change places
)


@dataclass(frozen=True)
class Transaction:
    """Statements that are committed together."""

    statements: tuple[str, ...]


@dataclass(frozen=True)
class Upkeep:
    """A statement that changes no row."""

    statement: str


@dataclass(frozen=True)
class Expire:
    """Some snapshots, but never the last: the oldest so many, or every second one."""

    oldest: int | None


@dataclass(frozen=True)
class Sync:
    """The client asks for what has changed."""


Step = Transaction | Upkeep | Expire | Sync
upkeep = st.sampled_from(
    [
        Upkeep("CALL lake.set_option('data_inlining_row_limit', 0)"),
        Upkeep("CALL lake.set_option('data_inlining_row_limit', 10)"),
        Upkeep("CALL ducklake_flush_inlined_data('lake')"),
        Upkeep("CALL ducklake_merge_adjacent_files('lake')"),
        Upkeep("CALL ducklake_rewrite_data_files('lake', delete_threshold => 0.1)"),
        Upkeep("CALL ducklake_cleanup_old_files('lake', cleanup_all => true)"),
        Upkeep("ALTER TABLE t ADD COLUMN IF NOT EXISTS extra INTEGER DEFAULT 5"),
        Upkeep("ALTER TABLE t DROP COLUMN IF EXISTS extra"),
    ]
)
transactions = st.builds(Transaction, st.lists(statements, min_size=1, max_size=3).map(tuple))
steps: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        transactions,
        transactions,
        transactions,
        upkeep,
        st.builds(Expire, st.sampled_from([1, 3, 99, None])),
        st.just(Sync()),
    ),
    min_size=3,
    max_size=16,
)


class History:
    """A lake, what its rows were at each version, and the copies that clients keep of it."""

    def __init__(self, folder: Path, connection: duckdb.DuckDBPyConnection, at_once: int) -> None:
        self.connection = connection
        self.source = lake_source(folder)
        connection.execute("CREATE TABLE t(id BIGINT, tenant VARCHAR, name VARCHAR, note VARCHAR)")
        columns = ("id", "tenant", "name")
        table = replace(a_table_of(self.source, "main.t", columns=columns), primary_key=("id",))
        of_a = RowFilter("tenant", ("a",), ColumnType.STRING)
        self.changes = DuckLakeChanges(keys_at_once=at_once)
        self.copies = [
            Copy(self.source, one, self.changes) for one in (table, replace(table, filters=(of_a,)))
        ]
        self.truth: dict[str, list[tuple[Any, ...]]] = {}
        self.record()
        for copy in self.copies:
            copy.take_all(latest(self.source))

    def record(self) -> None:
        """What the loader sees, which is the truth."""
        self.truth[latest(self.source)] = self.connection.execute(
            "SELECT id::VARCHAR, tenant, name FROM t"
        ).fetchall()

    def content(self, copy: Copy, version: str) -> Counter[tuple[Any, ...]]:
        """The truth of a version, as a client may see it."""
        allowed = {value for one in copy.table.filters for value in one.values}
        return Counter(row for row in self.truth[version] if not allowed or row[1] in allowed)

    def take(self, step: Step) -> None:
        """Goes on by a step."""
        match step:
            case Transaction(statements):
                self.connection.execute("; ".join(["BEGIN", *statements, "COMMIT"]))
            case Upkeep(statement):
                self.connection.execute(statement)
            case Expire(oldest):
                held = [int(version.partition("@")[0]) for version in self.held()[:-1]]
                gone = held[::2] if oldest is None else held[:oldest]
                if gone:
                    self.connection.execute(
                        f"CALL ducklake_expire_snapshots('lake', versions => {gone})"
                    )
            case Sync():
                self.sync()
        self.record()

    def held(self) -> list[str]:
        """The versions that have not expired, of those that were noted."""
        rows = self.connection.execute("SELECT snapshot_id FROM ducklake_snapshots('lake')")
        numbers = {str(row[0]) for row in rows.fetchall()}
        return [version for version in self.truth if version.partition("@")[0] in numbers]

    def documents(self, since: str) -> Iterator[tuple[FileFormat, Document]]:
        """What has changed for the client of one tenant, in every format."""
        table, version = self.copies[1].table, latest(self.source)
        for file_format in FileFormat:
            made = changes_between(
                self.source, table, since, version, file_format, changes=self.changes
            )
            yield file_format, made

    def sync(self) -> None:
        """Every copy goes on to the latest version, by an increment if there may be one."""
        version = latest(self.source)
        for copy in self.copies:
            if copy.version in self.held():
                copy.take_changes(version)
            else:
                with pytest.raises(SyncVersionExpired):
                    copy.take_changes(version)
                copy.take_all(version)
            assert copy.content() == self.content(copy, version)


INTO = "INSERT INTO t(id, tenant, name, note)"
A_ROW = f"{INTO} VALUES (1, 'a', 'one', 'x')"


@given(steps, st.sampled_from([3, 1000]))
@example(
    # Rows that come and change in one transaction leave their first images in DuckLake's changes.
    [
        Transaction(("INSERT INTO t SELECT i, 'a', 'one', 'x' FROM range(20) r(i)",)),
        Sync(),
        Transaction((A_ROW.replace("(1,", "(30,"), "UPDATE t SET name = 'two' WHERE id >= 19")),
        Sync(),
    ],
    1000,
)
@example(
    # DuckLake's statistics are of the latest snapshot: keys below them came out as others.
    [
        Transaction((f"{INTO} SELECT i, 'b', 'one', 'x' FROM range(9, 29) r(i)",)),
        Transaction(
            (
                "UPDATE t SET tenant = 'b' WHERE id % 1 = 0",
                f"{INTO} SELECT i, 'b', 'two', 'x' FROM range(3, 9) r(i)",
                "UPDATE t SET tenant = 'a' WHERE id % 5 = 4",
            )
        ),
        Sync(),
        Upkeep("CALL ducklake_flush_inlined_data('lake')"),
        Transaction(("UPDATE t SET name = 'two' WHERE id % 2 = 1", "UPDATE t SET id = id + 2")),
        Upkeep("CALL ducklake_rewrite_data_files('lake', delete_threshold => 0.1)"),
        Upkeep("CALL ducklake_flush_inlined_data('lake')"),
        Transaction(
            (
                "DELETE FROM t WHERE id % 4 = 0",
                "UPDATE t SET id = id + 1 - 2 * (id % 2)",
                "UPDATE t SET id = id + 1 - 2 * (id % 2)",
            )
        ),
        Transaction(
            ("UPDATE t SET note = note || 'y' WHERE id % 3 = 1", "UPDATE t SET id = id + 1")
        ),
        Sync(),
    ],
    1000,
)
@settings(
    max_examples=HISTORIES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_a_copy_kept_by_increments_is_the_source(history: list[Step], at_once: int) -> None:
    with tempfile.TemporaryDirectory() as folder, loader(Path(folder)) as connection:
        lake = History(Path(folder), connection, at_once)
        for step in history:
            lake.take(step)
        lake.sync()
        # In one step from the oldest version that is held, and in every format.
        first, last = lake.held()[0], latest(lake.source)
        again = replace(lake.copies[1], version="", rows={})
        again.take_all(first)
        assert again.content() == lake.content(again, first)
        told = [as_told(lists_of(made, file_format)) for file_format, made in lake.documents(first)]
        assert told[0] == told[1] == told[2] == told[3]
        again.take_changes(last)
        assert again.content() == lake.content(again, last)


def as_told(lists: dict[str, list[dict[str, Any]]]) -> dict[str, Counter[tuple[Any, ...]]]:
    """The lists of changes in a form that is the same of all formats."""
    return {
        name: Counter((str(row["id"]), row.get("tenant"), row.get("name")) for row in rows)
        for name, rows in lists.items()
    }
