"""``headrace-admin template``, on a deployment in moto."""

from pathlib import Path
from typing import Any

import pytest

from headrace.audit.model import Action
from headrace.audit.usecases import ReadTrail
from headrace_admin import auditing
from headrace_admin.deployment import Deployment
from tests.component.admin.test_commands import CATALOG, Run, run  # noqa: F401 - the fixture

TEMPLATES = """\
templates:
  - &people
    id: people
    name: People
    source: hr
    table: employees
    columns: [id, name]
    order: [id]
    tenant_column: tenant
    minimum_version: "2019.2603"
  - {<<: *people, id: harbours, name: Harbour's own, tenants: [harbour]}
"""
NEW_ENOUGH = 'name: Northwind, application_version: "2019.10001"}'


def publish(run: Run, place: Path, text: str) -> None:  # noqa: F811
    (place / "catalog" / "all.yaml").write_text(text)
    published = run("catalog", "publish")
    assert published.code == 0, published.err + published.out


@pytest.fixture
def published(run: Run, tmp_path: Path) -> Run:  # noqa: F811
    publish(run, tmp_path, CATALOG.replace("name: Northwind}", NEW_ENOUGH) + TEMPLATES)
    return run


def listed(run: Run, *words: str) -> list[dict[str, Any]]:  # noqa: F811
    found: list[dict[str, Any]] = run("template", "list", "--json", *words).json["templates"]
    return found


def trail() -> list[tuple[Action, str, dict[str, str]]]:
    events = ReadTrail(Deployment.on_aws("headrace").audit_trail())(auditing._span(None, None))
    return [(event.action, event.tenant, dict(event.concerns)) for event in events]


def test_a_template_that_is_published_is_inactive(published: Run) -> None:
    [people] = listed(published, "--tenant", "northwind")
    assert people == {
        "template": "people",
        "name": "People",
        "tenant": "northwind",
        "kind": "standard",
        "minimumVersion": "2019.2603",
        "exists": True,
        "activeSince": None,
        "readable": False,
    }


def test_a_template_is_active_for_the_tenant_that_it_was_activated_for(published: Run) -> None:
    words = ("people", "--tenant", "northwind")
    done = published("template", "activate", *words, "--json")
    assert done.json == {
        "template": "people",
        "tenant": "northwind",
        "active": True,
        "changed": True,
    }
    [people] = listed(published, "--tenant", "northwind")
    assert people["readable"]
    assert not any(one["readable"] for one in listed(published, "--tenant", "harbour"))
    assert published("template", "deactivate", *words).code == 0
    [people] = listed(published, "--tenant", "northwind")
    assert not people["readable"]


def test_activating_leaves_events_in_the_trail_also_the_second_time(published: Run) -> None:
    words = ("people", "--tenant", "northwind")
    published("template", "activate", *words)
    assert published("template", "activate", *words, "--json").json["changed"] is False
    published("template", "deactivate", *words)
    assert sorted(trail()) == [
        (Action.ACTIVATE, "northwind", {"template": "people"}),
        (Action.ACTIVATE, "northwind", {"template": "people"}),
        (Action.DEACTIVATE, "northwind", {"template": "people"}),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("persons", "--tenant", "northwind"), "no template persons; there are: harbours, people."),
        (("people", "--tenant", "nobody"), "no tenant nobody"),
        (("harbours", "--tenant", "northwind"), "is not for northwind"),
        (
            ("people", "--tenant", "harbour"),
            "from version 2019.2603 on, and that of harbour is of no known version",
        ),
    ],
)
def test_what_a_tenant_does_not_have_cannot_be_activated(
    published: Run, words: tuple[str, ...], said: str
) -> None:
    refused = published("template", "activate", *words, "--json")
    assert refused.code == 3
    assert said in refused.json["error"]["detail"]
    assert trail() == []


def test_what_is_not_active_cannot_be_deactivated(published: Run) -> None:
    refused = published("template", "deactivate", "people", "--tenant", "northwind", "--json")
    assert refused.code == 3
    assert "is not active" in refused.json["error"]["detail"]
    assert trail() == []


def test_versions_compare_as_numbers(run: Run, tmp_path: Path) -> None:  # noqa: F811
    older = NEW_ENOUGH.replace("2019.10001", "2019.999")
    publish(run, tmp_path, CATALOG.replace("name: Northwind}", older) + TEMPLATES)
    refused = run("template", "activate", "people", "--tenant", "northwind", "--json")
    assert "that of northwind is of version 2019.999" in refused.json["error"]["detail"]


def test_what_the_catalog_leaves_out_is_no_more_readable_and_can_be_taken_back(
    published: Run, tmp_path: Path
) -> None:
    published("template", "activate", "people", "--tenant", "northwind")
    publish(published, tmp_path, CATALOG)
    [people] = listed(published)
    assert (people["template"], people["exists"], people["readable"]) == ("people", False, False)
    assert people["activeSince"]
    assert published("template", "deactivate", "people", "--tenant", "northwind").code == 0
    assert listed(published) == []


def test_people_see_why_a_tenant_does_not_have_a_template(published: Run) -> None:
    shown = published("template", "list").out
    assert "people    northwind  standard  no" in shown
    assert "from version 2019.2603 on" in shown
    assert "Harbour's own" in shown


def test_what_is_published_is_shown(published: Run) -> None:
    shown = published("catalog", "show").out
    assert "people    every tenant  2019.2603     2        id     hr: main.employees" in shown
    assert "2019.10001" in shown
