"""`headrace profiles` as a process, against a service that takes profiles."""

from __future__ import annotations

import json
from pathlib import Path

from headrace_client import HeadraceClient
from tests.component.client.pushing import ORGANISATION, PushedService
from tests.component.client.service import CLIENT_ID, CLIENT_SECRET
from tests.component.client.test_command import an_environment, headrace

HEADINGS = "syncId,givenName,familyName,dateOfBirth\n"


def athletes(folder: Path, *lines: str) -> str:
    file = folder / "athletes.csv"
    file.write_text(HEADINGS + "".join(f"{line}\n" for line in lines))
    return str(file)


def test_what_came_of_each_line_is_said(tmp_path: Path) -> None:
    with PushedService() as service:
        environment = an_environment(service, tmp_path)
        file = athletes(tmp_path, "a,Ada,Lovelace,1992-12-10", "b,Bob,,1990-01-01")
        done = headrace(environment, "profiles", "import", file)
        assert done.returncode == 1
        assert "1 created, 0 changed, 0 unchanged, 1 refused" in done.stdout
        assert f"{file}:3: FamilyName: Field required" in done.stdout
        again = headrace(environment, "profiles", "import", file, "--json")
        assert json.loads(again.stdout)["unchanged"] == 1
        assert service.profiles["a"]["tenantId"] == ORGANISATION


def test_lines_that_there_was_no_time_for_are_pushed_again(tmp_path: Path) -> None:
    with PushedService() as service:
        service.fits = [2, 0, 1]
        lines = [f"{n},Ada,L,1992-12-10" for n in range(5)]
        file = athletes(tmp_path, *lines)
        done = headrace(an_environment(service, tmp_path), "profiles", "import", file, "--json")
        assert json.loads(done.stdout)["created"] == 5
        assert [call.body.count(b"\n") + 1 for call in service.calls("POST", "/batch")] == [
            5,
            3,
            3,
            2,
        ]


def test_all_pages_of_profiles_are_found() -> None:
    with PushedService() as service:
        service.page = 2
        with HeadraceClient(service.api_url, CLIENT_ID, CLIENT_SECRET) as client:
            people = [{"syncId": f"{n}", "givenName": "A", "familyName": "B"} for n in range(5)]
            assert {one.outcome for one in client.profiles.push(people)} == {"created"}
            found = [one["syncId"] for one in client.profiles.search(ORGANISATION)]
            assert found == ["0", "1", "2", "3", "4"]
            assert list(client.profiles.search(ORGANISATION, sync_id="nobody")) == []
