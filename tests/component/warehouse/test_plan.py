"""A plan's ranges are disjoint, hold every row, and are cheap to read."""

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.adapters.warehouse.engine import Limits
from headrace.adapters.warehouse.open_source import LAST_POSITION
from headrace.adapters.warehouse.sources import opened
from headrace.exports.model import Compression, FileFormat
from headrace.exports.slices import PartPosition, RowRange
from headrace.exports.sources import ColumnType, RowFilter, Source
from headrace.kernel.errors import HeadraceError, SourceChanged
from tests.component.warehouse.places import (
    PLAIN,
    SPLITTING,
    WAREHOUSE,
    a_duckdb_file,
    a_lake,
    a_parquet_folder,
    a_table_of,
    document,
    part,
    rows_of,
)

ROWS = (
    "SELECT i AS id, 'abc'[1 + (i * i) % 3] AS tenant, md5(i::VARCHAR) AS v FROM range({}, {}) r(i)"
)
PIECES = ((0, 7000), (7000, 7001), (7001, 7002), (7002, 21000), (21000, 30000))


def sources(folder: Path) -> dict[str, Source]:
    """The same 30,000 rows in each kind of source, in pieces of unequal sizes."""
    selects = [ROWS.format(*piece) for piece in PIECES]
    statements = [f"CREATE TABLE t AS {selects[0]}", *(f"INSERT INTO t {s}" for s in selects[1:])]
    return {
        "ducklake": a_lake(folder / "lake", *statements),
        "duckdb": a_duckdb_file(folder / "x.duckdb", *statements),
        "parquet": a_parquet_folder(folder / "folder", t=selects),
    }


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Source]:
    return sources(tmp_path_factory.mktemp("plan"))


def check(ranges: tuple[RowRange, ...]) -> None:
    assert all(r.first <= r.last and r.rows > 0 for r in ranges)
    assert all(a.last < b.first for a, b in itertools.pairwise(ranges))


@pytest.mark.parametrize("kind", ["ducklake", "duckdb", "parquet"])
@pytest.mark.parametrize("filtered", [False, True], ids=["all rows", "one tenant"])
def test_the_parts_make_one_document(
    places: dict[str, Source], kind: str, *, filtered: bool
) -> None:
    source = places[kind]
    filters = (RowFilter("tenant", ("b",), ColumnType.STRING),) if filtered else ()
    table = a_table_of(source, "main.t", *filters)
    version = WAREHOUSE.current_version(source)
    for file_format, compression in (
        (FileFormat.CSV, Compression.GZIP),
        (FileFormat.JSON, Compression.NONE),
        (FileFormat.NDJSON, Compression.ZSTD),
    ):
        ranges = SPLITTING.plan(
            source,
            version,
            table,
            file_format,
            target_bytes=100_000,
            max_ranges=5,
            compression=compression,
        )
        check(ranges)
        assert len(ranges) == 5
        rows = sum(r.rows for r in ranges)
        assert max(r.rows for r in ranges) < 1.1 * rows / 5
        whole = document(source, table, file_format, compression)
        split = document(source, table, file_format, compression, ranges=ranges)
        assert rows == split.rows == whole.rows
        # A lake keeps small inserts apart from its files: its order is not that of row ids.
        one, other = (
            sorted(rows_of(made.stored, file_format, compression), key=lambda row: row["id"])
            for made in (whole, split)
        )
        assert one == other


@pytest.mark.parametrize("kind", ["ducklake", "duckdb", "parquet"])
def test_a_plan_keeps_to_its_aim(places: dict[str, Source], kind: str) -> None:
    source = places[kind]
    table = a_table_of(source, "main.t")
    version = WAREHOUSE.current_version(source)
    size = len(document(source, table, FileFormat.NDJSON).stored)

    def ranges(target: int, most: int, least: int = 1) -> int:
        warehouse = replace(SPLITTING, least_range_bytes=least)
        planned = warehouse.plan(
            source, version, table, FileFormat.NDJSON, target_bytes=target, max_ranges=most
        )
        check(planned)
        return len(planned)

    assert ranges(size * 2, 40) == 1
    assert ranges(size // 4, 40) in (4, 5)
    assert ranges(size // 4, 3) == 3
    assert ranges(size // 4, 1) == 1
    assert ranges(1, 40, least=size // 2 - 1000) in (1, 2)
    assert ranges(1, 40, least=size * 2) == 1


def test_what_is_stored_in_little_is_not_split_small(tmp_path: Path) -> None:
    # 30 MB of text that compresses to next to nothing: split, its parts would be none for S3.
    source = a_duckdb_file(
        tmp_path / "x.duckdb", "CREATE TABLE t AS SELECT repeat('a', 1000) AS v FROM range(30000)"
    )
    table, version = a_table_of(source, "main.t"), WAREHOUSE.current_version(source)

    def ranges(compression: Compression) -> int:
        planned = WAREHOUSE.plan(
            source,
            version,
            table,
            FileFormat.CSV,
            target_bytes=1_000_000,
            max_ranges=40,
            compression=compression,
        )
        return len(planned)

    assert ranges(Compression.NONE) == 1  # 20 MiB is the least by default
    assert ranges(Compression.GZIP) == ranges(Compression.ZSTD) == 1
    assert (
        len(
            SPLITTING.plan(
                source, version, table, FileFormat.CSV, target_bytes=1_000_000, max_ranges=40
            )
        )
        > 20
    )


def test_a_table_with_a_column_called_rowid_is_not_split(tmp_path: Path) -> None:
    made = "CREATE TABLE t AS SELECT 5 AS ROWID, md5(i::VARCHAR) AS v FROM range(9000) r(i)"
    source = a_duckdb_file(tmp_path / "x.duckdb", made)
    table, version = a_table_of(source, "main.t"), WAREHOUSE.current_version(source)
    ranges = SPLITTING.plan(source, version, table, FileFormat.CSV, target_bytes=1000, max_ranges=9)
    assert ranges == (RowRange(0, LAST_POSITION, 9000),)
    assert document(source, table, FileFormat.CSV, ranges=ranges).rows == 9000


def test_a_range_that_lost_rows_ends_in_an_error(places: dict[str, Source]) -> None:
    source = places["ducklake"]
    table, version = a_table_of(source, "main.t"), WAREHOUSE.current_version(source)
    with pytest.raises(SourceChanged):
        part(source, version, table, RowRange(0, 99, 101))


def test_an_empty_part_of_a_document_ends_in_an_error(places: dict[str, Source]) -> None:
    source = places["ducklake"]
    table, version = a_table_of(source, "main.t"), WAREHOUSE.current_version(source)
    with pytest.raises(SourceChanged):
        part(
            source,
            version,
            table,
            RowRange(10**9, 10**9 + 1, 0),
            FileFormat.JSON,
            PLAIN,
            PartPosition(first=False, last=True),
        )


def test_a_part_of_a_parquet_file_is_refused(places: dict[str, Source]) -> None:
    source = places["ducklake"]
    table, version = a_table_of(source, "main.t"), WAREHOUSE.current_version(source)
    with pytest.raises(HeadraceError):
        part(
            source,
            version,
            table,
            RowRange(0, 9, 10),
            FileFormat.PARQUET,
            PLAIN,
            PartPosition(first=True, last=False),
        )


@pytest.mark.parametrize("kind", ["ducklake", "duckdb", "parquet"])
def test_a_range_does_not_read_the_whole_table(places: dict[str, Source], kind: str) -> None:
    """A thirtieth of the rows: the scan must not hand on (and so not decode) all of them."""
    source = places[kind]
    with opened(source, None, Limits()) as reader:
        scans = reader.scans("main.t", RowRange(25_000, 25_999, 1000))
        (scan,) = scans
        plan = reader.connection.execute(
            f"EXPLAIN ANALYZE SELECT sum(length(v)) FROM {scan.relation} "
            f"WHERE {' AND '.join(scan.conditions)}"
        ).fetchall()[0][1]
    counts = [
        int(word.split()[0].replace(",", ""))
        for word in plan.replace("│", "\n").splitlines()
        if word.strip().endswith("rows")
    ]
    assert 1000 in counts
    assert max(counts) < 15_000


def test_rows_of_many_ranges_are_those_of_the_table(places: dict[str, Source]) -> None:
    """Ranges as odd as they may be, not only those that a plan makes."""
    table_ids = Counter(str(n) for n in range(30_000))
    edges = [0, 1, 6999, 7000, 7001, 7003, 20_999, 21_000, 29_999, 30_000]
    ranges = tuple(RowRange(a, b - 1, b - a) for a, b in itertools.pairwise(edges))
    for source in places.values():
        table = a_table_of(source, "main.t", columns=("id",))
        made = document(source, table, FileFormat.CSV, ranges=ranges)
        rows = rows_of(made.stored, FileFormat.CSV)
        assert Counter(row["id"] for row in rows) == table_ids
