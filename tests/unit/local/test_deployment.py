"""When the template is deployed again: when something that it is made of changed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from local.deployment import Deployment, api_url, defaults, fingerprint, source_files
from local.home import Home

URL = "http://127.0.0.1:1/x"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("functions/exports", "layers/core/headrace", "statemachines", "requirements"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "template.yaml").write_text("Resources: {}\n")
    (tmp_path / "samconfig.toml").write_text("version = 0.1\n")
    (tmp_path / "functions/exports/start.py").write_text("x = 1\n")
    (tmp_path / "layers/core/headrace/model.py").write_text("x = 1\n")
    (tmp_path / "statemachines/export.asl.json").write_text("{}\n")
    return tmp_path


def _rename(root: Path) -> None:
    (root / "functions/exports/start.py").rename(root / "functions/exports/begin.py")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a template": lambda root: (root / "template.yaml").write_text("Resources: {A: 1}\n"),
    "settings": lambda root: (root / "samconfig.toml").write_text("version = 0.2\n"),
    "a function": lambda root: (root / "functions/exports/start.py").write_text("x = 2\n"),
    "a layer": lambda root: (root / "layers/core/headrace/model.py").write_text("x = 2\n"),
    "a workflow": lambda root: (root / "statemachines/export.asl.json").write_text("[]\n"),
    "a new file": lambda root: (root / "functions/exports/new.py").write_text(""),
    "a lost file": lambda root: (root / "functions/exports/start.py").unlink(),
    "a name": _rename,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_of_what_is_deployed_changes_the_fingerprint(
    checkout: Path, change: Callable[[Path], object]
) -> None:
    before = fingerprint(checkout, public_url=URL)
    assert fingerprint(checkout, public_url=URL) == before
    change(checkout)
    assert fingerprint(checkout, public_url=URL) != before


def test_another_address_is_another_deployment(checkout: Path) -> None:
    assert fingerprint(checkout, public_url=api_url(1)) != fingerprint(
        checkout, public_url=api_url(2)
    )


def test_what_tools_leave_behind_is_no_change(checkout: Path) -> None:
    before = fingerprint(checkout, public_url=URL)
    for name in (
        "functions/exports/__pycache__/start.cpython-313.pyc",
        "layers/core/headrace.egg-info/PKG-INFO",
        "functions/.ruff_cache/x",
        "docs/page.md",
    ):
        path = checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("noise")
    assert fingerprint(checkout, public_url=URL) == before
    assert all("egg-info" not in str(path) for path in source_files(checkout))


@pytest.mark.parametrize(
    "overrides", ['"A=1 B=x=y"', '["A=1", "B=x=y"]'], ids=["as a text", "as a list"]
)
def test_the_local_parameters_of_samconfig_are_kept_beside_ours(
    checkout: Path, overrides: str
) -> None:
    (checkout / "samconfig.toml").write_text(
        f"[local.deploy.parameters]\nparameter_overrides = {overrides}\n"
    )
    deployment = Deployment(Home(checkout / "home"), 1, {}, checkout)
    assert deployment.parameters() == {
        "A": "1",
        "B": "x=y",
        "PublicBaseUrl": api_url(1),
        "StageName": "local",
    }
    assert replace(deployment, overrides={"A": "2"}).parameters()["A"] == "2"


def test_parameters_that_nobody_names_are_the_templates() -> None:
    template = (
        "Parameters:\n  A: {Default: 5}\n  B: {Type: String}\n  C: {Default: ''}\nX: !Ref A\n"
    )
    assert defaults(template) == {"A": "5", "C": ""}
