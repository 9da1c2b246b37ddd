"""Sync: the destination is the source at the stored version, whatever changes and whatever dies."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace_client import (
    Action,
    Content,
    DestinationError,
    DestinationInUse,
    HeadraceClient,
    IncrementsUnavailable,
    NetworkError,
    OperationUnsuccessful,
    ProtocolError,
    QuotaExhausted,
    RetryPolicy,
    SetupError,
    Sync,
    Synced,
    VerificationError,
    sync_destination,
)
from headrace_client.events import DownloadPlanned, Event, Note
from headrace_client.sync.destination import Applied
from tests.component.client.changing import (
    ChangingSource,
    Field,
    Plan,
    Resync,
    Shape,
    a_person,
    people,
    visits,
    without,
)
from tests.component.client.dying import Died, dying
from tests.component.client.places import File, Folder, Place, Schema, contents
from tests.component.client.service import (
    CLIENT_ID,
    CLIENT_SECRET,
    Answer,
    ApiRequest,
    Fault,
    Service,
    problem,
)
from tests.examples import examples

NewPlace = Callable[[], Place]
KINDS = ("folder", "duckdb", "postgresql")


_numbers = itertools.count()


@pytest.fixture(params=KINDS)
def new_place(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> NewPlace:
    """Makes destinations of one kind, which have never been synced to."""

    def made() -> Place:
        number = next(_numbers)
        folder = tmp_path / f"place [{number}] *"
        if request.param == "folder":
            return Folder(folder)
        if request.param == "duckdb":
            return File(folder / "tables.duckdb")
        return Schema(database, f"copy {number}", folder)

    return made


def a_source() -> ChangingSource:
    source = ChangingSource({"people": people(), "visits": visits()})
    for number in range(1, 5):
        source.put("people", **a_person(number))
    source.put("visits", nr="1", day="2024-02-29", remark=None)
    source.put("visits", nr="2", day="2024-02-29", remark="")
    source.commit()
    return source


def a_client(service: Service) -> HeadraceClient:
    quick = RetryPolicy(attempts=2, first=0.001, longest=0.002)
    return HeadraceClient(
        service.api_url, CLIENT_ID, CLIENT_SECRET, policy=quick, sleep=lambda seconds: None
    )


def sync(service: Service, place: Place, **options: Any) -> Synced:
    with a_client(service) as client:
        return Sync(client, place.destination(), **options)()


def assert_same(place: Place, source: ChangingSource) -> None:
    """The destination is the source at the version that it says."""
    state = place.state()
    if state is None or state.version is None:
        assert state is None or state.schemas == {}
        assert place.names() == set()
    else:
        assert contents(place, source) == source.at(state.version, state.schemas)


def assert_up_to_date(place: Place, source: ChangingSource) -> None:
    """The destination is the source as it is now, and no more."""
    state = place.state()
    assert state is not None
    assert state.version == source.version
    assert state.schemas == source.hashes()
    assert place.names() == set(source.shapes)
    assert contents(place, source) == source.at(source.version, source.hashes())


def catch_up(service: Service, place: Place, source: ChangingSource) -> None:
    """Sync until the destination is the source: the first run may go on with an operation that was
    begun at an older version."""
    sync(service, place)
    assert_same(place, source)
    sync(service, place)
    assert_up_to_date(place, source)


# -- histories -------------------------------------------------------------------------------

_cells = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from([None, "", 'ß,\r\n"', "=1+1", "\\N"]),
        "salary": st.sampled_from([None, "0.50", "-9999999999999999.99"]),
        "share": st.sampled_from([None, "NaN", "-Infinity", "1e-300"]),
        "photo": st.sampled_from([None, "", "/w=="]),
        "notes": st.sampled_from([None, "null", '{"a": 1.0, "a": 2}', '"x"']),
        "hired": st.sampled_from([None, "9999-12-31T23:59:59.999999Z"]),
        "more": st.sampled_from([None, "7"]),
    },
)
_ids = st.integers(1, 6).map(str)
_days = st.sampled_from(["2024-02-29", "0001-01-01"])
_nrs = st.sampled_from(["-1", "2"])
_remarks = st.sampled_from([None, "", "x"])
_deaths = st.integers(1, 160)
_steps = st.one_of(
    st.tuples(st.just("person"), _ids, _cells),
    st.tuples(st.just("person"), _ids, _cells),
    st.tuples(st.just("no person"), _ids),
    st.tuples(st.just("visit"), _days, _nrs, _remarks),
    st.tuples(st.just("no visit"), _days, _nrs),
    st.just(("commit",)),
    st.just(("commit",)),
    st.just(("sync",)),
    st.tuples(st.just("die"), _deaths, st.booleans()),
    st.tuples(st.just("die"), _deaths, st.booleans()),
    st.tuples(st.just("die"), _deaths, st.booleans()),
    st.tuples(st.just("grant"), st.sampled_from(["more", "less", "plain"])),
    st.tuples(st.just("visits are granted"), st.booleans()),
    st.tuples(st.just("resync"), st.sampled_from(Resync)),
    st.just(("expire",)),
    st.tuples(st.just("jobs fail"), st.sampled_from(["resync_required", "sync_version_expired"])),
    st.tuples(st.just("operations"), st.sampled_from(["gone", "expired"])),
)
_SHAPES = {
    "more": people(Field("more", "integer", "INTEGER")),
    "less": without(people(), "name"),
    "plain": people(),
}


def change(step: tuple[Any, ...], source: ChangingSource) -> None:
    """Let one thing happen to the source."""
    match step:
        case ("person", number, cells):
            source.put("people", **(a_person(int(number)) | cells))
        case ("no person", number):
            source.remove("people", number)
        case ("visit", day, nr, remark):
            source.put("visits", day=day, nr=nr, remark=remark)
        case ("no visit", day, nr):
            source.remove("visits", day, nr)
        case ("commit",):
            source.commit()
        case ("grant", shape):
            source.grant(_SHAPES[shape])
        case ("visits are granted", True):
            source.grant(visits())
        case ("visits are granted", False):
            source.revoke("visits")
        case ("resync", resync):
            source.resync = resync
        case ("expire",):
            source.expire()


def run(step: tuple[Any, ...], source: ChangingSource, service: Service, place: Place) -> None:
    """Let one thing happen to the client or the service."""
    match step:
        case ("sync",):
            catch_up(service, place, source)
        case ("die", number, meanwhile):
            if meanwhile:
                source.put("people", **a_person(number % 6, level=str(number)))
                source.commit()
            with suppress(Died), dying(number):
                sync(service, place)
            assert_same(place, source)
        case ("jobs fail", code):
            service.fails_with = code
        case ("operations", fate):
            for operation in service.operations.values():
                if operation["status"] == "succeeded":
                    operation.update({"kind": "x"} if fate == "gone" else {"status": fate})


@settings(
    max_examples=examples(12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=st.lists(_steps, min_size=4, max_size=14))
def test_after_any_history_the_destination_is_the_source(
    new_place: NewPlace, history: list[tuple[Any, ...]]
) -> None:
    source, place = a_source(), new_place()
    with Service({}, source=source) as service:
        for step in history:
            change(step, source)
            run(step, source, service, place)
        catch_up(service, place, source)


@pytest.mark.parametrize("full", [False, True])
def test_a_client_that_dies_while_it_applies_has_applied_all_or_nothing(
    new_place: NewPlace, full: bool
) -> None:
    source, place = a_source(), new_place()
    with Service({}, source=source) as service:
        sync(service, place)
        for last in itertools.count(1, 4 if full else 1):
            source.put("people", **a_person(1, level=str(last)))
            source.put("people", **a_person(10 + last))
            source.remove("people", str(9 + last))
            source.put("visits", nr="1", day="2024-02-29", remark=str(last))
            source.commit()
            with suppress(Died), dying(last, applying=True):
                sync(service, place, full=full)
                break
            assert_same(place, source)
        catch_up(service, place, source)
        # a run that died before it had applied leaves its operation to the next one
        assert len(service.operations) < last
    assert last > 20


def test_a_client_that_dies_at_any_step_goes_on_with_its_operation(new_place: NewPlace) -> None:
    deaths = 0
    for last in itertools.count(1, 13):
        source, place = a_source(), new_place()
        with Service({}, source=source) as service:
            with suppress(Died), dying(last):
                sync(service, place)
                break
            deaths += 1
            assert_same(place, source)
            sync(service, place)
            assert_up_to_date(place, source)
            assert starts(service) == ["full"]
    assert deaths >= 8


# -- what the service says -------------------------------------------------------------------


def told(service: Service, place: Place, **options: Any) -> tuple[Synced, str]:
    """A run, and what it told meanwhile."""
    events: list[Event] = []
    done = sync(service, place, listener=events.append, **options)
    return done, " ".join(event.text for event in events if isinstance(event, Note))


def starts(service: Service) -> list[str]:
    """The kinds of operations that were started."""
    return [operation["kind"] for operation in service.operations.values()]


def test_all_rows_first_then_what_changed(new_place: NewPlace) -> None:
    source, place = a_source(), new_place()
    with Service({}, source=source) as service:
        first = sync(service, place)
        source.put("people", **a_person(1, name=None))
        source.put("people", **a_person(9))
        source.remove("people", "2")
        source.put("visits", nr="1", day="2024-02-29", remark="late")
        source.commit()
        second = sync(service, place)
        assert_up_to_date(place, source)
    assert first.action is Action.BASELINE
    assert [(one.table, one.inserted, one.rows) for one in first.tables] == [
        ("people", 4, 4),
        ("visits", 2, 2),
    ]
    assert (second.action, second.version_before, second.version) == (
        Action.INCREMENT,
        "lake:1",
        "lake:2",
    )
    assert second.tables == (
        Applied("people", Content.CHANGES, 1, 1, 1, 4),
        Applied("visits", Content.CHANGES, 0, 1, 0, 2),
    )


def test_where_nothing_has_changed_no_operation_is_started(new_place: NewPlace) -> None:
    source, place = a_source(), new_place()
    with Service({}, source=source) as service:
        sync(service, place)
        done = sync(service, place)
        assert (done.action, done.tables, done.version) == (Action.NOTHING, (), source.version)
        assert starts(service) == ["full"]


def test_an_expired_version_leads_to_a_full_export_and_the_run_says_so(
    new_place: NewPlace,
) -> None:
    source, place = a_source(), new_place()
    with Service({}, source=source) as service:
        sync(service, place)
        source.remove("people", "1")
        source.commit()
        source.expire()
        done, said = told(service, place)
        assert_up_to_date(place, source)
    assert done.action is Action.FULL
    assert done.reason == "The changes are not kept any more."
    assert "The changes are not kept any more. Starting a full export." in said


def test_a_source_that_was_replaced_is_copied_anew(new_place: NewPlace) -> None:
    source, place = a_source(), new_place()
    with Service({}, source=source) as service:
        sync(service, place)
        service.source = source = ChangingSource({"people": people()}, name="other")
        source.put("people", **a_person(3))
        source.commit()
        done, said = told(service, place)
        assert_up_to_date(place, source)
    assert done.action is Action.FULL
    assert "none of yours" in said
    assert done.tables[-1] == Applied("visits", None, 0, 0, 2, 0)


@pytest.mark.parametrize("resync", Resync)
def test_a_column_that_is_newly_granted_comes_with_all_rows(
    new_place: NewPlace, resync: Resync
) -> None:
    source, place = a_source(), new_place()
    source.resync = resync
    source.put("people", **a_person(1, more="7"))
    source.commit()
    with Service({}, source=source) as service:
        sync(service, place)
        source.grant(_SHAPES["more"])
        source.put("visits", nr="7", day="2024-02-29", remark="x")
        source.commit()
        done, said = told(service, place)
        assert_up_to_date(place, source)
    by_table = {one.table: one.content for one in done.tables}
    assert by_table["people"] is Content.FULL
    if resync is Resync.REFUSE:
        assert done.action is Action.FULL
        assert "people: Granted otherwise." in said
    else:
        assert done.action is Action.INCREMENT
        assert by_table["visits"] is Content.CHANGES


@pytest.mark.parametrize("resync", Resync)
def test_a_table_that_is_called_otherwise_by_its_case_alone_stays(
    new_place: NewPlace, resync: Resync
) -> None:
    source, place = a_source(), new_place()
    source.resync = resync
    with Service({}, source=source) as service:
        sync(service, place)
        source.revoke("people")
        source.grant(replace(people(), name="People"))
        source.put("People", **a_person(7))
        source.commit()
        done = sync(service, place)
        assert_up_to_date(place, source)
        source.put("People", **a_person(8))
        source.commit()
        sync(service, place)
        assert_up_to_date(place, source)
    assert done.tables[-1] == Applied("people", None, 0, 0, 4, 0)


@pytest.mark.parametrize("code", ["resync_required", "sync_version_expired"])
def test_an_increment_that_fails_for_good_is_followed_by_a_full_export(
    new_place: NewPlace, code: str
) -> None:
    source, place = a_source(), new_place()
    with Service({}, source=source) as service:
        sync(service, place)
        source.remove("people", "1")
        source.commit()
        service.fails_with = code
        done, said = told(service, place)
        assert starts(service) == ["full", "incremental", "full"]
        assert_up_to_date(place, source)
    assert done.action is Action.FULL
    assert "Starting a full export." in said


def test_a_table_that_the_source_lost_ends_the_run_and_nothing_is_applied(
    new_place: NewPlace,
) -> None:
    source, place = a_source(), new_place()
    with Service({}, source=source) as service:
        sync(service, place)
        source.remove("people", "1")
        source.commit()
        service.fails_with = "schema_changed"
        with pytest.raises(OperationUnsuccessful):
            sync(service, place)
        assert_same(place, source)
        assert starts(service) == ["full", "incremental"]
        assert sync(service, place).action is Action.INCREMENT
        assert_up_to_date(place, source)


def test_a_full_export_can_be_asked_for(new_place: NewPlace) -> None:
    source, place = a_source(), new_place()
    with Service({}, source=source) as service:
        sync(service, place)
        assert sync(service, place, full=True).action is Action.FULL
        assert_up_to_date(place, source)


def test_an_exhausted_quota_ends_the_run_and_costs_nothing(new_place: NewPlace) -> None:
    source, place = a_source(), new_place()
    with Service({}, source=source) as service:
        sync(service, place)
        source.remove("people", "1")
        source.commit()
        service.quota_limit = 1
        for _ in range(2):
            with pytest.raises(QuotaExhausted):
                sync(service, place)
            assert_same(place, source)
        service.quota_limit = 2
        assert sync(service, place).action is Action.INCREMENT
        assert_up_to_date(place, source)


def test_another_operation_of_the_client_is_waited_for(new_place: NewPlace) -> None:
    source, place = a_source(), new_place()
    with Service({}, source=source) as service:
        service.begin(fileFormat="csv")
        done, said = told(service, place)
        assert done.action is Action.BASELINE
        assert "Operation op-0001 of this client is active" in said
        assert_up_to_date(place, source)


def test_a_start_whose_answer_never_came_is_the_same_operation_in_the_next_run(
    new_place: NewPlace,
) -> None:
    source, place = a_source(), new_place()
    with Service({}, source=source) as service:

        def carry_out_but_lose_the_answer(request: ApiRequest) -> Answer | None:
            if request.method == "POST" and request.path.endswith("/fulldata"):
                with service.lock:
                    service._start(request)
                return Answer(0, drop=True)
            return None

        service.api_fault = carry_out_but_lose_the_answer
        with pytest.raises(NetworkError):
            sync(service, place)
        service.api_fault = lambda request: None
        sync(service, place)
        assert starts(service) == ["full"]
        assert_up_to_date(place, source)


def test_a_source_without_changes_is_refused_before_quota_is_used(new_place: NewPlace) -> None:
    place = new_place()
    with Service({"people": b"id\n"}) as service:
        with pytest.raises(IncrementsUnavailable):
            sync(service, place)
        assert starts(service) == []
    assert place.names() == set()


def test_what_a_run_would_do_is_told_and_nothing_is_done(new_place: NewPlace) -> None:
    source, place = a_source(), new_place()

    def planned() -> tuple[Action, str | None]:
        with a_client(service) as client:
            held = Sync(client, place.destination()).plan()
            return held.action, held.operation_id

    with Service({}, source=source) as service:
        assert planned() == (Action.BASELINE, None)
        assert place.state() is None
        sync(service, place)
        assert planned() == (Action.NOTHING, None)
        source.remove("people", "1")
        source.commit()
        assert planned() == (Action.INCREMENT, None)
        service.storage_fault = lambda request: Fault(status=503)
        with pytest.raises(NetworkError):
            sync(service, place)
        assert planned() == (Action.INCREMENT, "op-0002")
        assert starts(service) == ["full", "incremental"]


# -- what may not be -------------------------------------------------------------------------


def test_two_syncs_do_not_work_on_one_destination(new_place: NewPlace) -> None:
    source, place = a_source(), new_place()
    with Service({}, source=source) as service:
        with place.destination().locked(), pytest.raises(DestinationInUse, match="Another"):
            sync(service, place)
        assert starts(service) == []
        sync(service, place)


def test_a_sync_that_another_one_overtook_applies_nothing(new_place: NewPlace) -> None:
    source, place = a_source(), new_place()

    def overtake(event: Event) -> None:
        if isinstance(event, DownloadPlanned):
            state = place.state()
            assert state is not None
            place.destination().record(replace(state, in_flight=None))

    with Service({}, source=source) as service:
        sync(service, place)
        source.remove("people", "1")
        source.commit()
        with pytest.raises(DestinationError, match="Something else has changed the state"):
            sync(service, place, listener=overtake)
        assert_same(place, source)
        sync(service, place)
        assert_up_to_date(place, source)


def test_a_destination_belongs_to_one_client_and_one_configuration(new_place: NewPlace) -> None:
    source, place = a_source(), new_place()
    with Service({}, source=source) as service:
        sync(service, place)
        with pytest.raises(SetupError, match="holds the configuration default"):
            sync(service, place, configuration_id="another")
        with (
            HeadraceClient(service.api_url, "somebody", "s") as other,
            pytest.raises(SetupError, match="is kept by the client 'integrator'"),
        ):
            Sync(other, place.destination())()


def spoiled_rows(manifest: dict[str, Any]) -> dict[str, Any]:
    manifest["files"][0]["rows"] += 1
    return manifest


def content_unsaid(manifest: dict[str, Any]) -> dict[str, Any]:
    for file in manifest["files"]:
        del file["content"]
    return manifest


def said_to_be_full(manifest: dict[str, Any]) -> dict[str, Any]:
    manifest["files"][0]["content"] = "full"
    return manifest


def of_another_version(manifest: dict[str, Any]) -> dict[str, Any]:
    return manifest | {"sinceSyncVersion": "lake:0"}


def without_a_version(manifest: dict[str, Any]) -> dict[str, Any]:
    return manifest | {"syncVersion": None}


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        (spoiled_rows, "has 1 rows, its manifest says 2"),
        (said_to_be_full, "has the columns _change, id"),
        (content_unsaid, "does not say which documents hold changes"),
        (of_another_version, "is of another operation"),
        (without_a_version, "tells no version"),
    ],
)
def test_documents_that_are_not_what_they_are_said_to_be_are_not_applied(
    new_place: NewPlace, spoiled: Callable[[dict[str, Any]], dict[str, Any]], said: str
) -> None:
    source, place = a_source(), new_place()
    with Service({}, source=source) as service:
        sync(service, place)
        source.remove("people", "1")
        source.commit()
        service.manifest_made = spoiled
        with pytest.raises((VerificationError, ProtocolError), match=said):
            sync(service, place)
        assert_same(place, source)
        service.manifest_made = lambda manifest: manifest
        sync(service, place)
        assert_up_to_date(place, source)


def test_changes_that_name_a_key_twice_are_not_applied(
    new_place: NewPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, place = a_source(), new_place()
    right = Plan.rows
    with Service({}, source=source) as service:
        sync(service, place)
        source.put("people", **a_person(1, name="twice"))
        source.commit()
        monkeypatch.setattr(
            Plan, "rows", lambda plan, table: right(plan, table) * (1 + plan.changes(table))
        )
        with pytest.raises(VerificationError, match="name a key twice"):
            sync(service, place)
        assert_same(place, source)


# -- one kind of destination each ------------------------------------------------------------


def test_something_that_no_sync_made_is_left_alone(tmp_path: Path, database: str) -> None:
    (tmp_path / "people.parquet").write_text("mine")
    with duckdb.connect(tmp_path / "mine.duckdb") as file:
        file.execute("CREATE TABLE People (mine INTEGER)")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA mine")
        connection.execute("CREATE VIEW mine.people AS SELECT 1 AS mine")
    places: list[Place] = [
        Folder(tmp_path),
        File(tmp_path / "mine.duckdb"),
        Schema(database, "mine", tmp_path / "home"),
    ]
    for place in places:
        with Service({}, source=a_source()) as service:
            with pytest.raises(DestinationError, match="no sync made"):
                sync(service, place)
            assert starts(service) == []
        assert place.state() is None
    assert (tmp_path / "people.parquet").read_text() == "mine"


def test_who_reads_in_a_folder_keeps_the_generation_that_was_opened(tmp_path: Path) -> None:
    source, place = a_source(), Folder(tmp_path)
    with Service({}, source=source) as service:
        sync(service, place)
        opened = (tmp_path / "current").resolve()
        visits_inode = (tmp_path / "visits.parquet").stat().st_ino
        source.remove("people", "1")
        source.commit()
        sync(service, place)
        assert (tmp_path / "current").resolve() != opened
        kept = sum(pq.read_metadata(path).num_rows for path in opened.glob("*.parquet"))
        assert kept == 6
        assert pq.read_metadata(tmp_path / "people.parquet").num_rows == 3
        assert (tmp_path / "visits.parquet").stat().st_ino == visits_inode, "no copy was made"
        source.remove("people", "2")
        source.commit()
        sync(service, place)
        assert not opened.exists()
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {".headrace-sync", "current", "people.parquet", "visits.parquet"}


def test_a_duckdb_file_that_a_program_holds_open_is_told_and_the_next_run_goes_on(
    tmp_path: Path,
) -> None:
    source, place = a_source(), File(tmp_path / "tables.duckdb")
    script = (
        "import sys, duckdb\nheld = duckdb.connect(sys.argv[1])\nprint('open', flush=True)\n"
        "sys.stdin.read()"
    )
    with Service({}, source=source) as service:
        sync(service, place)
        source.remove("people", "1")
        source.commit()
        with subprocess.Popen(
            [sys.executable, "-c", script, str(place.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"open\n"
            with pytest.raises(DestinationInUse, match="Another program holds"):
                sync(service, place)
            other.communicate()
        sync(service, place)
        assert_up_to_date(place, source)


@pytest.mark.parametrize("files", ["there", "expired"])
def test_a_copy_that_was_restored_from_a_backup_goes_on_from_its_own_version(
    tmp_path: Path, files: str
) -> None:
    source, place = a_source(), File(tmp_path / "tables.duckdb")
    backup = tmp_path / "backup"
    with Service({}, source=source) as service:
        sync(service, place)
        shutil.copy(place.path, backup)
        source.remove("people", "1")
        source.commit()
        sync(service, place)
        source.remove("people", "2")
        source.commit()
        sync(service, place)
        if files == "expired":
            for operation in service.operations.values():
                operation["status"] = "expired"
        shutil.copy(backup, place.path)
        catch_up(service, place, source)
        assert starts(service).count("full") == 1


def test_views_and_grants_outlive_a_full_export_of_the_same_columns(
    tmp_path: Path, database: str
) -> None:
    source, place = a_source(), Schema(database, "viewed", tmp_path)
    with Service({}, source=source) as service:
        sync(service, place)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("CREATE VIEW viewed.names AS SELECT name FROM viewed.people")
            sync(service, place, full=True)
            assert connection.execute("SELECT count(*) FROM viewed.names").fetchone() == (4,)

        source.grant(_SHAPES["more"])
        source.commit()
        with pytest.raises(DestinationError, match="drop what depends on it first"):
            sync(service, place)
        assert_same(place, source)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("DROP VIEW viewed.names")
        sync(service, place)
        assert_up_to_date(place, source)


AWKWARD = [
    ("date", "+12024-02-29", "date '12024-02-29'"),
    ("date", "0000-12-31", "date '0001-12-31 BC'"),
    ("date", "-0043-03-15", "date '0044-03-15 BC'"),
    ("date", "infinity", "date 'infinity'"),
    ("date", "-infinity", "date '-infinity'"),
    ("timestamp", "-0043-03-15T12:00:00.000001", "timestamp '0044-03-15 12:00:00.000001 BC'"),
    ("timestamp", "+10000-01-01T00:00:00.000000", "timestamp '10000-01-01 00:00:00'"),
    ("timestamptz", "-0043-03-15T12:00:00.000000Z", "timestamptz '0044-03-15 12:00:00 UTC BC'"),
    ("timestamptz", "+10000-01-01T00:00:00.000000Z", "timestamptz '10000-01-01 00:00:00 UTC'"),
    ("timestamptz", "infinity", "timestamptz 'infinity'"),
    ("time", "24:00:00.000000", "time '24:00:00'"),
    ("interval", "P1Y2M3DT4H5M6.7S", "interval '1 year 2 months 3 days 04:05:06.7'"),
    ("decimal", "NaN", "numeric 'NaN'"),
    ("decimal", "1" * 300, f"numeric '{'1' * 300}'"),
    ("double", "-Infinity", "float8 '-Infinity'"),
    ("double", "5e-324", "float8 '5e-324'"),
    ("binary", "", "bytea ''"),
    ("string", "\\.", r"text '\.'"),
    ("string", "NULL", "text 'NULL'"),
    ("json", '{"a": 1.0, "a": 2}', None),
]


def test_postgresql_holds_every_value_that_csv_can_say(tmp_path: Path, database: str) -> None:
    shape = Shape(
        "values",
        ("id",),
        (
            Field("id", "integer", "INTEGER"),
            *(Field(f"c{at}", kind, "VARCHAR") for at, (kind, _, _) in enumerate(AWKWARD)),
        ),
    )
    source = ChangingSource({"values": shape})
    source.put("values", id="1", **{f"c{at}": cell for at, (_, cell, _) in enumerate(AWKWARD)})
    source.put("values", id="2", **{f"c{at}": None for at in range(len(AWKWARD))})
    source.commit()
    place = Schema(database, "awkward", tmp_path)
    with Service({}, source=source) as service:
        sync(service, place)
        source.put("values", id="3", **{f"c{at}": cell for at, (_, cell, _) in enumerate(AWKWARD)})
        source.commit()
        sync(service, place)
    right = ", ".join(
        f"c{at} = {literal}" if literal is not None else f"c{at}::text = '{cell}'"
        for at, (_, cell, literal) in enumerate(AWKWARD)
    )
    nulls = " AND ".join(f"c{at} IS NULL" for at in range(len(AWKWARD)))
    with psycopg.connect(database) as connection:
        for number in (1, 3):
            row = connection.execute(
                f"SELECT {right} FROM awkward.values WHERE id = {number}".encode()
            ).fetchone()
            assert row is not None
            wrong = [AWKWARD[at] for at, same in enumerate(row) if not same]
            assert wrong == []
        assert connection.execute(
            f"SELECT {nulls} FROM awkward.values WHERE id = 2".encode()
        ).fetchone() == (True,)


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("date", "-9999-12-31"),
        ("date", "-12345-01-01"),
        ("timestamp", "-12345-01-01T00:00:00.000000"),
        ("timestamptz", "-290307-12-31T00:00:00.000000Z"),
    ],
)
def test_a_day_before_those_that_postgresql_has_ends_the_run(
    tmp_path: Path, database: str, kind: str, cell: str
) -> None:
    shape = Shape("days", ("id",), (Field("id", "integer", "INTEGER"), Field("d", kind, "VARCHAR")))
    source = ChangingSource({"days": shape})
    source.put("days", id="1", d=cell)
    source.commit()
    place = Schema(database, f"far {next(_numbers)}", tmp_path)
    with Service({}, source=source) as service:
        with pytest.raises(DestinationError, match="out of range"):
            sync(service, place)
        assert_same(place, source)


@pytest.mark.parametrize(
    ("to", "package", "extra"),
    [
        ("data", "duckdb", "duckdb"),
        ("duckdb:tables.duckdb", "duckdb", "duckdb"),
        ("postgresql:dbname=x", "psycopg", "postgresql"),
        ("postgresql://localhost/x", "psycopg", "postgresql"),
    ],
)
def test_a_missing_package_is_told_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch, to: str, package: str, extra: str
) -> None:
    for name in list(sys.modules):
        if name in ("headrace_client.sync.engine", "headrace_client.sync.postgresql") or (
            name in ("headrace_client.sync.folder", "headrace_client.sync.duckdb_file")
        ):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SetupError, match=rf"pip install 'headrace-client\[{extra}\]'"):
        sync_destination(to, "headrace", {})


def withdrawn_once(path: str) -> Callable[[ApiRequest], Answer | None]:
    """The first call of such a path is refused, as somebody has withdrawn a consent."""
    asked: list[str] = []

    def fault(request: ApiRequest) -> Answer | None:
        if re.search(path, request.path) and not asked:
            asked.append(request.path)
            return problem(403, "consent_withdrawn", "Somebody shares no more.")
        return None

    return fault


@pytest.mark.parametrize("path", ["/manifest$", "/data/v1/jobs/"])
def test_after_a_withdrawal_another_operation_brings_the_copy_to_where_it_should_be(
    new_place: NewPlace, path: str
) -> None:
    source, place = a_source(), new_place()
    with Service({}, source=source) as service:
        sync(service, place)
        source.remove("people", "1")
        source.commit()
        service.api_fault = withdrawn_once(path)
        done, said = told(service, place)
        assert_up_to_date(place, source)
        assert starts(service) == ["full", "incremental", "incremental"]
    assert done.action is Action.INCREMENT
    assert "Somebody shares no more. Starting another operation." in said
