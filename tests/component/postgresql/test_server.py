"""The tests' own server, and the local platform's."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from local.postgresql import Server as LocalServer
from tests.component.postgresql.server import Server, a_server


def test_two_servers_do_not_meet_and_leave_nothing(postgresql: Server) -> None:
    with a_server() as other:
        assert other.folder != postgresql.folder
        database = other.new_database()
        other.run("CREATE TABLE t(i int)", database)
    assert not other.folder.exists()
    assert postgresql.run("SELECT 1") == "1\n"


def test_a_local_server_runs_again_after_this_process_stopped_it() -> None:
    folder = Path(tempfile.mkdtemp(prefix="headrace-pg-"))
    server = LocalServer(folder / "data")
    try:
        for _ in range(2):
            assert server.start()
            assert server.run("SELECT 1", "postgres") == "1\n"
            assert server.stop()
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_does_not_outlive_who_started_it(ending: signal.Signals) -> None:
    program = (
        "from tests.component.postgresql.server import a_server\n"
        "import sys\n"
        "with a_server() as server:\n"
        "    print(server.folder, server.embedded.process(), flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as starter:
        assert starter.stdout is not None
        folder, process = starter.stdout.readline().split()
        assert Path(f"/proc/{process}").exists()
        os.kill(starter.pid, ending)
    deadline = time.monotonic() + 60
    while Path(f"/proc/{process}").exists() or Path(folder).exists():
        assert time.monotonic() < deadline, "the server is still there"
        time.sleep(0.05)
