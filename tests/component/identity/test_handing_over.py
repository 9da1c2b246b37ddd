"""A secret handed over by a link: shown once, to who presses the button, within seven days."""

from datetime import timedelta

import boto3
import pytest

from headrace.adapters.dynamodb.handovers import DynamoHandovers
from headrace.identity.handing_over import HandOver
from headrace.identity.handover import Handover, handover_id
from headrace.runtime import identity
from tests.builders import NOON, SteppingClock
from tests.component.identity.deployment import Deployment, Response, called, event_of

SECRET = "hr_the-secret-that-is-handed-over"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SteppingClock:
    """The functions' clock."""
    stepping = SteppingClock()
    monkeypatch.setattr(identity, "clock", lambda: stepping)
    return stepping


@pytest.fixture
def token(deployment: Deployment, clock: SteppingClock) -> str:
    """A link's token, for a secret of ``acme-hr``."""
    made, until = HandOver(_store(deployment), clock)("acme-hr", "s1", SECRET)
    assert until == NOON + timedelta(days=7)
    return made


def _store(deployment: Deployment) -> DynamoHandovers:
    return DynamoHandovers(deployment.tables["credentials"])


def call(method: str, token: str) -> Response:
    name = "show_credential" if method == "GET" else "take_credential"
    event = event_of(method, f"/credentials/{token}")
    return called(name, event | {"pathParameters": {"token": token}})


def assert_gone(reply: Response) -> None:
    assert reply.status == 410
    assert "does not work any more" in reply.body
    assert "hr_" not in reply.body


@pytest.mark.abuse(30)
def test_the_secret_is_shown_once_to_who_presses_the_button(token: str) -> None:
    shown = call("POST", token)
    assert shown.status == 200
    assert SECRET in shown.body
    assert "acme-hr" in shown.body
    assert_gone(call("POST", token))
    assert_gone(call("GET", token))


@pytest.mark.abuse(30)
def test_who_only_follows_the_link_takes_nothing(token: str) -> None:
    for _ in range(3):
        page = call("GET", token)
        assert page.status == 200
        assert SECRET not in page.body
        assert '<form method="post">' in page.body
    assert SECRET in call("POST", token).body


@pytest.mark.abuse(30)
def test_after_seven_days_the_link_is_dead(token: str, clock: SteppingClock) -> None:
    clock.advance(days=7, seconds=-1)
    assert call("GET", token).status == 200
    clock.advance(seconds=1)
    assert_gone(call("GET", token))
    assert_gone(call("POST", token))
    clock.advance(days=-1)
    assert SECRET in call("POST", token).body


def test_a_link_that_never_was_is_answered_as_one_that_is_dead(token: str) -> None:
    call("POST", token)
    for method in ("GET", "POST"):
        dead = call(method, token)
        for invented in (token[:-1], token[:-1] + "*", "x", "é" * 200):
            reply = call(method, invented)
            assert (reply.status, reply.body, reply.headers) == (410, dead.body, dead.headers)


def test_the_pages_run_no_script_and_are_kept_nowhere(token: str) -> None:
    for reply in (call("GET", token), call("POST", token), call("POST", token)):
        assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        policy = reply.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "<script" not in reply.body


def test_neither_token_nor_secret_lies_in_the_table(token: str) -> None:
    def everything() -> str:
        return repr(boto3.client("dynamodb").scan(TableName="credentials")["Items"])

    for private in (token, SECRET, SECRET.removeprefix("hr_")):
        assert private not in everything()
    assert "sealed" in everything()
    call("POST", token)
    assert "sealed" not in everything()


def test_what_was_sealed_for_one_client_opens_for_no_other() -> None:
    sealed = Handover.of("token", "acme-hr", "s1", SECRET, NOON).sealed
    moved = Handover(handover_id("token"), "bureau", "s1", NOON, sealed)
    with pytest.raises(ValueError, match="cannot be opened"):
        moved.opened("token")
