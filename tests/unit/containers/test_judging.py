"""What a function's reply in a container has to be."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.containers.judging import Wrong, judge
from tests.containers.trials import EVENTS

REQUEST = "6f1d3c9e-5a54-4a36-9a1c-0d2b7c1f8e42"
ENDPOINT = json.loads((EVENTS / "get_jwks.json").read_text())
TASK = json.loads((EVENTS / "plan_export.json").read_text())
KEY = {"kty": "RSA", "n": "q83v", "e": "AQAB", "use": "sig", "alg": "RS256", "kid": "dGhl"}


def a_reply(
    status: int = 200, body: object = None, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """An endpoint's reply, as the description has it unless told otherwise."""
    usual = {
        "X-Correlation-Id": ENDPOINT["requestContext"]["requestId"],
        "Content-Type": "application/json",
    }
    given = {"keys": [KEY]} if body is None else body
    return {"statusCode": status, "headers": usual | dict(headers or {}), "body": json.dumps(given)}


def test_a_reply_as_described_is_right() -> None:
    assert judge("get_jwks", ENDPOINT, a_reply(), 200) == "200 application/json"


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (a_reply(500), "expected status 200"),
        (a_reply(body={"keys": "none"}), r"\$\.keys"),
        (a_reply(body={}), "keys"),
        (a_reply(headers={"X-Correlation-Id": "another"}), "X-Correlation-Id"),
        (a_reply(headers={"Content-Type": "text/html"}), "text/html"),
        ({"errorType": "ImportError"}, "ImportError"),
        (None, "expected status 200"),
    ],
)
def test_another_reply_is_wrong(reply: Any, why: str) -> None:
    with pytest.raises(Wrong, match=why):
        judge("get_jwks", ENDPOINT, reply, 200)


def test_a_status_that_the_description_does_not_have_is_wrong_even_if_it_was_expected() -> None:
    with pytest.raises(Wrong, match="418 is not among"):
        judge("get_jwks", ENDPOINT, a_reply(418), 418)


def test_a_task_replies_at_least_what_is_expected() -> None:
    more = {"outcome": "void", "why": {"code": "gone", "at": 1}}
    judge("plan_export", TASK, more, {"outcome": "void", "why": {"code": "gone"}})
    for wrong in ({"outcome": "done"}, {}, None, {"outcome": "void", "why": {"code": "other"}}):
        with pytest.raises(Wrong):
            judge("plan_export", TASK, wrong, {"outcome": "void", "why": {"code": "gone"}})
