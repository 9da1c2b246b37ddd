"""What endpoints leave behind: in the trail, in the counts, in the list of failings."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import boto3
import hypothesis
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from headrace.adapters.dynamodb.audit_trail import DynamoTrail
from headrace.adapters.dynamodb.statistics import DynamoStatistics
from headrace.adapters.dynamodb.table import Table
from headrace.audit.model import Action, Event, Failing, Span
from headrace.audit.usecases import NoteFailing, ReadStatistics, ReadTrail, RecordEvent
from headrace.kernel.clock import SystemClock
from headrace.kernel.errors import NotFound, Unavailable
from headrace.runtime import auditing
from headrace.runtime.api import Call, Endpoint, Reply, Route, Scope
from headrace.runtime.settings import settings
from tests.builders import an_export
from tests.examples import examples
from tests.world import REGION, create_tables

TODAY = Span.of(None, None, datetime.now(UTC).date())
KEPT = timedelta(days=1)


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The deployment's tables."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AUDIT_TABLE": "AuditTable",
        "STATISTICS_TABLE": "StatisticsTable",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        client = boto3.client("dynamodb")
        create_tables(client)
        _forget()
        monkeypatch.setattr(auditing, "client", lambda _: client)
        yield client
    _forget()


def _forget() -> None:
    settings.cache_clear()
    for cached in (auditing.statistics, auditing.record_event, auditing.note_failing):
        cached.cache_clear()


def trail(dynamodb: Any) -> list[Event]:
    """All of the last days."""
    return list(ReadTrail(DynamoTrail(Table(dynamodb, "AuditTable"), KEPT))(TODAY))


def counts(dynamodb: Any, service: str = "bureau") -> Mapping[Action, int]:
    """Today's counts."""
    reader = ReadStatistics(_statistics(dynamodb), SystemClock())
    return reader.days(service, TODAY)[-1].counts


def failings(dynamodb: Any, service: str = "bureau") -> tuple[Failing, ...]:
    """The newest first."""
    return _statistics(dynamodb).failings(service, 100, None)[0]


def _statistics(dynamodb: Any) -> DynamoStatistics:
    return DynamoStatistics(Table(dynamodb, "StatisticsTable", pause=lambda _: None), KEPT)


def an_endpoint(answer: Any = None, action: Action | None = Action.DOWNLOAD) -> Endpoint:
    """GET /things/{thingId}, which answers so or raises that."""

    def handler(call: Call) -> Reply:
        if isinstance(answer, Exception):
            raise answer
        return answer or Reply(200, {"secret": "canary-value"})

    route = Route("GET", "/things/{thingId}", "A thing", scope=Scope.DATA_READ, action=action)
    return Endpoint(route, handler)


def a_call(**facts: str) -> dict[str, Any]:
    """The event of a call of ``bureau``, an API key's."""
    known = {
        "tenant": "north",
        "client_id": "bureau",
        "scopes": Scope.DATA_READ.full,
        "credential": "key-1",
    }
    return {
        "requestContext": {"requestId": "call-1", "authorizer": known | facts},
        "pathParameters": {"thingId": "thing-1"},
    }


def test_what_was_done_is_in_the_trail_and_counted(dynamodb: Any) -> None:
    assert an_endpoint()(a_call(), None)["statusCode"] == 200
    (event,) = trail(dynamodb)
    assert (event.action, event.tenant, event.service) == (Action.DOWNLOAD, "north", "bureau")
    assert (event.credential, event.correlation_id) == ("key-1", "call-1")
    assert event.concerns == {"thingId": "thing-1"}
    assert counts(dynamodb) == {Action.DOWNLOAD: 1}
    assert failings(dynamodb) == ()


def test_what_came_to_be_by_a_call_is_named(dynamodb: Any) -> None:
    an_endpoint(Reply(201, concerns={"operationId": "op-1"}))(a_call(), None)
    assert trail(dynamodb)[0].concerns == {"thingId": "thing-1", "operationId": "op-1"}


def test_what_a_person_does_to_a_service_is_that_services(dynamodb: Any) -> None:
    call = a_call(user="user-1", client_id="user")
    call["pathParameters"] = {"serviceId": "bureau"}
    an_endpoint(action=Action.GRANT)(call, None)
    (event,) = trail(dynamodb)
    assert (event.service, event.user, event.concerns) == ("bureau", "user-1", {})
    assert counts(dynamodb) == {Action.GRANT: 1}


def test_a_route_without_an_action_leaves_nothing_behind(dynamodb: Any) -> None:
    an_endpoint(action=None)(a_call(), None)
    assert (trail(dynamodb), counts(dynamodb)) == ([], {})


def test_a_refused_call_is_a_failure_and_not_in_the_trail(dynamodb: Any) -> None:
    an_endpoint(NotFound("There is no canary-value."))(a_call(), None)
    assert trail(dynamodb) == []
    assert counts(dynamodb) == {Action.FAILURE: 1}
    (failing,) = failings(dynamodb)
    assert (failing.status, failing.code, failing.what) == (
        404,
        "not_found",
        "GET /things/{thingId}",
    )
    assert (failing.correlation_id, failing.credential) == ("call-1", "key-1")


def test_a_missing_scope_is_a_failure_of_the_service(dynamodb: Any) -> None:
    an_endpoint()(a_call(scopes="none"), None)
    assert failings(dynamodb)[0].code == "insufficient_scope"


def test_a_call_that_fails_on_our_side_is_an_error(dynamodb: Any) -> None:
    answer = an_endpoint(ValueError("canary-value"))(a_call(), None)
    assert answer["statusCode"] == 500
    assert counts(dynamodb) == {Action.ERROR: 1}


@pytest.mark.parametrize("facts", [{"tenant": ""}, {"user": "user-1"}])
def test_who_is_no_service_fills_no_services_list(dynamodb: Any, facts: dict[str, str]) -> None:
    an_endpoint(NotFound("No."))(a_call(**facts), None)
    assert failings(dynamodb) == failings(dynamodb, "user") == ()


def test_no_value_of_anybodys_data_is_written_down(dynamodb: Any) -> None:
    for answer in (None, NotFound("canary-value"), ValueError("canary-value")):
        an_endpoint(answer)(a_call(), None)
    for table in ("AuditTable", "StatisticsTable"):
        assert "canary" not in str(dynamodb.scan(TableName=table)["Items"])


def test_what_cannot_be_written_down_is_not_handed_out(
    dynamodb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "TransactWriteItems")

    monkeypatch.setattr(dynamodb, "transact_write_items", refuse)
    monkeypatch.setattr("time.sleep", lambda _: None)
    answer = an_endpoint()(a_call(), None)
    assert answer["statusCode"] == 503
    assert "canary" not in str(answer)


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException"])
def test_counting_fails_no_call(dynamodb: Any, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code}}, "UpdateItem")

    monkeypatch.setattr(dynamodb, "update_item", refuse)
    assert an_endpoint()(a_call(), None)["statusCode"] == 200
    assert an_endpoint(NotFound("No."))(a_call(), None)["statusCode"] == 404
    assert len(trail(dynamodb)) == 1


def test_an_event_that_is_written_again_stands_once(dynamodb: Any) -> None:
    event = Event(datetime.now(UTC), Action.EXPORT, "north", "bureau", "call-1")
    store = DynamoTrail(Table(dynamodb, "AuditTable"), KEPT)
    store.append(event)
    store.append(event)
    assert len(trail(dynamodb)) == 1


def test_an_event_that_cannot_be_written_is_not_counted() -> None:
    class Refusing:
        counted = 0

        def append(self, event: Event) -> None:
            raise Unavailable("No.")

        def count(self, *_: Any) -> None:
            self.counted += 1

    refusing: Any = Refusing()
    with pytest.raises(Unavailable):
        RecordEvent(refusing, refusing)(
            Event(datetime.now(UTC), Action.EXPORT, "north", "bureau", "call-1")
        )
    assert refusing.counted == 0


def test_the_trail_is_read_in_order_and_of_one_service_if_asked(dynamodb: Any) -> None:
    store = DynamoTrail(Table(dynamodb, "AuditTable"), KEPT)
    now = datetime.now(UTC)
    for number, service in enumerate(("bureau", "other", "bureau")):
        moment = now - timedelta(days=2 - number)
        store.append(Event(moment, Action.EXPORT, "north", service, f"call-{number}"))
    read = ReadTrail(store)
    assert [event.correlation_id for event in read(TODAY)] == ["call-0", "call-1", "call-2"]
    assert [event.correlation_id for event in read(TODAY, "bureau")] == ["call-0", "call-2"]


@hypothesis.settings(deadline=None, max_examples=examples(25))
@given(size=st.integers(1, 7), total=st.integers(0, 20))
def test_pages_of_failings_neither_skip_nor_repeat_one(size: int, total: int) -> None:
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        create_tables(client)
        store = _statistics(client)
        start = datetime(2026, 11, 26, tzinfo=UTC)
        for number in range(total):
            NoteFailing(store)(
                Failing(
                    at=start + timedelta(seconds=number // 2),
                    action=Action.FAILURE,
                    service="bureau",
                    what="GET /x",
                    status=404,
                    code="not_found",
                    correlation_id=f"{number:03}",
                )
            )
        seen: list[str] = []
        place: str | None = None
        while True:
            page, place = store.failings("bureau", size, place)
            assert len(page) <= size
            seen += [failing.correlation_id for failing in page]
            if place is None:
                break
    assert seen == [f"{number:03}" for number in reversed(range(total))]


def test_a_span_is_of_thirty_days_unless_it_is_named() -> None:
    today = date(2026, 11, 26)
    assert len(Span.of(None, None, today).days()) == 30
    assert Span.of(date(2026, 11, 26), None, today).days() == (today,)
    with pytest.raises(ValueError, match="first before the last"):
        Span.of(date(2026, 11, 27), today, today)
    with pytest.raises(ValueError, match="366 days"):
        Span.of(date(2020, 1, 1), today, today)


def test_what_a_schedule_started_is_in_the_trail_once(dynamodb: Any) -> None:
    operation = an_export(datetime.now(UTC))
    auditing.record_scheduled_start(operation)
    auditing.record_scheduled_start(operation)
    (event,) = trail(dynamodb)
    assert (event.action, event.tenant, event.service) == (
        Action.EXPORT,
        operation.tenant,
        operation.client_id,
    )
    assert event.concerns == {"operationId": operation.operation_id}
