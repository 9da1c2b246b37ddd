"""The operator's pages, command by command, on the running platform.

Names of the page that others of the platform's tests use, or that a run before has left behind, are
swapped for names of this run's.
"""

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headrace.identity.users import Permission
from local.sample.roster import Roster
from tests.system.conftest import NORTHWIND, Clients, People
from tests.system.deployed import Platform
from tests.system.docs.following import Followed, following
from tests.system.managed import a_managed_service

pytestmark = pytest.mark.system

type Follow = Callable[[str], AbstractContextManager[Followed]]


@pytest.fixture
def follow(platform: Platform, tmp_path: Path) -> Follow:
    """Follows a page in a folder of its own."""
    return lambda page: following(page, platform, tmp_path)


@pytest.fixture
def name() -> str:
    """Of this run."""
    return secrets.token_hex(4)


def test_users(follow: Follow, name: str) -> None:
    with follow("docs/users.md") as page:
        page.swapped(
            {
                "integrator@emailaddress.com": f"{name}@example.com",
                "Integrator with API export": f"Integrator {name}",
                "HR desk": f"Desk {name}",
            }
        )
        assert f"Integrator {name}" in page.run("headrace-admin role put")
        said = page.run("headrace-admin user create", typed=f"{secrets.token_urlsafe(18)}\n")
        assert said.count(f"{name}@example.com") >= 3
        page.run("headrace-admin team add")
        page.run('given="${HEADRACE_HOME')
        page.run("curl")
        logged_in = json.loads((page.folder / "token.json").read_text())
        page.given(REFRESH_TOKEN=logged_in["refresh_token"])
        exchanged = page.reply("curl")
        assert exchanged["refresh_token"] != logged_in["refresh_token"]
        page.given(REFRESH_TOKEN=exchanged["refresh_token"])
        assert not page.run("curl"), "a revocation has no body"


def test_services(
    follow: Follow, name: str, platform: Platform, clients: Clients, people: People, tmp_path: Path
) -> None:
    managed = a_managed_service(platform, clients, people, tmp_path)
    person, team = managed.manager, f"integration {name}"
    platform.headrace_admin("team", "add", team, person.username, "--tenant", NORTHWIND)
    with follow("docs/services.md") as page:
        page.swapped(
            {
                "wellness-app": managed.service,
                "ada@northwind.example": person.username,
                '"integration"': f'"{team}"',
            }
        )
        page.given(LOGIN=person.token())
        assert person.username in page.run("headrace-admin service managers")
        assert team in page.run("curl")
        made = page.reply("curl")
        assert made["refresh_token"].startswith("hrr_")
        page.given(REFRESH_TOKEN=made["refresh_token"])
        exchanged = page.reply("curl")
        assert exchanged["refresh_token"] != made["refresh_token"]


def test_audit(
    follow: Follow, platform: Platform, clients: Clients, people: People, tmp_path: Path
) -> None:
    managed = a_managed_service(platform, clients, people, tmp_path)
    reader = people.of(NORTHWIND, Permission.MANAGE_SERVICES, Permission.READ_STATISTICS)
    platform.headrace_admin("service", "managers", managed.service, "--user", reader.username)
    today = datetime.now(UTC).date()
    with follow("docs/audit.md") as page:
        page.swapped(
            {
                "wellness-app": managed.service,
                "2026-11-01": f"{today - timedelta(days=7)}",
                "2026-11-30": f"{today}",
            }
        )
        page.given(LOGIN=reader.token())
        page.run("headrace-admin audit export")
        trail = [json.loads(line) for line in (page.folder / "november.ndjson").open()]
        assert reader.user_id in {event.get("user") for event in trail}
        page.run("headrace-admin audit statistics")


def test_templates(follow: Follow, platform: Platform, people: People) -> None:
    partner = people.of(NORTHWIND, Permission.EXPORT_TEMPLATES)
    activation = ("persons", "--tenant", NORTHWIND)
    platform.headrace_admin("template", "activate", *activation)
    with follow("docs/templates.md") as page:
        page.swapped(
            {
                "integrator@emailaddress.com": partner.username,
                "someSecurePassword": partner.password,
            }
        )
        page.given(URL=platform.api_url, ACCESS_TOKEN=partner.token())
        assert '"rows"' in page.run("curl")
        assert "persons" in page.run("headrace-admin template list")


@pytest.fixture
def roster(platform: Platform) -> Iterator[Roster]:
    """The sample's database, whose changes are captured again afterwards."""
    made = Roster(platform.home.roster)
    yield made
    platform.headrace_admin("source", "install", "roster", "--dsn", "user=postgres")


def test_change_capture(follow: Follow, roster: Roster) -> None:
    owner = "roster_owner"
    if not roster.run(f"SELECT 1 FROM pg_roles WHERE rolname = '{owner}'").strip():
        roster.run(f"CREATE ROLE {owner} LOGIN SUPERUSER")
    with follow("docs/change-capture.md") as page:
        page.given(HEADRACE_SOURCE_DSN=f"user={owner}")
        said = page.run("headrace-admin source install roster --dry-run")
        assert "Remove the log: done" in said
        page.given(HEADRACE_SOURCE_DSN="")
        page.run("PGPASSFILE=~/.pgpass headrace-admin source install")
    captured = roster.run("SELECT count(*) FROM headrace.captured").strip()
    assert int(captured) > 0
