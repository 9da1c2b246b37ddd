"""Where a platform keeps its things, and which port it takes."""

import select
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from local.home import CHECKOUT, Home, LocalFailure, choose_port, is_free, write_whole


def test_home_is_the_checkout_s_unless_the_environment_names_another(tmp_path: Path) -> None:
    assert Home.of({}).root == CHECKOUT / ".local"
    assert Home.of({"HEADRACE_HOME": ""}).root == CHECKOUT / ".local"
    assert Home.of({"HEADRACE_HOME": str(tmp_path)}).root == tmp_path


def test_a_relative_home_counts_from_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Home.of({"HEADRACE_HOME": "second"}).root == tmp_path / "second"


def test_what_is_remembered_comes_back_and_a_damaged_file_counts_as_forgotten(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path)
    assert home.recall("port") is None
    home.remember("port", 4711)
    assert home.recall("port") == 4711
    (tmp_path / "port.json").write_text('{"half')
    assert home.recall("port") is None
    home.forget("port")
    home.forget("port")
    assert home.recall("port") is None


def test_secrets_are_written_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "headrace.json"
    path.write_text("old, and readable by all")
    path.chmod(0o644)
    write_whole(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_remembered_port_is_kept_while_nobody_listens_on_it() -> None:
    free = choose_port(None)
    assert choose_port(free) == free


def test_a_port_that_somebody_took_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        assert not is_free(taken)
        assert choose_port(taken) != taken


HOLD = """
import sys
from pathlib import Path
from local.home import Home
with Home(Path(sys.argv[1])).alone():
    print("held", flush=True)
    sys.stdin.read()
"""


def _holder(root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, root],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_second_command_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    with _holder(tmp_path) as first, _holder(tmp_path) as second:
        holders = {first: second, second: first}
        assert first.stdout is not None
        assert second.stdout is not None
        ready, _, _ = select.select([first.stdout, second.stdout], [], [], 30)
        holder = next(one for one in holders if one.stdout in ready)
        waiter = holders[holder]
        assert waiter.stderr is not None
        assert "another command is at work" in waiter.stderr.readline()
        assert waiter.poll() is None
        assert holder.communicate("", timeout=30)[0] == "held\n"
        assert waiter.communicate("", timeout=30)[0] == "held\n"


@pytest.mark.parametrize("name", ["my home", "it's", "a$b", "(x)", "a;b", "a,b"])
def test_a_folder_that_postgresql_does_not_start_in_is_refused_with_what_to_do(name: str) -> None:
    with pytest.raises(LocalFailure, match="export HEADRACE_HOME="):
        Home(Path("/home/me") / name / ".local").demand_usable()


@pytest.mark.parametrize("name", ["plain", "Zoë", "a-b_c.d+e@f~1#{g}"])
def test_other_folders_are_not_refused(name: str) -> None:
    Home(Path("/home/me") / name / ".local").demand_usable()


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(LocalFailure, match=r"cannot be .*file: File exists"),
        Home(tmp_path / "file").alone(),
    ):
        pass
