"""Where no Docker can be had, that is said, by an exit code of its own."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.containers import engine
from tests.containers.__main__ import NO_DOCKER, main
from tests.containers.engine import Engine, EngineFailed, NoDocker
from tests.containers.sam import reachable


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine where no engine answers, whoever asks."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.mark.usefixtures("no_engine")
def test_who_is_not_root_gets_no_engine_of_ours() -> None:
    with pytest.raises(NoDocker, match="only root"), engine.engine(os.environ):
        pytest.fail("there is an engine")


@pytest.mark.usefixtures("no_engine")
def test_the_command_says_that_nothing_was_tried(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--sample"]) == NO_DOCKER == 3
    assert "NOT RUN" in capsys.readouterr().err


def test_a_machine_without_packages_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(NoDocker, match="no apt-get"):
        engine._unpack(Path("/nowhere"))


@pytest.mark.parametrize(("is_ours", "raised"), [(True, NoDocker), (False, EngineFailed)])
def test_an_engine_that_runs_no_container_is_none_if_it_is_ours(
    is_ours: bool, raised: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*command: object, **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess("docker", 125, "", "operation not permitted")

    monkeypatch.setattr("subprocess.run", refused)
    found = Engine("unix:///none", is_ours=is_ours, client=Path("docker"))
    with pytest.raises(raised, match="not permitted"), reachable(found, "image", 1):
        pytest.fail("there is a container")
