"""What goes wrong at a source in the midst of an operation costs a try, and no row.

The workers reach the database over TCP by a way of the tests' own, on which a connection is reset
or carries nothing any more, or at whose other end a session, or the server, is ended.
"""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from headrace.adapters.warehouse.duckdb_warehouse import DuckdbWarehouse
from headrace.exports.model import FileFormat, Operation, Status
from headrace.exports.sources import SnapshotScope
from headrace.kernel.errors import SourceUnavailable, Stopped
from tests.builders import a_configuration
from tests.component.exports.database import ROWS, TRANSFER, Deployment
from tests.component.postgresql.captured import READER, install
from tests.component.postgresql.proxy import Proxy, a_proxy
from tests.component.postgresql.test_failures import assert_all_left
from tests.component.warehouse.places import a_lake, a_table_of, rows_of
from tests.component.warehouse.test_streaming import copies_running
from tests.world import World

BOTH_WAYS = pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.NDJSON])
"""The server's own COPY, and DuckDB's reading."""

MIDST = 2_000_000
"""Bytes of a range or of the changes after which something happens: a third."""

READERS = "FROM pg_stat_activity WHERE application_name = 'headrace' AND query ILIKE 'COPY%'"
"""Not the session that holds the snapshot."""


@contextmanager
def the_way(deployment: Deployment, *, mends: bool = True) -> Iterator[Proxy]:
    """How the workers reach the database from here on."""
    configurations = deployment.world.configurations
    with a_proxy(deployment.source, mends=mends) as proxy:
        configurations.origin = proxy.through(deployment.source)
        yield proxy
        configurations.origin = deployment.source


def a_reset(deployment: Deployment, proxy: Proxy) -> None:
    proxy.reset_after = proxy.said + MIDST


def a_stall(deployment: Deployment, proxy: Proxy) -> None:
    proxy.blocked_after = proxy.said + MIDST


def an_ended_session(deployment: Deployment, proxy: Proxy) -> None:
    proxy.instead = lambda: deployment.end_sessions(READERS)
    a_reset(deployment, proxy)


def a_restart(deployment: Deployment, proxy: Proxy) -> None:
    def restart() -> None:
        deployment.server.embedded.stop()
        deployment.server.embedded.start()

    proxy.instead = restart
    a_reset(deployment, proxy)


def in_the_midst(
    deployment: Deployment,
    proxy: Proxy,
    fault: Callable[[Deployment, Proxy], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fault comes about while the first range is read; who is stalled comes to its end then."""

    def begin(event: Any) -> None:
        if not proxy.happened:
            fault(deployment, proxy)

    class Stalled:
        """The time of a worker: fifteen minutes, and none of them after a stall that it meets."""

        def __init__(self) -> None:
            self.before = proxy.happened

        def get_remaining_time_in_millis(self) -> int:
            met = proxy.blocked_after is not None and proxy.happened != self.before
            return 7_000 if met else 900_000

    deployment.before["ExportRangeFunctionArn"] = begin
    monkeypatch.setattr("tests.workflow.Unhurried", Stalled)


def assert_nothing_is_left(deployment: Deployment, *, documents: int) -> None:
    world = deployment.world
    assert len(world.stored()) == documents
    assert world.open_uploads() == 0
    assert world.lock() is None
    assert not copies_running()
    assert_all_left(deployment.source)


@pytest.mark.parametrize(
    ("fault", "file_format"),
    [
        (a_reset, FileFormat.NDJSON),
        (an_ended_session, FileFormat.CSV),
        (a_restart, FileFormat.NDJSON),
        (a_stall, FileFormat.CSV),
    ],
)
def test_a_table_that_is_interrupted_is_read_again_with_each_row_once(
    deployment: Deployment,
    file_format: FileFormat,
    fault: Callable[[Deployment, Proxy], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployment.publish("accounts", scope=SnapshotScope.JOB)
    with the_way(deployment) as proxy:
        in_the_midst(deployment, proxy, fault, monkeypatch)
        done = deployment.run(deployment.world.start(file_format=file_format))
        assert proxy.happened == 1
    assert done.status is Status.SUCCEEDED, done.jobs
    # A restart takes the snapshot with it that the ranges are read in: the job is planned anew.
    assert done.jobs[0].claims == (2 if fault is a_restart else 1)
    assert deployment.balances(done, "accounts") == {0}
    assert done.jobs[0].rows == ROWS
    assert deployment.world.used() == 1
    assert_nothing_is_left(deployment, documents=1)


@pytest.mark.parametrize(
    ("fault", "file_format"),
    [
        (a_reset, FileFormat.CSV),
        (an_ended_session, FileFormat.NDJSON),
        (a_restart, FileFormat.CSV),
        (a_stall, FileFormat.NDJSON),
    ],
)
def test_an_increment_that_is_interrupted_tells_each_change_once(
    deployment: Deployment,
    file_format: FileFormat,
    fault: Callable[[Deployment, Proxy], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = a_captured_table(deployment)
    with the_way(deployment) as proxy:
        in_the_midst(deployment, proxy, fault, monkeypatch)
        done = deployment.run(deployment.world.start_increment(version, file_format=file_format))
        assert proxy.happened == 1
        if fault is a_restart:
            # All of an increment is read in one snapshot, and that is gone.
            assert done.status is Status.FAILED
            assert done.jobs[0].failure is not None
            assert done.jobs[0].failure.code == "snapshot_lost"
            assert deployment.world.sync_version().sync_version == version
            done = deployment.run(deployment.world.retry(done))
    assert done.status is Status.SUCCEEDED, done.jobs
    assert changed(deployment, done) == [("updated", n, -1) for n in range(1, ROWS + 1)]
    assert deployment.world.sync_version().sync_version == done.offered_version != version
    assert_nothing_is_left(deployment, documents=2)


def test_a_source_that_stays_away_fails_the_increment_and_moves_no_version(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = a_captured_table(deployment)
    used = deployment.world.used()
    with the_way(deployment, mends=False) as proxy:
        in_the_midst(deployment, proxy, a_reset, monkeypatch)
        failed = deployment.run(deployment.world.start_increment(version))
    assert failed.status is Status.FAILED
    assert failed.jobs[0].failure is not None
    assert failed.jobs[0].failure.code == "source_unavailable"
    assert deployment.world.sync_version().sync_version == version
    assert deployment.world.used() == used
    assert_nothing_is_left(deployment, documents=1)

    done = deployment.run(deployment.world.retry(failed))
    assert done.status is Status.SUCCEEDED, done.jobs
    assert len(changed(deployment, done)) == ROWS


@BOTH_WAYS
def test_a_cancel_frees_the_worker_whose_source_says_nothing_any_more(
    deployment: Deployment, file_format: FileFormat
) -> None:
    deployment.publish("accounts", scope=SnapshotScope.JOB)
    world = deployment.world
    operation = world.start(file_format=file_format)
    [job_id] = world.plan(operation)
    job_attempt, _ = world.plan_job(operation, job_id, split=False)
    with the_way(deployment) as proxy:
        a_stall(deployment, proxy)

        def time_left() -> float:
            if proxy.happened and world.status(operation).status.active:
                world.cancel(operation)
            return 900.0

        with pytest.raises(Stopped):
            world.export_range(operation, job_id, job_attempt, time_left=time_left)
    assert world.status(operation).status is Status.CANCELLED
    world.sweep()
    assert_nothing_is_left(deployment, documents=0)


class FullDisk:
    """What takes the rows of a range has no room for any after the first."""

    def __call__(
        self, key: str, upload_id: str, numbers: Any, chunks: Iterator[bytes], *rest: Any, **_: Any
    ) -> Any:
        """Raises OSError."""
        next(chunks)
        raise OSError(errno.ENOSPC, "No space left on device")


@BOTH_WAYS
def test_a_reader_without_room_ends_what_writes_to_it(
    deployment: Deployment, file_format: FileFormat
) -> None:
    deployment.publish("accounts", scope=SnapshotScope.JOB)
    world = deployment.world
    operation = world.start(file_format=file_format)
    [job_id] = world.plan(operation)
    job_attempt, _ = world.plan_job(operation, job_id, split=False)
    upload, world.upload = world.upload, cast("Any", FullDisk())
    with pytest.raises(OSError, match="No space left"):
        world.export_range(operation, job_id, job_attempt)
    assert not copies_running()
    assert_all_left(deployment.source)

    world.upload = upload
    world.export_range(operation, job_id, job_attempt)
    assert world.complete_job(operation, job_id, job_attempt)
    world.end(operation)
    assert deployment.balances(world.status(operation), "accounts") == {0}
    assert_nothing_is_left(deployment, documents=1)


# --- a lake's files ----------------------------------------------------------------------------


def gone(file: Path) -> None:
    file.unlink()


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def no_file(file: Path) -> None:
    file.unlink()
    file.mkdir()


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("damage", [gone, cut_off, no_file, empty])
def test_a_lake_with_a_damaged_file_gives_no_document_and_once_it_is_mended_all_of_it(
    world: World, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    folder = tmp_path / "lake"
    source = a_lake(
        folder,
        "CREATE TABLE t AS SELECT range AS i FROM range(30000)",
        "INSERT INTO t SELECT range AS i FROM range(30000, 60000)",
    )
    world.configurations.origin = source
    world.configurations.publish(
        a_configuration(tables=(a_table_of(source, "main.t"),), source="lake")
    )
    world.warehouse = cast("Any", DuckdbWarehouse())
    operation = world.start(file_format=FileFormat.NDJSON)
    [job_id] = world.plan(operation)
    job_attempt, _ = world.plan_job(operation, job_id)
    last = max((folder / "data").rglob("*.parquet"))
    whole = last.read_bytes()
    damage(last)
    with pytest.raises(SourceUnavailable):
        world.export_range(operation, job_id, job_attempt)
    assert not copies_running()
    assert world.complete_is_refused(operation, job_id, job_attempt)
    world.fail_job(operation, job_id)
    world.end(operation)
    assert world.status(operation).status is Status.FAILED
    assert (world.stored(), world.open_uploads(), world.used()) == ({}, 0, 0)

    if last.is_dir():
        last.rmdir()
    last.write_bytes(whole)
    done = world.run(world.retry(operation))
    assert done.status is Status.SUCCEEDED, done.jobs
    [document] = world.stored().values()
    found = sorted(int(str(row["i"])) for row in rows_of(document, FileFormat.NDJSON))
    assert found == list(range(60000))


# --- pieces ------------------------------------------------------------------------------------


def a_captured_table(deployment: Deployment) -> str:
    """The version of a full export of ``accounts``, after which all its rows were changed."""
    deployment.publish("accounts", scope=SnapshotScope.OPERATION)
    [table] = deployment.world.configurations.versions[-1][0].tables
    deployment.sql(
        f"DO $$ BEGIN CREATE ROLE {READER} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
    )
    install(deployment.source, table)
    done = deployment.run(deployment.world.start(file_format=FileFormat.CSV))
    assert done.offered_version is not None
    deployment.sql(TRANSFER)
    return done.offered_version


def changed(deployment: Deployment, operation: Operation) -> list[tuple[str, int, int]]:
    """What the increment tells, by the rows' keys."""
    [job] = operation.jobs
    assert job.key is not None
    rows = rows_of(deployment.world.stored()[job.key], operation.request.file_format)
    return sorted(
        ((str(row["_change"]), int(str(row["id"])), int(str(row["balance"]))) for row in rows),
        key=lambda change: change[1],
    )
