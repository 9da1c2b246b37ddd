"""The TLS front of the local platform, before a server that tells what it is handed."""

import http.client
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from headrace.identity.certificates import authority_certificate
from local.emulator import front
from local.emulator.front import CERTIFICATE, WITNESS, Front
from local.home import choose_port
from tests.unit.identity.certificates_made import KEY, a_certificate, a_name

NOW = datetime.now(UTC)
AUTHORITY = ec.generate_private_key(ec.SECP256R1())


class Told(BaseHTTPRequestHandler):
    """Answers what of a request it was told, as the emulator's patches see it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = int(headers.get("content-length", 0))
        sent = self.rfile.read(length).decode()
        front.take(headers)
        told = {"path": self.path, "headers": headers, "body": sent, "identity": front.identity()}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@dataclass
class Listening:
    """A front and its clients."""

    front: Front
    folder: Path

    def call(
        self,
        certificate: str | None,
        path: str = "/data",
        *,
        method: str = "GET",
        body: str | None = None,
        **headers: str,
    ) -> Any:
        """What the server was told. Raises OSError when the front does not let it through."""
        context = ssl.create_default_context(cafile=str(self.folder / "server.pem"))
        if certificate is not None:
            place = self.folder / "client.pem"
            key = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            place.write_text(key.decode() + certificate)
            context.load_cert_chain(place)
        connection = http.client.HTTPSConnection(
            "localhost", self.front.port, context=context, timeout=10
        )
        try:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            text = reply.read()
        finally:
            connection.close()
        return json.loads(text) if reply.status == 200 else reply.status


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Told) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        one = Front(choose_port(None), server.server_address[1], "/stage", tmp_path)
        one.start()
        trust(tmp_path)
        yield Listening(one, tmp_path)
        server.shutdown()


def trust(folder: Path) -> None:
    (folder / "truststore.pem").write_text(authority_certificate(AUTHORITY, "test", NOW))


def a_good_one() -> str:
    return certified(AUTHORITY)


def certified(authority: ec.EllipticCurvePrivateKey, **times: Any) -> str:
    return a_certificate(
        ("OU", "payroll"),
        ("CN", "key"),
        issuer=authority,
        issuer_name=a_name(("CN", "test")),
        **{"since": NOW - timedelta(days=2), "until": NOW + timedelta(days=1), **times},
    )


def test_a_request_is_handed_on_with_the_certificate(listening: Listening) -> None:
    pem = a_good_one()
    told = listening.call(pem, "/data?x=1", method="POST", body="hello", Accept="text/csv")
    assert (told["path"], told["body"]) == ("/stage/data?x=1", "hello")
    assert told["headers"]["accept"] == "text/csv"
    seen = told["identity"]["clientCert"]
    assert seen["clientCertPem"] == pem
    assert (seen["subjectDN"], seen["issuerDN"]) == ("CN=key,OU=payroll", "CN=test")
    assert seen["validity"]["notAfter"].endswith(" GMT")


def test_the_headers_it_uses_do_not_reach_a_function(listening: Listening) -> None:
    told = listening.call(a_good_one())
    assert told["headers"].keys() & {CERTIFICATE, WITNESS} == set()


@pytest.mark.abuse(56)
def test_a_certificate_that_a_header_claims_is_taken_off(listening: Listening) -> None:
    claimed = {"X-Headrace-Front-Certificate": "AAAA", "x-headrace-front-witness": "guess"}
    told = listening.call(a_good_one(), **claimed)
    assert told["identity"]["clientCert"]["subjectDN"] == "CN=key,OU=payroll"
    headers: dict[str, Any] = {CERTIFICATE: "AAAA", WITNESS: "guess", "accept": "*/*"}
    front.take(headers)
    assert (headers, front.identity()) == ({"accept": "*/*"}, {})
    assert not front.came_with_certificate()


@pytest.mark.abuse(50)
@pytest.mark.abuse(55)
def test_nobody_gets_in_without_a_certificate_that_is_trusted(listening: Listening) -> None:
    foreign = ec.generate_private_key(ec.SECP256R1())
    past = NOW - timedelta(days=1)
    for certificate in (None, certified(foreign), certified(AUTHORITY, until=past)):
        with pytest.raises(OSError):
            listening.call(certificate)
    assert listening.call(a_good_one())


def test_the_truststore_is_read_again_when_it_changed(listening: Listening) -> None:
    store = listening.folder / "truststore.pem"
    kept = store.read_text()
    store.unlink()
    with pytest.raises(OSError):
        listening.call(a_good_one())
    store.write_text(kept)
    assert listening.call(a_good_one())


def test_another_host_is_a_domain_of_a_stack(listening: Listening) -> None:
    assert listening.call(a_good_one(), Host="api.example.com")["path"] == "/data"


def test_what_it_does_not_understand_goes_nowhere(listening: Listening) -> None:
    assert listening.call(a_good_one(), **{"X-Spaced ": "1"}) == 400


def test_the_next_start_keeps_the_server_certificate(listening: Listening) -> None:
    before = (listening.folder / "server.pem").read_bytes()
    Front(choose_port(None), 1, "/stage", listening.folder).start()
    assert (listening.folder / "server.pem").read_bytes() == before
    assert (listening.folder / "server.key").stat().st_mode & 0o077 == 0
