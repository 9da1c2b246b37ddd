"""Fetching a payload from the environment that built it, over HTTP."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from headrace.adapters.http.environments import HttpEnvironments
from headrace.adapters.http.outbound import Asker, OutboundPolicy
from headrace.datasets.environments import Credential, Property
from headrace.datasets.exchanging import KnowEnvironment
from headrace.datasets.fetching import FetchPayload
from headrace.datasets.model import Process, Result
from headrace.datasets.running import Ran
from headrace.kernel.errors import Fenced, OtherEnvironmentRefused, Unavailable
from tests.component.datasets.environment import CLAIMS, TENANT, an_application
from tests.component.datasets.registry import (
    KeptPayloads,
    KeptProcesses,
    OneApplication,
    an_import,
)
from tests.component.datasets.sources import Answer, Source, says, source
from tests.component.identity.key_server import is_loopback, send
from tests.unit.identity.tokens_made import StoppedClock

PAYLOAD = bytes(range(256)) * 1000
EXPORT = "/export/datasetdefinition/CLAIMS/dataset/BRANDS"


@dataclass
class KeptProperties:
    """``EnvironmentProperties`` in memory."""

    kept: dict[str, str] = field(default_factory=dict)

    def value(self, tenant: str, name: str) -> str | None:
        """See the port."""
        return self.kept.get(name)

    def listed(self, tenant: str) -> tuple[Property, ...]:
        """See the port."""
        return tuple(Property(*one) for one in self.kept.items())

    def put(self, tenant: str, wanted: Property) -> bool:
        """See the port."""
        is_new = wanted.name not in self.kept
        self.kept[wanted.name] = wanted.value
        return is_new


@dataclass
class OneCredential:
    """``SourceCredentials`` with one, or none."""

    credential: Credential | None = field(default_factory=lambda: Credential("carrier", "secret"))

    def of(self, tenant: str, name: str) -> Credential | None:
        """See the port."""
        return self.credential

    def put(self, tenant: str, name: str, credential: Credential) -> None:
        """See the port."""
        self.credential = credential


@dataclass
class World:
    """A target that has begun an import of the data set BRANDS of the environment TEST."""

    stack: ExitStack
    properties: KeptProperties = field(default_factory=KeptProperties)
    credentials: OneCredential = field(default_factory=OneCredential)
    processes: KeptProcesses = field(default_factory=KeptProcesses)
    payloads: KeptPayloads = field(default_factory=KeptPayloads)
    most_bytes: int = 10_000_000

    def source(self, identifier: str, answers: dict[str, Answer] | None = None) -> Source:
        said = says({"identifier": identifier, "version": "4.24.1"})
        return self.stack.enter_context(source({"/environment": said, **(answers or {})}))

    def register(self, *sources: Source) -> None:
        self.properties.kept["ohi.application.uri.CONF"] = ";".join(one.url for one in sources)

    def begun(self, **request: Any) -> Process:
        asked = {"payload": "imports/1.zip", "sourceEnvironment": "TEST", **request}
        process = replace(
            an_import(**asked), tenant=TENANT, definition=CLAIMS.code, data_set="BRANDS"
        )
        self.processes.begin(process)
        return process

    def fetch(self, process: Process | None = None) -> Ran:
        asker = Asker(OutboundPolicy(is_loopback, plain=is_loopback, max_bytes=10**9))
        fetch = FetchPayload(
            KnowEnvironment(OneApplication(an_application()), self.properties),
            self.credentials,
            HttpEnvironments(asker, asker),
            self.processes,
            self.payloads,
            StoppedClock(),
            self.most_bytes,
        )
        return fetch(TENANT, (process or self.begun()).process_id)

    @property
    def told(self) -> str:
        [message] = self.processes.told["import1"]
        assert message.code == "GEN-MIGR-013"
        return message.text


@pytest.fixture
def world() -> Iterator[World]:
    with ExitStack() as stack:
        yield World(stack)


def payload(request: BaseHTTPRequestHandler) -> None:
    send(request, 200, PAYLOAD, ETag='"1"')


def test_the_payload_is_fetched_from_the_source_of_that_identifier(world: World) -> None:
    others = world.source("OTHER", {EXPORT: payload})
    test = world.source("TEST", {EXPORT: payload})
    world.register(others, test)
    assert world.fetch() == Ran(None)
    assert world.payloads.documents == {"imports/1.zip": PAYLOAD}
    assert [path for path, _ in others.asked] == ["/environment"]
    assert [path for path, _ in test.asked] == ["/environment", EXPORT]
    assert world.processes.renewals


def test_a_redirect_to_where_it_lies_is_followed_without_the_credential(world: World) -> None:
    storage = world.source("storage", {"/signed": payload})

    def elsewhere(request: BaseHTTPRequestHandler) -> None:
        send(request, 303, b"", Location=f"{storage.url}/signed")

    world.register(world.source("TEST", {EXPORT: elsewhere}))
    assert world.fetch() == Ran(None)
    assert world.payloads.documents == {"imports/1.zip": PAYLOAD}
    assert storage.asked == [("/signed", None)]


def test_no_source_of_that_identifier_is_told_with_those_that_did_not_answer(world: World) -> None:
    silent = world.source("TEST")
    silent.answers = {}
    world.register(world.source("OTHER"), silent)
    assert world.fetch() == Ran(Result.FAILURE)
    assert "no registered source environment is TEST" in world.told
    assert f"(there is OTHER; no answer of: {silent.url}: HTTP 404 Not Found)" in world.told


def test_two_sources_that_say_they_are_the_same_are_neither(world: World) -> None:
    both = [world.source("TEST", {EXPORT: payload}) for _ in range(2)]
    world.register(*both)
    assert world.fetch() == Ran(Result.FAILURE)
    assert "several" in world.told and both[1].url in world.told
    assert world.payloads.documents == {}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (says({}, 401), "HTTP 401 Unauthorized"),
        (says({"code": "OHI-IP-DATA-001"}, 404), "HTTP 404 Not Found"),
        (lambda request: send(request, 204, b""), "has not built it yet"),
        (
            lambda request: send(request, 303, b"", Location="https://10.0.0.1/x"),
            "an address that is not allowed",
        ),
        (lambda request: send(request, 200, b"x" * 200_000), "more than 100000 bytes"),
    ],
    ids=["refused", "unknown", "not built", "leads inside", "large"],
)
def test_what_will_not_pass_ends_the_import_and_is_told(
    world: World, answer: Answer, text: str
) -> None:
    world.most_bytes = 100_000
    world.register(world.source("TEST", {EXPORT: answer}))
    assert world.fetch() == Ran(Result.FAILURE)
    assert text in world.told
    assert world.payloads.documents == {}


def cut_short(request: BaseHTTPRequestHandler) -> None:
    send(request, 200, PAYLOAD[:1000], Content_Length=len(PAYLOAD))


@pytest.mark.parametrize(
    ("answer", "error"),
    [(says({}, 503), OtherEnvironmentRefused), (cut_short, Unavailable)],
    ids=["busy", "cut short"],
)
def test_what_may_pass_is_left_to_the_workflow_to_try_again(
    world: World, answer: Answer, error: type[Exception]
) -> None:
    world.register(world.source("TEST", {EXPORT: answer}))
    with pytest.raises(error):
        world.fetch()
    assert world.processes.told["import1"] == []
    assert world.payloads.documents == {}


def test_without_a_credential_nobody_is_called(world: World) -> None:
    there = world.source("TEST", {EXPORT: payload})
    world.register(there)
    world.credentials.credential = None
    assert world.fetch() == Ran(Result.FAILURE)
    assert "DataExchangeClient" in world.told
    assert there.asked == []


def test_a_process_that_has_ended_fetches_nothing(world: World) -> None:
    there = world.source("TEST", {EXPORT: payload})
    world.register(there)
    process = world.begun()
    world.processes.end(process.ended(Result.FAILURE, StoppedClock().now(), {}))
    with pytest.raises(Fenced):
        world.fetch(process)
    assert there.asked == []
