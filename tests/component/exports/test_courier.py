"""Webhooks on their way out: where they may go, and what they put up with."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from headrace.adapters.http.outbound import OutboundPolicy, Poster, is_public_or_within
from headrace.kernel.errors import AddressRefused, Unavailable
from headrace.runtime import wiring
from headrace.runtime.settings import Settings
from tests.component.identity.key_server import (
    KeyServer,
    drip,
    elapsed,
    is_loopback,
    key_server,
    send,
)
from tests.serving import served

BODY = b'{"type":"operation.completed"}'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[KeyServer]:
    """A server by https; it answers 204."""
    with key_server(tmp_path) as here:
        here.answer = lambda request: send(request, 204, b"")
        yield here


@pytest.fixture
def plain_port() -> Iterator[int]:
    """A server by http; it answers 204."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            send(self, 204, b"")

        def log_message(self, format: str, *args: object) -> None:
            return

    with served(Handler) as port:
        yield port


def deployed(networks: str) -> Poster:
    """What delivers in a deployment whose parameter WebhookNetworks says this."""
    return Poster(wiring.webhook_policy(Settings({"WEBHOOK_NETWORKS": networks}).webhook_networks))


def test_a_message_is_posted_with_its_headers(server: KeyServer) -> None:
    assert Poster(server.policy()).post(server.url + "?a=b", BODY, {"webhook-id": "msg_1"}) == 204
    [(body, headers)] = server.posted
    assert (body, server.requests) == (BODY, ["/jwks.json?a=b"])
    assert headers["webhook-id"] == "msg_1"
    assert headers["Content-Type"] == "application/json"
    assert headers["Host"] == f"localhost:{server.port}"
    assert headers["Authorization"] is None


@pytest.mark.abuse(124)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(server: KeyServer, status: int) -> None:
    server.answer = lambda request: send(request, status, b"", Location="/elsewhere")
    assert Poster(server.policy()).post(server.url, BODY, {}) == status
    assert server.requests == ["/jwks.json"]


@pytest.mark.abuse(127)
def test_of_an_endless_answer_only_the_status_is_read(server: KeyServer) -> None:
    over = threading.Event()

    def endlessly(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        drip(request, b"x" * 100_000, over)

    server.answer = endlessly
    try:
        seconds = elapsed(lambda: Poster(server.policy(seconds=5)).post(server.url, BODY, {}))
    finally:
        over.set()
    assert seconds < 2


@pytest.mark.abuse(127)
@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 100 C\r\n\r\n"])
def test_an_answer_that_does_not_come_in_time_is_none(server: KeyServer, start: bytes) -> None:
    over = threading.Event()

    def slowly(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(start)
        drip(request, b"x", over)

    server.answer = slowly
    try:
        with pytest.raises(Unavailable):
            Poster(server.policy(seconds=0.5)).post(server.url, BODY, {})
    finally:
        over.set()


@pytest.mark.abuse(120)
@pytest.mark.abuse(125)
@pytest.mark.parametrize(
    "url",
    [
        "https://localhost:{port}/",
        "https://127.0.0.1:{port}/",
        "https://[::1]:{port}/",
        "https://[::ffff:127.0.0.1]:{port}/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://2130706433:{port}/",
        "http://127.0.0.1:{port}/",
        "http://localhost:9001/",
        "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
        "https://[64:ff9b::7f00:1]/",
        "file:///etc/passwd",
    ],
)
def test_production_delivers_to_the_internet_only(plain_port: int, url: str) -> None:
    with pytest.raises(AddressRefused):
        deployed("none").post(url.format(port=plain_port), BODY, {})


@pytest.mark.abuse(126)
@pytest.mark.parametrize(
    "url",
    [
        "https://user:password@example.com/",
        "https://@example.com/",
        "https://example.com/\r\nHost: internal",
        "https://example.com\\@internal/",
    ],
)
def test_user_names_and_odd_characters_are_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        deployed("127.0.0.0/8").post(url, BODY, {})


@pytest.mark.abuse(123)
def test_the_name_is_resolved_once_and_the_checked_address_is_called(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve, asked = socket.getaddrinfo, []
    answers = iter(["127.0.0.1", "10.0.0.1"])

    def rebinding(host: Any, *args: Any, **options: Any) -> Any:
        if host != "localhost":
            return resolve(host, *args, **options)
        asked.append(host)
        return resolve(next(answers), *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    assert Poster(server.policy()).post(server.url, BODY, {}) == 204
    assert asked == ["localhost"]


def test_where_loopback_is_listed_it_is_called_by_http_too(plain_port: int) -> None:
    assert deployed("127.0.0.0/8").post(f"http://127.0.0.1:{plain_port}/in", BODY, {}) == 204


def test_a_network_of_the_operators_is_called_by_https_only() -> None:
    courier = deployed("10.20.0.0/16, 127.0.0.0/8")
    policy = courier.policy
    assert policy.allows(ip_address("10.20.3.4"))
    assert not policy.plain(ip_address("10.20.3.4"))
    assert not policy.allows(ip_address("10.21.0.1"))
    with pytest.raises(AddressRefused):
        courier.post("http://10.20.3.4/", BODY, {})


@pytest.mark.abuse(120)
@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0", "::", "::ffff:10.0.0.1", "64:ff9b::1"],
)
def test_no_network_makes_these_addresses_callable(address: str) -> None:
    everything = [ip_network("0.0.0.0/0"), ip_network("::/0")]
    assert not is_public_or_within(everything)(ip_address(address))


@pytest.mark.parametrize("address", ["10.1.2.3", "127.0.0.1", "::1", "fd00::1", "8.8.8.8"])
def test_other_private_hosts_are_callable_where_their_network_is_listed(address: str) -> None:
    everything = [ip_network("0.0.0.0/0"), ip_network("::/0")]
    assert is_public_or_within(everything)(ip_address(address))
    assert is_public_or_within([])(ip_address(address)) == (address == "8.8.8.8")


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(server: KeyServer) -> None:
    with pytest.raises(Unavailable):
        Poster(OutboundPolicy(allows=is_loopback)).post(server.url, BODY, {})
    assert server.posted == []
