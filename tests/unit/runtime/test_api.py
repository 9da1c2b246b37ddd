"""How requests are read, and how replies and errors leave."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.kernel.errors import (
    BodyTooLarge,
    HeadraceError,
    InvalidRequest,
    NotFound,
    QuotaExhausted,
    SourceUnavailable,
    ValidationFailed,
)
from headrace.kernel.ids import OPERATION_ID, RandomIds
from headrace.runtime.api import (
    MAX_BODY_BYTES,
    Call,
    QueryParameter,
    Reply,
    Route,
    Scope,
    form,
    json_object,
    status_of,
)
from tests.builders import ALL_SCOPES, NOON


def an_event(**changes: Any) -> dict[str, Any]:
    """A request by ``bureau`` for ``north``, as API Gateway hands it over."""
    event: dict[str, Any] = {
        "httpMethod": "GET",
        "path": "/thing",
        "headers": {"Authorization": "Bearer secret-token"},
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "requestContext": {
            "requestId": "abc-123",
            "apiId": "api",
            "stage": "v1",
            "authorizer": {
                "tenant": "north",
                "client_id": "bureau",
                "scopes": " ".join(sorted(ALL_SCOPES)),
            },
        },
        "body": None,
        "isBase64Encoded": False,
    }
    return event | changes


def answer(
    function: Any = None, event: dict[str, Any] | None = None, **route: Any
) -> dict[str, Any]:
    """What a route answers to an event."""
    endpoint = Route("GET", "/thing", "A thing", **({"scope": Scope.DATA_READ} | route))(
        function or (lambda call: Reply(200, {"ok": True}))
    )
    return endpoint(event or an_event(), None)


def body(reply: dict[str, Any]) -> Any:
    """The reply's body, read."""
    return json.loads(reply["body"])


def test_a_reply_carries_the_correlation_id_and_is_not_cached() -> None:
    headers = answer()["headers"]
    assert headers["X-Correlation-Id"] == "abc-123"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.abuse(140)
def test_an_unexpected_error_shows_a_correlation_id_and_nothing_else() -> None:
    def explode(call: Call) -> Reply:
        raise RuntimeError("password=hunter2 for tenant north")

    reply = answer(explode)
    assert reply["statusCode"] == 500
    assert "hunter2" not in reply["body"]
    assert "north" not in reply["body"]
    assert "Traceback" not in reply["body"]
    assert body(reply)["correlationId"] == "abc-123"


@pytest.mark.abuse(141)
def test_a_refusal_does_not_echo_the_request() -> None:
    def refuse(call: Call) -> Reply:
        raise NotFound("There is no such operation.")

    reply = answer(refuse, an_event(pathParameters={"operationId": "<script>"}))
    assert reply["statusCode"] == 404
    assert "script" not in reply["body"]


@pytest.mark.abuse(17)
def test_a_token_without_the_routes_scope_is_refused_with_403() -> None:
    event = an_event()
    event["requestContext"]["authorizer"]["scopes"] = "youforce-data-api:metadata:read"
    reply = answer(event=event)
    assert reply["statusCode"] == 403
    assert body(reply)["code"] == "insufficient_scope"
    assert 'error="insufficient_scope"' in reply["headers"]["WWW-Authenticate"]


@pytest.mark.abuse(18)
@pytest.mark.parametrize(
    "scopes",
    [
        "youforce-data-api:data:reader",
        "youforce-data-api:data",
        "YOUFORCE-DATA-API:DATA:READ",
        "data:read",
        "other:data:read youforce-data-api:*",
    ],
)
def test_a_scope_counts_only_when_it_is_exactly_the_routes(scopes: str) -> None:
    event = an_event()
    event["requestContext"]["authorizer"]["scopes"] = scopes
    assert answer(event=event)["statusCode"] == 403


def test_a_caller_from_another_network_is_refused_before_anything_runs() -> None:
    def never(call: Call) -> Reply:
        raise AssertionError("the handler ran")

    event = an_event()
    event["requestContext"]["authorizer"] = {"refusal": "network_not_allowed"}
    reply = answer(never, event)
    assert reply["statusCode"] == 403
    assert body(reply)["code"] == "network_not_allowed"


def test_a_token_that_cannot_be_checked_now_is_a_503_to_be_tried_again() -> None:
    event = an_event()
    event["requestContext"]["authorizer"] = {"refusal": "unavailable"}
    reply = answer(event=event)
    assert reply["statusCode"] == 503
    assert reply["headers"]["Retry-After"] == "5"


def test_a_route_that_needs_a_caller_refuses_without_an_authorizers_word() -> None:
    event = an_event()
    event["requestContext"]["authorizer"] = None
    assert answer(event=event)["statusCode"] == 401


def test_an_error_says_when_to_come_back_and_what_is_left() -> None:
    def refuse(call: Call) -> Reply:
        raise QuotaExhausted("Used up.", retry_after=60, quota={"left": 0, "resetsAt": NOON})

    reply = answer(refuse)
    assert reply["statusCode"] == 429
    assert reply["headers"]["Retry-After"] == "60"
    assert reply["headers"]["Content-Type"] == "application/problem+json"
    assert body(reply)["quota"] == {"left": 0, "resetsAt": "2026-03-04T12:00:00.000Z"}


def test_an_error_without_a_status_of_its_own_has_that_of_its_nearest_ancestor() -> None:
    assert status_of(SourceUnavailable) == 503
    assert status_of(BodyTooLarge) == 413
    assert status_of(HeadraceError) == 500


@pytest.mark.abuse(138)
def test_a_body_over_the_limit_is_refused() -> None:
    event = an_event(body="x" * (MAX_BODY_BYTES + 1))
    assert answer(event=event)["statusCode"] == 413


def test_a_body_of_multibyte_characters_is_measured_in_bytes() -> None:
    event = an_event(body="€" * (MAX_BODY_BYTES // 2))
    assert answer(event=event)["statusCode"] == 413


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"{",
        b"[]",
        b'"text"',
        b"\xff",
        b"NaN",
        b'{"a":NaN}',
        b'{"a":1,"a":2}',
        b'{"entity":"x","Entity":"y"}',
        b"1" * 5000,
    ],
)
def test_a_body_that_is_not_one_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequest):
        json_object(raw)


def test_field_names_may_begin_with_a_capital_letter_as_in_the_seed() -> None:
    assert json_object(b'{"ConfigurationId":"x","fileFormat":"csv"}') == {
        "configurationId": "x",
        "fileFormat": "csv",
    }


@given(st.binary(max_size=200))
def test_no_body_makes_the_reader_fail_in_an_unforeseen_way(raw: bytes) -> None:
    with suppress(InvalidRequest):
        assert isinstance(json_object(raw), dict)


def test_a_form_field_given_twice_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        form(b"grant_type=a&grant_type=b")


def test_a_query_parameter_given_twice_is_refused() -> None:
    page = QueryParameter("page", "", int, 1, 1, 10)
    event = an_event(multiValueQueryStringParameters={"page": ["1", "2"]})
    assert answer(event=event, query=(page,))["statusCode"] == 400


def test_a_query_parameter_that_is_needed_and_left_out_is_told_by_its_name() -> None:
    query = (
        QueryParameter("tenant", "", needed=True),
        QueryParameter("id", "", needed=True),
        QueryParameter("note", ""),
    )
    event = an_event(multiValueQueryStringParameters={"tenant": ["north"]})
    refused = answer(event=event, query=query)
    assert refused["statusCode"] == 422
    problem = json.loads(refused["body"])
    assert problem["code"] == "validation_failed"
    assert problem["errors"] == [{"field": "id", "message": "is needed"}]
    event = an_event(multiValueQueryStringParameters={"tenant": ["north"], "id": ["1"]})
    assert answer(event=event, query=query)["statusCode"] == 200


@pytest.mark.parametrize("text", ["0", "11", "-1", "1.0", "x", "", "١", "9" * 5000, " 1"])
def test_a_number_out_of_bounds_or_shape_is_refused(text: str) -> None:
    with pytest.raises(ValidationFailed):
        QueryParameter("page", "", int, 1, 1, 10).read(text)


@given(st.integers(0, 2**40), st.integers(1, 10**9))
def test_ids_sort_as_the_moments_they_were_made_at(seconds: int, later: int) -> None:
    from datetime import UTC, datetime, timedelta

    start = datetime(2020, 1, 1, tzinfo=UTC)
    first = RandomIds().new(start + timedelta(seconds=seconds % 10**9))
    second = RandomIds().new(start + timedelta(seconds=seconds % 10**9 + later))
    assert first < second
    assert OPERATION_ID.fullmatch(first)
