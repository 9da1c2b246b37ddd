"""The tests' own server, and the local platform's."""

import shutil
import tempfile
from pathlib import Path

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
