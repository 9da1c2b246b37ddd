"""Which process is the platform, and what its environment must not have."""

import fcntl
import os
from pathlib import Path

from local.home import Home
from local.platform import aws_environment, process_of, running_port, stop, tail, without_aws

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
    assert stop(home) is False


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
