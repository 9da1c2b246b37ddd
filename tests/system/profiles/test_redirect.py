"""The button of another system, in a real browser: to the profile, or to why not.

HEADRACE_SCREENSHOTS=docs/images makes the picture of docs/redirect.md anew.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from headrace.catalog.model import SCOPES
from headrace.identity.user_administration import PutRole
from headrace.identity.users import Permission
from tests.system.browser import browser as a_browser
from tests.system.conftest import HARBOUR, NORTHWIND, Clients, People
from tests.system.deployed import Integrator, Person, Platform

pytestmark = pytest.mark.system

HUB = "https://hub.northwind.example"
SCREENSHOTS = os.environ.get("HEADRACE_SCREENSHOTS")


@dataclass
class Athlete:
    """Somebody whose profile was pushed."""

    organisation_id: str
    sync_id: str
    profile_id: str
    email: str


@dataclass
class Visit:
    """A user's browser; the hub is a page that says which profile it is asked for."""

    page: Page
    api_url: str
    referrers: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def follows(self, **query: str) -> None:
        """The link of the button."""
        self.page.goto(f"{self.api_url}/redirect?{urlencode(query)}")

    def signs_in(self, person: Person, *, password: str | None = None, keep: bool = False) -> None:
        """Fills in the form."""
        self.page.get_by_label("User name").fill(person.username)
        self.page.get_by_label("Password").fill(password or person.password)
        if keep:
            self.page.get_by_label("Stay signed in").check()
        self.page.get_by_role("button", name="Sign in and open").click()

    def is_told(self, said: str) -> None:
        """The page says that it failed, and why."""
        expect(self.page.get_by_role("heading")).to_have_text("Failed to load profile")
        expect(self.page.locator("#standing")).to_contain_text(said)

    def has_reached(self, athlete: Athlete) -> None:
        """The hub was asked for the profile."""
        self.page.wait_for_url(f"{HUB}/profiles/{athlete.profile_id}")

    def kept(self) -> list[str]:
        """What the tab and the browser keep of this API."""
        script = "() => [JSON.stringify({...sessionStorage}), JSON.stringify({...localStorage})]"
        kept: list[str] = self.page.evaluate(script)
        return [*kept, *(str(cookie) for cookie in self.page.context.cookies())]


@contextmanager
def visited(browser: Browser, api_url: str) -> Iterator[Visit]:
    """A browser window that knows nothing yet."""
    context = browser.new_context(viewport={"width": 900, "height": 560})
    visit = Visit(context.new_page(), api_url)

    def hub(route: Route, request: Request) -> None:
        visit.referrers.append(request.headers.get("referer", ""))
        route.fulfill(content_type="text/html", body="<h1>The hub</h1>")

    context.route(f"{HUB}/**", hub)
    visit.page.on("request", lambda request: visit.asked.append(urlsplit(request.url).netloc))
    visit.page.on("pageerror", lambda error: visit.violations.append(str(error)))
    visit.page.on(
        "console",
        lambda said: visit.violations.append(said.text) if "Policy" in said.text else None,
    )
    yield visit
    context.close()
    assert visit.violations == []
    assert set(visit.asked) <= {urlsplit(api_url).netloc, urlsplit(HUB).netloc, ""}
    assert not any(visit.referrers)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for all of them."""
    with a_browser() as started:
        yield started


@pytest.fixture
def visit(platform: Platform, browser: Browser) -> Iterator[Visit]:
    """A user's browser."""
    with visited(browser, platform.api_url) as made:
        yield made


@pytest.fixture
def pusher(clients: Clients) -> Integrator:
    """A system that pushes profiles."""
    return clients.special(NORTHWIND, scopes=(*SCOPES, "profiles:read", "profiles:write"))


@pytest.fixture
def athlete(platform: Platform, pusher: Integrator) -> Athlete:
    """Somebody whom it pushed."""
    tenant = platform.deployment.catalogs().tenant(NORTHWIND)
    assert tenant is not None
    organisation_id, sync_id = str(tenant.organisation_id), f"A {secrets.token_hex(4)}/ü"
    email = f"{secrets.token_hex(8)}@example.org"
    pushed = {
        "TenantId": organisation_id,
        "SyncId": sync_id,
        "GivenName": "Ada",
        "FamilyName": "Lovelace",
        "DateOfBirth": "1992-12-10T00:00:00Z",
        "Email": email,
    }
    reply = pusher.call("POST", "/profiles/import", json=pushed)
    assert reply.status_code == 204, reply.text
    found = platform.deployment.profiles().by_sync_id(NORTHWIND, sync_id)
    assert found is not None
    return Athlete(organisation_id, sync_id, found.profile_id, email)


@pytest.fixture
def user(people: People) -> Person:
    """A user of the tenant's hub."""
    return people.of(NORTHWIND, Permission.READ_PROFILES)


def link(athlete: Athlete, **other: str) -> dict[str, str]:
    """What the button's link says."""
    return {"tenantId": athlete.organisation_id, "syncId": athlete.sync_id, **other}


def test_a_user_signs_in_and_lands_at_the_profile(
    visit: Visit, athlete: Athlete, user: Person
) -> None:
    visit.page.goto("about:blank")
    visit.follows(**link(athlete))
    expect(visit.page.get_by_role("heading")).to_have_text("To the profile")
    assert athlete.profile_id not in visit.page.content()
    visit.signs_in(user)
    visit.has_reached(athlete)
    visit.page.go_back()
    assert visit.page.url == "about:blank", "the page is not on the way back"


def test_who_stays_signed_in_in_a_tab_lands_there_at_once_and_in_another_tab_does_not(
    visit: Visit, athlete: Athlete, user: Person
) -> None:
    visit.follows(**link(athlete))
    visit.signs_in(user, keep=True)
    visit.has_reached(athlete)
    visit.follows(**link(athlete))
    visit.has_reached(athlete)
    other = visit.page.context.new_page()
    other.goto(f"{visit.api_url}/redirect?{urlencode(link(athlete))}")
    expect(other.get_by_label("Password")).to_be_visible()


def test_nothing_is_kept_of_who_does_not_want_that(
    visit: Visit, athlete: Athlete, user: Person
) -> None:
    visit.follows(**link(athlete, syncId="nobody"))
    visit.signs_in(user)
    visit.is_told("Not found")
    assert visit.kept() == ["{}", "{}"]
    assert user.password not in visit.page.content()
    assert visit.page.get_by_label("Password").input_value() == ""


def test_the_page_says_that_it_failed_and_why(
    visit: Visit, athlete: Athlete, user: Person, tmp_path: Path
) -> None:
    visit.follows(**link(athlete, syncId="A-9999"))
    visit.signs_in(user)
    visit.is_told("Not found")
    expect(visit.page.locator("#advice")).to_contain_text("Check the syncId of the link")
    expect(visit.page.locator("#advice")).to_contain_text("Reference for your operator")
    picture = Path(SCREENSHOTS or tmp_path) / "redirect-failed.png"
    visit.page.screenshot(path=picture)
    assert picture.stat().st_size < 200_000


def test_a_wrong_password_can_be_mended(visit: Visit, athlete: Athlete, user: Person) -> None:
    visit.follows(**link(athlete))
    visit.signs_in(user, password="not the right one")
    visit.is_told("The user name or the password is wrong")
    visit.signs_in(user)
    visit.has_reached(athlete)


@pytest.mark.parametrize("left_out", ["tenantId", "syncId"])
def test_an_incomplete_link_is_told_before_anybody_signs_in(
    visit: Visit, athlete: Athlete, left_out: str
) -> None:
    visit.follows(**{name: value for name, value in link(athlete).items() if name != left_out})
    visit.is_told("The link is incomplete")
    expect(visit.page.get_by_label("Password")).to_be_hidden()


def test_a_user_of_another_tenant_learns_nothing_of_this_one(
    visit: Visit, athlete: Athlete, people: People
) -> None:
    visit.follows(**link(athlete))
    visit.signs_in(people.of(HARBOUR, Permission.READ_PROFILES))
    visit.is_told("Not allowed for this tenant")
    assert athlete.profile_id not in visit.page.content()


def test_a_user_who_may_not_read_profiles_is_told_so(
    visit: Visit, athlete: Athlete, people: People
) -> None:
    visit.follows(**link(athlete))
    visit.signs_in(people.of(NORTHWIND, Permission.EXPORT_TEMPLATES))
    visit.is_told("The token lacks a scope")


def test_who_sees_some_groups_only_does_not_see_a_profile_in_none(
    platform: Platform, visit: Visit, athlete: Athlete, user: Person
) -> None:
    directory = platform.deployment.user_directory()
    role = directory.user(user.username).role
    put, read = PutRole(directory), ("read profiles",)
    put(NORTHWIND, role, integrator=True, permissions=read, groups=frozenset({"no-such-group"}))
    visit.follows(**link(athlete))
    visit.signs_in(user)
    visit.is_told("Not found")


def test_a_tenant_of_another_region_is_pointed_to_that_one(
    platform: Platform, visit: Visit, people: People
) -> None:
    catalogs = platform.deployment.catalogs()
    tenant, region = catalogs.tenant(HARBOUR), catalogs.region("euw")
    assert tenant is not None
    assert region is not None
    there = {"tenantId": str(tenant.organisation_id), "syncId": "A-1"}
    visit.follows(**there)
    visit.signs_in(people.of(HARBOUR, Permission.READ_PROFILES))
    visit.is_told("Another region serves this tenant")
    expect(visit.page.get_by_role("link", name="Open it there")).to_have_attribute(
        "href", f"{region.base_url}/redirect?{urlencode(there)}"
    )


@pytest.mark.abuse(130)
@pytest.mark.parametrize("evil", ["//evil.example", "\\\\evil.example", "javascript:alert(1)"])
def test_a_link_leads_nowhere_else(platform: Platform, athlete: Athlete, evil: str) -> None:
    reply = platform.call("GET", "/redirect", params=link(athlete, next=evil))
    assert reply.status_code == 400
    assert "Location" not in reply.headers
    assert "evil" not in reply.text


def test_where_a_profile_is_shown_is_told_to_nobody_without_a_token(
    platform: Platform, athlete: Athlete, pusher: Integrator
) -> None:
    path = "/redirect/target"
    assert platform.call("GET", path, params=link(athlete)).status_code == 401
    reply = pusher.get(path, params=link(athlete))
    assert reply.json() == {
        "profileId": athlete.profile_id,
        "url": f"{HUB}/profiles/{athlete.profile_id}",
    }


def test_no_value_of_a_person_is_in_a_log_or_in_the_trail(
    platform: Platform, visit: Visit, athlete: Athlete, user: Person, pusher: Integrator
) -> None:
    wrong = {"TenantId": athlete.organisation_id, "SyncId": athlete.sync_id, "Email": athlete.email}
    assert pusher.call("POST", "/profiles/import", json=wrong).status_code == 400
    visit.follows(**link(athlete))
    visit.signs_in(user)
    visit.has_reached(athlete)
    platform.headrace_admin("profile", "export", NORTHWIND, "--email", athlete.email)
    platform.headrace_admin("profile", "erase", NORTHWIND, "--sync-id", athlete.sync_id)
    logged = platform.log_text()
    assert "refused" in logged
    told = "".join(
        str(platform.items(platform.outputs[f"{name}TableName"]))
        for name in ("Audit", "Statistics", "Profiles")
    )
    assert athlete.profile_id in told
    for value in ("Lovelace", athlete.email, athlete.sync_id):
        assert value not in logged
        assert value not in told
