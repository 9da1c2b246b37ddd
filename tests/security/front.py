"""The mutual-TLS front of the local platform, alone, with a client that it lets in."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from headrace.identity.certificates import authority_certificate
from local.emulator.front import Front
from tests.unit.identity.certificates_made import a_certificate, a_name

_AUTHORITY = "An authority for one scan"


@dataclass(frozen=True)
class Scanned:
    """Where the front listens, and what a client shows to it."""

    address: str
    server_certificate: Path
    certificate: Path
    key: Path


@contextmanager
def front() -> Iterator[Scanned]:
    """The front on a free port; it serves until the process ends."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        authority, client = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        (folder / "truststore.pem").write_text(
            authority_certificate(authority, _AUTHORITY, datetime.now(UTC))
        )
        certificate, key = folder / "client.pem", folder / "client.key"
        certificate.write_text(
            a_certificate(
                ("CN", "scan"), key=client, issuer=authority, issuer_name=a_name(("CN", _AUTHORITY))
            )
        )
        key.write_bytes(
            client.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        )
        port = _free_port()
        Front(port, _free_port(), "/v1", folder).start()
        yield Scanned(f"localhost:{port}", folder / "server.pem", certificate, key)


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
    return port
