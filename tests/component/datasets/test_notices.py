"""The end of a process is told to the endpoint that the environment names, in the seed's XML."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import pytest
from standardwebhooks import Webhook

from datasets import sweep_data_sets
from headrace.adapters.http.outbound import Poster
from headrace.datasets.ending import ENDPOINT, secrets_owner
from headrace.datasets.environments import EXPORT_ENDPOINT, IMPORT_ENDPOINT
from headrace.datasets.running import LEASE
from headrace.kernel.clock import SystemClock
from headrace.kernel.errors import Unavailable
from headrace.runtime import datasets
from tests.component.datasets.building import SourceSide, a_source_side
from tests.component.datasets.environment import TENANT, deployed
from tests.component.datasets.registry import SOURCE, a_registry
from tests.component.postgresql.server import Server

URL = "https://hooks.example.com/built"


@dataclass
class Receiver:
    """What endpoints get; they answer in turn what a test says, and then 200."""

    answers: list[int | Exception] = field(default_factory=list)
    got: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)

    def put(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        self.got.append((url, body, dict(headers)))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Receiver:
    receiver = Receiver()
    monkeypatch.setattr(Poster, "put", lambda _, *values: receiver.put(*values))
    return receiver


@pytest.fixture
def side(
    postgresql: Server, monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> Iterator[SourceSide]:
    """An environment with a data set, that tells of its builds."""
    with deployed(monkeypatch) as environment:
        side = a_source_side(environment, a_registry(postgresql, SOURCE), monkeypatch)
        side.create()
        yield side


def notice_of(side: SourceSide, process_id: str) -> dict[str, Any]:
    [found] = [
        one for one in side.deployed.items("datasets") if one["sk"] == f"NOTICE#{process_id}"
    ]
    return found


def test_the_end_of_a_build_is_put_to_the_endpoint_for_exports(
    side: SourceSide, receiver: Receiver
) -> None:
    side.set_property(EXPORT_ENDPOINT, URL)
    side.set_property(IMPORT_ENDPOINT, "https://hooks.example.com/imported")
    process_id = side.built()["id"]
    [(url, body, headers)] = receiver.got
    assert url == URL
    root = ElementTree.fromstring(body)
    assert root.tag == "buildDataSetResponse"
    [messages] = root
    assert (messages.tag, messages.attrib, list(messages)) == (
        "resultMessages",
        {"result": "S"},
        [],
    )
    assert headers["webhook-id"] == f"msg_{process_id}"
    assert notice_of(side, process_id)["state"] == "delivered"


def test_the_messages_of_the_process_go_along(side: SourceSide, receiver: Receiver) -> None:
    side.set_property(EXPORT_ENDPOINT, URL)
    side.registry.run("TRUNCATE providers CASCADE")
    side.built()
    [(_, body, _)] = receiver.got
    [messages] = ElementTree.fromstring(body)
    assert messages.attrib == {"result": "F"}
    [message] = messages
    assert message.tag == "resultMessage"
    assert message.attrib == {
        "code": "GEN-MIGR-010",
        "text": "It is not possible to start a build with empty data set",
    }


def test_where_no_endpoint_is_named_nobody_is_told(side: SourceSide, receiver: Receiver) -> None:
    process_id = side.built()["id"]
    assert receiver.got == []
    assert notice_of(side, process_id)["state"] == "gone"


@pytest.mark.abuse(129)
def test_a_notice_is_signed_with_the_tenants_secret(side: SourceSide, receiver: Receiver) -> None:
    side.set_property(EXPORT_ENDPOINT, URL)
    secret = side.deployed.issue_secret(secrets_owner(TENANT), ENDPOINT)
    side.clock.moment = SystemClock().now()
    side.built()
    [(_, body, headers)] = receiver.got
    Webhook(secret).verify(body, headers, json_parse=False)


@pytest.mark.abuse(129)
def test_a_notice_is_told_until_it_is_taken_with_the_same_id_and_body(
    side: SourceSide, receiver: Receiver
) -> None:
    side.set_property(EXPORT_ENDPOINT, URL)
    receiver.answers = [503, Unavailable("no answer"), 302, 204]
    process_id = side.built()["id"]
    assert len(receiver.got) == 4
    assert len({(url, body, headers["webhook-id"]) for url, body, headers in receiver.got}) == 1
    assert notice_of(side, process_id)["state"] == "delivered"
    assert side.process(process_id).json["result"] == "S"


def test_a_notice_that_nobody_takes_is_given_up_after_a_day(
    side: SourceSide, receiver: Receiver
) -> None:
    side.set_property(EXPORT_ENDPOINT, URL)
    receiver.answers = [500] * 1000
    begun = side.clock.moment
    process_id = side.built()["id"]
    assert notice_of(side, process_id)["state"] == "given_up"
    assert 86_400 <= (side.clock.moment - begun).total_seconds() < 90_000


@pytest.mark.abuse(129)
def test_a_notice_whose_execution_is_gone_is_told_by_another(
    side: SourceSide, receiver: Receiver
) -> None:
    side.set_property(EXPORT_ENDPOINT, URL)
    started = side.build().json["id"]
    side.run({"NotifyDataSetProcessFunctionArn": _void})
    assert receiver.got == []
    assert datasets.sweep_data_sets()().notified == 0
    side.clock.advance(minutes=1)
    assert datasets.sweep_data_sets()().notified == 1
    assert datasets.sweep_data_sets()().notified == 0
    side.run()
    assert len(receiver.got) == 1
    assert notice_of(side, started)["state"] == "delivered"


def test_the_failure_of_a_process_whose_worker_died_is_told(
    side: SourceSide, receiver: Receiver
) -> None:
    side.set_property(EXPORT_ENDPOINT, URL)
    dead = side.build().json["id"]
    side.runs.waiting.clear()
    side.runs.states[f"{dead}-1"] = False
    side.clock.advance(minutes=6)
    assert datasets.sweep_data_sets()().failed == 1
    assert side.process(dead).json["result"] == "F"
    side.clock.advance(minutes=1)
    assert datasets.sweep_data_sets()().notified == 1
    side.run()
    [(_, body, headers)] = receiver.got
    assert headers["webhook-id"] == f"msg_{dead}"
    assert b'result="F"' in body and b"GEN-MIGR-013" in body


def test_a_process_that_runs_is_left_alone_by_the_sweeper(side: SourceSide) -> None:
    running = side.build().json["id"]
    side.clock.advance(minutes=6)
    for _ in range(2):
        swept = datasets.sweep_data_sets()()
        assert (swept.started, swept.failed, swept.notified) == (0, 0, 0)
        assert side.process(running).json["result"] is None


def test_the_sweep_says_for_how_long_the_first_of_what_was_due_had_been_due(
    side: SourceSide, capsys: pytest.CaptureFixture[str]
) -> None:
    def lag() -> float:
        capsys.readouterr()
        did = sweep_data_sets.handler({}, None)
        [line] = [one for one in capsys.readouterr().out.splitlines() if "SweeperLagSeconds" in one]
        measured = json.loads(line)
        assert measured["Product"] == "datasets"
        assert measured["SweeperLagSeconds"] == did["lag_s"]
        return float(measured["SweeperLagSeconds"])

    assert lag() == 0
    side.build()
    assert lag() == 0  # it runs, and is looked at again after a lease
    side.clock.advance(seconds=LEASE.total_seconds() + 110)
    assert lag() == 110
    assert lag() == 0


def _void(event: Any) -> dict[str, Any]:
    return {"outcome": "void"}
