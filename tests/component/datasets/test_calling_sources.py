"""Calls to source environments: where the credential goes, and what is put up with."""

import base64
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from headrace.adapters.http import outbound
from headrace.adapters.http.environments import HttpEnvironments
from headrace.adapters.http.outbound import Asker, OutboundPolicy
from headrace.datasets.environments import Credential, Environment
from headrace.kernel.errors import (
    AddressRefused,
    OtherEnvironmentRefused,
    PayloadRefused,
    SourceChanged,
    TimedOut,
    Unavailable,
)
from tests.component.identity.key_server import KeyServer, drip, elapsed, key_server, send

CREDENTIAL = Credential("carrier@example.com", "the shared secret: ünd mehr")
BASIC = (
    "Basic " + base64.b64encode("carrier@example.com:the shared secret: ünd mehr".encode()).decode()
)
PAYLOAD = bytes(range(256)) * 2000
TAG = '"' + hashlib.md5(PAYLOAD, usedforsecurity=False).hexdigest() + '"'
MOST = 10_000_000

type Answer = Callable[[BaseHTTPRequestHandler], None]


class Source:
    """A server that notes which credentials reach it."""

    def __init__(self, server: KeyServer) -> None:
        self.server = server
        self.reached: list[str | None] = []
        self.ranges: list[str | None] = []
        self.answers: list[Answer] = []
        server.answer = self._answer

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        self.reached.append(request.headers.get("Authorization"))
        self.ranges.append(request.headers.get("Range"))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        answer(request)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server.port}/dataexchange"

    def environments(self, **changes: Any) -> HttpEnvironments:
        asker = Asker(self.server.policy(**changes))
        return HttpEnvironments(asker, asker)

    def fetched(self, most_bytes: int = MOST, **changes: Any) -> bytes:
        others = self.environments(**{"max_bytes": MOST, **changes})
        with others.payload(self.url, "CLAIMS", "TEST 1", CREDENTIAL, most_bytes) as chunks:
            return b"".join(chunks)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    with key_server(tmp_path) as server:
        yield Source(server)


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Source]:
    """Another host: where payloads lie."""
    folder = tmp_path / "storage"
    folder.mkdir()
    with key_server(folder) as server:
        yield Source(server)


def said(status: int, body: bytes = b"", **headers: Any) -> Answer:
    return lambda request: send(request, status, body, **headers)


def whole(request: BaseHTTPRequestHandler) -> None:
    send(request, 200, PAYLOAD, ETag=TAG)


def part(request: BaseHTTPRequestHandler) -> None:
    start = int((request.headers["Range"]).removeprefix("bytes=").rstrip("-"))
    send(request, 206, PAYLOAD[start:], ETag=TAG)


def broken_off(after: int) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        send(request, 200, PAYLOAD[:after], ETag=TAG, Content_Length=len(PAYLOAD))

    return answer


def leads_to(target: str, status: int = 303) -> Answer:
    return said(status, Location=target)


def test_a_source_says_which_environment_it_is(source: Source) -> None:
    source.answers = [said(200, b'{"identifier": "TEST", "version": "4.24.1", "more": 1}')]
    found = source.environments().environment(source.url, CREDENTIAL)
    assert found == Environment("TEST", "4.24.1")
    assert source.server.requests == ["/dataexchange/environment"]
    assert source.reached == [BASIC]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"identifier": "TEST"}',
        b'{"identifier": 1, "version": []}',
        b"[" * 100_000,
        json.dumps({"identifier": "x" * 200, "version": "1"}).encode(),
    ],
    ids=["nothing", "a page", "a list", "half of it", "other types", "deep", "long"],
)
def test_an_answer_that_is_not_that_of_an_environment_is_refused(
    source: Source, body: bytes
) -> None:
    source.answers = [said(200, body)]
    with pytest.raises(Unavailable, match="not that of an environment"):
        source.environments().environment(source.url, CREDENTIAL)


@pytest.mark.parametrize("status", [204, 401, 403, 404, 409, 500, 503])
def test_the_status_of_a_source_that_refuses_is_told(source: Source, status: int) -> None:
    source.answers = [said(status, b"" if status == 204 else b"reasons")]
    with pytest.raises(OtherEnvironmentRefused) as raised:
        source.environments().environment(source.url, CREDENTIAL)
    assert raised.value.status == status
    assert "reasons" not in raised.value.detail


# --- where calls go -------------------------------------------------------------------------------


@pytest.mark.abuse(120)
@pytest.mark.abuse(125)
@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.1.2.3"],
)
def test_no_source_is_on_this_machine_or_in_a_network_that_is_not_listed(
    source: Source, host: str
) -> None:
    source.answers = [whole]
    others = HttpEnvironments(
        Asker(OutboundPolicy(tls=source.server.trusting)),
        Asker(OutboundPolicy(tls=source.server.trusting)),
    )
    url = f"https://{host}:{source.server.port}/dataexchange"
    with pytest.raises(AddressRefused):
        others.environment(url, CREDENTIAL)
    with pytest.raises(AddressRefused), others.payload(url, "A", "B", CREDENTIAL, MOST) as chunks:
        next(chunks)
    assert source.reached == []


@pytest.mark.abuse(125)
@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "http://example.com/dataexchange", "gopher://example.com/", "//x"]
)
def test_a_source_is_called_by_https_only(source: Source, url: str) -> None:
    with pytest.raises(AddressRefused):
        HttpEnvironments().environment(url, CREDENTIAL)


@pytest.mark.abuse(126)
@pytest.mark.parametrize(
    "url",
    [
        "https://user:secret@example.com/dataexchange",
        "https://example.com/dataexchange\r\nAuthorization: Basic YTpi",
        "https://example.com\\@127.0.0.1/dataexchange",
    ],
    ids=["user info", "line breaks", "backslash"],
)
def test_user_info_and_line_breaks_are_no_part_of_a_sources_url(url: str) -> None:
    with pytest.raises(AddressRefused):
        HttpEnvironments().environment(url, CREDENTIAL)


@pytest.mark.abuse(126)
def test_codes_cannot_change_where_a_call_goes(source: Source) -> None:
    source.answers = [said(404)]
    with pytest.raises(OtherEnvironmentRefused):
        source.environments().available(source.url, "../..\r\nX: y", "1/../../?a=b#c", CREDENTIAL)
    [path] = source.server.requests
    assert path == "/dataexchange/datasets/..%2F..%0D%0AX%3A%20y/1%2F..%2F..%2F%3Fa%3Db%23c"


@pytest.mark.abuse(123)
def test_a_name_that_is_answered_anew_takes_the_credential_nowhere_else(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve, asked = socket.getaddrinfo, []
    answers = iter(["127.0.0.1", "10.0.0.1", "10.0.0.1"])

    def rebinding(host: Any, *args: Any, **options: Any) -> Any:
        if host != "localhost":
            return resolve(host, *args, **options)
        asked.append(host)
        return resolve(next(answers), *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    source.answers = [whole]
    assert source.fetched() == PAYLOAD
    assert (asked, source.reached) == (["localhost"], [BASIC])


# --- redirects ------------------------------------------------------------------------------------


@pytest.mark.abuse(128)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_payload_is_fetched_from_where_it_lies_without_the_credential(
    source: Source, storage: Source, status: int
) -> None:
    with ExitStack() as trusting:
        trusting.enter_context(_trusting_both(source, storage))
        source.answers = [leads_to(f"{storage.url}/signed?X-Amz-Signature=1", status)]
        storage.answers = [whole]
        assert source.fetched() == PAYLOAD
    assert source.reached == [BASIC]
    assert storage.reached == [None]


@pytest.mark.abuse(128)
def test_a_redirect_to_the_source_itself_has_no_credential_either(source: Source) -> None:
    source.answers = [leads_to("/elsewhere"), whole]
    assert source.fetched() == PAYLOAD
    assert source.reached == [BASIC, None]


@pytest.mark.abuse(128)
@pytest.mark.parametrize(
    "target", ["http://localhost:{port}/x", "//localhost:{port}/x", "ftp://x/"]
)
def test_no_redirect_leads_from_https_to_something_else(source: Source, target: str) -> None:
    plain = socket.create_server(("127.0.0.1", 0))
    try:
        there = target.format(port=plain.getsockname()[1])
        source.answers = [leads_to(there)]
        with pytest.raises(Unavailable):
            source.fetched(plain=lambda address: address.is_loopback, seconds=1.0)
    finally:
        plain.close()
    assert source.reached == [BASIC]


@pytest.mark.abuse(124)
@pytest.mark.parametrize(
    "target",
    ["https://169.254.169.254/latest", "https://10.0.0.1/", "https://[::ffff:169.254.169.254]/"],
)
def test_no_redirect_leads_to_the_inside(source: Source, target: str) -> None:
    source.answers = [leads_to(target)]
    with pytest.raises(AddressRefused):
        source.fetched()


@pytest.mark.abuse(124)
def test_from_the_internet_no_redirect_leads_into_a_network_of_ours(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source's address counts as one of the Internet here, as no other can be had."""
    source.answers = [leads_to("https://10.0.0.1/"), whole]
    policy = source.server.policy(allows=lambda _: True)
    monkeypatch.setattr(outbound, "is_public", lambda address: address.is_loopback)
    others = HttpEnvironments(Asker(policy), Asker(policy))
    with (
        pytest.raises(AddressRefused, match="not allowed"),
        others.payload(source.url, "A", "B", CREDENTIAL, MOST) as chunks,
    ):
        next(chunks)


@pytest.mark.abuse(124)
def test_a_second_redirect_is_not_followed(source: Source) -> None:
    source.answers = [leads_to("/a"), leads_to("/b"), whole]
    with pytest.raises(AddressRefused):
        source.fetched()
    assert len(source.reached) == 2


@pytest.mark.abuse(124)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_question_is_not_redirected_at_all(source: Source, status: int) -> None:
    source.answers = [leads_to("/elsewhere", status)]
    with pytest.raises(OtherEnvironmentRefused) as raised:
        source.environments().available(source.url, "A", "1", CREDENTIAL)
    assert raised.value.status == status
    assert source.reached == [BASIC]


def _trusting_both(source: Source, storage: Source) -> Any:
    """Both have certificates of their own."""
    patch = pytest.MonkeyPatch()
    first = source.server.trusting

    def trusting() -> Any:
        context = first()
        context.load_verify_locations(cafile=str(storage.server.certificate))
        return context

    patch.setattr(source.server, "trusting", trusting)
    return patch.context()


# --- slow, large, broken --------------------------------------------------------------------------


@pytest.mark.abuse(127)
@pytest.mark.parametrize(
    "start",
    [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"],
    ids=["at once", "in a header", "in the body"],
)
def test_a_slow_answer_ends_at_the_limit(source: Source, start: bytes) -> None:
    over = threading.Event()

    def slowly(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(start)
        drip(request, b"x", over)

    source.answers = [slowly]

    def refused() -> None:
        with pytest.raises(TimedOut):
            source.environments(seconds=0.5).environment(source.url, CREDENTIAL)

    try:
        assert 0.4 < elapsed(refused) < 5
    finally:
        over.set()


@pytest.mark.abuse(127)
def test_a_payload_that_stands_still_is_given_up(source: Source) -> None:
    over = threading.Event()

    def stuck(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        request.wfile.flush()
        over.wait(20)

    source.answers = [stuck]

    def refused() -> None:
        with pytest.raises(TimedOut):
            source.fetched(seconds=20.0, idle_seconds=0.5)

    try:
        assert elapsed(refused) < 10
    finally:
        over.set()


@pytest.mark.abuse(127)
@pytest.mark.parametrize("length", [None, 10**15, len(PAYLOAD)])
def test_a_payload_over_the_bound_is_not_read_to_its_end(
    source: Source, length: int | None
) -> None:
    source.answers = [said(200, PAYLOAD, Content_Length=length)]
    with pytest.raises(PayloadRefused):
        source.fetched(most_bytes=100_000)


@pytest.mark.abuse(127)
def test_an_answer_over_the_bound_is_no_list_of_data_sets(source: Source) -> None:
    source.answers = [said(200, b'{"x": "' + b"x" * 1_000_000 + b'"}')]
    with pytest.raises(Unavailable, match="too large"):
        source.environments(max_bytes=100_000).available(source.url, "A", "1", CREDENTIAL)


def test_a_payload_goes_on_where_its_connection_broke(source: Source) -> None:
    source.answers = [broken_off(300_000), part]
    assert source.fetched() == PAYLOAD
    assert source.ranges == [None, "bytes=300000-"]
    assert source.reached == [BASIC, BASIC]


def test_a_part_of_another_payload_is_not_put_to_what_was_fetched(source: Source) -> None:
    def another(request: BaseHTTPRequestHandler) -> None:
        send(request, 206, b"other bytes", ETag='"another"')

    source.answers = [broken_off(300_000), another]
    with pytest.raises(SourceChanged):
        source.fetched()


def test_a_source_that_begins_anew_is_not_put_to_what_was_fetched(source: Source) -> None:
    source.answers = [broken_off(300_000), whole]
    with pytest.raises(SourceChanged):
        source.fetched()


def test_without_a_tag_nothing_is_put_together(source: Source) -> None:
    source.answers = [said(200, PAYLOAD[:1000], Content_Length=len(PAYLOAD)), part]
    with pytest.raises(Unavailable, match="short"):
        source.fetched()
    assert len(source.reached) == 1


def test_a_source_that_never_gets_on_is_given_up(source: Source) -> None:
    def nothing(request: BaseHTTPRequestHandler) -> None:
        send(request, 206, b"", ETag=TAG, Content_Length=1000)

    source.answers = [broken_off(300_000), nothing]
    with pytest.raises(Unavailable, match="short"):
        source.fetched()
    assert len(source.reached) == 6


def test_a_payload_that_was_not_built_is_told_by_its_status(source: Source) -> None:
    source.answers = [said(204)]
    with pytest.raises(OtherEnvironmentRefused) as raised:
        source.fetched()
    assert raised.value.status == 204


def test_a_credential_does_not_show_itself() -> None:
    assert "secret" not in repr(CREDENTIAL)
    assert "secret" not in repr(replace(CREDENTIAL, username="x"))
