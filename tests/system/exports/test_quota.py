"""One operation at a time, so many a day: what callers are told, and what it costs them."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.system.conftest import HARBOUR, Clients
from tests.system.deployed import Integrator, at_once

pytestmark = pytest.mark.system


@pytest.mark.abuse(77)
@pytest.mark.abuse(79)
@pytest.mark.abuse(83)
def test_of_fifty_starts_at_once_one_is_accepted_and_the_others_are_told_what_blocks(
    integrator: Integrator,
) -> None:
    integrator.token()
    # All tables, so that the first one still runs when the last of the others is answered.
    replies = at_once(50, lambda _: integrator.starts(fileFormat="json"))

    assert Counter(reply.status_code for reply in replies) == {202: 1, 409: 49}
    [accepted] = [reply.json() for reply in replies if reply.status_code == 202]
    assert accepted["quota"]["used"] == 1
    for reply in replies:
        if reply.status_code == 409:
            problem = reply.json()
            assert reply.headers["Content-Type"] == "application/problem+json"
            assert int(reply.headers["Retry-After"]) >= 1
            assert problem["code"] == "operation_active"
            assert problem["blockingOperationId"] == accepted["operationId"]
            assert problem["quota"] == accepted["quota"]
    stopped = integrator.cancel(accepted["operationId"]).json()
    assert stopped["status"] == "cancelled"
    assert stopped["quota"]["used"] == 1


@pytest.mark.abuse(78)
def test_the_fourth_start_of_a_day_is_refused_until_the_tenants_midnight(clients: Clients) -> None:
    thrice = clients.special(HARBOUR, "cost_centres", daily_quota=3)
    for used in (1, 2, 3):
        started = thrice.start()
        quota = started["quota"]
        assert (quota["limit"], quota["used"], quota["remaining"]) == (3, used, 3 - used)
        # What was cancelled was used all the same: cancelling is the caller's wish.
        assert thrice.cancel(started["operationId"]).json()["quota"]["used"] == used

    before = datetime.now(UTC)
    refusal = thrice.starts()

    assert refusal.status_code == 429
    problem = refusal.json()
    assert problem["code"] == "quota_exhausted"
    assert problem["quota"] == {**quota, "used": 3, "remaining": 0}
    resets_at = datetime.fromisoformat(problem["quota"]["resetsAt"])
    there = before.astimezone(ZoneInfo("Europe/London"))
    midnight = datetime.combine(
        there.date() + timedelta(days=1), datetime.min.time(), ZoneInfo("Europe/London")
    )
    assert resets_at == midnight
    wait = timedelta(seconds=int(refusal.headers["Retry-After"]))
    assert resets_at <= before + wait + timedelta(minutes=1)
    assert before + wait <= resets_at + timedelta(minutes=1)


@pytest.mark.abuse(81)
def test_starts_with_one_idempotency_key_are_one_operation(integrator: Integrator) -> None:
    integrator.token()
    replies = at_once(8, lambda _: integrator.starts(key="of today", entity="cost_centres"))

    assert {reply.status_code for reply in replies} == {202}
    [operation_id] = {reply.json()["operationId"] for reply in replies}
    assert integrator.ended(operation_id)["quota"]["used"] == 1

    later = integrator.starts(key="of today", entity="cost_centres")
    assert later.status_code == 202
    assert later.json()["operationId"] == operation_id
    assert later.json()["status"] == "succeeded"
    assert later.json()["quota"]["used"] == 1


@pytest.mark.abuse(82)
def test_an_idempotency_key_of_another_request_is_refused(integrator: Integrator) -> None:
    started = integrator.starts(key="k", entity="cost_centres").json()
    integrator.ended(started["operationId"])

    other = integrator.starts(key="k", entity="cost_centres", fileFormat="ndjson")

    assert other.status_code == 422
    assert other.json()["code"] == "idempotency_key_reused"
    assert integrator.quota()["used"] == 1


def test_another_client_may_use_the_same_idempotency_key(
    integrator: Integrator, neighbour: Integrator
) -> None:
    mine = integrator.starts(key="k", entity="cost_centres").json()
    theirs = neighbour.starts(key="k", entity="departments")

    assert theirs.status_code == 202
    assert theirs.json()["operationId"] != mine["operationId"]
    integrator.ended(mine["operationId"])
    neighbour.ended(theirs.json()["operationId"])
