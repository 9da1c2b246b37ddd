"""An https server on loopback that publishes keys, and misbehaves on request."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from headrace.adapters.http.outbound import Address, OutboundPolicy
from tests.serving import served


@dataclass
class KeyServer:
    """``answer`` writes the whole response; ``requests`` are the paths that were asked for."""

    port: int = 0
    certificate: Path = Path()
    requests: list[str] = field(default_factory=list)
    posted: list[tuple[bytes, Message]] = field(default_factory=list)
    answer: Callable[[BaseHTTPRequestHandler], None] = lambda _: None
    document: Any = field(default_factory=lambda: {"keys": []})

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/jwks.json"

    def publish(self, request: BaseHTTPRequestHandler) -> None:
        """Answers the document, as a good server does."""
        send(request, 200, json.dumps(self.document).encode())

    def policy(self, **changes: Any) -> OutboundPolicy:
        """A policy by which this server, and nothing beyond loopback, may be called."""
        values: dict[str, Any] = {"allows": is_loopback, "tls": self.trusting, "seconds": 5.0}
        return OutboundPolicy(**(values | changes))

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))


def is_loopback(address: Address) -> bool:
    return address.is_loopback


def send(
    request: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str | int | None
) -> None:
    """Writes a response; a header of None is left out."""
    request.send_response(status)
    given = {"Content-Length": len(body), **{k.replace("_", "-"): v for k, v in headers.items()}}
    for name, value in given.items():
        if value is not None:
            request.send_header(name, str(value))
    request.end_headers()
    request.wfile.write(body)


def drip(request: BaseHTTPRequestHandler, piece: bytes, until: threading.Event) -> None:
    """Writes a piece every 50 ms until the test is over or the client has gone."""
    try:
        while not until.wait(0.05):
            request.wfile.write(piece)
            request.wfile.flush()
    except OSError:
        return


@contextmanager
def key_server(folder: Path) -> Iterator[KeyServer]:
    """A running server with a certificate for ``localhost`` of its own."""
    here = KeyServer(certificate=folder / "certificate.pem")
    here.answer = here.publish
    key, certificate = _certificate()
    (folder / "key.pem").write_bytes(key)
    here.certificate.write_bytes(certificate)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here.requests.append(self.path)
            here.answer(self)

        def do_POST(self) -> None:
            here.requests.append(self.path)
            here.posted.append((self.rfile.read(int(self.headers["Content-Length"])), self.headers))
            here.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            return

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(here.certificate, folder / "key.pem")
    with served(Handler, context, silent=True) as here.port:
        yield here


@cache
def _certificate() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    return (
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        certificate.public_bytes(Encoding.PEM),
    )


def elapsed(call: Callable[[], object]) -> float:
    """Seconds that the call takes."""
    start = time.monotonic()
    call()
    return time.monotonic() - start
