"""Whatever becomes of a lake and of consents: a service's copy has the rows of those that share."""

import os
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from headrace.adapters.warehouse.changes import DuckLakeChanges
from headrace.exports.model import Compression, FileFormat
from headrace.exports.slices import PartPosition
from headrace.exports.sources import AccountColumn, ColumnType, RowFilter, SharedRows, Source, Table
from tests.component.warehouse.copies import Copy, changes_between, latest, lists_of
from tests.component.warehouse.places import (
    SPLITTING,
    a_duckdb_file,
    a_lake,
    a_parquet_folder,
    a_table_of,
    document,
    lake_source,
    loader,
    rows_of,
)
from tests.examples import examples

HISTORIES = int(os.environ.get("HEADRACE_HISTORIES") or examples(8))
"""Hundreds were run; a few are in every test run."""

ACCOUNTS = ("ann", "bob", "it's \\ {c}")


def _sql(text: str | None) -> str:
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


accounts = st.sampled_from([*ACCOUNTS, None]).map(_sql)
names = st.sampled_from(["'one'", "'two'", "NULL"])
some = st.builds(lambda m, r: f"id % {m} = {r % m}", st.integers(1, 5), st.integers(0, 4))
statements = st.one_of(
    st.builds(
        lambda first, count, account, name: (
            f"INSERT INTO t SELECT i, {account}, 'n', {name} "
            f"FROM range({first}, {first + count}) r(i) WHERE i NOT IN (SELECT id FROM t)"
        ),
        st.integers(0, 30),
        st.sampled_from([1, 3, 15]),
        accounts,
        names,
    ),
    st.builds("DELETE FROM t WHERE {}".format, some),
    st.builds("UPDATE t SET account = {} WHERE {}".format, accounts, some),
    st.builds("UPDATE t SET name = {} WHERE {}".format, names, some),
    st.builds("UPDATE t SET tenant = {} WHERE {}".format, st.sampled_from(["'n'", "'s'"]), some),
    st.just("UPDATE t SET id = id + 1 - 2 * (id % 2)"),  # neighbours change places
)


@dataclass(frozen=True)
class Consent:
    """An account shares from now on, or no more."""

    account: str
    shares: bool


@dataclass(frozen=True)
class Sync:
    """The service asks for what has changed."""


Step = tuple[str, ...] | Consent | Sync
steps: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        st.lists(statements, min_size=1, max_size=2).map(tuple),
        st.lists(statements, min_size=1, max_size=2).map(tuple),
        st.sampled_from(
            [
                ("CALL ducklake_rewrite_data_files('lake', delete_threshold => 0.1)",),
                ("CALL ducklake_merge_adjacent_files('lake')",),
                ("CALL ducklake_flush_inlined_data('lake')",),
            ]
        ),
        st.builds(Consent, st.sampled_from(ACCOUNTS), st.booleans()),
        st.builds(Consent, st.sampled_from(ACCOUNTS), st.booleans()),
        st.just(Sync()),
    ),
    min_size=3,
    max_size=16,
)
A_ROW = "INSERT INTO t VALUES (1, 'ann', 'n', 'one')"


class History:
    """A lake, and what a service keeps of it."""

    def __init__(
        self, folder: Path, connection: duckdb.DuckDBPyConnection, at_once: int, public: bool
    ) -> None:
        self.connection, self.public = connection, public
        self.source = lake_source(folder)
        connection.execute(
            "CREATE TABLE t(id BIGINT, account VARCHAR, tenant VARCHAR, name VARCHAR)"
        )
        of_n = RowFilter("tenant", ("n",), ColumnType.STRING)
        table = replace(
            a_table_of(self.source, "main.t", of_n, columns=("id", "name")),
            primary_key=("id",),
            account=AccountColumn("account", ColumnType.STRING, with_public=public),
            shared=SharedRows(),
        )
        self.copy = Copy(self.source, table, DuckLakeChanges(keys_at_once=at_once))
        self.sharing: tuple[str, ...] = ()
        self.copy.take_all(latest(self.source))

    def take(self, step: Step) -> None:
        """Goes on by a step."""
        match step:
            case Consent(account, shares):
                others = {*self.sharing} - {account}
                self.sharing = tuple(sorted(others | ({account} if shares else set())))
            case Sync():
                self.sync()
            case _:
                transacted = len(step) > 1 or not step[0].startswith("CALL")
                self.connection.execute(
                    "; ".join(["BEGIN", *step, "COMMIT"] if transacted else step)
                )

    def truth(self, sharing: tuple[str, ...]) -> Counter[tuple[Any, ...]]:
        """What the service may see."""
        rows = self.connection.execute(
            "SELECT id::VARCHAR, name, account, tenant FROM t"
        ).fetchall()
        return Counter(
            (identity, name)
            for identity, name, account, tenant in rows
            if tenant == "n" and (account in sharing or (account is None and self.public))
        )

    def sync(self) -> None:
        """By an increment."""
        copy, version = self.copy, latest(self.source)
        before = copy.table.whose.accounts
        copy.table = replace(copy.table, shared=SharedRows(self.sharing, before, "m"))
        copy.take_changes(version)
        assert copy.content() == self.truth(self.sharing)

    def check_formats(self, since: str, before: tuple[str, ...]) -> None:
        """What has changed is the same in every format."""
        table = replace(self.copy.table, shared=SharedRows(self.sharing, before, "m"))
        told = [
            as_told(lists_of(made, file_format))
            for file_format in FileFormat
            for made in [
                changes_between(
                    self.source,
                    table,
                    since,
                    latest(self.source),
                    file_format,
                    changes=self.copy.changes,
                )
            ]
        ]
        assert told[0] == told[1] == told[2] == told[3]


def as_told(lists: dict[str, list[dict[str, Any]]]) -> dict[str, Counter[tuple[Any, ...]]]:
    """The lists of changes in a form that is the same of all formats."""
    return {
        name: Counter((str(row["id"]), row.get("name")) for row in rows)
        for name, rows in lists.items()
    }


@given(steps, st.sampled_from([3, 1000]), st.booleans())
@example([(A_ROW,), Consent("ann", True), Sync(), Consent("ann", False), Sync()], 1000, False)
@example(
    [
        (A_ROW,),
        Consent("ann", True),
        Sync(),
        ("UPDATE t SET account = 'bob'",),
        Consent("ann", False),
        Consent("bob", True),
        Sync(),
    ],
    1000,
    True,
)
@settings(
    max_examples=HISTORIES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@pytest.mark.abuse(68)
def test_a_copy_kept_by_increments_has_the_rows_of_those_that_share(
    history: list[Step], at_once: int, public: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder, loader(Path(folder)) as connection:
        lake = History(Path(folder), connection, at_once, public)
        for step in history:
            lake.take(step)
        since, before = lake.copy.version, lake.copy.table.whose.accounts
        lake.sync()
        lake.check_formats(since, before)


MADE = (
    "SELECT i AS id, CASE i % 4 WHEN 0 THEN NULL ELSE 'account ' || (i % 10) END AS account, "
    "'row ' || i AS name FROM range(20000) r(i)"
)


def of_accounts(source: Source, table: str, *sharing: str, public: bool = False) -> Table:
    """The source's table as a service has it, of accounts that share."""
    return replace(
        a_table_of(source, table, columns=("id", "name")),
        account=AccountColumn("account", ColumnType.STRING, with_public=public),
        shared=SharedRows(sharing),
    )


def a_delta_folder(folder: Path, select: str, *partitions: str) -> Source:
    """A folder with one Delta table, ``things``."""
    rows = duckdb.sql(select).to_arrow_table()
    write_deltalake(str(folder / "things"), rows, partition_by=list(partitions) or None)
    return Source("delta", "delta", {"path": str(folder)})


@pytest.fixture(params=["lake", "file", "folder", "delta", "delta by account"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Source, str]:
    """A source of some kind, with its table."""
    match request.param:
        case "lake":
            return a_lake(tmp_path, f"CREATE TABLE things AS {MADE}"), "main.things"
        case "file":
            made = a_duckdb_file(tmp_path / "file.duckdb", f"CREATE TABLE things AS {MADE}")
            return made, "main.things"
        case "delta":
            return a_delta_folder(tmp_path / "delta", MADE), "main.things"
        case "delta by account":  # the log has the accounts, not the files
            return a_delta_folder(tmp_path / "delta", MADE, "account"), "main.things"
        case _:
            return a_parquet_folder(tmp_path / "folder", things=[MADE]), "main.things"


@pytest.mark.parametrize("public", [False, True])
def test_parts_of_a_shared_table_have_each_of_its_rows_once(
    source: tuple[Source, str], public: bool
) -> None:
    table = of_accounts(*source, "account 1", "account 6", public=public)
    version = latest(source[0])
    ranges = SPLITTING.plan(
        source[0], version, table, FileFormat.NDJSON, target_bytes=20_000, max_ranges=7
    )
    assert len(ranges) > 1
    ids: list[int] = []
    for number, one in enumerate(ranges):
        position = PartPosition(number == 0, number == len(ranges) - 1)
        with SPLITTING.stream(
            source[0], version, table, one, FileFormat.NDJSON, Compression.NONE, position
        ) as stream:
            ids += [int(row["id"]) for row in rows_of(b"".join(stream), FileFormat.NDJSON)]
    expected = [i for i in range(20000) if (i % 4 == 0 and public) or (i % 4 and i % 10 in (1, 6))]
    assert sorted(ids) == expected


def test_of_a_table_that_is_told_by_account_nobody_gets_rows_unless_it_is_said_whose(
    source: tuple[Source, str],
) -> None:
    table = replace(of_accounts(*source), shared=None)
    assert document(source[0], table, FileFormat.CSV).rows == 0


@pytest.mark.parametrize(
    ("kind", "shown"),
    [("BIGINT", "7"), ("UUID", "9d1a0c5e-1111-4222-8333-00000000abcd"), ("VARCHAR", "007")],
)
def test_accounts_are_told_by_the_text_of_the_column(tmp_path: Path, kind: str, shown: str) -> None:
    made = f"CREATE TABLE things AS SELECT 1 AS id, '{shown}'::{kind} AS account, 'n' AS name"
    source = a_lake(tmp_path, made)
    own = of_accounts(source, "main.things", shown)
    assert document(source, own, FileFormat.CSV).rows == 1
    other = of_accounts(source, "main.things", f"0{shown}", shown.upper() + " ", f"+{shown}")
    assert document(source, other, FileFormat.CSV).rows == 0


@pytest.mark.parametrize("partitions", [(), ("account",)], ids=["column", "partition"])
@pytest.mark.parametrize(("kind", "shown"), [("BIGINT", "7"), ("VARCHAR", "007")])
def test_accounts_of_a_delta_table_are_told_by_the_text_too(
    tmp_path: Path, kind: str, shown: str, partitions: tuple[str, ...]
) -> None:
    made = f"SELECT 1 AS id, '{shown}'::{kind} AS account, 'n' AS name"
    source = a_delta_folder(tmp_path / "delta", made, *partitions)
    own = of_accounts(source, "main.things", shown)
    assert document(source, own, FileFormat.CSV).rows == 1
    other = of_accounts(source, "main.things", f"0{shown}", f"{shown} ", f"+{shown}")
    assert document(source, other, FileFormat.CSV).rows == 0


def test_rows_that_a_delta_table_deleted_are_nobodys(tmp_path: Path) -> None:
    source = a_delta_folder(tmp_path / "delta", MADE)
    DeltaTable(str(tmp_path / "delta" / "things")).delete("account = 'account 1' AND id < 10000")
    table = of_accounts(source, "main.things", "account 1")
    stored = document(source, table, FileFormat.NDJSON).stored
    ids = [int(row["id"]) for row in rows_of(stored, FileFormat.NDJSON)]
    assert sorted(ids) == [i for i in range(10000, 20000) if i % 4 and i % 10 == 1]
