"""Calls out: where they may go, and what they put up with."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from headrace.adapters.http.outbound import Fetcher, OutboundPolicy, is_public
from headrace.kernel.errors import Unavailable
from tests.component.identity.key_server import KeyServer, drip, elapsed, key_server, send

NOT_HOSTS = """
    127.0.0.1 127.8.9.10 0.0.0.0 10.1.2.3 172.16.0.1 172.31.255.255 192.168.1.1
    169.254.169.254 100.64.0.1 192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1
    192.88.99.1 224.0.0.1 233.252.0.1 239.255.255.250 240.0.0.1 255.255.255.255 ::1
    :: fe80::1 fe80::1%eth0 fc00::1 fd00:ec2::254 ff02::1 ff0e::1
    ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:169.254.169.254
    64:ff9b::7f00:1 64:ff9b::808:808
    64:ff9b:1::808:808 2002:7f00:1:: 2002:808:808:: 2001:0:808:808:: 2001:db8::1 100::1 5f00::1
    4000::1 2001:10::1 3fff::1
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[KeyServer]:
    """A running key server."""
    with key_server(tmp_path) as here:
        yield here


def refused(url: str, policy: OutboundPolicy | None = None) -> str:
    with pytest.raises(Unavailable) as caught:
        Fetcher(policy or OutboundPolicy()).get(url)
    return caught.value.detail


@pytest.mark.abuse(120)
@pytest.mark.parametrize(
    "address",
    NOT_HOSTS.split(),
)
def test_an_address_that_is_not_a_host_on_the_internet_is_not_called(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450::1"])
def test_a_host_on_the_internet_may_be_called(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.abuse(125)
@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/jwks",
        "HTTP://example.com/jwks",
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://example.com/",
        "//example.com/jwks",
        "example.com/jwks",
        "https:///jwks",
        "https://",
        "",
        "https://example.com:99999/",
        "https://example.com:0/",
        "https://example.com:x/",
        "https://[::1/",
        "https://example.com/jwks#part",
    ],
)
def test_what_is_no_plain_https_url_is_not_called(url: str) -> None:
    assert "https" in refused(url)


@pytest.mark.abuse(126)
@pytest.mark.parametrize(
    "url",
    [
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://@example.com/",
        "https://example.com/\r\nHost: internal",
        "https://example.com/a b",
        "https://example.com\\@internal/",
        "https://exämple.com/",
        "https://example.com/\x00",
        "https://example.com/\t",
    ],
)
def test_user_names_and_odd_characters_in_a_url_are_refused(url: str) -> None:
    assert "https" in refused(url)


@pytest.mark.abuse(120)
@pytest.mark.abuse(125)
@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "[::1]", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"],
)
def test_production_does_not_call_this_machine(server: KeyServer, host: str) -> None:
    policy = OutboundPolicy(tls=server.trusting)
    refused(f"https://{host}:{server.port}/jwks.json", policy)
    assert server.requests == []


def test_a_document_is_fetched(server: KeyServer) -> None:
    assert Fetcher(server.policy()).get(server.url) == b'{"keys": []}'
    assert Fetcher(server.policy()).get(server.url + "?a=b") == b'{"keys": []}'
    assert server.requests == ["/jwks.json", "/jwks.json?a=b"]


def test_a_certificate_for_another_name_or_of_nobody_known_is_refused(server: KeyServer) -> None:
    assert "SSL" in refused(f"https://127.0.0.1:{server.port}/", server.policy())
    assert "SSL" in refused(server.url, OutboundPolicy(allows=lambda a: a.is_loopback))
    assert server.requests == []


@pytest.mark.abuse(123)
def test_the_name_is_resolved_once_and_the_checked_address_is_called(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo
    answers = iter(["127.0.0.1", "10.0.0.1", "10.0.0.1"])
    asked = []

    def rebinding(host: Any, *args: Any, **options: Any) -> Any:
        if host != "localhost":  # an address, which needs no resolver
            return resolve(host, *args, **options)
        asked.append(host)
        return resolve(next(answers), *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    assert Fetcher(server.policy()).get(server.url) == b'{"keys": []}'
    assert asked == ["localhost"]


@pytest.mark.abuse(123)
def test_a_name_that_leads_to_a_forbidden_address_as_well_is_not_called(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo

    def both(host: Any, *args: Any, **options: Any) -> Any:
        if host != "localhost":
            return resolve(host, *args, **options)
        return resolve("127.0.0.1", *args, **options) + resolve("10.0.0.1", *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", both)
    refused(server.url, server.policy())
    assert server.requests == []


def test_proxies_of_the_environment_are_not_used(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert Fetcher(server.policy()).get(server.url)


@pytest.mark.abuse(124)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: KeyServer, status: int) -> None:
    server.answer = lambda request: send(request, status, b"", Location="/elsewhere")
    assert str(status) in refused(server.url, server.policy())
    assert server.requests == ["/jwks.json"]


@pytest.mark.parametrize("status", [204, 206, 401, 404, 500, 503])
def test_an_answer_other_than_200_is_no_document(server: KeyServer, status: int) -> None:
    server.answer = lambda request: send(request, status, b'{"keys": []}')
    refused(server.url, server.policy())


@pytest.mark.abuse(127)
@pytest.mark.parametrize("length", [None, 10_000_000])
def test_a_large_body_is_not_read_to_its_end(server: KeyServer, length: int | None) -> None:
    server.answer = lambda request: send(request, 200, b"x" * 2_000_000, Content_Length=length)
    assert "large" in refused(server.url, server.policy())


@pytest.mark.abuse(127)
@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
    ],
)
def test_a_slow_answer_ends_at_the_limit_however_steadily_it_drips(
    server: KeyServer, start: bytes
) -> None:
    over = threading.Event()

    def slowly(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(start)
        drip(request, b"x", over)

    server.answer = slowly
    try:
        seconds = elapsed(lambda: refused(server.url, server.policy(seconds=0.5)))
    finally:
        over.set()
    assert 0.4 < seconds < 5


def test_a_server_that_never_says_anything_is_given_up(server: KeyServer) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    try:
        url = f"https://localhost:{silent.getsockname()[1]}/"
        assert elapsed(lambda: refused(url, server.policy(seconds=0.5))) < 5
    finally:
        silent.close()


def test_a_truncated_body_is_no_document(server: KeyServer) -> None:
    server.answer = lambda request: send(request, 200, b'{"keys": []}', Content_Length=500)
    assert "short" in refused(server.url, server.policy())


def test_an_encoded_body_is_refused(server: KeyServer) -> None:
    server.answer = lambda request: send(request, 200, b"...", Content_Encoding="gzip")
    assert "encoding" in refused(server.url, server.policy())


def test_what_is_no_http_at_all_is_refused(server: KeyServer) -> None:
    def babble(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")

    server.answer = babble
    refused(server.url, server.policy())
