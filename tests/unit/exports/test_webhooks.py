"""The rules of webhooks: what is said, how it is signed, how often it is tried."""

import base64
import hashlib
import hmac
import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from headrace.exports.model import Failure, Status
from headrace.exports.webhooks import Delivery, Notice
from headrace.kernel.deliveries import LIFETIME, Answer, DeliveryState, headers, new_secret
from tests.builders import NOON, a_completion, a_request, an_export

SPECIFIED = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""The secret of the specification's own example."""


def a_delivery(**changes: object) -> Delivery:
    """One that is due now."""
    values: dict[str, object] = {"next_try_at": NOON, **changes}
    return replace(Delivery("north", "bureau", "hooks", a_completion()), **values)  # type: ignore[arg-type]


def test_the_signature_is_that_of_the_specifications_example() -> None:
    moment = datetime.fromtimestamp(1614265330, UTC)
    signed = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", moment, b'{"test": 2432232314}', [SPECIFIED])
    assert signed == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_message_is_signed_over_its_id_its_time_and_its_bytes() -> None:
    delivery, secret = a_delivery(), new_secret()
    moment = datetime.now(UTC)
    signed = headers(delivery.delivery_id, moment, delivery.body, [secret])

    key = base64.b64decode(secret.removeprefix("whsec_"))
    assert len(key) == 32
    text = f"{delivery.delivery_id}.{int(moment.timestamp())}.".encode() + delivery.body
    wanted = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    assert signed["webhook-signature"] == f"v1,{wanted}"
    assert "." not in delivery.delivery_id


def test_during_a_change_of_secrets_whoever_has_either_can_verify() -> None:
    delivery, old, new = a_delivery(), new_secret(), new_secret()
    signed = headers(delivery.delivery_id, datetime.now(UTC), delivery.body, [old, new])
    for secret in (old, new):
        assert Webhook(secret).verify(delivery.body, signed) == json.loads(delivery.body)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(delivery.body, signed)


def test_a_changed_message_or_an_old_one_is_no_message() -> None:
    delivery, secret = a_delivery(), new_secret()
    fresh = headers(delivery.delivery_id, datetime.now(UTC), delivery.body, [secret])
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(delivery.body.replace(b"succeeded", b"cancelled"), fresh)
    late = datetime.now(UTC) - timedelta(minutes=6)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(
            delivery.body, headers(delivery.delivery_id, late, delivery.body, [secret])
        )


@pytest.mark.parametrize("secret", ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not base64!"])
def test_what_is_no_signing_secret_signs_nothing(secret: str) -> None:
    with pytest.raises(ValueError, match="signing secret"):
        headers("msg_1", NOON, b"{}", [secret])


def test_the_message_says_what_ended_and_how() -> None:
    message = json.loads(a_delivery().body)
    assert message == {
        "type": "operation.completed",
        "timestamp": "2026-03-04T12:00:00.000Z",
        "data": {
            "operationId": "01kaqb7m3y6c9r2t5v8x1z4d7h",
            "attempt": 1,
            "tenant": "north",
            "kind": "full",
            "status": "succeeded",
            "configurationId": "hr-full",
            "entity": None,
            "syncVersion": "7",
            "error": None,
            "manifest": "https://api.example/data/v1/operations/01kaqb7m3y6c9r2t5v8x1z4d7h/manifest",
        },
    }


def test_the_message_is_the_same_at_every_try() -> None:
    first = a_delivery()
    second = first.begun(NOON, 0.5).ended(Answer(status=500)).rerun()
    assert (second.delivery_id, second.body) == (first.delivery_id, first.body)


def test_another_attempt_of_the_operation_is_another_message() -> None:
    first = a_delivery()
    second = a_delivery(completion=a_completion(attempt=2))
    assert first.delivery_id != second.delivery_id


def test_an_operation_owes_its_webhook_the_way_it_ended() -> None:
    operation = replace(
        an_export(request=a_request(notice=Notice("hooks", "https://api.example"))),
        sync_version="7",
        attempt=3,
    )
    failed = operation.delivery(Status.FAILED, Failure("jobs_failed", "Some."), NOON)
    assert failed is not None
    assert failed.next_try_at == NOON
    assert (failed.completion.status, failed.completion.error_code) == ("failed", "jobs_failed")
    assert failed.completion.sync_version is None
    succeeded = operation.delivery(Status.SUCCEEDED, None, NOON)
    assert succeeded is not None
    assert (succeeded.completion.sync_version, succeeded.completion.attempt) == ("7", 3)
    assert an_export().delivery(Status.SUCCEEDED, None, NOON) is None


def told(delivery: Delivery, moment: datetime, answer: Answer, jitter: float = 0.5) -> Delivery:
    """After a try at this moment that came to this."""
    return delivery.begun(moment, jitter).ended(answer)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_an_answer_of_the_2xx_kind_ends_it(status: int) -> None:
    done = told(a_delivery(), NOON, Answer(status=status))
    assert (done.state, done.tries, done.next_try_at) == (DeliveryState.DELIVERED, 1, None)


def test_an_endpoint_that_is_gone_is_not_asked_again() -> None:
    done = told(a_delivery(), NOON, Answer(status=410))
    assert (done.state, done.next_try_at) == (DeliveryState.GONE, None)


@pytest.mark.parametrize(
    "answer",
    [
        *(Answer(status=status) for status in (199, 300, 301, 400, 401, 404, 409, 429, 500, 503)),
        *(Answer(error=code) for code in ("no_answer", "address_refused", "no_secret")),
    ],
)
def test_everything_else_is_tried_again(answer: Answer) -> None:
    left = told(a_delivery(), NOON, answer)
    assert left.state is DeliveryState.PENDING
    assert left.next_try_at == NOON + timedelta(seconds=5)
    assert left.last == answer


@given(st.lists(st.floats(0, 1), min_size=40, max_size=40))
def test_the_pauses_grow_and_add_up_to_a_day_whatever_the_jitter(jitters: list[float]) -> None:
    delivery, moments = a_delivery(), list[datetime]()
    for jitter in jitters:
        if delivery.next_try_at is None:
            break
        moments.append(delivery.next_try_at)
        delivery = told(delivery, delivery.next_try_at, Answer(status=500), jitter)
    assert delivery.state is DeliveryState.GIVEN_UP
    assert moments[0] == NOON
    assert moments[-1] == NOON + LIFETIME
    assert delivery.tries == len(moments) <= 20
    pauses = [(b - a).total_seconds() for a, b in itertools.pairwise(moments)]
    assert 4 <= pauses[0] <= 6
    assert max(pauses) <= 12_961
    assert all(b > 1.5 * a for a, b in itertools.pairwise(pauses[:7]))


def test_jitter_spreads_those_that_failed_together() -> None:
    soon = told(a_delivery(), NOON, Answer(status=500), jitter=0.0).next_try_at
    late = told(a_delivery(), NOON, Answer(status=500), jitter=1.0).next_try_at
    assert (soon, late) == (NOON + timedelta(seconds=4), NOON + timedelta(seconds=6))


def test_a_worker_that_is_late_tries_once_more_and_gives_up() -> None:
    delivery = told(a_delivery(), NOON + timedelta(hours=30), Answer(error="no_answer"))
    assert (delivery.state, delivery.tries) == (DeliveryState.GIVEN_UP, 1)


def test_a_worker_that_dies_in_the_last_try_leaves_one_more() -> None:
    begun = a_delivery().begun(NOON + LIFETIME, 0.5)
    assert begun.next_try_at is not None
    assert begun.next_try_at > NOON + LIFETIME
    assert begun.state is DeliveryState.PENDING
