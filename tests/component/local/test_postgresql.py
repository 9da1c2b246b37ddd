"""The server of the sample's databases, when its start or its folder are not as usual."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from local.home import CHECKOUT
from local.postgresql import Server

_DEADLINE_S = 60


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not ``tmp_path``: each run of pytest takes what that is in from all users but its own, and
    the server, where root runs the tests, is another's."""
    with tempfile.TemporaryDirectory(prefix="headrace-pg-", ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def stopping() -> Iterator[ExitStack]:
    """Stops servers that a test leaves, wherever they are then."""
    with ExitStack() as stack:
        yield stack


def made(folder: Path, stopping: ExitStack) -> Server:
    server = Server(folder)
    stopping.callback(server.stop)
    return server


def test_data_whose_making_was_killed_are_made_anew(folder: Path, stopping: ExitStack) -> None:
    server = made(folder / "data", stopping)
    code = (
        "import sys, pathlib, local.postgresql as it; it.Server(pathlib.Path(sys.argv[1])).start()"
    )
    command = [sys.executable, "-c", code, str(server.folder)]
    with subprocess.Popen(command, cwd=CHECKOUT, start_new_session=True) as starting:
        # initdb writes its version first; its first process that works on the data notes itself.
        deadline = time.monotonic() + _DEADLINE_S
        while not (server.folder / "postmaster.pid").exists():
            assert time.monotonic() < deadline
            assert starting.poll() is None
            time.sleep(0.001)
        os.killpg(starting.pid, signal.SIGKILL)
    assert (server.folder / "PG_VERSION").exists()
    assert server.process() is None
    assert server.start()
    assert server.run("SELECT 1", "postgres").strip() == "1"
    assert server.stop()
    assert server.start()  # and these data are kept
    assert [entry.name for entry in folder.iterdir()] == ["data"]


def test_a_copy_of_a_running_server_s_folder_has_a_server_of_its_own(
    folder: Path, stopping: ExitStack
) -> None:
    first = made(folder / "first", stopping)
    first.start()
    first.run("CHECKPOINT", "postgres")
    shutil.copytree(
        first.folder,
        folder / "second",
        ignore=shutil.ignore_patterns(".s.PGSQL.5432"),
        symlinks=True,
    )
    for entry in [folder / "second", *(folder / "second").rglob("*")]:
        owner = (first.folder / entry.relative_to(folder / "second")).stat()
        os.chown(entry, owner.st_uid, owner.st_gid)
    second = made(folder / "second", stopping)
    assert second.process() is None
    assert second.start()
    assert second.process() != first.process()
    second.run("CREATE DATABASE mine", "postgres")
    assert (first.has_database("mine"), second.has_database("mine")) == (False, True)


def test_a_server_whose_folder_was_moved_is_started_where_it_is_now(
    folder: Path, stopping: ExitStack
) -> None:
    before = made(folder / "before", stopping)
    before.start()
    before.run("CREATE DATABASE mine", "postgres")
    pid = before.process()
    before.folder.rename(folder / "after")
    after = made(folder / "after", stopping)
    assert after.process() == pid
    assert after.start()
    assert after.process() != pid
    assert after.has_database("mine")
    assert not after.start()
