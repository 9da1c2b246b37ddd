"""Templates as deployed: the seed's calls, what arrives of a GET's body, and one snapshot."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from headrace.identity.users import Permission
from local.sample.roster import Roster
from tests.system.conftest import HARBOUR, NORTHWIND, People
from tests.system.deployed import Person, Platform

pytestmark = pytest.mark.system

PERSONS, SESSIONS = "persons", "training-sessions"


def page(platform: Platform, token: str, template: str, **options: Any) -> httpx.Response:
    return platform.call(
        "GET",
        f"/api/ver3/services/exporttemplate/{template}",
        headers={"Authorization": f"Bearer {token}", **options.pop("headers", {})},
        timeout=40,
        **options,
    )


def follow(platform: Platform, token: str, url: str) -> httpx.Response:
    assert url.startswith(platform.api_url)
    return httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=40)


@pytest.fixture(scope="module")
def active(platform: Platform) -> Iterator[None]:
    for template in (PERSONS, SESSIONS):
        platform.headrace_admin("template", "activate", template, "--tenant", NORTHWIND)
    yield
    for template in (PERSONS, SESSIONS):
        platform.headrace_admin("template", "deactivate", template, "--tenant", NORTHWIND)


@pytest.fixture(scope="module")
def partner(people: People) -> Person:
    return people.of(NORTHWIND, Permission.EXPORT_TEMPLATES)


@pytest.mark.usefixtures("active")
def test_a_partner_logs_in_and_reads_persons_as_the_seed_says(
    platform: Platform, partner: Person
) -> None:
    token = partner.token()
    got: list[dict[str, Any]] = []
    while True:
        reply = page(platform, token, PERSONS, json={"count": 700, "offset": len(got)})
        assert reply.status_code == 200, reply.text
        rows = reply.json()["rows"]
        if not rows:
            break
        got += rows
    assert len({row["id"] for row in got}) == len(got) > 700
    assert [row["id"] for row in got] == sorted(row["id"] for row in got)
    assert not any(row["anonymized"] for row in got)
    everybody = page(
        platform, token, PERSONS, params={"includeAnonymized": "true", "showTotal": "true"}
    ).json()
    assert everybody["total"] > len(got)


@pytest.mark.usefixtures("active")
def test_a_body_of_a_get_arrives_as_it_was_sent(platform: Platform, partner: Person) -> None:
    token = partner.token()
    assert page(platform, token, PERSONS, json={"Count": 3}).json()["count"] == 3
    both = page(platform, token, PERSONS, params={"count": "3"}, json={"count": 4})
    assert (both.status_code, both.json()["code"]) == (400, "invalid_request")
    broken = page(platform, token, PERSONS, content=b'{"count":')
    assert (broken.status_code, broken.json()["code"]) == (400, "invalid_request")


@pytest.mark.usefixtures("active")
def test_what_changes_in_postgresql_during_a_walk_is_seen_by_the_next_one_only(
    platform: Platform, partner: Person
) -> None:
    token, roster = partner.token(), Roster(platform.home.roster)
    first = page(platform, token, SESSIONS, params={"count": "10", "showTotal": "true"}).json()
    change = (
        "UPDATE training_sessions SET starts_at = starts_at - interval '50 years' "
        "WHERE id IN (SELECT id FROM training_sessions ORDER BY starts_at DESC LIMIT 5)"
    )
    roster.run(change)
    try:
        rows, url = list(first["rows"]), first["next"]
        while url:
            reply = follow(platform, token, url)
            assert reply.status_code == 200, reply.text
            rows += reply.json()["rows"]
            url = reply.json()["next"]
        assert len({row["id"] for row in rows}) == len(rows) == first["total"]
        assert [(row["startsAt"], row["id"]) for row in rows] == sorted(
            (row["startsAt"], row["id"]) for row in rows
        )
        assert not any(row["startsAt"].startswith("19") for row in rows)
        anew = page(platform, token, SESSIONS).json()
        assert anew["rows"][0]["startsAt"].startswith("19")
    finally:
        roster.run(change.replace("- interval", "+ interval").replace("DESC", "ASC"))


@pytest.mark.usefixtures("active")
def test_csv_and_ndjson_lead_on_by_the_link_header(platform: Platform, partner: Person) -> None:
    token = partner.token()
    lines = page(
        platform, token, PERSONS, params={"count": "2"}, headers={"Accept": "application/x-ndjson"}
    )
    assert len([json.loads(line) for line in lines.text.splitlines()]) == 2
    link = lines.links["next"]["url"]
    table = httpx.get(
        link, headers={"Authorization": f"Bearer {token}", "Accept": "text/csv"}, timeout=40
    )
    assert table.headers["Content-Type"] == "text/csv"
    assert table.text.startswith("id,customerNumber,")
    assert table.text.count("\r\n") >= 3
    assert urlsplit(link).path.endswith("/exporttemplate/persons")


@pytest.mark.usefixtures("active")
def test_who_may_not_read_a_template_does_not_learn_that_it_is_there(
    platform: Platform, people: People, partner: Person
) -> None:
    token, elsewhere = partner.token(), people.of(HARBOUR, Permission.EXPORT_TEMPLATES).token()
    refusals = [
        page(platform, token, "no-such-template"),
        page(platform, elsewhere, PERSONS),  # its application is of an older version
        page(platform, elsewhere, SESSIONS),
        page(platform, elsewhere, "no-such-template"),
    ]
    platform.headrace_admin("template", "deactivate", PERSONS, "--tenant", NORTHWIND)
    refusals.append(page(platform, token, PERSONS))
    platform.headrace_admin("template", "activate", PERSONS, "--tenant", NORTHWIND)
    told = [{k: v for k, v in one.json().items() if k != "correlationId"} for one in refusals]
    assert [one.status_code for one in refusals] == [404] * 5
    assert all(one == told[0] for one in told)
    without = people.of(NORTHWIND, Permission.MANAGE_CONSENTS).token()
    reply = page(platform, without, PERSONS)
    assert (reply.status_code, reply.json()["code"]) == (403, "insufficient_scope")
    assert page(platform, "nonsense", PERSONS).status_code == 401
