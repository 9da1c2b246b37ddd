"""Increments: versions that are the caller's, what is refused, and the baseline moving on."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from headrace.exports.model import Content, OperationKind, Status
from headrace.exports.sources import Resync, RowFilter
from headrace.kernel.errors import (
    HeadraceError,
    IncrementsUnavailable,
    NotFound,
    OperationActive,
    ResyncRequired,
    SchemaChanged,
    SyncVersionExpired,
    SyncVersionUnknown,
)
from tests.builders import a_caller, a_configuration
from tests.world import World, a_world


@pytest.fixture
def world() -> Iterator[World]:
    with a_world() as world:
        yield world


def extract(world: World, **changes: Any) -> str:
    """A full export; the version that it brought the data to."""
    done = world.run(world.start(**changes))
    assert done.status is Status.SUCCEEDED
    assert done.offered_version is not None
    return done.offered_version


# --- the version -----------------------------------------------------------------------------


def test_before_any_export_the_version_is_the_sources_latest(world: World) -> None:
    standing = world.sync_version()
    assert (standing.sync_version, standing.baseline) == ("7", None)
    assert (standing.window.latest, standing.window.oldest) == ("7", "3")


def test_after_an_export_the_version_is_the_one_its_files_were_read_at(world: World) -> None:
    version = extract(world)
    # Somebody commits between the extraction and the call for the version.
    world.changes.latest = 9

    standing = world.sync_version()

    assert standing.sync_version == version == "7"
    assert standing.window.latest == "9"
    assert standing.baseline is not None
    assert standing.baseline.kind is OperationKind.FULL


def test_the_baseline_moves_on_with_each_increment(world: World) -> None:
    version = extract(world)
    world.warehouse.snapshot = world.changes.latest = 9
    done = world.run(world.start_increment(version))

    assert done.offered_version == "9"
    assert world.changes.asked == [("employees", "7", "9"), ("absences", "7", "9")]
    standing = world.sync_version()
    assert standing.sync_version == "9"
    assert standing.baseline is not None
    assert standing.baseline.kind is OperationKind.INCREMENTAL


def test_an_increment_that_fails_moves_nothing_and_offers_no_version(world: World) -> None:
    version = extract(world)
    world.warehouse.snapshot = world.changes.latest = 9
    world.changes.reasons["absences"] = "The table was truncated."

    done = world.run(world.start_increment(version))

    assert done.status is Status.FAILED
    assert done.offered_version is None
    assert [job.failure.code if job.failure else None for job in done.jobs] == [
        None,
        "resync_required",
    ]
    assert world.sync_version().sync_version == version


def test_a_cancelled_export_is_no_baseline(world: World) -> None:
    operation = world.start()
    world.plan(operation)
    world.cancel(operation)
    assert world.sync_version().baseline is None


def test_while_an_export_runs_the_version_is_none_after_its_own(world: World) -> None:
    """Who asks too early, and keeps what was answered, would else miss what changed meanwhile."""
    operation = world.start()
    world.changes.latest = 8
    assert world.sync_version().sync_version == "8", "it is read at 8 or later"
    world.warehouse.snapshot = 8
    world.plan(operation)
    world.changes.latest = 9
    asked = world.sync_version()
    assert (asked.sync_version, asked.baseline) == ("8", None)
    assert world.sync_version("absences").sync_version == "8"
    done = world.run(operation)
    assert done.offered_version == "8"
    world.warehouse.snapshot = 9
    increment = world.run(world.start_increment(asked.sync_version))
    assert increment.status is Status.SUCCEEDED
    assert {since for _, since, _ in world.changes.asked} == {"8"}


def test_an_older_version_of_ones_own_is_good_for_another_increment(world: World) -> None:
    first = extract(world)
    world.warehouse.snapshot = world.changes.latest = 9
    world.run(world.start_increment(first))
    # The client crashed before it had applied it: it asks again from where its data stands.
    again = world.run(world.start_increment(first))
    assert again.status is Status.SUCCEEDED
    assert again.offered_version == "9"


def test_a_version_that_was_told_before_there_was_data_is_accepted(world: World) -> None:
    told = world.sync_version().sync_version
    assert world.run(world.start_increment(told)).status is Status.SUCCEEDED


def test_an_export_of_one_entity_is_the_baseline_of_that_entity_alone(world: World) -> None:
    version = extract(world, entity="absences")
    assert world.sync_version("absences").baseline is not None
    done = world.run(world.start_increment(version, entity="absences"))
    assert [job.table for job in done.jobs] == ["absences"]
    with pytest.raises(SyncVersionUnknown):
        world.start_increment(version)
    assert world.sync_version().baseline is None


def test_what_is_told_after_an_export_of_one_entity_is_good_while_nothing_changes(
    world: World,
) -> None:
    extract(world, entity="absences")
    told = world.sync_version().sync_version
    assert world.run(world.start_increment(told)).status is Status.SUCCEEDED


def test_no_version_is_told_of_a_table_that_was_exported_by_itself_before(world: World) -> None:
    """Its rows stand at another version than the source's latest: what came between is missing."""
    extract(world, entity="absences")
    world.changes.latest = 9
    told = world.sync_version().sync_version
    assert told == "9"
    with pytest.raises(ResyncRequired) as refused:
        world.start_increment(told)
    assert [one["table"] for one in refused.value.members["tables"]] == ["absences"]
    assert world.sync_version("absences").sync_version == "7"
    world.warehouse.snapshot = 9
    assert world.run(world.start_increment(told, entity="employees")).offered_version


def test_of_an_entity_the_later_of_its_own_and_the_whole_export_counts(world: World) -> None:
    extract(world, entity="absences")
    world.clock.advance(seconds=1)
    world.warehouse.snapshot = world.changes.latest = 9
    extract(world)
    assert world.sync_version("absences").sync_version == "9"


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["5", "77", "somewhere-else:1", "'; DROP TABLE x --"])
def test_a_version_that_the_client_never_had_is_refused(world: World, version: str) -> None:
    extract(world)
    with pytest.raises(SyncVersionUnknown):
        world.start_increment(version)
    assert world.lock() is None
    assert world.used() == 1


def test_another_clients_version_is_as_unknown_as_one_that_never_was(world: World) -> None:
    other = replace(a_configuration(), client_id="other")
    world.configurations.publish(a_configuration(), other)
    version = extract(world)
    with pytest.raises(SyncVersionUnknown):
        world.start_increment(version, caller=a_caller(client_id="other"))


def test_a_version_that_is_too_old_says_which_is_not(world: World) -> None:
    version = extract(world)
    world.changes.latest, world.changes.oldest = 20, 12
    with pytest.raises(SyncVersionExpired) as refused:
        world.start_increment(version)
    assert refused.value.members == {"minValidSyncVersion": "12"}


@pytest.mark.parametrize("latest", [3, 6])
def test_a_version_that_the_source_has_yet_to_come_to_is_refused(world: World, latest: int) -> None:
    version = extract(world)
    # The source was restored from a backup.
    world.changes.latest = latest
    with pytest.raises(SyncVersionUnknown):
        world.start_increment(version)


def test_tables_without_a_key_are_named(world: World) -> None:
    whole = a_configuration()
    keyless = tuple(replace(table, primary_key=()) for table in whole.tables)
    world.configurations.publish(replace(whole, tables=keyless))
    version = extract(world)
    with pytest.raises(IncrementsUnavailable) as refused:
        world.start_increment(version)
    assert refused.value.members == {"tables": ["employees", "absences"]}


def test_an_increment_counts_and_blocks_as_any_operation(world: World) -> None:
    version = extract(world)
    world.start_increment(version)
    assert world.used() == 2
    with pytest.raises(OperationActive):
        world.start_increment(version)


def test_the_same_key_and_body_start_one_increment(world: World) -> None:
    version = extract(world)
    first = world.start_increment(version, key="nightly")
    assert world.start_increment(version, key="nightly").operation_id == first.operation_id


@pytest.mark.parametrize("kind", list(OperationKind))
def test_an_operation_is_found_among_its_own_kind_only(world: World, kind: OperationKind) -> None:
    version = extract(world)
    operation = world.start_increment(version)
    caller = a_caller()
    if kind is OperationKind.INCREMENTAL:
        assert world.export.operation(caller, operation.operation_id, kind).kind is kind
    else:
        with pytest.raises(NotFound):
            world.export.operation(caller, operation.operation_id, kind)


# --- a table whose changes cannot be told ----------------------------------------------------


def granted_more(world: World, **changes: Any) -> None:
    """Publishes a catalog that grants other rows of absences."""
    before = a_configuration(**changes)
    employees, absences = before.tables
    wider = RowFilter(absences.columns[0].source, ("east", "west"), absences.columns[0].type)
    absences = replace(absences, filters=(*absences.filters, wider))
    world.configurations.publish(replace(before, tables=(employees, absences)))


def test_what_is_granted_otherwise_than_before_needs_a_full_export(world: World) -> None:
    version = extract(world)
    granted_more(world)
    with pytest.raises(ResyncRequired) as refused:
        world.start_increment(version)
    [only] = refused.value.members["tables"]
    assert only["table"] == "absences"
    # After a full export, of the source as it is by then, increments go on.
    world.warehouse.snapshot = world.changes.latest = 9
    world.run(world.start_increment(extract(world)))


@pytest.mark.parametrize("before", [False, True])
def test_texts_that_are_escaped_otherwise_than_before_need_a_full_export(
    world: World, *, before: bool
) -> None:
    """Of rows that did not change no increment tells: they would stay as they were written."""

    def publish(*, escaped: bool) -> None:
        known = a_configuration()
        tables = tuple(replace(table, escape_formulas=escaped) for table in known.tables)
        world.configurations.publish(replace(known, tables=tables))

    publish(escaped=before)
    version = extract(world)
    publish(escaped=not before)
    with pytest.raises(ResyncRequired):
        world.start_increment(version)
    world.warehouse.snapshot = world.changes.latest = 9
    world.run(world.start_increment(extract(world)))


def test_of_two_copies_at_one_version_the_older_grant_is_not_forgotten(world: World) -> None:
    version = extract(world)  # the first copy
    granted_more(world)
    assert extract(world) == version  # the second, of more rows
    world.changes.latest = 9
    # Which of them asks cannot be told, and the first lacks rows that will not come as changes.
    with pytest.raises(ResyncRequired) as refused:
        world.start_increment(version)
    assert [one["table"] for one in refused.value.members["tables"]] == ["absences"]
    assert world.run(world.start_increment(version, entity="employees")).offered_version


def test_a_table_that_is_granted_anew_needs_a_full_export(world: World) -> None:
    configuration = a_configuration()
    world.configurations.publish(replace(configuration, tables=configuration.tables[:1]))
    version = extract(world)
    world.configurations.publish(configuration)
    with pytest.raises(ResyncRequired) as refused:
        world.start_increment(version)
    assert [one["table"] for one in refused.value.members["tables"]] == ["absences"]


def test_where_the_operator_chose_so_the_increment_holds_the_whole_table(world: World) -> None:
    version = extract(world)
    granted_more(world, resync=Resync.DOCUMENT)
    world.changes.lines["employees"] = [b"a change\n"]

    done = world.run(world.start_increment(version))

    assert done.status is Status.SUCCEEDED
    assert [job.content for job in done.jobs] == [Content.CHANGES, Content.FULL]
    assert [job.rows for job in done.jobs] == [1, 2]


def test_a_truncated_table_comes_whole_where_the_operator_chose_so(world: World) -> None:
    world.configurations.publish(a_configuration(resync=Resync.DOCUMENT))
    version = extract(world)
    world.changes.reasons["employees"] = "The table was truncated."
    done = world.run(world.start_increment(version))
    assert [job.content for job in done.jobs] == [Content.FULL, Content.CHANGES]
    assert done.offered_version == "7"


def test_a_table_without_a_record_comes_whole_where_the_operator_chose_so(world: World) -> None:
    version = extract(world)
    world.changes.unrecorded = {"employees"}
    with pytest.raises(IncrementsUnavailable) as refused:
        world.start_increment(version)
    assert refused.value.members == {"tables": ["employees"]}
    world.configurations.publish(a_configuration(resync=Resync.DOCUMENT))
    done = world.run(world.start_increment(version))
    assert [job.content for job in done.jobs] == [Content.FULL, Content.CHANGES]
    world.changes.unrecorded = {"employees", "absences"}
    with pytest.raises(IncrementsUnavailable):
        world.start_increment(version)


@pytest.mark.parametrize(
    "error",
    [
        SchemaChanged("The source has no column for employees.name any more."),
        SyncVersionExpired("The changes are gone.", minValidSyncVersion="9"),
    ],
)
def test_what_no_retry_mends_fails_the_job_at_its_plan(world: World, error: HeadraceError) -> None:
    version = extract(world)
    world.changes.failures["employees"] = error
    done = world.run(world.start_increment(version))
    [employees, absences] = done.jobs
    assert employees.failure is not None
    assert (employees.failure.code, employees.failure.detail) == (error.code, error.detail)
    assert absences.status is Status.SUCCEEDED
    assert world.open_uploads() == 0
