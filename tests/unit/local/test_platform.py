"""Which process is the platform, and what its environment must not have."""

import fcntl
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from local.home import CHECKOUT, Home
from local.platform import (
    PlatformFailed,
    after_interruption,
    aws_environment,
    demand_settings,
    listens,
    process_of,
    running_port,
    stop,
    tail,
    was_moved,
    without_aws,
)

MINE = {
    "PATH": "/bin",
    "AWS_PROFILE": "production",
    "AWS_ENDPOINT_URL": "https://elsewhere.example",
    "AWS_ACCESS_KEY_ID": "mine",
    "PYTHONPATH": "/x",
}


def test_nothing_of_a_real_aws_account_reaches_the_platform() -> None:
    assert without_aws(MINE) == {"PATH": "/bin"}


def test_tools_are_sent_to_the_platform_with_credentials_that_are_worth_nothing() -> None:
    environ = aws_environment(MINE, 4711)
    assert environ["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4711"
    assert environ["AWS_ACCESS_KEY_ID"] == "test"
    assert "AWS_PROFILE" not in environ
    assert environ["AWS_CONFIG_FILE"] == environ["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull


def test_no_platform_without_a_pid_file(tmp_path: Path) -> None:
    assert process_of(Home(tmp_path)) is None
    assert running_port(Home(tmp_path)) is None


def test_a_pid_file_that_nobody_holds_is_a_crashed_platform_s(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.platform_lock.write_text(str(os.getpid()))  # a process that lives, but is another
    home.remember("port", 4711)
    assert process_of(home) is None
    assert running_port(home) is None
    assert stop(home) is None


def test_a_pid_file_that_is_held_names_the_platform(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.platform_lock.open("w") as held:
        held.write("4711")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        assert process_of(home) == 4711


def test_the_end_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert tail(log) == ""
    log.write_text("\n".join(str(number) for number in range(100)))
    assert tail(log, lines=2) == "98\n99"


class _Ready(BaseHTTPRequestHandler):
    """Answers as a platform that is ready."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def ready() -> Iterator[int]:
    """The port at which this process answers as a platform does."""
    with HTTPServer(("127.0.0.1", 0), _Ready) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@contextmanager
def held(home: Home, pid: int) -> Iterator[None]:
    """This process holds the pid file."""
    with home.platform_lock.open("w") as file:
        file.write(str(pid))
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_a_port_is_listened_on_by_one_process_and_not_by_another(ready: int) -> None:
    assert listens(os.getpid(), ready)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert not listens(other.pid, ready)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert not listens(os.getpid(), bound.getsockname()[1])


def test_another_platform_at_the_port_of_last_time_is_not_this_home_s(
    tmp_path: Path, ready: int
) -> None:
    home = Home(tmp_path)
    home.remember("port", ready)
    with held(home, os.getpid()):
        assert running_port(home) == ready
    with (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other,
        held(home, other.pid),
    ):
        assert running_port(home) is None


def test_a_home_in_another_place_than_at_the_last_start_was_moved(tmp_path: Path) -> None:
    home = Home(tmp_path / "before")
    home.root.mkdir()
    assert not was_moved(home)  # never started, or before this was noted
    home.remember("place", str(home.root))
    assert not was_moved(home)
    home.root.rename(tmp_path / "after")
    assert was_moved(Home(tmp_path / "after"))


def test_after_an_interruption_it_is_told_what_goes_on(tmp_path: Path) -> None:
    home = Home(tmp_path / "my home")
    home.root.mkdir()
    assert after_interruption(home) == "Interrupted. The same command begins again."
    with held(home, os.getpid()):
        assert f"HEADRACE_HOME='{home.root}' make down stops it" in after_interruption(home)
    assert Home(CHECKOUT / ".local").make("down") == "make down"


@pytest.mark.parametrize("named", ["abc", "0", "-1", "1000", "4.5"])
def test_a_number_of_processes_that_is_none_is_refused(named: str) -> None:
    with pytest.raises(PlatformFailed, match=f'HEADRACE_WORKERS is "{named}"; it is a number'):
        demand_settings({"HEADRACE_WORKERS": named})


def test_a_log_level_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(PlatformFailed, match=r'"chatty"; there are DEBUG, INFO, WARNING'):
        demand_settings({"HEADRACE_PLATFORM_LOG_LEVEL": "chatty"})


def test_settings_that_there_are_are_not_refused() -> None:
    demand_settings({"HEADRACE_WORKERS": ""})
    demand_settings({"HEADRACE_WORKERS": "16", "HEADRACE_PLATFORM_LOG_LEVEL": "debug"})
