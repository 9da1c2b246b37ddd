"""``headrace-admin service``, on a deployment in moto."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from headrace.identity.api_keys import ApiKey
from headrace_admin.deployment import Deployment
from tests.component.admin.test_commands import CATALOG, Run, run  # noqa: F401 - the fixture
from tests.component.admin.test_people import ADA, TENANT, create, stored
from tests.unit.identity.keys_made import a_key

SERVICE = "\n  - {id: analyzer, name: A, tenants: [northwind], service: {kind: external}}\nsources:"


@pytest.fixture
def published(run: Run, tmp_path: Path) -> Run:  # noqa: F811
    catalog = CATALOG.replace("\nsources:", SERVICE)
    (tmp_path / "catalog" / "all.yaml").write_text(catalog)
    assert run("catalog", "publish").code == 0
    assert run("role", "put", "Integratör", *TENANT, "--integrator").code == 0
    assert create(run, ADA, "--generate").code == 0
    assert run("team", "add", "integration", ADA, *TENANT).code == 0
    return run


def test_managers_are_named_anew_and_shown(published: Run) -> None:
    assert "nobody manages it" in published("service", "managers", "analyzer").out
    named = published("service", "managers", "analyzer", "--user", ADA, "--json")
    assert named.json == {"service": "analyzer", "users": [ADA], "teams": []}
    published("service", "managers", "analyzer", "--team", "integration")
    shown = published("service", "managers", "analyzer").out
    assert "integration" in shown
    assert ADA not in shown


def test_only_a_service_and_somebody_who_is_there_can_be_named(published: Run) -> None:
    assert published("service", "managers", "bureau", "--user", ADA).code == 3
    assert published("service", "managers", "analyzer", "--user", "no@one.example").code == 3
    assert published("service", "managers", "analyzer", "--team", "none").code == 3


def given() -> ApiKey:
    """A key that a manager made."""
    now = datetime.now(UTC)
    key, _ = a_key(service="analyzer", tenant="northwind", created_at=now, name="nightly")
    Deployment.on_aws("headrace").api_keys().add(key)
    return key


def test_keys_are_listed_and_revoked(published: Run) -> None:
    assert stored() is not None
    key = given()
    [listed] = published("service", "keys", "analyzer", "--json").json["keys"]
    assert (listed["keyId"], listed["name"]) == (key.key_id, "nightly")
    assert "never" in published("service", "keys", "analyzer").out
    assert published("service", "revoke-key", "bureau", key.key_id).code == 3
    assert published("service", "revoke-key", "analyzer", key.key_id).code == 0
    assert "revoked" in published("service", "keys", "analyzer").out


def test_a_service_serves_one_tenant(run: Run, tmp_path: Path) -> None:  # noqa: F811
    wrong = CATALOG.replace("\nsources:", SERVICE.replace("[northwind]", "[northwind, harbour]"))
    (tmp_path / "catalog" / "all.yaml").write_text(wrong)
    refused = run("catalog", "check", "--offline")
    assert refused.code == 1
    assert "declare a service for each" in refused.err
