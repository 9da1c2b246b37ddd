"""A table is cut into ranges of keys that hold every row once, whoever writes meanwhile."""

import threading
from dataclasses import replace
from itertools import pairwise

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from headrace.adapters.postgresql.connection import connection_parameters
from headrace.adapters.postgresql.planning import KeySample, cut
from headrace.adapters.postgresql.session import Connection
from headrace.adapters.postgresql.warehouse import PostgresqlWarehouse
from headrace.exports.model import Compression, FileFormat
from headrace.exports.slices import KeyRange, PartPosition, TableRange
from headrace.exports.sources import ColumnType, RowFilter, Source, Table
from tests.component.postgresql.server import Server
from tests.component.warehouse.places import ONLY, a_table_of, document, rows_of

SPLITTING = PostgresqlWarehouse(least_range_bytes=1, split_from_bytes=1)
"""Splits small tables too."""


def planned(
    source: Source, table: Table, *, max_ranges: int = 8, target_bytes: int = 1
) -> tuple[KeyRange, ...]:
    ranges = SPLITTING.plan(
        source, "", table, FileFormat.CSV, target_bytes=target_bytes, max_ranges=max_ranges
    )
    assert all(isinstance(one, KeyRange) for one in ranges)
    return ranges  # type: ignore[return-value]


def rows_in(source: Source, table: Table, ranges: tuple[TableRange, ...]) -> list[list[str]]:
    """The keys of each range, as the source writes them, in the document's order."""
    found = []
    for one in ranges:
        with SPLITTING.stream(
            source, "", table, one, FileFormat.CSV, Compression.NONE, ONLY
        ) as stream:
            stored = b"".join(stream)
        rows = rows_of(stored, FileFormat.CSV)
        assert len(rows) == stream.rows
        found.append([row[table.primary_key[0]] for row in rows])
    return found


@given(
    keys=st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(1, 50)),
        min_size=1,
        max_size=300,
        unique_by=lambda k: k[0],
    ),
    ranges=st.integers(1, 60),
)
def test_cuts_are_disjoint_complete_and_as_even_as_the_sample_allows(
    keys: list[tuple[int, int]], ranges: int
) -> None:
    ordered = sorted(keys)
    weights = tuple(weight for _, weight in ordered)
    sample = KeySample(tuple((str(key),) for key, _ in ordered), weights, 0.5)
    made = cut(sample, ranges)
    assert 1 <= len(made) <= ranges
    assert made[0].after is None
    assert made[-1].upto is None
    for one, other in pairwise(made):
        assert one.upto == other.after
        assert one.upto is not None
    bounds = [int(one.upto[0]) for one in made if one.upto is not None]
    assert bounds == sorted(set(bounds))
    held = [0] * len(made)
    for key, weight in ordered:
        held[sum(key > bound for bound in bounds)] += weight
    assert all(held)
    fair = sum(weights) / len(made)
    assert max(held) <= fair + max(weights)


KEYS = {
    "bigint": st.integers(-(2**63), 2**63 - 1).map(str),
    "text": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8),
    "uuid": st.uuids().map(str),
    "numeric": st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    "timestamptz": st.datetimes().map(lambda value: f"{value.isoformat()}+00"),
    "bytea": st.binary(max_size=6).map(lambda value: f"\\x{value.hex()}"),
    "double precision": st.floats(allow_nan=False).map(repr),
}


@pytest.mark.parametrize("kind", KEYS)
def test_every_row_is_in_exactly_one_range_whatever_its_key(postgresql: Server, kind: str) -> None:
    database = postgresql.new_database()
    source = postgresql.source(database)
    parameters = connection_parameters(source)

    @settings(max_examples=12, deadline=None)
    @given(st.sets(KEYS[kind], min_size=1, max_size=60), st.integers(2, 6))
    def check(keys: set[str], wanted: int) -> None:
        with psycopg.connect(**parameters, autocommit=True) as connection:  # type: ignore[arg-type]
            connection.execute("DROP TABLE IF EXISTS t")
            connection.execute(
                sql.SQL("CREATE TABLE t(k {} PRIMARY KEY, n int)").format(sql.SQL(kind))
            )
            for key in keys:
                connection.execute(
                    sql.SQL("INSERT INTO t VALUES ({}::{}, 1) ON CONFLICT DO NOTHING").format(
                        sql.Literal(key),
                        sql.SQL(kind),
                    )
                )
            (count,) = connection.execute("SELECT count(*) FROM t").fetchone()  # type: ignore[misc]
            all_keys = [row[0] for row in connection.execute("SELECT k::text FROM t ORDER BY t.k")]
        table = replace(a_table_of(source, "public.t"), primary_key=("k",))
        # Cuts at every so many of the keys there are, as a sample would give them.
        step = max(1, len(all_keys) // wanted)
        cuts = [None, *((key,) for key in all_keys[step - 1 : -1 : step]), None]
        ranges = tuple(KeyRange(after, upto, 0) for after, upto in pairwise(cuts))
        parts = rows_in(source, table, ranges)
        assert sum(map(len, parts)) == count
        ordered = replace(table, ordered=True)
        whole = [key for part in rows_in(source, ordered, ranges) for key in part]
        assert whole == [
            key for part in rows_in(source, ordered, (KeyRange(None, None, 0),)) for key in part
        ]
        assert sorted(whole) == sorted(key for part in parts for key in part)

    check()


@pytest.fixture(scope="module")
def skewed(postgresql: Server) -> Source:
    """A table of which one tenant owns half, in one corner of the keys, and others little."""
    database = postgresql.new_database()
    postgresql.run(
        """
        CREATE TABLE jobs(
            tenant text NOT NULL, region int NOT NULL, code text NOT NULL, note text,
            PRIMARY KEY (region, code)
        );
        INSERT INTO jobs
        SELECT CASE WHEN n > 20000 THEN 'big' WHEN n % 100 = 0 THEN 'tiny' ELSE 'other' END,
               n / 1000, 'c' || lpad((n * 7919 % 100000)::text, 6, '0'), repeat('x', n % 90)
        FROM generate_series(1, 40000) n;
        CREATE VIEW seen AS SELECT * FROM jobs;
        CREATE TABLE keyless AS SELECT * FROM jobs;
        CREATE TABLE parted(id int NOT NULL, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
        CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (5000);
        CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (5000) TO (10000);
        INSERT INTO parted SELECT n, repeat('y', 50) FROM generate_series(0, 9999) n;
        ANALYZE;
        """,
        database,
    )
    return postgresql.source(database)


def of_tenant(source: Source, tenant: str, table: str = "public.jobs") -> Table:
    return replace(
        a_table_of(source, table, RowFilter("tenant", (tenant,), ColumnType.STRING)),
        primary_key=("region", "code"),
    )


@pytest.mark.parametrize("tenant", ["big", "other", "tiny"])
def test_a_tenant_is_cut_by_its_own_rows_and_by_a_composite_key(
    skewed: Source, tenant: str
) -> None:
    table = of_tenant(skewed, tenant)
    total = SPLITTING.count(skewed, "", table)
    ranges = planned(skewed, table, max_ranges=4)
    parts = [len(keys) for keys in rows_in(skewed, table, ranges)]
    assert sum(parts) == total
    assert len(parts) == (2 if tenant == "tiny" else 4), "a hundred sampled rows each at least"
    assert max(parts) < 1.6 * total / len(parts)
    assert sum(one.rows for one in ranges) == pytest.approx(total, rel=0.2)


def test_what_has_no_sure_key_goes_in_one_part(skewed: Source) -> None:
    for name in ("public.seen", "public.keyless"):
        table = of_tenant(skewed, "big", name)
        assert [(one.after, one.upto) for one in planned(skewed, table)] == [(None, None)], name
    unkeyed = replace(of_tenant(skewed, "big"), primary_key=())
    [only] = planned(skewed, unkeyed)
    assert only.rows == pytest.approx(20000, rel=0.2)


def tables_of_no_sure_key(version: int) -> dict[str, str]:
    """Tables that say of their key that it is never NULL, and have a row where it is."""
    rows = "SELECT n, repeat('y', 300) FROM generate_series(1, 5000) n"
    if version < 18:  # since then constraints of NOT NULL have names, and are inherited for good
        inherited = (
            "CREATE TABLE inherited (id int NOT NULL, v text); "
            "CREATE TABLE kid () INHERITS (inherited); ALTER TABLE kid ALTER id DROP NOT NULL; "
        )
        unproven = {}
    else:
        inherited = (
            "CREATE TABLE inherited (id int, v text, CONSTRAINT sure NOT NULL id NO INHERIT); "
            "CREATE TABLE kid () INHERITS (inherited); "
        )
        unproven = {
            "unproven": "CREATE TABLE unproven (id int UNIQUE, v text); "
            f"INSERT INTO unproven {rows}; INSERT INTO unproven VALUES (NULL, 'z'); "
            "ALTER TABLE unproven ADD CONSTRAINT unsure NOT NULL id NOT VALID"
        }
    inherited += f"INSERT INTO inherited {rows}; INSERT INTO kid VALUES (NULL, 'z')"
    return {"inherited": inherited, **unproven}


def test_a_key_whose_constraint_not_all_rows_are_held_to_is_not_cut(postgresql: Server) -> None:
    """A range of keys has no row whose key is NULL."""
    for name, made in tables_of_no_sure_key(postgresql.version).items():
        database = postgresql.new_database()
        postgresql.run(f"{made}; ANALYZE", database)
        source = postgresql.source(database)
        table = replace(a_table_of(source, f"public.{name}"), primary_key=("id",))
        ranges = planned(source, table)
        assert [(one.after, one.upto) for one in ranges] == [(None, None)], name
        assert len(rows_in(source, table, ranges)[0]) == 5001, name


def test_a_table_is_cut_whose_key_all_that_inherit_it_are_held_to(postgresql: Server) -> None:
    database = postgresql.new_database()
    postgresql.run(
        "CREATE TABLE base (id int NOT NULL, v text); CREATE TABLE kid () INHERITS (base); "
        "CREATE TABLE grandkid () INHERITS (kid); "
        "INSERT INTO base SELECT n, repeat('y', 300) FROM generate_series(1, 5000) n; "
        "INSERT INTO kid VALUES (5001, 'z'); INSERT INTO grandkid VALUES (5002, 'z'); ANALYZE",
        database,
    )
    source = postgresql.source(database)
    table = replace(a_table_of(source, "public.base"), primary_key=("id",))
    ranges = planned(source, table, max_ranges=4)
    assert len(ranges) == 4
    keys = [int(key) for part in rows_in(source, table, ranges) for key in part]
    assert sorted(keys) == list(range(1, 5003))


def test_a_partitioned_table_is_cut_over_all_its_partitions(skewed: Source) -> None:
    table = replace(a_table_of(skewed, "public.parted"), primary_key=("id",))
    ranges = planned(skewed, table, max_ranges=4)
    parts = rows_in(skewed, table, ranges)
    assert sorted(int(key) for part in parts for key in part) == list(range(10000))
    assert len(parts) == 4


def test_no_range_is_planned_to_be_stored_too_small(skewed: Source) -> None:
    table = of_tenant(skewed, "big")
    careful = PostgresqlWarehouse(split_from_bytes=1)
    ranges = careful.plan(skewed, "", table, FileFormat.CSV, target_bytes=1, max_ranges=40)
    assert len(ranges) == 1
    as_usual = PostgresqlWarehouse()
    assert len(as_usual.plan(skewed, "", table, FileFormat.CSV, target_bytes=1, max_ranges=9)) == 1


def test_ranges_of_one_held_snapshot_are_one_document_while_others_write(
    postgresql: Server, skewed: Source
) -> None:
    table = replace(of_tenant(skewed, "big"), ordered=True)
    stop = threading.Event()
    parameters = connection_parameters(skewed)

    def write() -> None:
        with psycopg.connect(**parameters, autocommit=True) as connection:  # type: ignore[arg-type]
            number = 0
            while not stop.is_set():
                number += 1
                connection.execute(
                    "UPDATE jobs SET region = region + 1000 WHERE code = %s", [f"c{number:06d}"]
                )
                connection.execute(
                    "INSERT INTO jobs VALUES ('big', %s, 'new', NULL)", [10_000 + number]
                )

    writer = threading.Thread(target=write)
    with SPLITTING.hold(skewed) as held:
        writer.start()
        try:
            ranges = planned(skewed, table, max_ranges=6)
            held.check()

            def whole(ranges: tuple[TableRange, ...]) -> bytes:
                parts = []
                for index, one in enumerate(ranges):
                    with SPLITTING.stream(
                        skewed,
                        held.version,
                        table,
                        one,
                        FileFormat.CSV,
                        Compression.NONE,
                        PartPosition(first=index == 0, last=index == len(ranges) - 1),
                        held.name,
                    ) as stream:
                        parts.append(b"".join(stream))
                return b"".join(parts)

            assert whole(ranges) == whole((KeyRange(None, None, 0),))
        finally:
            stop.set()
            writer.join()
    assert document(skewed, table, FileFormat.CSV).rows > 20_000


# --- whoever writes, wherever --------------------------------------------------------------------

RUNS = st.lists(
    st.tuples(st.integers(-(10**9), 10**9), st.integers(1, 120)), min_size=1, max_size=4
)
"""Keys as they lie: runs of one after another, long and short, with gaps of any width."""

WRITES = st.lists(
    st.tuples(
        st.sampled_from(["insert", "delete", "touch", "move"]),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
    ),
    max_size=12,
)
"""What another session does in one transaction, to which of the keys; a move makes one another."""


class Rows:
    """The table and its rows as they should be, by key; ``pool`` are the keys that writes hit."""

    def __init__(self, connection: Connection, kind: str, runs: list[tuple[int, int]]) -> None:
        numbers = {start + step for start, count in runs for step in range(2 * count)}
        self.pool = [str(number) for number in sorted(numbers)]
        self.connection, self.kind = connection, sql.SQL(kind)
        self.rows = dict.fromkeys(self.pool[::2], "first")
        self.turn = 0
        create = "DROP TABLE IF EXISTS t; CREATE TABLE t(k {} PRIMARY KEY, v text NOT NULL)"
        connection.execute(sql.SQL(create).format(self.kind))
        insert = "INSERT INTO t SELECT k::{}, 'first' FROM unnest(%s::text[]) k"
        connection.execute(sql.SQL(insert).format(self.kind), [list(self.rows)])

    def write(self, writes: list[tuple[str, int, int]]) -> None:
        """Does it to both, and commits."""
        self.turn += 1
        now = f"turn {self.turn}"
        with self.connection.transaction():
            for what, first, second in writes:
                key, other = (self.pool[number % len(self.pool)] for number in (first, second))
                there = key in self.rows
                if what == "insert" and not there:
                    self._do("INSERT INTO t VALUES (%s::{kind}, %s)", key, now)
                    self.rows[key] = now
                elif what == "delete" and there:
                    self._do("DELETE FROM t WHERE k = %s::{kind}", key)
                    del self.rows[key]
                elif what == "touch" and there:
                    self._do("UPDATE t SET v = %s WHERE k = %s::{kind}", now, key)
                    self.rows[key] = now
                elif what == "move" and there and other not in self.rows:
                    self._do("UPDATE t SET k = %s::{kind} WHERE k = %s::{kind}", other, key)
                    self.rows[other] = self.rows.pop(key)

    def _do(self, statement: str, *values: str) -> None:
        done = self.connection.execute(sql.SQL(statement).format(kind=self.kind), values)
        assert done.rowcount == 1


@pytest.mark.parametrize(
    ("kind", "file_format", "examples"),
    [
        ("bigint", FileFormat.CSV, 30),
        ("text", FileFormat.CSV, 30),
        ("bigint", FileFormat.NDJSON, 6),
    ],
)
def test_ranges_read_in_a_held_snapshot_are_the_table_as_of_it(
    postgresql: Server, kind: str, file_format: FileFormat, examples: int
) -> None:
    database = postgresql.new_database()
    source = postgresql.source(database)
    parameters = connection_parameters(source)

    @settings(max_examples=examples, deadline=None)
    @given(
        runs=RUNS,
        before=WRITES,
        meanwhile=st.lists(WRITES, min_size=1, max_size=5),
        most=st.integers(2, 7),
        plan_first=st.booleans(),
    )
    def check(
        runs: list[tuple[int, int]],
        before: list[tuple[str, int, int]],
        meanwhile: list[list[tuple[str, int, int]]],
        most: int,
        plan_first: bool,
    ) -> None:
        with psycopg.connect(**parameters, autocommit=True) as writer:  # type: ignore[arg-type]
            state = Rows(writer, kind, runs)
            table = replace(a_table_of(source, "public.t"), primary_key=("k",))
            ranges = planned(source, table, max_ranges=most) if plan_first else ()
            state.write(before)
            with SPLITTING.hold(source) as held:
                expected = sorted(state.rows.items())
                state.write(meanwhile[0])
                ranges = ranges or planned(source, table, max_ranges=most)
                found = []
                for index, one in enumerate(ranges):
                    with SPLITTING.stream(
                        source,
                        held.version,
                        table,
                        one,
                        file_format,
                        Compression.NONE,
                        PartPosition(first=index == 0, last=index == len(ranges) - 1),
                        held.name,
                    ) as stream:
                        chunks = iter(stream)
                        first = next(chunks, b"")
                        # In the middle of a range, and so between this one and the next.
                        state.write(meanwhile[index % len(meanwhile)])
                        found.append(b"".join((first, *chunks)))
        rows = rows_of(b"".join(found), file_format)
        assert sorted((str(row["k"]), row["v"]) for row in rows) == expected

    check()
