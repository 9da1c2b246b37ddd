"""What changed in a DuckLake between two of its snapshots."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headrace.adapters.warehouse.changes import DuckLakeChanges, _Span
from headrace.exports.model import Compression, FileFormat
from headrace.exports.sources import Column, ColumnType, RowFilter, Source, Table, VersionPlace
from headrace.kernel.errors import (
    IncrementsUnavailable,
    ResyncRequired,
    SchemaChanged,
    SyncVersionExpired,
)
from tests.builders import number_of
from tests.component.warehouse.copies import (
    CHANGES,
    Copy,
    changes_between,
    content_of,
    latest,
    lists_of,
)
from tests.component.warehouse.places import (
    WAREHOUSE,
    a_duckdb_file,
    a_lake,
    a_parquet_folder,
    a_table_of,
    rows_of,
)

BEGINNING = (
    "CREATE TABLE t(id BIGINT, tenant VARCHAR, name VARCHAR, note VARCHAR)",
    "INSERT INTO t VALUES (1, 'a', 'one', 'x'), (2, 'a', 'two', 'x'), (3, 'b', 'three', 'x')",
)
OF_A = RowFilter("tenant", ("a",), ColumnType.STRING)


def a_keyed_table(source: Source, *filters: RowFilter, key: tuple[str, ...] = ("id",)) -> Table:
    """``id``, ``tenant`` and ``name`` of the table; ``note`` is not configured."""
    columns = ("id", "tenant", "name")
    table = a_table_of(source, "main.t", *filters, columns=columns)
    return replace(table, primary_key=key)


def told(
    folder: Path, *transaction: str, inlining: int = 10, filters: tuple[RowFilter, ...] = ()
) -> dict[str, list[tuple[str | None, ...]]]:
    """What is told after the statements, all of one transaction or (``;``) of several."""
    source = a_lake(
        folder, f"CALL lake.set_option('data_inlining_row_limit', {inlining})", *BEGINNING
    )
    table, since = a_keyed_table(source, *filters), latest(source)
    a_lake(folder, *transaction)
    copy = Copy(source, table)
    copy.take_all(since)
    version = latest(source)
    lists = copy.take_changes(version)
    assert copy.content() == content_of(source, table, version)
    return {
        name: sorted(tuple(row.values()) for row in rows) for name, rows in lists.items() if rows
    }


def together(*statements: str) -> str:
    """The statements as one transaction."""
    return "; ".join(["BEGIN", *statements, "COMMIT"])


INSERT_4 = "INSERT INTO t VALUES (4, 'a', 'four', 'x')"
DELETE_1 = "DELETE FROM t WHERE id = 1"
AGAIN_1 = "INSERT INTO t VALUES (1, 'a', 'again', 'x')"
SWAP = "UPDATE t SET id = CASE id WHEN 1 THEN 2 ELSE 1 END WHERE id IN (1, 2)"

CASES = {
    "an insert": ((INSERT_4,), {"inserted": [("4", "a", "four")]}),
    "an update": (
        ("UPDATE t SET name = 'new' WHERE id = 1",),
        {"updated": [("1", "a", "new")]},
    ),
    "a deletion": ((DELETE_1,), {"deleted": [("1", None, None)]}),
    "nothing": ((), {}),
    "inserted and deleted": ((INSERT_4, "DELETE FROM t WHERE id = 4"), {}),
    "inserted and deleted at once": ((together(INSERT_4, "DELETE FROM t WHERE id = 4"),), {}),
    "inserted and updated at once": (
        (together(INSERT_4, "UPDATE t SET name = 'new' WHERE id = 4"),),
        {"inserted": [("4", "a", "new")]},
    ),
    "deleted and inserted": ((DELETE_1, AGAIN_1), {"updated": [("1", "a", "again")]}),
    "deleted and inserted at once": (
        (together(DELETE_1, AGAIN_1),),
        {"updated": [("1", "a", "again")]},
    ),
    "deleted, inserted, deleted": (
        (DELETE_1, AGAIN_1, DELETE_1),
        {"deleted": [("1", None, None)]},
    ),
    "updated there and back": (
        ("UPDATE t SET name = 'new' WHERE id = 1", "UPDATE t SET name = 'one' WHERE id = 1"),
        {},
    ),
    "updated twice": (
        ("UPDATE t SET name = 'new' WHERE id = 1", "UPDATE t SET name = 'newer' WHERE id = 1"),
        {"updated": [("1", "a", "newer")]},
    ),
    "a key that changed": (
        ("UPDATE t SET id = 9 WHERE id = 1",),
        {"deleted": [("1", None, None)], "inserted": [("9", "a", "one")]},
    ),
    "keys that changed places": (
        (SWAP,),
        {"updated": [("1", "a", "two"), ("2", "a", "one")]},
    ),
    "keys that changed places twice": ((SWAP, SWAP), {}),
    "another column": (("UPDATE t SET note = 'y'",), {}),
    "a value that went and a value that came": (
        ("UPDATE t SET name = NULL WHERE id = 1", "UPDATE t SET name = '' WHERE id = 2"),
        {"updated": [("1", "a", None), ("2", "a", "")]},
    ),
    "all gone": (
        ("DELETE FROM t",),
        {"deleted": [("1", None, None), ("2", None, None), ("3", None, None)]},
    ),
    "all gone and loaded anew": (
        (together("DELETE FROM t", BEGINNING[1]),),
        {},
    ),
}


@pytest.mark.parametrize("inlining", [0, 10])
@pytest.mark.parametrize("case", CASES)
def test_changes_are_net_by_key(tmp_path: Path, case: str, inlining: int) -> None:
    statements, expected = CASES[case]
    assert told(tmp_path / "lake", *statements, inlining=inlining) == expected


FILTERED = {
    "leaves": (
        ("UPDATE t SET tenant = 'b' WHERE id = 1",),
        {"deleted": [("1", None, None)]},
    ),
    "enters": (
        ("UPDATE t SET tenant = 'a' WHERE id = 3",),
        {"inserted": [("3", "a", "three")]},
    ),
    "leaves and comes back": (
        ("UPDATE t SET tenant = 'b' WHERE id = 1", "UPDATE t SET tenant = 'a' WHERE id = 1"),
        {},
    ),
    "another tenant's": (
        ("UPDATE t SET name = 'x' WHERE id = 3", "DELETE FROM t WHERE id = 3"),
        {},
    ),
    "a key handed over": (
        ("DELETE FROM t WHERE id = 3", "INSERT INTO t VALUES (3, 'a', 'mine', 'x')"),
        {"inserted": [("3", "a", "mine")]},
    ),
    "a key taken over": (
        ("DELETE FROM t WHERE id = 1", "INSERT INTO t VALUES (1, 'b', 'theirs', 'x')"),
        {"deleted": [("1", None, None)]},
    ),
    "to nobody": (
        ("UPDATE t SET tenant = NULL WHERE id = 1",),
        {"deleted": [("1", None, None)]},
    ),
}


@pytest.mark.parametrize("case", FILTERED)
def test_only_rows_that_pass_the_filter_are_there(tmp_path: Path, case: str) -> None:
    statements, expected = FILTERED[case]
    assert told(tmp_path / "lake", *statements, filters=(OF_A,)) == expected


UPKEEP = (
    "CALL ducklake_flush_inlined_data('lake')",
    "CALL ducklake_merge_adjacent_files('lake')",
    "CALL ducklake_rewrite_data_files('lake', delete_threshold => 0.0)",
    "CALL ducklake_cleanup_old_files('lake', cleanup_all => true)",
)


@pytest.mark.parametrize("inlining", [0, 10])
def test_upkeep_of_the_lake_is_no_change(tmp_path: Path, inlining: int) -> None:
    changes = ("UPDATE t SET name = 'new' WHERE id = 1", DELETE_1, AGAIN_1, INSERT_4)
    statements = [one for change in changes for one in (change, *UPKEEP)]
    assert told(tmp_path / "before", *UPKEEP, inlining=inlining) == {}
    assert told(tmp_path / "lake", *statements, inlining=inlining) == {
        "updated": [("1", "a", "again")],
        "inserted": [("4", "a", "four")],
    }


@pytest.mark.parametrize(
    "upkeep",
    [
        UPKEEP[2:],
        (UPKEEP[2], "CALL ducklake_expire_snapshots('lake', versions => [4, 5])", UPKEEP[3]),
    ],
)
def test_rows_that_were_moved_with_deletions_yet_to_be_written_are_no_changes(
    tmp_path: Path, upkeep: tuple[str, ...]
) -> None:
    statements = (UPKEEP[0], DELETE_1, *upkeep, INSERT_4)
    for filters in ((), (OF_A,)):
        assert told(tmp_path / str(len(filters)), *statements, filters=filters) == {
            "deleted": [("1", None, None)],
            "inserted": [("4", "a", "four")],
        }


@pytest.mark.parametrize("passes", [1, 2, 7])
@pytest.mark.parametrize("compression", Compression)
def test_all_formats_say_the_same(tmp_path: Path, compression: Compression, passes: int) -> None:
    folder = tmp_path / "lake"
    source = a_lake(
        folder,
        BEGINNING[0],
        "INSERT INTO t SELECT i, 'abc'[1 + i % 3], 'n' || i, 'x' FROM range(300) r(i)",
    )
    table, since = a_keyed_table(source, key=("tenant", "id")), latest(source)
    a_lake(
        folder,
        "UPDATE t SET name = 'new' WHERE id % 7 = 0",
        "DELETE FROM t WHERE id % 5 = 0",
        "INSERT INTO t SELECT i, 'a', NULL, 'x' FROM range(300, 320) r(i)",
        "UPDATE t SET tenant = 'z' WHERE id % 11 = 0",
    )
    version = latest(source)
    changed = len(set(range(0, 300, 7)) | set(range(0, 300, 5)) | set(range(0, 300, 11)))
    changes = DuckLakeChanges(keys_at_once=None if passes == 1 else changed // passes + 1)
    found = []
    for file_format in FileFormat:
        made = changes_between(source, table, since, version, file_format, compression, changes)
        lists = lists_of(made, file_format, compression)
        assert made.rows == sum(map(len, lists.values()))
        found.append(
            {
                name: sorted(
                    [row["tenant"], str(row["id"]), row.get("name")]
                    if name != "deleted"
                    else [row["tenant"], str(row["id"]), None]
                    for row in rows
                )
                for name, rows in lists.items()
            }
        )
        if file_format in (FileFormat.JSON, FileFormat.NDJSON):
            assert all(set(row) == {"tenant", "id"} for row in lists["deleted"])
    assert found[0] == found[1] == found[2] == found[3]
    assert all(found[0].values())


def test_json_says_its_version_and_is_whole_when_there_is_nothing(tmp_path: Path) -> None:
    source = a_lake(tmp_path / "lake", *BEGINNING)
    table, version = a_keyed_table(source), latest(source)
    made = changes_between(source, table, version, version, FileFormat.JSON)
    expected = {"syncVersion": version, "inserted": [], "updated": [], "deleted": []}
    assert rows_of(made.stored, FileFormat.JSON) == expected
    for file_format in (FileFormat.CSV, FileFormat.NDJSON, FileFormat.PARQUET):
        made = changes_between(source, table, version, version, file_format)
        assert (made.rows, rows_of(made.stored, file_format)) == (0, [])
    assert changes_between(source, table, version, version).stored == b"_change,id,tenant,name\n"


def test_a_change_that_only_documents_show_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    source = a_lake(
        folder,
        "CREATE TABLE t(id INTEGER, d DOUBLE, s STRUCT(a VARCHAR[], b INTEGER), n DECIMAL(9,2))",
        "INSERT INTO t VALUES (1, 0.0, {'a': ['x, y'], 'b': 1}, 1.5), "
        "(2, 'nan', {'a': ['x'], 'b': NULL}, NULL)",
    )
    table, since = replace(a_table_of(source, "main.t"), primary_key=("id",)), latest(source)
    a_lake(folder, "UPDATE t SET d = '-0.0' WHERE id = 1", "UPDATE t SET d = 'nan' WHERE id = 2")
    second = latest(source)
    made = lists_of(changes_between(source, table, since, second), FileFormat.CSV)
    assert [row["d"] for row in made["updated"]] == ["-0.0"]
    a_lake(folder, "UPDATE t SET s = {'a': ['x', 'y'], 'b': 1} WHERE id = 1")
    made = lists_of(changes_between(source, table, second, latest(source)), FileFormat.CSV)
    assert [row["s"] for row in made["updated"]] == ['{"a":["x","y"],"b":1}']


def test_names_may_be_awkward_and_keys_have_no_value(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    source = a_lake(
        folder,
        'CREATE TABLE "t t"("#0" INTEGER, "i ""d" VARCHAR, k VARCHAR, "#print" VARCHAR)',
        """INSERT INTO "t t" VALUES (1, 'x', 'y', 'z'), (1, NULL, 'y', 'z'), (2, NULL, 'q', 'r')""",
    )
    table = replace(a_table_of(source, "main.t t"), primary_key=("#0", 'i "d'))
    copy = Copy(source, table)
    copy.take_all(latest(source))
    a_lake(
        folder,
        """UPDATE "t t" SET "#print" = 'new' WHERE "i ""d" IS NULL""",
        """DELETE FROM "t t" WHERE "#0" = 2""",
    )
    lists = copy.take_changes(latest(source))
    assert {name: len(rows) for name, rows in lists.items()} == {
        "inserted": 0,
        "updated": 1,
        "deleted": 1,
    }
    assert copy.content() == content_of(source, table, copy.version)


def test_one_column_may_be_shown_under_two_names(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    source = a_lake(folder, *BEGINNING)
    table = replace(
        a_keyed_table(source),
        columns=(
            Column("number", "id", ColumnType.BIGINT, True),
            Column("same", "id", ColumnType.BIGINT, True),
            Column("name", "name", ColumnType.STRING, True),
        ),
        primary_key=("number",),
    )
    since = latest(source)
    a_lake(folder, DELETE_1)
    made = changes_between(source, table, since, latest(source))
    assert made.stored == b"_change,number,same,name\ndeleted,1,,\n"


# --- what cannot be told --------------------------------------------------------------------------


def test_the_window_is_what_the_lake_has_kept(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    source = a_lake(folder, *BEGINNING, INSERT_4)
    table = a_keyed_table(source)
    begun = datetime.now(UTC)
    a_lake(folder, DELETE_1, "CALL ducklake_expire_snapshots('lake', versions => [0, 1, 3])")
    window = CHANGES.window(source, (table,), None)
    assert (number_of(window.latest), number_of(window.oldest), window.place) == ("4", "2", None)
    assert window.retained_since is not None
    assert begun - timedelta(minutes=5) < window.retained_since < begun
    moment = window.latest.partition("@")[2]
    places = {
        window.latest: VersionPlace.HELD,
        window.oldest: VersionPlace.HELD,
        f"3@{moment}": VersionPlace.EXPIRED,
        f"0@{moment}": VersionPlace.EXPIRED,
        f"5@{moment}": VersionPlace.FUTURE,
        f"{'9' * 18}@{moment}": VersionPlace.FUTURE,
        # A lake that was restored from a copy comes to the same numbers at another time.
        f"4@{moment[:-4]}000Z": VersionPlace.FOREIGN,
        "4": VersionPlace.FOREIGN,
        f"04@{moment}": VersionPlace.FOREIGN,
        f"-1@{moment}": VersionPlace.FOREIGN,
        f"{'9' * 40}@{moment}": VersionPlace.FOREIGN,
        "": VersionPlace.FOREIGN,
        "1:2:": VersionPlace.FOREIGN,
    }
    for version, place in places.items():
        assert CHANGES.window(source, (table,), version).place is place, version
    for expired in (f"3@{moment}", f"1@{moment}"):
        with pytest.raises(SyncVersionExpired) as caught:
            changes_between(source, table, expired, window.latest)
        assert caught.value.members["minValidSyncVersion"] == window.oldest
        with pytest.raises(SyncVersionExpired):
            CHANGES.resync_reason(source, expired, window.latest, table)


def test_snapshots_that_expired_within_the_span_lose_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    source = a_lake(folder, "CALL lake.set_option('data_inlining_row_limit', 0)", *BEGINNING)
    copy = Copy(source, a_keyed_table(source))
    copy.take_all(latest(source))
    a_lake(
        folder,
        "UPDATE t SET name = 'new' WHERE id = 1",
        DELETE_1,
        INSERT_4,
        AGAIN_1,
        "UPDATE t SET name = 'newer' WHERE id = 2",
        "CALL ducklake_expire_snapshots('lake', versions => [3, 4, 6])",
        "CALL ducklake_cleanup_old_files('lake', cleanup_all => true)",
    )
    copy.take_changes(latest(source))
    assert copy.content() == content_of(source, copy.table, copy.version)


ALTERED = {
    "a column was added again": (
        "ALTER TABLE t DROP COLUMN name",
        "ALTER TABLE t ADD COLUMN name VARCHAR DEFAULT 'one'",
    ),
    "the table was created again": ("DROP TABLE t", *BEGINNING),
    "the table was put in another's place": (
        "CREATE TABLE u AS FROM t",
        "ALTER TABLE t RENAME TO old",
        "ALTER TABLE u RENAME TO t",
    ),
    "columns changed places": (
        "ALTER TABLE t RENAME COLUMN name TO x",
        "ALTER TABLE t RENAME COLUMN note TO name",
        "ALTER TABLE t RENAME COLUMN x TO note",
    ),
    "the filter's column was added again": (
        "ALTER TABLE t DROP COLUMN tenant",
        "ALTER TABLE t ADD COLUMN tenant VARCHAR DEFAULT 'a'",
    ),
}


@pytest.mark.parametrize("case", ALTERED)
def test_what_was_altered_has_a_reason(tmp_path: Path, case: str) -> None:
    folder = tmp_path / "lake"
    source = a_lake(folder, *BEGINNING)
    columns = a_table_of(source, "main.t", columns=("id", "name")).columns
    table = replace(a_keyed_table(source, OF_A), columns=columns)
    since = latest(source)
    assert CHANGES.resync_reason(source, since, since, table) is None
    a_lake(folder, *ALTERED[case])
    version = latest(source)
    assert CHANGES.resync_reason(source, since, version, table)
    assert CHANGES.resync_reason(source, version, version, table) is None


def test_a_struct_that_was_altered_has_a_reason(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    source = a_lake(folder, "CREATE TABLE t(id INTEGER, s STRUCT(a INTEGER))")
    table, since = replace(a_table_of(source, "main.t"), primary_key=("id",)), latest(source)
    a_lake(folder, "ALTER TABLE t ADD COLUMN s.b VARCHAR")
    assert CHANGES.resync_reason(source, since, latest(source), table)


def test_what_is_not_configured_may_change(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    source = a_lake(folder, *BEGINNING)
    table, since = a_keyed_table(source), latest(source)
    a_lake(
        folder,
        "ALTER TABLE t ADD COLUMN extra INTEGER DEFAULT 5",
        "UPDATE t SET extra = 6 WHERE id = 1",
        "ALTER TABLE t DROP COLUMN note",
        "ALTER TABLE t ALTER COLUMN extra SET DATA TYPE BIGINT",
        "UPDATE t SET name = 'new' WHERE id = 2",
        "ALTER TABLE t SET PARTITIONED BY (tenant)",
        "INSERT INTO t VALUES (4, 'a', 'four', 1)",
    )
    version = latest(source)
    assert CHANGES.resync_reason(source, since, version, table) is None
    lists = lists_of(changes_between(source, table, since, version), FileFormat.CSV)
    assert [row["id"] for row in lists["updated"]] == ["2"]
    assert [row["id"] for row in lists["inserted"]] == ["4"]


@pytest.mark.parametrize(
    ("statement", "column"),
    [
        ("ALTER TABLE t DROP COLUMN name", "name"),
        ("ALTER TABLE t RENAME COLUMN name TO title", "name"),
        ("ALTER TABLE t ALTER COLUMN id SET DATA TYPE HUGEINT", "id"),
        ("DROP TABLE t", None),
    ],
)
def test_what_is_not_as_published_is_named(
    tmp_path: Path, statement: str, column: str | None
) -> None:
    folder = tmp_path / "lake"
    source = a_lake(folder, *BEGINNING)
    table, since = a_keyed_table(source), latest(source)
    if "HUGEINT" in statement:
        statement = "ALTER TABLE t DROP COLUMN id; ALTER TABLE t ADD COLUMN id VARCHAR"
    a_lake(folder, *statement.split("; "))
    version = latest(source)
    with pytest.raises(SchemaChanged) as caught:
        CHANGES.resync_reason(source, since, version, table)
    assert caught.value.members.get("table") == "things"
    assert caught.value.members.get("column") == column
    with pytest.raises(SchemaChanged):
        changes_between(source, table, since, version)


def test_a_key_that_is_not_unique_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    source = a_lake(folder, *BEGINNING, "INSERT INTO t VALUES (1, 'a', 'twin', 'x')")
    table, since = a_keyed_table(source), latest(source)
    a_lake(folder, "DELETE FROM t WHERE name = 'twin'")
    with pytest.raises(IncrementsUnavailable, match="not unique"):
        changes_between(source, table, since, latest(source))


@pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.JSON])
def test_what_does_not_add_up_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_format: FileFormat
) -> None:
    folder = tmp_path / "lake"
    source = a_lake(folder, *BEGINNING)
    table, since = a_keyed_table(source), latest(source)
    a_lake(folder, "UPDATE t SET name = 'new' WHERE id = 1", DELETE_1, INSERT_4)
    version = latest(source)
    assert changes_between(source, table, since, version, file_format).rows == 2

    # A lake that forgot what was deleted.
    monkeypatch.setattr(_Span, "deletions", "(SELECT NULL::BIGINT AS id WHERE false)")
    with pytest.raises(ResyncRequired) as caught:
        changes_between(source, table, since, version, file_format)
    assert caught.value.members["tables"][0]["table"] == "things"


def test_sources_and_tables_without_a_record_are_refused(tmp_path: Path) -> None:
    lake = a_lake(
        tmp_path / "lake",
        *BEGINNING,
        "CREATE TABLE hidden AS SELECT 1 AS id, 2 AS snapshot_id",
    )
    keyless = a_table_of(lake, "main.t")
    hidden = replace(a_table_of(lake, "main.hidden"), primary_key=("id",))
    for table in (keyless, hidden):
        with pytest.raises(IncrementsUnavailable) as caught:
            CHANGES.window(lake, (a_keyed_table(lake), table), None)
        assert caught.value.members["tables"] == ["things"]
        with pytest.raises(IncrementsUnavailable):
            changes_between(lake, table, "3", latest(lake))
    with pytest.raises(IncrementsUnavailable, match="_change"):
        named = replace(keyless.columns[0], name="_change")
        table = replace(a_keyed_table(lake), columns=(*a_keyed_table(lake).columns, named))
        CHANGES.window(lake, (table,), None)
    others = (
        a_duckdb_file(tmp_path / "x.duckdb", "CREATE TABLE t AS SELECT 1 AS id"),
        a_parquet_folder(tmp_path / "folder", t="SELECT 1 AS id"),
    )
    for source in others:
        with pytest.raises(IncrementsUnavailable, match="in full"):
            CHANGES.window(source, (a_table_of(source, "main.t"),), None)
        assert WAREHOUSE.current_version(source)


def test_a_loader_commits_and_expires_while_changes_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    source = a_lake(
        folder,
        "CREATE TABLE t AS SELECT i AS id, md5(i::VARCHAR) AS v, repeat('x', 200) AS x "
        "FROM range(60000) r(i)",
    )
    table, since = replace(a_table_of(source, "main.t"), primary_key=("id",)), latest(source)
    a_lake(folder, "UPDATE t SET v = 'new' WHERE id % 2 = 0", "DELETE FROM t WHERE id % 3 = 0")
    version = latest(source)
    alone = changes_between(source, table, since, version)
    with CHANGES.stream_changes(
        source, since, version, table, FileFormat.CSV, Compression.NONE
    ) as stream:
        chunks = iter(stream)
        read = [next(chunk for chunk in chunks if chunk)]
        a_lake(
            folder,
            "UPDATE t SET v = 'newer'",
            "CALL ducklake_expire_snapshots('lake', versions => [1])",
        )
        read += chunks
        assert stream.rows == alone.rows == 40_000
    assert b"".join(read) == alone.stored
    with pytest.raises(SyncVersionExpired):
        changes_between(source, table, since, version)


def test_a_lake_that_forgets_its_history_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    source = a_lake(
        folder,
        "CALL lake.set_option('data_inlining_row_limit', 0)",
        "CALL lake.set_option('write_deletion_vectors', true)",
        *BEGINNING,
    )
    table = a_keyed_table(source)
    since = latest(source)
    assert CHANGES.window(source, (table,), since).place is VersionPlace.HELD
    a_lake(folder, DELETE_1, "DELETE FROM t WHERE id = 2")
    with pytest.raises(IncrementsUnavailable, match="deletion vectors"):
        CHANGES.window(source, (table,), since)
    with pytest.raises(IncrementsUnavailable, match="deletion vectors"):
        changes_between(source, table, since, latest(source))


def test_whoever_stops_early_leaves_nothing_running(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    source = a_lake(
        folder, "CREATE TABLE t AS SELECT i AS id, md5(i::VARCHAR) AS v FROM range(300000) r(i)"
    )
    table, since = replace(a_table_of(source, "main.t"), primary_key=("id",)), latest(source)
    a_lake(folder, "UPDATE t SET v = 'new'")
    version, before = latest(source), threading.active_count()
    for wanted in (0, 1, 3):
        with CHANGES.stream_changes(
            source, since, version, table, FileFormat.CSV, Compression.NONE
        ) as stream:
            for _ in range(wanted):
                next(iter(stream))
            with pytest.raises(ValueError, match="end of the stream"):
                _ = stream.rows
        assert threading.active_count() == before
