"""Services and consents: whose rows there are in files, and until when they are handed out."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest

from headrace.adapters.warehouse.by_kind import ChangesByKind, WarehouseByKind
from headrace.exports import usecases
from headrace.exports.model import FileFormat, Job, Operation, OperationKind, Status
from headrace.exports.sources import AccountColumn, ColumnType, Configuration, mark_of, unmarked
from headrace.kernel.errors import (
    ConsentWithdrawn,
    InvalidRequest,
    NotFound,
    OperationActive,
    ResyncRequired,
    SyncVersionUnknown,
)
from tests.builders import a_caller, a_configuration
from tests.component.warehouse.places import a_table_of, lake_source, loader
from tests.fakes import FakeConfigurations
from tests.world import BUCKET, World, a_world

MADE = """
CREATE TABLE visits(id INTEGER, patient VARCHAR, name VARCHAR);
INSERT INTO visits VALUES (1, 'ann', 'a'), (2, 'bob', 'b'), (3, NULL, 'c'), (4, 'eve', 'd');
CREATE TABLE wards(id INTEGER, name VARCHAR);
INSERT INTO wards VALUES (1, 'north');
"""


@dataclass
class Clinic:
    """A deployment whose client ``bureau`` is a service, and the lake that it reads."""

    world: World
    lake: duckdb.DuckDBPyConnection

    def share(self, *accounts: str, audience: str = "service#bureau") -> None:
        """These begin to share."""
        for account in accounts:
            self.world.clock.advance(seconds=1)
            self.world.sharing.begin("north", audience, account)

    def withdraw(self, account: str, audience: str = "service#bureau") -> None:
        """It shares no more."""
        self.world.clock.advance(seconds=1)
        self.world.sharing.end("north", audience, account)

    def rows(self, operation: Operation, table: str = "visits") -> list[dict[str, Any]]:
        """What the service gets of the table, by its link."""
        job = self.job(operation, table)
        self.world.link(job.job_id, organisation=operation.organisation)
        assert job.key is not None
        return [json.loads(line) for line in self.world.stored()[job.key].splitlines()]

    def job(self, operation: Operation, table: str = "visits") -> Job:
        """The operation's job for the table."""
        return next(job for job in operation.jobs if job.table == table)

    def ids(self, operation: Operation, table: str = "visits") -> list[int]:
        """The ids of those rows, in order."""
        return sorted(row["id"] for row in self.rows(operation, table))

    def extract(self, **changes: Any) -> Operation:
        """A full export that succeeds."""
        done = self.world.run(self.world.start(**changes))
        assert done.status is Status.SUCCEEDED
        return done

    def increment(self, since: Operation, **changes: Any) -> Operation:
        """An increment that succeeds, from the version that another operation came to."""
        assert since.offered_version is not None
        done = self.world.run(self.world.start_increment(since.offered_version, **changes))
        assert done.status is Status.SUCCEEDED
        return done

    def told(self, operation: Operation, table: str = "visits") -> list[tuple[str, int]]:
        """What an increment says became of which row."""
        return sorted((row["_change"], row["id"]) for row in self.rows(operation, table))


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with loader(tmp_path) as lake:
        lake.execute(MADE)
        source = lake_source(tmp_path)
        configurations = FakeConfigurations(origin=source)
        visits = a_table_of(source, "main.visits", columns=("id", "name"))
        wards = a_table_of(source, "main.wards")
        account = AccountColumn("patient", ColumnType.STRING, with_public=True)
        configurations.publish(
            a_configuration(
                by_consent=True,
                tables=(
                    replace(visits, name="visits", primary_key=("id",), account=account),
                    replace(wards, name="wards", primary_key=("id",)),
                ),
            )
        )
        with a_world(configurations=configurations) as world:
            world.warehouse = cast("Any", WarehouseByKind())
            world.changes = cast("Any", ChangesByKind())
            world.configurations.rule = replace(world.configurations.rule, limit=100)
            world.sharing.services["bureau"] = "external"
            yield Clinic(world, lake)


@pytest.fixture
def hub(clinic: Clinic) -> Clinic:
    """The same, of a data broker with two organisations, with which others share."""
    clinic.world.sharing.services["bureau"] = "broker"
    clinic.share("st-mary", "st-john", audience="broker#bureau")
    clinic.share("ann", audience="organisation#st-mary")
    clinic.share("bob", "eve", audience="organisation#st-john")
    return clinic


MARY, JOHN = a_caller(organisation="st-mary"), a_caller(organisation="st-john")


def published(clinic: Clinic) -> Configuration:
    """The service's configuration."""
    return clinic.world.configurations.versions[-1][0]


# --- whose rows ------------------------------------------------------------------------------


def test_a_service_gets_rows_of_those_that_share_and_what_is_public(clinic: Clinic) -> None:
    clinic.share("ann", "zoe")
    done = clinic.extract()
    assert clinic.ids(done) == [1, 3]
    assert clinic.ids(done, "wards") == [1]


def test_rows_that_belong_to_nobody_are_hidden_unless_they_are_public(clinic: Clinic) -> None:
    visits, wards = published(clinic).tables
    assert visits.account is not None
    hidden = replace(visits, account=replace(visits.account, with_public=False))
    clinic.world.configurations.publish(replace(published(clinic), tables=(hidden, wards)))
    clinic.share("ann")
    assert clinic.ids(clinic.extract()) == [1]


def test_with_nobody_sharing_there_is_what_is_public(clinic: Clinic) -> None:
    assert clinic.ids(clinic.extract()) == [3]


@pytest.mark.abuse(76)
def test_what_tells_whose_a_row_is_is_not_in_the_file_unless_it_is_granted(clinic: Clinic) -> None:
    clinic.share("ann")
    assert clinic.rows(clinic.extract())[0].keys() == {"id", "name"}


def test_all_workers_of_an_operation_see_the_consents_that_it_was_planned_with(
    clinic: Clinic,
) -> None:
    clinic.share("ann")
    operation = clinic.world.start()
    clinic.world.plan(operation)
    clinic.share("bob")
    for job in operation.jobs:
        clinic.world.run_job(clinic.world.status(operation), job.job_id)
    clinic.world.end(operation)
    assert clinic.ids(clinic.world.status(operation)) == [1, 3]


def test_how_many_rows_there_are_of_everybody_is_not_told(clinic: Clinic) -> None:
    assert {job.expected_rows for job in clinic.world.start().jobs} == {None}


def test_a_client_that_is_no_service_asks_nobody(clinic: Clinic) -> None:
    visits, wards = published(clinic).tables
    plain = replace(
        published(clinic), by_consent=False, tables=(replace(visits, account=None), wards)
    )
    clinic.world.configurations.publish(plain)
    clinic.world.sharing.shared_by = cast("Any", None)  # type: ignore[method-assign]
    clinic.world.sharing.ended_since = cast("Any", None)  # type: ignore[method-assign]
    done = clinic.extract()
    assert clinic.ids(done) == [1, 2, 3, 4]
    assert unmarked(done.offered_version or "")[1] is None
    assert not [key for key in clinic.world.stored() if key.startswith("-accounts/")]


# --- withdrawal ------------------------------------------------------------------------------


@pytest.mark.abuse(68)
def test_files_are_refused_as_soon_as_somebody_withdraws(clinic: Clinic) -> None:
    clinic.share("ann", "bob")
    done = clinic.extract()
    assert clinic.ids(done) == [1, 2, 3]
    clinic.withdraw("ann")
    for job in done.jobs:
        with pytest.raises(ConsentWithdrawn, match="start a new operation"):
            clinic.world.link(job.job_id)
    with pytest.raises(ConsentWithdrawn):
        usecases.GetManifest(clinic.world.export, clinic.world.access)(
            a_caller(), done.operation_id
        )


@pytest.mark.abuse(68)
def test_an_operation_in_which_somebody_withdraws_hands_out_nothing(clinic: Clinic) -> None:
    clinic.share("ann", "bob")
    operation = clinic.world.start()
    job_ids = clinic.world.plan(operation)
    clinic.world.run_job(clinic.world.status(operation), job_ids[0])
    clinic.withdraw("ann")

    # What was made before is refused, and what is made after it.
    with pytest.raises(ConsentWithdrawn):
        clinic.world.link(job_ids[0])
    clinic.world.run_job(clinic.world.status(operation), job_ids[1])
    with pytest.raises(ConsentWithdrawn):
        clinic.world.link(job_ids[1])

    assert clinic.world.end(operation) is Status.FAILED
    ended = clinic.world.status(operation)
    assert ended.failure is not None
    assert ended.failure.code == "consent_withdrawn"
    assert ended.offered_version is None
    assert clinic.world.sync_version().baseline is None
    assert clinic.world.used() == 0


def test_a_retry_reads_everything_again_of_those_that_share_now(clinic: Clinic) -> None:
    clinic.share("ann", "bob")
    operation = clinic.world.start()
    for job_id in clinic.world.plan(operation):
        clinic.world.run_job(clinic.world.status(operation), job_id)
    clinic.withdraw("ann")
    clinic.world.end(operation)

    done = clinic.world.run(clinic.world.retry(operation))

    assert done.status is Status.SUCCEEDED
    assert clinic.ids(done) == [2, 3]
    assert {job.attempt for job in done.jobs} == {2}


def test_whoever_was_not_in_the_files_withdraws_nothing_of_them(clinic: Clinic) -> None:
    clinic.share("ann")
    done = clinic.extract()
    clinic.share("bob")
    clinic.withdraw("bob")
    assert clinic.ids(done) == [1, 3]


def test_whoever_comes_back_does_not_bring_the_files_back(clinic: Clinic) -> None:
    clinic.share("ann")
    done = clinic.extract()
    clinic.withdraw("ann")
    clinic.share("ann")
    with pytest.raises(ConsentWithdrawn):
        clinic.ids(done)
    assert clinic.ids(clinic.extract()) == [1, 3]


def test_files_of_everybody_are_refused_once_the_client_is_a_service(clinic: Clinic) -> None:
    service = published(clinic)
    visits, wards = service.tables
    plain = replace(service, by_consent=False, tables=(replace(visits, account=None), wards))
    clinic.world.configurations.publish(plain)
    done = clinic.extract()
    clinic.world.configurations.publish(service)
    with pytest.raises(ConsentWithdrawn):
        clinic.ids(done)
    with pytest.raises(ResyncRequired):
        clinic.world.start_increment(done.offered_version or "")


# --- increments ------------------------------------------------------------------------------


@pytest.mark.abuse(68)
def test_the_next_increment_deletes_what_was_withdrawn_and_brings_what_was_shared(
    clinic: Clinic,
) -> None:
    clinic.share("ann", "bob")
    full = clinic.extract()
    clinic.withdraw("ann")
    clinic.share("eve")
    done = clinic.increment(full)
    assert clinic.told(done) == [("deleted", 1), ("inserted", 4)]
    assert clinic.rows(done)[0].keys() != {"_change"}
    assert clinic.told(done, "wards") == []
    assert clinic.told(clinic.increment(done)) == []


def test_a_crash_costs_nothing_though_the_source_stands_still(clinic: Clinic) -> None:
    clinic.share("ann")
    full = clinic.extract()
    clinic.withdraw("ann")
    later = clinic.increment(full)
    # The source is where it was, and yet these are two versions.
    assert full.sync_version == later.sync_version
    assert full.offered_version != later.offered_version
    # The service had not applied it, and goes on from what it has: the row goes all the same.
    assert clinic.told(clinic.increment(full)) == [("deleted", 1)]
    assert clinic.told(clinic.increment(later)) == []


def test_rows_that_change_hands_are_judged_by_both(clinic: Clinic) -> None:
    clinic.share("ann", "bob")
    full = clinic.extract()
    clinic.lake.execute("UPDATE visits SET patient = 'eve' WHERE id = 1")
    clinic.lake.execute("UPDATE visits SET patient = 'bob' WHERE id IN (3, 4)")
    clinic.withdraw("ann")
    assert clinic.told(clinic.increment(full)) == [("deleted", 1), ("inserted", 4)]


def test_a_document_names_the_version_that_its_service_goes_on_from(clinic: Clinic) -> None:
    clinic.share("ann")
    full = clinic.extract()
    clinic.share("bob")
    done = clinic.increment(full, file_format=FileFormat.JSON)
    for table in ("visits", "wards"):
        job = clinic.job(done, table)
        document = json.loads(clinic.world.stored()[job.key or ""])
        assert document["syncVersion"] == done.offered_version


def test_a_service_that_has_nothing_yet_is_told_a_version_of_nothing(clinic: Clinic) -> None:
    clinic.share("ann")
    version = clinic.world.sync_version().sync_version
    assert unmarked(version)[1] == mark_of(())
    done = clinic.world.run(clinic.world.start_increment(version))
    assert ("inserted", 1) in clinic.told(done)


def test_a_version_whose_accounts_are_forgotten_has_expired(clinic: Clinic) -> None:
    clinic.share("ann")
    full = clinic.extract()
    clinic.withdraw("ann")
    assert full.sharing is not None
    key = f"-accounts/north/bureau/{full.sharing.mark}"
    clinic.world.clients["s3"].delete_object(Bucket=BUCKET, Key=key)
    clinic.world.access.lists._lists.clear()  # type: ignore[attr-defined]
    done = clinic.world.run(clinic.world.start_increment(full.offered_version or ""))
    failure = clinic.job(done).failure
    assert failure is not None
    assert failure.code == "sync_version_expired"


def test_the_list_of_accounts_is_encrypted_and_kept_once(clinic: Clinic) -> None:
    clinic.share("ann")
    clinic.extract()
    clinic.extract()
    [key] = [key for key in clinic.world.stored() if key.startswith("-accounts/")]
    found = clinic.world.clients["s3"].head_object(Bucket=BUCKET, Key=key)
    assert found["SSEKMSKeyId"] == clinic.world.key_id
    assert "ann" not in key


# --- brokers ---------------------------------------------------------------------------------


@pytest.mark.abuse(69)
def test_a_broker_that_calls_for_nobody_gets_what_is_public(hub: Clinic) -> None:
    done = hub.extract()
    assert hub.ids(done) == [3]
    assert hub.ids(done, "wards") == [1]


def test_a_broker_gets_what_is_shared_with_the_organisation_that_it_calls_for(hub: Clinic) -> None:
    assert hub.ids(hub.extract(caller=MARY)) == [1, 3]
    assert hub.ids(hub.extract(caller=JOHN)) == [2, 3, 4]


def test_when_a_membership_ends_its_files_are_refused_and_its_rows_go(hub: Clinic) -> None:
    mary, john = hub.extract(caller=MARY), hub.extract(caller=JOHN)
    hub.withdraw("st-mary", audience="broker#bureau")
    with pytest.raises(ConsentWithdrawn):
        hub.ids(mary)
    assert hub.ids(john) == [2, 3, 4]
    done = hub.increment(mary, caller=MARY)
    assert hub.told(done) == [("deleted", 1)]


def test_what_was_started_for_an_organisation_is_not_there_for_another(hub: Clinic) -> None:
    done, export = hub.extract(caller=MARY), hub.world.export
    for stranger in (JOHN, a_caller()):
        with pytest.raises(NotFound):
            usecases.GetExport(export)(stranger, done.operation_id)
        with pytest.raises(NotFound):
            usecases.GetManifest(export, hub.world.access)(
                stranger, done.operation_id, OperationKind.FULL
            )
        with pytest.raises(NotFound):
            usecases.RetryExport(export, hub.world.workflows)(stranger, done.operation_id)
        with pytest.raises(NotFound):
            usecases.DeleteExport(export, hub.world.files)(stranger, done.operation_id)
        with pytest.raises(NotFound):
            hub.world.link(done.jobs[0].job_id, organisation=stranger.organisation)
        assert usecases.ListExports(export)(stranger, 10, None)[0] == ()
        with pytest.raises(InvalidRequest):
            usecases.ListExports(export)(stranger, 10, done.operation_id)
        with pytest.raises(SyncVersionUnknown):
            hub.world.start_increment(done.offered_version or "", caller=stranger)
    assert len(usecases.ListExports(export)(MARY, 10, None)[0]) == 1


def test_pages_are_of_one_organisation_only(hub: Clinic) -> None:
    own = []
    for _ in range(4):
        own.append(hub.extract(caller=MARY).operation_id)
        hub.extract(caller=JOHN)
        hub.world.clock.advance(seconds=1)
    first, more, _ = usecases.ListExports(hub.world.export)(MARY, 3, None)
    assert more
    rest, more, _ = usecases.ListExports(hub.world.export)(MARY, 3, first[-1].operation_id)
    assert not more
    assert [one.operation_id for one in (*first, *rest)] == own[::-1]


def test_one_organisation_does_not_wait_for_another(hub: Clinic) -> None:
    mary = hub.world.start(caller=MARY)
    john = hub.world.start(caller=JOHN)
    with pytest.raises(OperationActive) as refused:
        hub.world.start(caller=MARY)
    assert refused.value.members["blockingOperationId"] == mary.operation_id
    for operation in (mary, john):
        assert hub.world.run(operation).status is Status.SUCCEEDED
    hub.extract(caller=MARY)


def test_a_key_of_one_organisations_start_is_none_of_anothers(hub: Clinic) -> None:
    mary = hub.world.start(key="nightly", caller=MARY)
    assert hub.world.start(key="nightly", caller=MARY).operation_id == mary.operation_id
    john = hub.world.start(key="nightly", caller=JOHN)
    assert john.operation_id != mary.operation_id


def test_the_versions_of_organisations_are_apart(hub: Clinic) -> None:
    mary = hub.extract(caller=MARY)
    assert hub.world.sync_version(organisation="st-john").baseline is None
    standing = hub.world.sync_version(organisation="st-mary")
    assert standing.sync_version == mary.offered_version
