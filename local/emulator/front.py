"""What API Gateway does for a custom domain with mutual TLS, in front of the emulated one.

Takes TLS connections on the loopback interface, wants a client certificate that leads to one of
the truststore, and hands each request on to the emulator together with that certificate, which
appears in ``requestContext.identity.clientCert`` (``take`` and ``identity`` are called by the
patches). What a request itself claims in the headers used for that is taken off it, here and at the
emulator: they count only with a secret that is made at every start and leaves this process never.

The truststore is a file, read again when it changed; as long as there is none, nobody gets in. A
request whose Host is no name of this machine is for a custom domain of a stack; every other is for
the stage that stands for the domain.
"""

import asyncio
import base64
import contextvars
import hmac
import ipaddress
import os
import secrets
import ssl
import threading
from collections.abc import MutableMapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

CERTIFICATE = "x-headrace-front-certificate"
WITNESS = "x-headrace-front-witness"
_WITNESS = secrets.token_hex(32)
_MAX_HEAD = 64 * 1024
_HERE = frozenset({"localhost", "127.0.0.1"})
_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

_seen: contextvars.ContextVar[x509.Certificate | None] = contextvars.ContextVar(
    "_seen", default=None
)


# --- at the emulator --------------------------------------------------------------------------


def take(headers: MutableMapping[str, Any]) -> None:
    """Takes the conveyed certificate off a request, and believes it if it comes from here."""
    witness, text = headers.pop(WITNESS, None), headers.pop(CERTIFICATE, None)
    ours = isinstance(witness, str) and hmac.compare_digest(witness.encode(), _WITNESS.encode())
    certificate = None
    if ours and isinstance(text, str):
        certificate = x509.load_der_x509_certificate(base64.b64decode(text))
    _seen.set(certificate)


def came_with_certificate() -> bool:
    """Did the request come over a connection with a client certificate."""
    return _seen.get() is not None


def identity() -> dict[str, Any]:
    """What ``requestContext.identity`` has of it, as API Gateway writes it."""
    certificate = _seen.get()
    if certificate is None:
        return {}
    serial = f"{certificate.serial_number:x}"
    serial = serial.zfill(len(serial) + len(serial) % 2)
    return {
        "clientCert": {
            "clientCertPem": certificate.public_bytes(serialization.Encoding.PEM).decode(),
            "subjectDN": certificate.subject.rfc4514_string(),
            "issuerDN": certificate.issuer.rfc4514_string(),
            "serialNumber": ":".join(serial[i : i + 2] for i in range(0, len(serial), 2)),
            "validity": {
                "notBefore": _written(certificate.not_valid_before_utc),
                "notAfter": _written(certificate.not_valid_after_utc),
            },
        }
    }


def _written(moment: datetime) -> str:
    return moment.strftime("%b %d %H:%M:%S %Y GMT")


# --- in front of it ---------------------------------------------------------------------------


class Front:
    """The listener. ``stage``: the path that stands before those of the domain."""

    def __init__(self, port: int, emulator: int, stage: str, folder: Path) -> None:
        self.port = port
        self.emulator = emulator
        self.stage = stage
        self.folder = folder
        """Holds ``truststore.pem``, and gets ``server.pem``: what clients trust the server by."""
        self._context: ssl.SSLContext | None = None
        self._trusted = b""

    def start(self) -> None:
        """Serves from a thread of its own until the process ends; returns when it listens.

        Raises OSError when the port is taken.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._own = self.folder / "server.key"
        _make_server_certificate(self._own, self.folder / "server.pem")
        listening = threading.Event()
        failed: list[OSError] = []

        async def serve() -> None:
            try:
                server = await asyncio.start_server(
                    self._connected, "127.0.0.1", self.port, limit=_MAX_HEAD
                )
            except OSError as error:
                failed.append(error)
                return
            finally:
                listening.set()
            async with server:
                await server.serve_forever()

        threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
        listening.wait()
        if failed:
            raise failed[0]

    def context(self) -> ssl.SSLContext:
        """TLS as the truststore has it now."""
        store = self.folder / "truststore.pem"
        trusted = store.read_bytes() if store.exists() else b""
        if self._context is None or trusted != self._trusted:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")  # of TLS 1.2; none with CBC
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_cert_chain(self._own)
            if trusted:
                context.load_verify_locations(cadata=trusted.decode())
            self._context, self._trusted = context, trusted
        return self._context

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await writer.start_tls(self.context(), ssl_handshake_timeout=10)
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the handshake failed, or the other side went away
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, and the connection ends with its answer."""
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        head = await reader.readuntil(b"\r\n\r\n")
        sent = self._handed_on(head, certificate)
        if sent is None:
            writer.write(_BAD_REQUEST)
            return
        answer, request = await asyncio.open_connection("127.0.0.1", self.emulator)
        try:
            request.write(sent)
            upload = asyncio.create_task(_pump(reader, request))
            await _pump(answer, writer)
            upload.cancel()
        finally:
            request.close()

    def _handed_on(self, head: bytes, certificate: bytes) -> bytes | None:
        """The head of the request to the emulator; None for one that is not understood."""
        line, *fields = head[:-4].split(b"\r\n")
        method, _, rest = line.partition(b" ")
        path, _, version = rest.rpartition(b" ")
        pairs = [field.partition(b":") for field in fields]
        if not path.startswith(b"/") or version != b"HTTP/1.1":
            return None
        if any(not colon or name != name.strip() for name, colon, _ in pairs):
            return None
        ours = {CERTIFICATE.encode(), WITNESS.encode(), b"connection"}
        kept = [(name, value) for name, _, value in pairs if name.lower() not in ours]
        [*hosts] = [
            value.strip().decode("latin-1") for name, value in kept if name.lower() == b"host"
        ]
        if len(hosts) != 1:
            return None
        if hosts[0].rsplit(":", 1)[0].lower() in _HERE:
            path = self.stage.encode() + path
        kept += [
            (b"Connection", b" close"),
            (WITNESS.encode(), f" {_WITNESS}".encode()),
            (CERTIFICATE.encode(), b" " + base64.b64encode(certificate)),
        ]
        lines = [b"%s %s HTTP/1.1" % (method, path), *(b"%s:%s" % pair for pair in kept)]
        return b"\r\n".join(lines) + b"\r\n\r\n"


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(64 * 1024):
        sink.write(data)
        await sink.drain()


def _make_server_certificate(place: Path, shown: Path) -> None:
    """A key and its certificate for this machine's own names, in ``place`` for nobody else to
    read, and the certificate alone in ``shown``; those of an earlier start serve on."""
    if place.exists() and shown.exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Headrace local platform")])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    part = place.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(private + pem)
    shown.write_bytes(pem)
    part.replace(place)
