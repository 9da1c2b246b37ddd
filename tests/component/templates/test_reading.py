"""The worker reads a template's rows as of one moment, once, whatever becomes of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from headrace.catalog.model import ChoosingColumn, PublishedTemplate
from headrace.exports.sources import ColumnType, Source
from headrace.kernel.errors import Fenced
from headrace.templates.model import CHUNK_ROWS, LEASE, MAX_TAKES, Parameters, Reader, WalkState
from tests.component.postgresql.server import Server
from tests.component.templates.reading import Reading, a_reading, persons
from tests.component.warehouse.places import a_lake, loader

ROWS = 5_000
PERSONS = (
    "CREATE TABLE {} (tenant VARCHAR(9), id INTEGER, name VARCHAR(40), amount DECIMAL(9,2), "
    "changed TIMESTAMPTZ, anonymised BOOLEAN)"
)
FILLED = (
    "INSERT INTO {} SELECT CASE WHEN i % 10 = 0 THEN 'south' ELSE 'north' END, "
    "(i * 7919) % 1000003, 'Zoë ' || i, i, TIMESTAMPTZ '2026-03-01 00:00:00.123456+00' + "
    "i * INTERVAL '1 second', CASE WHEN i % 4 = 0 THEN true WHEN i % 4 = 1 THEN false END "
    "FROM generate_series(1, 5000) AS s(i)"
)


@dataclass(frozen=True)
class Place:
    """A source with persons, and how its rows are changed."""

    source: Source
    table: str
    change: Callable[[str], object]

    def published(self) -> PublishedTemplate:
        """The template over the table."""
        return persons(self.source, self.table)


@pytest.fixture(params=["ducklake", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "ducklake":
        source = a_lake(tmp_path / "lake", PERSONS.format("persons"), FILLED.format("persons"))

        def change(statement: str) -> None:
            with loader(tmp_path / "lake") as connection:
                connection.execute(statement)

        return Place(source, "main.persons", change)
    server: Server = request.getfixturevalue("postgresql")
    database = server.new_database()
    server.run(f"{PERSONS.format('persons')}; {FILLED.format('persons')}", database)
    return Place(
        server.source(database), "public.persons", lambda statement: server.run(statement, database)
    )


@pytest.fixture
def reading(place: Place) -> Iterator[Reading]:
    with a_reading(place.published(), place.source) as reading:
        yield reading


def expected(
    *,
    tenant: str = "north",
    anonymised: bool = False,
    from_second: int = 0,
    but_ending_in: int | None = None,
) -> list[int]:
    numbers = (
        i
        for i in range(1, ROWS + 1)
        if (tenant == "south") == (i % 10 == 0)
        and (anonymised or i % 4 != 0)
        and i >= from_second
        and i % 10 != but_ending_in
    )
    return sorted((i * 7919) % 1000003 for i in numbers)


def ids(rows: list[dict[str, object]]) -> list[object]:
    return [row["id"] for row in rows]


class Killed(BaseException):
    """As a worker that is there no more: nothing of ours runs."""


def kill(reading: Reading, at_chunk: int) -> Callable[[int], None]:
    def before_write(number: int) -> None:
        if number == at_chunk:
            raise Killed

    reading.before_write = before_write
    return before_write


def test_a_tenants_rows_come_in_their_order_without_anonymised_persons(reading: Reading) -> None:
    rows = reading.walked()
    assert ids(rows) == expected()
    # Who is neither marked nor unmarked is not anonymised.
    assert [row["name"] for row in rows[:1]] == [
        f"Zoë {i}" for i in range(1, ROWS + 1) if (i * 7919) % 1000003 == rows[0]["id"]
    ]
    assert rows[0].keys() == {"id", "name", "amount", "changed"}
    assert ids(reading.walked("theirs", reader=Reader("south", "partner"))) == expected(
        tenant="south"
    )


def test_anonymised_persons_come_for_who_asks_for_them(reading: Reading) -> None:
    everybody = reading.walked(parameters=Parameters(include_anonymised=True))
    assert ids(everybody) == expected(anonymised=True)


def test_a_date_leaves_out_what_is_older_to_the_microsecond(reading: Reading) -> None:
    moment = datetime(2026, 3, 1, 0, 10, 0, 123_456, tzinfo=UTC)
    rows = reading.walked(parameters=Parameters(moment))
    assert ids(rows) == expected(from_second=600)
    assert min(str(row["changed"]) for row in rows) == "2026-03-01T00:10:01.123456Z"
    later = moment.replace(microsecond=123_457)
    later_rows = reading.walked("later", parameters=Parameters(later, include_anonymised=True))
    assert ids(later_rows) == expected(anonymised=True, from_second=601)


def test_of_a_column_of_dates_a_day_is_that_day_wherever_it_begins(place: Place) -> None:
    days = place.table.replace("persons", "days")
    place.change(PERSONS.format("days").replace("changed TIMESTAMPTZ", "changed DATE"))
    place.change(
        "INSERT INTO days SELECT 'north', d, 'x', 0, DATE '2026-03-01' + d::INTEGER, false "
        "FROM generate_series(0, 4) AS s(d)"
    )
    dated = ChoosingColumn("changed", ColumnType.DATE)
    published = persons(place.source, days, date_column=dated)
    east, west = ZoneInfo("Europe/Amsterdam"), ZoneInfo("America/New_York")
    with a_reading(published, place.source) as reading:
        for number, (since, first) in enumerate(
            (
                (datetime(2026, 3, 3, tzinfo=east), 2),
                (datetime(2026, 3, 3, tzinfo=west), 2),
                (datetime(2026, 3, 3, 23, 30, tzinfo=west), 2),
                (datetime(2026, 3, 3, 23, 30, tzinfo=UTC), 2),
            )
        ):
            rows = reading.walked(f"walk-{number}", parameters=Parameters(since))
            assert ids(rows) == list(range(first, 5)), since


def test_all_chunks_show_one_moment_however_the_source_changes(
    reading: Reading, place: Place
) -> None:
    def change(number: int) -> None:
        place.change(f"DELETE FROM persons WHERE id > {(3 - number) * 200_000}")
        place.change("INSERT INTO persons (tenant, id) VALUES ('north', -1)")

    reading.before_write = change
    assert ids(reading.walked()) == expected()
    reading.before_write = lambda _: None
    assert -1 in ids(reading.walked("after"))


def test_rows_can_be_read_while_the_others_still_come(reading: Reading) -> None:
    walk = reading.begin()
    seen: list[tuple[int, WalkState]] = []

    def look(_: int) -> None:
        reading.clock.advance(seconds=1)
        there = reading.found(walk)
        seen.append((there.rows, there.state))

    reading.before_write = look
    assert reading.work(walk) is None
    assert seen == [(0, WalkState.READING), (CHUNK_ROWS, WalkState.READING)]
    assert reading.found(walk).state is WalkState.COMPLETE


def test_a_query_is_read_as_a_table_is(place: Place) -> None:
    published = place.published()
    query = "SELECT p.* FROM persons AS p WHERE p.name NOT LIKE '%7' -- of some"
    template = replace(published, table=replace(published.table, source="", query=query))
    with a_reading(template, place.source) as reading:
        walk = reading.begin()
        kill(reading, at_chunk=1)
        with pytest.raises(Killed):
            reading.work(walk)
        reading.before_write = lambda _: None
        assert ids(reading.walked("another")) == expected(but_ending_in=7)
        if place.source.keeps_versions:
            place.change("UPDATE persons SET name = 'Zoë 7'")
            reading.clock.advance(seconds=LEASE.total_seconds())
            assert reading.work(walk) is None
            assert ids(reading.all_rows(walk)) == expected(but_ending_in=7)


def test_an_empty_template_is_a_complete_walk(reading: Reading) -> None:
    assert reading.walked(reader=Reader("west", "partner")) == []


@pytest.mark.abuse(92)
def test_a_second_invocation_leaves_the_walk_to_the_first(reading: Reading) -> None:
    walk = reading.begin()

    def again(_: int) -> None:
        with pytest.raises(Fenced):
            reading.work(walk)

    reading.before_write = again
    assert reading.work(walk) is None
    with pytest.raises(Fenced):
        reading.work(walk)
    assert ids(reading.all_rows(walk)) == expected()


def test_a_walk_whose_worker_was_killed_ends_well(reading: Reading, place: Place) -> None:
    walk = reading.begin()
    kill(reading, at_chunk=1)
    with pytest.raises(Killed):
        reading.work(walk)
    given_out = reading.all_rows(walk)
    assert ids(given_out) == expected()[:CHUNK_ROWS]
    place.change("DELETE FROM persons WHERE id < 500000")
    reading.before_write = lambda _: None
    with pytest.raises(Fenced):
        reading.work(walk)
    reading.clock.advance(seconds=LEASE.total_seconds())
    assert reading.found(walk).is_left(reading.clock.now())
    failure = reading.work(walk)
    if place.source.keeps_versions:
        assert failure is None
        assert ids(reading.all_rows(walk)) == expected()
    else:
        assert failure == "snapshot_lost"
        assert reading.found(walk).failure == failure
        assert reading.all_rows(walk) == given_out


def test_what_nobody_has_seen_is_begun_anew_whatever_the_source_keeps(reading: Reading) -> None:
    walk = reading.begin()
    kill(reading, at_chunk=0)
    with pytest.raises(Killed):
        reading.work(walk)
    reading.before_write = lambda _: None
    reading.clock.advance(seconds=LEASE.total_seconds())
    assert reading.work(walk) is None
    assert ids(reading.all_rows(walk)) == expected()


@pytest.mark.abuse(93)
def test_a_worker_that_was_replaced_changes_nothing_any_more(reading: Reading) -> None:
    walk = reading.begin()

    def replaced(number: int) -> None:
        if number == 1:
            reading.before_write = lambda _: None
            reading.clock.advance(seconds=LEASE.total_seconds())
            reading.work(walk)

    reading.before_write = replaced
    with pytest.raises(Fenced):
        reading.work(walk)
    there = reading.found(walk)
    assert there.take == 2
    assert ids(reading.all_rows(walk)) == expected()[: there.rows]


@pytest.mark.abuse(93)
def test_what_a_replaced_worker_still_writes_is_in_no_page(reading: Reading, place: Place) -> None:
    walk = reading.begin()

    def replaced(number: int) -> None:
        # The storage takes longer than a lease for its first chunk; meanwhile rows are deleted.
        reading.before_write = lambda _: None
        place.change("DELETE FROM persons WHERE id < 500000")
        reading.clock.advance(seconds=LEASE.total_seconds())
        assert reading.work(walk) is None

    reading.before_write = replaced
    with pytest.raises(Fenced):
        reading.work(walk)
    kept = place.source.keeps_versions  # then both read the version that was fixed before
    rows = [one for one in expected() if kept or one >= 500000]
    assert ids(reading.all_rows(walk)) == rows


@pytest.mark.abuse(94)
def test_a_walk_that_kills_all_its_workers_fails(reading: Reading) -> None:
    walk = reading.begin()
    kill(reading, at_chunk=0)
    for _ in range(MAX_TAKES):
        with pytest.raises(Killed):
            reading.work(walk)
        reading.clock.advance(seconds=LEASE.total_seconds())
    assert reading.work(walk) == "worker_failed"
    assert reading.found(walk).state is WalkState.FAILED


def test_a_worker_without_time_ends_the_walk(reading: Reading) -> None:
    walk = reading.begin()
    assert reading.work(walk, lambda: 5) == "slice_too_long"
    assert reading.found(walk).failure == "slice_too_long"


def test_a_source_that_is_not_as_it_was_published_ends_the_walk(
    reading: Reading, place: Place
) -> None:
    place.change("ALTER TABLE persons DROP COLUMN amount")
    walk = reading.begin()
    assert reading.work(walk) == "schema_changed"
    assert reading.found(walk).failure == "schema_changed"


def test_a_template_that_the_version_does_not_have_ends_the_walk(reading: Reading) -> None:
    assert reading.work(reading.begin(catalog_version=2)) == "not_found"


def test_a_bug_ends_the_walk_and_is_logged_by_who_called(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise ZeroDivisionError

    reading.before_write = broken
    walk = reading.begin()
    with pytest.raises(ZeroDivisionError):
        reading.work(walk)
    assert reading.found(walk).failure == "worker_failed"


def test_where_the_order_leaves_it_open_rows_still_come_in_the_same_order(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    source = a_lake(
        lake,
        PERSONS.format("persons"),
        *(
            f"INSERT INTO persons SELECT 'north', i % 3, 'n' || ((i * 7919 + {n}) % 9973), 1, NULL,"
            f" NULL FROM generate_series({n * 1000}, {n * 1000 + 999}) AS s(i)"
            for n in range(5)
        ),
        "CALL ducklake_flush_inlined_data('lake')",
    )
    with a_reading(persons(source, "main.persons", "id"), source) as reading:
        walk = reading.begin()
        kill(reading, at_chunk=1)
        with pytest.raises(Killed):
            reading.work(walk)
        # The rows of the version lie in other files since.
        with loader(lake) as connection:
            connection.execute("CALL ducklake_merge_adjacent_files('lake')")
        reading.before_write = lambda _: None
        reading.clock.advance(seconds=LEASE.total_seconds())
        assert reading.work(walk) is None
        rows = reading.all_rows(walk)
        assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
        names = [f"n{(i * 7919 + i // 1000) % 9973}" for i in range(5000)]
        assert sorted(row["name"] for row in rows) == sorted(names)
