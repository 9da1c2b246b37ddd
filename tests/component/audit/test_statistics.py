"""What managers of a service are told of what it did."""

import importlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from headrace.adapters.dynamodb.managers import DynamoManagers
from headrace.audit.model import Action, Failing
from headrace.catalog.model import Client, Service
from headrace.identity.users import Management
from headrace.runtime import auditing
from headrace.runtime.api import Scope
from tests.component.identity.deployment import CLIENTS, Deployment, deployed, event_of

NOW = datetime.now(UTC)


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """With a service that Ada manages, which has done something."""
    with deployed(monkeypatch) as here:
        here.publish(*CLIENTS, Client("analyzer", "A", ("acme",), service=Service("external")))
        managers = DynamoManagers(here.tables["credentials"])
        managers.save("analyzer", Management(frozenset({"id-ada"})))
        statistics = auditing.statistics()
        for number in range(5):
            statistics.count("analyzer", NOW.date(), Action.DOWNLOAD)
            auditing.note_failing()(
                Failing(
                    at=NOW - timedelta(seconds=number),
                    action=Action.FAILURE,
                    service="analyzer",
                    what="GET /x",
                    status=404,
                    code="not_found",
                    correlation_id=f"call-{number}",
                )
            )
        yield here


def ask(module: str, user: str = "id-ada", service: str = "analyzer", **query: str) -> Any:
    """Status and document of an answer to a person."""
    handler = importlib.import_module(f"audit.{module}").handler
    event = event_of("GET", handler.route.path, query=query)
    event["pathParameters"] = {"serviceId": service}
    event["requestContext"]["authorizer"] = {
        "tenant": "acme",
        "client_id": "user",
        "user": user,
        "scopes": Scope.STATISTICS_READ.full,
    }
    answer = handler(event, None)
    return answer["statusCode"], json.loads(answer["body"])


def test_the_days_of_a_service_are_counted_for_its_managers(deployment: Deployment) -> None:
    status, document = ask("get_statistics")
    assert (status, document["service"], len(document["days"])) == (200, "analyzer", 30)
    assert document["days"][-1] == {
        "day": NOW.date().isoformat(),
        "counts": {"download": 5, "failure": 5},
    }
    today = NOW.date().isoformat()
    assert len(ask("get_statistics", **{"from": today, "to": today})[1]["days"]) == 1


@pytest.mark.parametrize("wrong", [{"from": "yesterday"}, {"from": "2020-01-01"}], ids=str)
def test_days_that_cannot_be_read_are_a_wrong_value(
    deployment: Deployment, wrong: dict[str, str]
) -> None:
    status, document = ask("get_statistics", **wrong)
    assert (status, document["errors"][0]["field"]) == (422, "from")


def test_errors_are_listed_page_by_page(deployment: Deployment) -> None:
    seen: list[str] = []
    query = {"pageSize": "2"}
    while True:
        status, document = ask("list_errors", **query)
        assert status == 200
        seen += [error["correlationId"] for error in document["errors"]]
        if document["next"] is None:
            break
        query["cursor"] = document["next"]
    assert seen == [f"call-{number}" for number in range(5)]


@pytest.mark.parametrize("cursor", ["x", "2026-11-26T00:00:00.000Z", "day#2026-11-26"])
def test_a_made_up_cursor_is_refused(deployment: Deployment, cursor: str) -> None:
    assert ask("list_errors", cursor=cursor)[0] == 400


@pytest.mark.parametrize("who", [{"user": "id-bob"}, {"service": "acme-hr"}], ids=str)
@pytest.mark.parametrize("module", ["get_statistics", "list_errors"])
def test_others_cannot_tell_that_the_service_is_there(
    deployment: Deployment, module: str, who: dict[str, str]
) -> None:
    refused = ask(module, **who)
    assert (refused[0], refused) == (404, ask(module, service="never-was"))
