"""Webhooks over moto: recorded with the end, delivered at least once, whoever dies when."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from exports import deliver_webhook
from headrace.adapters.dynamodb.deliveries import DynamoDeliveries
from headrace.adapters.dynamodb.table import Table
from headrace.adapters.kms.seal import KmsSeal
from headrace.exports.extraction import Attempt
from headrace.exports.model import Failure, Operation, Status
from headrace.exports.views import OperationView
from headrace.exports.webhooks import Delivery, Endpoint
from headrace.kernel.clock import from_rfc3339
from headrace.kernel.deliveries import LIFETIME, DeliveryState
from headrace.kernel.errors import (
    AddressRefused,
    Conflict,
    Fenced,
    NotFound,
    Unavailable,
    ValidationFailed,
)
from headrace.kernel.view import as_json
from headrace.runtime import wiring
from tests.builders import NOON, a_caller, a_configuration
from tests.examples import examples
from tests.workflow import Execution, definition
from tests.world import World

HOOKS = Endpoint("hooks", "https://hooks.example/in?key=sesame")
API = "https://api.example"


@pytest.fixture
def told(world: World) -> World:
    """A deployment whose client has a webhook, with a secret."""
    world.configurations.webhooks = (HOOKS,)
    world.issue_secret("hooks")
    return world


def start(world: World, webhook: str | None = "hooks", **changes: Any) -> Operation:
    """An operation of which the webhook is told."""
    return world.start(webhook=webhook, base_url=API, **changes)


def delivery(world: World, operation: Operation) -> Delivery:
    """What is owed for the end of the operation's present attempt."""
    [*_, last] = world.status(operation).deliveries
    return last


def message(world: World, index: int = -1) -> dict[str, Any]:
    """A message that was sent."""
    said: dict[str, Any] = json.loads(world.courier.sent[index][1])
    return said["data"]  # type: ignore[no-any-return]


# --- recorded with the end ------------------------------------------------------------------


def test_an_operation_that_succeeds_is_told_with_its_version_and_its_manifest(
    told: World,
) -> None:
    done = told.run(start(told))
    assert told.runs.executions == {f"msg_{done.operation_id}_1-1": True}

    assert told.deliver(done).state is DeliveryState.DELIVERED
    [(url, body, headers)] = told.courier.sent
    assert url == HOOKS.url
    assert headers["webhook-id"] == f"msg_{done.operation_id}_1"
    assert message(told) == {
        "operationId": done.operation_id,
        "attempt": 1,
        "tenant": "north",
        "kind": "full",
        "status": "succeeded",
        "configurationId": "hr-full",
        "entity": None,
        "syncVersion": "7",
        "error": None,
        "manifest": f"{API}/data/v1/operations/{done.operation_id}/manifest",
    }
    assert json.loads(body)["type"] == "operation.completed"


def fail(world: World, operation: Operation) -> None:
    world.end(operation, Failure("worker_failed", "It broke."))


def cancel(world: World, operation: Operation) -> None:
    world.cancel(operation)


def abandon(world: World, operation: Operation) -> None:
    world.plan(operation)
    world.workflows.executions[operation.execution_name] = False
    world.clock.advance(seconds=61)
    assert world.sweep().failed == 1


@pytest.mark.parametrize(
    ("end", "status", "error"),
    [
        (fail, "failed", "worker_failed"),
        (cancel, "cancelled", None),
        (abandon, "failed", "abandoned"),
    ],
    ids=["failed", "cancelled", "abandoned"],
)
def test_whoever_ends_it_owes_the_message_and_begins_it(
    told: World, end: Any, status: str, error: str | None
) -> None:
    operation = start(told)
    end(told, operation)

    assert list(told.runs.executions) == [f"msg_{operation.operation_id}_1-1"]
    told.deliver(operation)
    said = message(told)
    assert (said["status"], said["syncVersion"]) == (status, None)
    assert (said["error"] or {}).get("code") == error


def test_an_end_that_is_fenced_owes_nothing(told: World) -> None:
    operation = start(told)
    told.cancel(operation)
    with pytest.raises(Fenced):
        told.end(operation, Failure("worker_failed", "It broke."))
    assert len(told.status(operation).deliveries) == 1
    assert told.deliver(operation).completion.status == "cancelled"


def test_each_attempt_has_a_message_of_its_own(told: World) -> None:
    operation = start(told)
    told.cancel(operation)
    retried = told.retry(operation)
    done = told.run(retried)
    told.deliver(operation)
    told.deliver(done)
    ids = [headers["webhook-id"] for _, _, headers in told.courier.sent]
    assert ids == [f"msg_{operation.operation_id}_1", f"msg_{operation.operation_id}_2"]
    assert [message(told, i)["status"] for i in (0, 1)] == ["cancelled", "succeeded"]
    assert [one.state for one in told.status(done).deliveries] == [DeliveryState.DELIVERED] * 2


def test_an_increment_is_told_with_the_version_that_it_ends_at(told: World) -> None:
    version = told.run(start(told, webhook=None)).offered_version
    assert version is not None
    told.warehouse.snapshot = told.changes.latest = 9
    done = told.run(told.start_increment(version, webhook="hooks", base_url=API))
    told.deliver(done)
    assert (message(told)["kind"], message(told)["syncVersion"]) == ("incremental", "9")
    with pytest.raises(ValidationFailed):
        told.start_increment("9", webhook="hoks")


def test_without_a_webhook_nothing_is_owed(told: World) -> None:
    done = told.run(start(told, webhook=None))
    assert done.deliveries == ()
    assert told.runs.executions == {}


def test_a_default_webhook_is_told_of_what_names_none(told: World) -> None:
    told.configurations.webhooks = (HOOKS, replace(HOOKS, name="all", default=True))
    done = told.run(start(told, webhook=None))
    assert [one.endpoint for one in done.deliveries] == ["all"]


def test_a_webhook_that_is_not_registered_starts_nothing(told: World) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        start(told, webhook="hoks")
    assert refusal.value.members["errors"][0]["field"] == "webhook"
    assert told.used() == 0
    assert told.lock() is None


# --- at least once --------------------------------------------------------------------------


@pytest.mark.abuse(129)
def test_a_message_is_signed_with_every_secret_of_its_webhook(world: World) -> None:
    world.configurations.webhooks = (HOOKS,)
    secrets = [world.issue_secret("hooks"), world.issue_secret("hooks")]
    world.clock.moment = datetime.now(UTC)
    done = world.run(start(world))
    world.deliver(done)
    _, body, headers = world.courier.sent[0]
    for secret in secrets:
        assert Webhook(secret).verify(body, headers)["type"] == "operation.completed"


@pytest.mark.abuse(129)
def test_duplicates_have_the_same_id_and_bytes_and_the_time_of_their_try(told: World) -> None:
    told.courier.answers = [500, Unavailable("no answer")]
    done = told.run(start(told))
    told.deliver(done)
    for _ in range(2):
        told.clock.advance(minutes=1)
        told.deliver(done)
    first, *others = told.courier.sent
    assert len(others) == 2
    for other in others:
        assert other[1] == first[1]
        assert other[2]["webhook-id"] == first[2]["webhook-id"]
    times = [int(headers["webhook-timestamp"]) for _, _, headers in told.courier.sent]
    assert times == [times[0], times[0] + 60, times[0] + 120]
    assert delivery(told, done).state is DeliveryState.DELIVERED


def test_a_crash_between_the_end_and_the_delivery_is_healed_by_the_sweeper(told: World) -> None:
    told.runs.silent = True
    done = told.run(start(told))
    assert told.runs.executions == {}
    told.runs.silent = False

    assert told.sweep().redelivered == 0  # whoever ended it may yet begin it
    told.clock.advance(seconds=61)
    assert told.sweep().redelivered == 1
    assert told.runs.executions == {f"msg_{done.operation_id}_1-1": True}
    assert told.deliver(done).state is DeliveryState.DELIVERED
    told.clock.advance(hours=30)
    assert told.sweep().redelivered == 0


def test_a_delivery_whose_execution_is_gone_goes_on_in_another(told: World) -> None:
    told.courier.answers = [500]
    done = told.run(start(told))
    told.deliver(done)
    told.runs.executions[f"msg_{done.operation_id}_1-1"] = False
    told.clock.advance(minutes=5)

    assert told.sweep().redelivered == 1
    assert told.runs.executions[f"msg_{done.operation_id}_1-2"]
    with pytest.raises(Fenced):
        told.deliver(done, run=1)
    assert len(told.courier.sent) == 1
    assert told.deliver(done, run=2).state is DeliveryState.DELIVERED


def test_the_sweeper_leaves_alone_what_somebody_sees_to(told: World) -> None:
    told.courier.answers = [500]
    done = told.run(start(told))
    told.deliver(done)
    told.clock.advance(minutes=5)
    assert told.sweep().redelivered == 0
    assert delivery(told, done).run == 1


def test_the_trouble_of_one_delivery_is_told_and_keeps_no_other_waiting(told: World) -> None:
    told.runs.silent = True
    first, second = told.run(start(told)), told.run(start(told))
    broken = delivery(told, first)

    class Runs(type(told.runs)):  # type: ignore[misc]
        def is_running(self, one: Delivery) -> bool | None:
            if one == broken:
                raise Unavailable("busy")
            return None

    told.runs = Runs()
    told.clock.advance(seconds=61)
    with pytest.raises(ExceptionGroup):
        told.sweep()
    assert told.runs.executions == {f"msg_{second.operation_id}_1-1": True}


def test_a_stale_or_early_worker_sends_nothing(told: World) -> None:
    told.courier.answers = [500]
    done = told.run(start(told))
    left = told.deliver(done)
    assert told.deliver(done) == left  # it is not time yet
    assert len(told.courier.sent) == 1
    told.clock.advance(minutes=1)
    told.deliver(done)
    with pytest.raises(Fenced):
        told.deliver(done)  # it is over
    with pytest.raises(NotFound):
        told.deliver(replace(done, attempt=2))
    assert len(told.courier.sent) == 2


def test_of_two_workers_at_once_one_sends(told: World) -> None:
    done = told.run(start(told))

    class Racing(DynamoDeliveries):
        """The other worker comes between this one's look and its claim."""

        def get(self, *of: Any) -> Delivery:
            seen = super().get(*of)
            told.deliveries = plain
            told.deliver(done)
            return seen

    plain = told.deliveries
    told.deliveries = Racing(plain.table, plain.lease)
    with pytest.raises(Fenced):
        told.deliver(done)
    assert len(told.courier.sent) == 1
    assert delivery(told, done).state is DeliveryState.DELIVERED


class Killed(Exception):
    """The worker's process has ended."""


@settings(
    max_examples=examples(20),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_whatever_fails_meanwhile_the_endpoint_hears_of_it_within_the_day(
    told: World, data: st.DataObject
) -> None:
    """Workers die before or after they send, executions are lost, endpoints fail: then it is up."""
    told.configurations.rule = replace(told.configurations.rule, limit=10_000)
    operation = start(told)
    told.cancel(operation)
    begun = told.clock.moment
    heard: list[str] = []
    trouble = {"left": data.draw(st.integers(0, 8))}

    def post(url: str, body: bytes, headers: dict[str, str]) -> int:
        if trouble["left"]:
            trouble["left"] -= 1
            what = data.draw(st.sampled_from(["500", "silence", "killed", "killed after"]))
            if what == "500":
                return 500
            if what == "silence":
                raise Unavailable("no answer")
            if what == "killed after":
                heard.append(headers["webhook-id"])
            raise Killed
        heard.append(headers["webhook-id"])
        return 200

    told.courier.post = post  # type: ignore[method-assign,assignment]
    while (now := delivery(told, operation)).next_try_at is not None:
        if data.draw(st.booleans()) and now.run < 5:
            told.runs.executions[now.execution_name] = False
            told.clock.advance(hours=1)
            told.sweep()
        told.clock.moment = max(told.clock.moment, now.next_try_at)
        with suppress(Killed):
            told.deliver(operation, run=delivery(told, operation).run)
    assert now.state is DeliveryState.DELIVERED
    assert set(heard) == {now.delivery_id}
    assert told.clock.moment <= begun + LIFETIME


# --- when it is not to be -------------------------------------------------------------------


def test_a_day_of_failures_is_the_end_of_it_and_is_said(told: World) -> None:
    told.courier.answers = [503] * 100
    done = told.run(start(told))
    ended = told.clock.moment
    while (now := delivery(told, done)).next_try_at is not None:
        told.clock.moment = max(told.clock.moment, now.next_try_at)
        told.deliver(done)
    assert told.clock.moment == ended + LIFETIME
    assert now.state is DeliveryState.GIVEN_UP
    assert (now.last.status, now.tries) == (503, len(told.courier.sent))
    assert told.sweep().redelivered == 0


def test_an_endpoint_that_says_gone_is_left_alone(told: World) -> None:
    told.courier.answers = [410]
    done = told.run(start(told))
    assert told.deliver(done).state is DeliveryState.GONE
    with pytest.raises(Fenced):
        told.deliver(done)


@pytest.mark.parametrize("webhooks", [(), (replace(HOOKS, name="other"),)])
def test_an_endpoint_that_left_the_catalog_is_not_called(
    told: World, webhooks: tuple[Endpoint, ...]
) -> None:
    done = told.run(start(told))
    told.configurations.webhooks = webhooks
    assert told.deliver(done).state is DeliveryState.GONE
    assert told.courier.sent == []


def test_the_next_try_goes_where_the_catalog_says_by_then(told: World) -> None:
    told.courier.answers = [404]
    done = told.run(start(told))
    told.deliver(done)
    told.configurations.webhooks = (replace(HOOKS, url="https://new.example/"),)
    told.clock.advance(minutes=1)
    told.deliver(done)
    assert [url for url, _, _ in told.courier.sent] == [HOOKS.url, "https://new.example/"]


def test_nothing_is_sent_unsigned_it_waits_for_a_secret(world: World) -> None:
    world.configurations.webhooks = (HOOKS,)
    done = world.run(start(world))
    left = world.deliver(done)
    assert (left.state, left.last.error) == (DeliveryState.PENDING, "no_secret")
    assert world.courier.sent == []
    world.issue_secret("hooks")
    world.clock.advance(minutes=1)
    assert world.deliver(done).state is DeliveryState.DELIVERED


def test_while_the_key_cannot_be_used_it_waits(
    told: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disabled(*_: object) -> str:
        raise Unavailable("The key cannot be used now.")

    done = told.run(start(told))
    with monkeypatch.context() as patched:
        patched.setattr(KmsSeal, "open", disabled)
        assert told.deliver(done).last.error == "secret_unavailable"
    assert told.courier.sent == []
    told.clock.advance(minutes=1)
    assert told.deliver(done).state is DeliveryState.DELIVERED


def test_a_delivery_that_no_worker_survives_is_given_up_after_the_day(
    told: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> str:
        raise ValueError("nobody expected this")

    monkeypatch.setattr(KmsSeal, "open", broken)
    done = told.run(start(told))
    while (now := delivery(told, done)).next_try_at is not None:
        told.clock.moment = max(told.clock.moment, now.next_try_at)
        with suppress(ValueError):
            told.deliver(done)
    assert now.state is DeliveryState.GIVEN_UP
    assert told.clock.moment < NOON + LIFETIME + timedelta(hours=8)


@pytest.mark.parametrize(
    ("error", "code"),
    [(AddressRefused("private"), "address_refused"), (Unavailable("silent"), "no_answer")],
)
def test_why_there_is_no_answer_is_told(told: World, error: Any, code: str) -> None:
    told.courier.answers = [error]
    done = told.run(start(told))
    told.deliver(done)
    view = as_json(OperationView.shown(told.status(done), told.export.quota(a_caller()), API))
    [shown] = view["deliveries"]
    assert shown == {
        "id": f"msg_{done.operation_id}_1",
        "endpoint": "hooks",
        "state": "pending",
        "tries": 1,
        "lastTryAt": "2026-03-04T12:00:00.000Z",
        "lastStatus": None,
        "lastError": code,
        "nextTryAt": "2026-03-04T12:00:05.000Z",
    }
    assert "sesame" not in json.dumps(view)


# --- secrets --------------------------------------------------------------------------------


def test_a_webhook_has_two_secrets_at_most_and_each_can_be_ended(world: World) -> None:
    kept = world.webhook_secrets
    first, second = world.issue_secret("hooks"), world.issue_secret("hooks")
    with pytest.raises(Conflict):
        world.issue_secret("hooks")
    assert kept.of("bureau", "hooks") == (first, second)
    [(oldest, _), _] = kept.listed("bureau", "hooks")
    kept.revoke("bureau", "hooks", oldest)
    assert kept.of("bureau", "hooks") == (second,)
    with pytest.raises(NotFound):
        kept.revoke("bureau", "hooks", oldest)
    assert kept.of("bureau", "other") == ()
    assert kept.of("other", "hooks") == ()


def test_what_is_stored_is_sealed_for_its_webhook_alone(world: World) -> None:
    secret = world.issue_secret("hooks")
    table = Table(world.clients["dynamodb"], "WebhookSecretsTable")
    item = table.get("client#bureau", "webhook#hooks")
    assert item is not None
    assert secret not in repr(item)
    assert secret.removeprefix("whsec_") not in repr(item)
    table.put({**item, "pk": "client#thief"})
    with pytest.raises(world.clients["kms"].exceptions.InvalidCiphertextException):
        world.webhook_secrets.of("thief", "hooks")


# --- the workflow ---------------------------------------------------------------------------


def test_the_workflow_waits_between_tries_and_ends_when_it_is_delivered(
    told: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.courier.answers = [500, 429, Unavailable("silent")]
    done = told.run(start(told))

    class Task:
        def __call__(self, attempt: Attempt, run: int) -> Delivery:
            assert attempt == told.attempt(done)
            return told.deliver(done, run=run)

    monkeypatch.setattr(wiring, "deliver_webhook", Task)
    waits: list[str] = []

    def wait_until(moment: str) -> None:
        waits.append(moment)
        told.clock.moment = from_rfc3339(moment)

    tasks = {"DeliverWebhookFunctionArn": lambda event: deliver_webhook.handler(event, None)}
    attempt = told.attempt(done)
    event = {
        "tenant": attempt.tenant,
        "client_id": attempt.client_id,
        "operation_id": attempt.operation_id,
        "attempt": attempt.attempt,
        "run": 1,
    }
    machine = definition("delivery")
    assert Execution(tasks, wait_until).run(machine, event) == {}
    assert [from_rfc3339(one) - NOON for one in waits] == [
        timedelta(seconds=seconds) for seconds in (5, 20, 65)
    ]
    assert delivery(told, done).state is DeliveryState.DELIVERED
    # Again, late: nothing is sent.
    assert Execution(tasks, wait_until).run(machine, event) == {}
    assert len(told.courier.sent) == 4
    assert machine["TimeoutSeconds"] > LIFETIME.total_seconds()


def test_a_client_of_another_tenant_has_no_webhook_and_sees_no_delivery(told: World) -> None:
    told.configurations.publish(
        a_configuration(), a_configuration(tenant="south", client_id="bureau")
    )
    with pytest.raises(ValidationFailed):
        start(told, caller=a_caller(tenant="south"))
    done = told.run(start(told))
    with pytest.raises(NotFound):
        told.export.operation(a_caller(tenant="south"), done.operation_id)
    assert done.status is Status.SUCCEEDED
