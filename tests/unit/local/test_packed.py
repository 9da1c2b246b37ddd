"""What platforms of one checkout share."""

import errno
import os
from pathlib import Path

import pytest

from local.deployment import Deployment
from local.home import Home
from local.packed import linked, packed_beside


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    """Of a checkout with a template and nothing else."""
    (tmp_path / "template.yaml").write_text("Resources: {}\n")
    return Deployment(Home(tmp_path / "home"), 1, {}, tmp_path)


def test_without_a_folder_every_platform_packs_for_itself(deployment: Deployment) -> None:
    with packed_beside(deployment, {}) as packed:
        assert packed is None


def test_what_was_packed_from_other_sources_is_not_there(
    deployment: Deployment, tmp_path: Path
) -> None:
    environ = {"HEADRACE_PACKED": str(tmp_path / "packed")}
    with packed_beside(deployment, environ) as packed:
        assert packed is not None
        assert not packed.is_there
        (packed.folder / "digest").write_text(packed.digest)
    with packed_beside(Deployment(deployment.home, 2, {}, tmp_path), environ) as beside:
        assert beside is not None
        assert beside.is_there, "whatever the port"
    (tmp_path / "template.yaml").write_text("Resources: {Other: {}}\n")
    with packed_beside(deployment, environ) as later:
        assert later is not None
        assert not later.is_there


def test_what_was_built_is_given_to_a_home_on_another_file_system_as_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_file_system(source: str, target: str) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source, None, target)

    monkeypatch.setattr(os, "link", other_file_system)
    built = tmp_path / "built"
    built.write_text("def handler(): ...\n")
    linked(str(built), str(tmp_path / "given"))
    assert (tmp_path / "given").read_text() == built.read_text()


def test_a_link_that_fails_for_another_reason_is_not_made_a_copy(tmp_path: Path) -> None:
    built, given = tmp_path / "built", tmp_path / "given"
    built.write_text("new\n")
    given.write_text("old\n")
    with pytest.raises(FileExistsError):
        linked(str(built), str(given))
    assert given.read_text() == "old\n"
