"""HeadraceClient against a real HTTP server: tokens, repetition, errors, paging."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import NoReturn

import httpx
import pytest

from headrace_client import (
    AccessDenied,
    AuthenticationError,
    Conflict,
    FileExpired,
    HeadraceClient,
    InvalidRequest,
    NetworkError,
    NotFound,
    OperationActive,
    ProtocolError,
    QuotaExhausted,
    RetryPolicy,
    ServiceError,
    Status,
    WaitTimeout,
)
from tests.component.client.service import (
    CLIENT_ID,
    CLIENT_SECRET,
    Answer,
    ApiRequest,
    Service,
    problem,
)

QUICK = RetryPolicy(first=0.001, longest=0.002)
TABLES = {"absences": b"id\n1\n", "contracts": b"id\n", "employees": b"id\n1\n2\n"}


class Waits:
    """Takes the place of sleeping, and remembers for how long it would have been."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def a_client(
    service: Service,
    secret: str = CLIENT_SECRET,
    sleep: Callable[[float], None] = lambda seconds: None,
    policy: RetryPolicy = QUICK,
    tenant: str | None = None,
    on_repeat: Callable[[str], None] | None = None,
) -> HeadraceClient:
    return HeadraceClient(
        *(service.api_url, CLIENT_ID, secret, tenant),
        policy=policy,
        on_repeat=on_repeat,
        sleep=sleep,
    )


def failing(times: int, made: Answer, path: str) -> Callable[[ApiRequest], Answer | None]:
    """A fault that answers `made` for the first `times` requests of the path."""
    left = [times]

    def fault(request: ApiRequest) -> Answer | None:
        if not request.path.endswith(path) or left[0] == 0:
            return None
        left[0] -= 1
        return made

    return fault


def test_one_token_serves_many_calls_and_is_not_fetched_before_the_first() -> None:
    with Service(TABLES) as service, a_client(service, tenant="acme") as client:
        assert service.calls("POST", "/connect/token") == []
        client.metadata()
        client.start_full_export()
        asked = service.calls("POST", "/connect/token")
        assert len(asked) == 1
        assert b"tenant_id=acme" in asked[0].body


def test_a_token_is_renewed_before_it_expires() -> None:
    now = [1000.0]
    with Service(TABLES) as service:
        service.expires_in = 600
        client = HeadraceClient(
            service.api_url, CLIENT_ID, CLIENT_SECRET, policy=QUICK, monotonic=lambda: now[0]
        )
        with client:
            client.metadata()
            now[0] += 539
            client.metadata()
            assert len(service.calls("POST", "/connect/token")) == 1
            now[0] += 2
            client.metadata()
            assert len(service.calls("POST", "/connect/token")) == 2


def test_a_refused_token_is_renewed_once_and_the_call_succeeds() -> None:
    with Service(TABLES) as service, a_client(service) as client:
        client.metadata()
        service.revoke_tokens()
        assert client.start_full_export().status is Status.SCHEDULED
        assert len(service.calls("POST", "/connect/token")) == 2


def test_a_token_that_stays_refused_is_an_error_after_one_renewal() -> None:
    with Service(TABLES) as service, a_client(service) as client:
        service.api_fault = failing(99, problem(401, "invalid_token", "No."), "/operations")
        with pytest.raises(AuthenticationError) as caught:
            list(client.operations())
        assert caught.value.code == "invalid_token"
        assert len(service.calls("GET", "/operations")) == 2


def test_a_wrong_secret_is_an_authentication_error_and_asked_once() -> None:
    with Service(TABLES) as service, a_client(service, secret="wrong") as client:
        with pytest.raises(AuthenticationError, match="credentials are wrong") as caught:
            client.metadata()
        assert caught.value.code == "invalid_client"
        assert len(service.calls("POST", "/connect/token")) == 1
        assert "wrong" not in repr(caught.value).replace("are wrong", "")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_passing_trouble_is_waited_out_as_long_as_the_service_asks(status: int) -> None:
    waits = Waits()
    with Service(TABLES) as service, a_client(service, sleep=waits) as client:
        trouble = problem(status, "unavailable", "Later.", {"Retry-After": "7"})
        service.api_fault = failing(2, trouble, "/metadata")
        assert len(client.metadata().tables) == 3
    assert len(waits.seconds) == 2
    assert all(7 <= wait <= 7.01 for wait in waits.seconds)


def test_without_retry_after_the_waits_grow_and_are_jittered() -> None:
    waits = Waits()
    policy = RetryPolicy(attempts=5, first=1.0, longest=4.0, uniform=lambda low, high: high)
    with Service(TABLES) as service, a_client(service, sleep=waits, policy=policy) as client:
        service.api_fault = failing(99, problem(503, "unavailable", "Later."), "/metadata")
        with pytest.raises(ServiceError) as caught:
            client.metadata()
    assert waits.seconds == [1.0, 2.0, 4.0, 4.0]
    assert caught.value.sent == 5
    assert caught.value.correlation_id == "c0ffee"


def test_a_dropped_connection_is_tried_again() -> None:
    with Service(TABLES) as service, a_client(service) as client:
        service.api_fault = failing(3, Answer(0, drop=True), "/metadata")
        assert len(client.metadata().tables) == 3


def test_nobody_there_is_a_network_error_at_once_that_names_the_host() -> None:
    waits = Waits()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with (
            HeadraceClient(url, "a", "b", sleep=waits) as client,
            pytest.raises(
                NetworkError, match=r"127\.0\.0\.1:\d+ did not answer \(1 attempt\)"
            ) as caught,
        ):
            client.metadata()
    assert caught.value.hint == f"Is {url} the right address, and does the service run?"
    assert waits.seconds == []


def test_a_name_that_nobody_has_is_a_network_error_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolved(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    waits = Waits()
    with (
        HeadraceClient("https://headrace.invalid", "a", "b", sleep=waits) as client,
        pytest.raises(NetworkError, match=r"headrace\.invalid did not answer \(1 attempt\)"),
    ):
        client.metadata()
    assert waits.seconds == []


def test_a_service_that_has_answered_and_is_gone_is_waited_for_and_each_wait_is_told() -> None:
    waits, told = Waits(), list[str]()
    with Service(TABLES) as service:
        client = a_client(service, sleep=waits, on_repeat=told.append)
        client.metadata()
        service.api_fault = failing(1, Answer(0, drop=True), "/metadata")  # ends the connection
    with client, pytest.raises(NetworkError, match=r"did not answer \(6 attempts\)"):
        client.metadata()
    assert len(waits.seconds) == 5
    host = httpx.URL(service.api_url).netloc.decode()
    refused = f"{host} did not answer: [Errno 111] Connection refused. "
    assert [one.partition("Trying")[0] for one in told[1:]] == [refused] * 4
    assert [one.partition("(")[2] for one in told] == [f"attempt {n} of 6)." for n in range(2, 7)]


def test_what_a_service_answers_that_cannot_now_is_told_before_the_wait() -> None:
    told = list[str]()
    with Service(TABLES) as service:
        with a_client(service, sleep=Waits(), on_repeat=told.append) as client:
            later = problem(503, "unavailable", "Later.", {"Retry-After": "7"})
            service.api_fault = failing(1, later, "/metadata")
            client.metadata()
        host = httpx.URL(service.api_url).netloc.decode()
    assert told == [f"{host} answered 503: Later. Trying again in 7.0 s (attempt 2 of 6)."]


def test_a_wait_longer_than_patience_is_an_error_at_once() -> None:
    waits = Waits()
    with Service(TABLES) as service, a_client(service, sleep=waits) as client:
        later = problem(503, "unavailable", "Later.", {"Retry-After": "86400"})
        service.api_fault = failing(99, later, "/metadata")
        with pytest.raises(ServiceError) as caught:
            client.metadata()
    assert caught.value.retry_after == 86400
    assert waits.seconds == []


def test_a_start_whose_answer_was_lost_starts_one_operation() -> None:
    with Service(TABLES) as service, a_client(service) as client:

        def carry_out_but_lose_the_answer(request: ApiRequest) -> Answer | None:
            if request.path.endswith("/fulldata") and not service.operations:
                with service.lock:
                    service._start(request)
                return Answer(0, drop=True)
            return None

        service.api_fault = carry_out_but_lose_the_answer
        operation = client.start_full_export(entity="employees")
        assert list(service.operations) == [operation.operation_id]
        sent = service.calls("POST", "/fulldata")
        assert len(sent) == 2
        assert len({request.headers["idempotency-key"] for request in sent}) == 1


def test_each_start_has_a_key_of_its_own() -> None:
    with Service(TABLES) as service, a_client(service) as client:
        first = client.start_full_export()
        client.cancel(first.operation_id)
        second = client.start_full_export()
        assert first.operation_id != second.operation_id


def test_a_second_start_names_what_blocks_and_the_quota() -> None:
    with Service(TABLES) as service, a_client(service) as client:
        running = client.start_full_export("parquet")
        with pytest.raises(OperationActive) as caught:
            client.start_full_export()
        assert caught.value.blocking_operation_id == running.operation_id
        assert caught.value.quota is not None
        assert caught.value.quota.used == 1


def test_an_exhausted_quota_is_not_waited_for() -> None:
    waits = Waits()
    with Service(TABLES) as service, a_client(service, sleep=waits) as client:
        service.quota_limit = 0
        with pytest.raises(QuotaExhausted) as caught:
            client.start_full_export()
        assert caught.value.retry_after == 90
        assert caught.value.quota is not None
        assert caught.value.quota.remaining == 0
        assert len(service.calls("POST", "/fulldata")) == 1
    assert waits.seconds == []


def test_a_wrong_request_names_its_fields() -> None:
    with Service(TABLES) as service, a_client(service) as client:
        wrong = {"field": "fileFormat", "message": "It is no format."}
        refusal = problem(422, "validation_failed", "The request is wrong.", errors=[wrong])
        service.api_fault = failing(1, refusal, "/fulldata")
        with pytest.raises(InvalidRequest) as caught:
            client.start_full_export("xml")
        assert caught.value.field_errors == (("fileFormat", "It is no format."),)


@pytest.mark.parametrize(
    ("made", "kind", "code"),
    [
        (problem(403, "insufficient_scope", "No."), AccessDenied, "insufficient_scope"),
        (problem(404, "not_found", "No."), NotFound, "not_found"),
        (problem(410, "file_expired", "No."), FileExpired, "file_expired"),
        (problem(500, "internal", "No."), ServiceError, "internal"),
        (Answer(403, {"message": "Forbidden"}), AccessDenied, "http_403"),
        (Answer(409), Conflict, "http_409"),
        (Answer(418), Exception, "http_418"),
    ],
)
def test_each_refusal_has_its_class_and_code(
    made: Answer, kind: type[Exception], code: str
) -> None:
    with Service(TABLES) as service, a_client(service) as client:
        service.api_fault = failing(99, made, "/jobs/j1")
        with pytest.raises(kind) as caught:
            client.job_url("j1")
        assert caught.value.code == code  # type: ignore[attr-defined]
        assert len(service.calls("GET", "/jobs/j1")) == 1


def test_text_of_the_service_cannot_steer_the_terminal() -> None:
    with Service(TABLES) as service, a_client(service) as client:
        nasty = problem(404, "not_found", "\x1b]0;owned\x07 gone \x1b[2J")
        service.api_fault = failing(1, nasty, "/status")
        with pytest.raises(NotFound) as caught:
            client.status("x")
        assert "\x1b" not in caught.value.detail
        assert "\x07" not in caught.value.detail


def test_an_answer_that_is_not_the_documented_one_is_said_to_be_so() -> None:
    with Service(TABLES) as service, a_client(service) as client:
        service.api_fault = failing(1, Answer(200, {"operationId": "x"}), "/status")
        with pytest.raises(ProtocolError, match="operation has no usable 'status'"):
            client.status("x")
        service.api_fault = failing(1, Answer(200), "/status")
        with pytest.raises(ProtocolError, match="without a JSON object"):
            client.status("x")


def test_all_pages_are_turned() -> None:
    with Service(TABLES) as service, a_client(service) as client:
        assert [table.name for table in client.metadata("c1").tables] == sorted(TABLES)
        pages = service.calls("GET", "/metadata")
        assert [page.query["currentPage"] for page in pages] == ["1", "2"]
        assert {page.query["configurationId"] for page in pages} == {"c1"}
        made = []
        for _ in range(5):
            made.append(client.start_full_export().operation_id)
            client.cancel(made[-1])
        assert [entry.operation_id for entry in client.operations()] == made[::-1]
        assert len(service.calls("GET", "/operations")) == 3


def test_ids_cannot_leave_their_place_in_the_path() -> None:
    with Service(TABLES) as service, a_client(service) as client:
        with pytest.raises(NotFound):
            client.status("../../connect/token?x=#")
        # of which kind it is, nobody knows
        tried = [request.path for request in service.api_requests[-2:]]
        assert tried == [
            f"/data/v1/{kind}/..%2F..%2Fconnect%2Ftoken%3Fx%3D%23/status"
            for kind in ("fulldata", "incrementals")
        ]


def test_waiting_ends_with_the_operation_and_shows_every_look() -> None:
    waits = Waits()
    with Service(TABLES) as service, a_client(service, sleep=waits) as client:
        service.looks_until_done = 3
        seen: list[str] = []
        started = client.start_full_export()
        ended = client.wait(
            started.operation_id, on_status=lambda operation: seen.append(operation.status)
        )
        assert ended.status is Status.SUCCEEDED
        assert seen == ["running", "running", "succeeded"]
    assert waits.seconds == [0.1, 0.1]  # Retry-After: 0 is held back a little


def test_waiting_has_an_end() -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    with Service(TABLES) as service:
        service.looks_until_done = 10**9
        client = HeadraceClient(
            service.api_url, CLIENT_ID, CLIENT_SECRET, sleep=sleep, monotonic=lambda: now[0]
        )
        with client:
            started = client.start_full_export()
            with pytest.raises(WaitTimeout) as caught:
                client.wait(started.operation_id, timeout=5)
        assert caught.value.operation.operation_id == started.operation_id
    assert now[0] == pytest.approx(5)


def test_a_retry_whose_answer_was_lost_is_recognised() -> None:
    with Service(TABLES) as service, a_client(service) as client:
        started = client.start_full_export()
        client.cancel(started.operation_id)

        def carry_out_but_lose_the_answer(request: ApiRequest) -> Answer | None:
            first = len(service.calls("PUT", "/retry")) == 1
            if request.path.endswith("/retry") and first:
                with service.lock:
                    service._retry(request, started.operation_id)
                return Answer(0, drop=True)
            return None

        service.api_fault = carry_out_but_lose_the_answer
        assert client.retry(started.operation_id).attempt == 2
        assert len(service.calls("PUT", "/retry")) == 2


def test_what_cannot_be_retried_stays_a_conflict() -> None:
    with Service(TABLES) as service, a_client(service) as client:
        started = client.start_full_export()
        with pytest.raises(Conflict) as caught:
            client.retry(started.operation_id)
        assert caught.value.code == "operation_not_retryable"


def test_a_delete_whose_answer_was_lost_succeeds_and_one_of_nothing_does_not() -> None:
    with Service(TABLES) as service, a_client(service) as client:
        started = client.start_full_export()
        client.cancel(started.operation_id)

        def carry_out_but_lose_the_answer(request: ApiRequest) -> Answer | None:
            if request.method == "DELETE" and service.operations:
                service.operations.clear()
                return Answer(0, drop=True)
            return None

        service.api_fault = carry_out_but_lose_the_answer
        client.delete(started.operation_id)
        with pytest.raises(NotFound):
            client.delete(started.operation_id)


def test_a_redirect_of_the_api_is_not_followed_with_the_token() -> None:
    with Service(TABLES) as service, Service(TABLES) as elsewhere, a_client(service) as client:
        away = Answer(307, None, {"Location": f"{elsewhere.api_url}/data/v1/operations"})
        service.api_fault = failing(99, away, "/operations")
        with pytest.raises(Exception, match="answered 307"):
            list(client.operations())
        assert elsewhere.api_requests == []
