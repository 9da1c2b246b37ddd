"""`headrace profiles` and `make demo-profiles` against the deployed product."""

from __future__ import annotations

import json
import secrets
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headrace.identity.model import secret_matches
from local.home import CHECKOUT
from tests.system.client.test_command import an_environment, headrace
from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Integrator, Platform

pytestmark = pytest.mark.system

HEADINGS = "SyncId,GivenName,FamilyName,DateOfBirth,Sex,isGuardianConsentGiven\n"


@pytest.fixture
def pusher(clients: Clients) -> Integrator:
    """A system that pushes profiles."""
    return clients.special(NORTHWIND, scopes=("profiles:read", "profiles:write"))


@pytest.fixture
def run() -> str:
    """What the sync ids of a test begin with."""
    return secrets.token_hex(4)


def test_a_file_is_pushed_and_pushed_again_without_a_change(
    pusher: Integrator, run: str, tmp_path: Path
) -> None:
    file = tmp_path / "athletes.ndjson"
    people = [
        {"syncId": f"{run}-{n}", "givenName": "Ada", "familyName": f"L{n}", "dateOfBirth": born}
        for n, born in enumerate(["1992-12-10", "1993-01-01T00:00:00Z", "2010-02-28"])
    ]
    file.write_text("".join(f"{json.dumps(one)}\n" for one in people))
    pushed = headrace(pusher, "profiles", "import", str(file))
    assert (pushed["created"], pushed["refused"]) == (3, [])
    assert headrace(pusher, "profiles", "import", str(file))["unchanged"] == 3
    [found] = headrace(pusher, "profiles", "list", "--sync-id", f"{run}-1")["profiles"]
    assert (found["familyName"], found["dateOfBirth"][:10]) == ("L1", "1993-01-01")


def test_a_csv_file_is_pushed_and_what_is_wrong_in_it_is_told_by_its_line(
    pusher: Integrator, run: str, tmp_path: Path
) -> None:
    file = tmp_path / "athletes.csv"
    good = f"{run}-a,Zoë,Müller,2009-05-05,Female,true\n"
    file.write_text(f"{HEADINGS}{good}{run}-b,,Nobody,2009-13-05,Female,\n")
    pushed = headrace(pusher, "profiles", "import", str(file), code=1)
    assert pushed["created"] == 1
    [refused] = pushed["refused"]
    assert (refused["line"], set(refused["errors"])) == (3, {"GivenName", "DateOfBirth"})
    [found] = headrace(pusher, "profiles", "list", "--sync-id", f"{run}-a")["profiles"]
    assert (found["givenName"], found["isGuardianConsentGiven"]) == ("Zoë", True)


def test_more_are_pushed_and_listed_than_a_call_takes(
    pusher: Integrator, run: str, tmp_path: Path
) -> None:
    file = tmp_path / "athletes.csv"
    lines = (f"{run}-{n},Ada,L{n},1992-12-10,,\n" for n in range(1_100))
    file.write_text(HEADINGS + "".join(lines))
    assert headrace(pusher, "profiles", "import", str(file))["created"] == 1_100
    listed = headrace(pusher, "profiles", "list")["profiles"]
    ours = [one["syncId"] for one in listed if one["syncId"].startswith(f"{run}-")]
    assert len(ours) == len(set(ours)) == 1_100


def test_the_link_of_a_button_is_printed(pusher: Integrator, platform: Platform) -> None:
    said = headrace(pusher, "profiles", "redirect-url", "A 1/ü")
    tenant = platform.deployment.catalogs().tenant(NORTHWIND)
    assert tenant is not None
    assert said["url"] == (
        f"{platform.api_url}/redirect?tenantId={tenant.organisation_id}&syncId=A+1%2F%C3%BC"
    )


def test_a_tenant_that_the_client_may_not_name_takes_nothing(
    pusher: Integrator, run: str, tmp_path: Path
) -> None:
    file = tmp_path / "athletes.csv"
    file.write_text(f"{HEADINGS}{run}-a,Ada,L,1992-12-10,,\n")
    elsewhere = ("--tenant", "00000000-0000-4000-8000-000000000000")
    refused: Any = headrace(pusher, "profiles", "import", str(file), *elsewhere, code=3)
    assert refused["error"]["code"] == "tenant_not_allowed"


def test_the_sample_s_pusher_is_listed_with_a_secret_that_stays_until_it_is_revoked(
    platform: Platform,
) -> None:
    listed = json.loads(platform.home.outputs.read_text("utf-8"))["clients"]
    [ours] = [one for one in listed if one["client_id"] == "athlete-system"]
    stored = platform.deployment.client_secrets().of("athlete-system")
    assert secret_matches(ours["client_secret"], stored)
    assert (ours["tenant"], ours["configuration_id"]) == (NORTHWIND, None)


def test_the_demonstration_lets_a_vendor_in_and_forgets_a_person(
    platform: Platform, pusher: Integrator
) -> None:
    before = platform.deployment.client_secrets().of("athlete-system")
    environ = {**an_environment(pusher), "HEADRACE_HOME": str(platform.home.root)}
    script = "from local.home import Home; from local.demo_profiles import run; import os; "
    command = [sys.executable, "-c", f"{script}run(Home.of(os.environ))"]
    environ["COLUMNS"] = "200"
    killed = subprocess.Popen(command, cwd=CHECKOUT, env=environ, stdout=subprocess.PIPE, text=True)
    assert killed.stdout is not None
    assert any(line.startswith("2. the vendor") for line in killed.stdout)
    killed.kill()
    killed.communicate(timeout=60)
    assert len(platform.deployment.client_secrets().of("athlete-system")) == len(before) + 1
    done = subprocess.run(
        command,
        cwd=CHECKOUT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "demo-3 unchanged" in done.stdout
    assert "which goes on to https://hub.northwind.example/profiles/" in done.stdout
    assert "the profile is gone" in done.stdout
    [by_hand] = [one for one in done.stdout.splitlines() if "headrace profiles list" in one]
    listed = subprocess.run(
        shlex.split(by_hand), cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (listed.returncode, "demo-2" in listed.stdout) == (0, True), listed.stderr
    assert platform.deployment.client_secrets().of("athlete-system") == before
