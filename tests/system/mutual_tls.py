"""Callers with client certificates: keys, requests and connections of their own."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from headrace.identity.certificates import authority_certificate
from tests.system.deployed import Platform
from tests.unit.identity.certificates_made import a_certificate, a_name, a_request

FOREIGN_NAME = "An authority of somebody else's"


@dataclass(frozen=True)
class KeyHolder:
    """Who has a key, and maybe a certificate for it."""

    platform: Platform
    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: str | None = None

    def request(self, *pairs: tuple[str, str]) -> str:
        """A certificate request for its key."""
        return a_request(*pairs, key=self.key).decode()

    def calls(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> httpx.Response:
        """The answer over a connection with its certificate. Raises httpx.TransportError when
        the connection is refused."""
        about = self.platform.about["mutual_tls"]
        context = ssl.create_default_context(cafile=about["server_certificate"])
        if self.certificate is not None:
            place = self.folder / "client.pem"
            key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            place.write_text(key.decode() + self.certificate)
            context.load_cert_chain(place)
        with httpx.Client(verify=context, trust_env=False, timeout=60) as http:
            return http.request(method, f"{about['url']}{path}", headers=headers, **options)


@contextmanager
def another_authority(platform: Platform) -> Iterator[ec.EllipticCurvePrivateKey]:
    """An authority that the truststore holds too until the block ends."""
    key = ec.generate_private_key(ec.SECP256R1())
    store = platform.home.tls / "truststore.pem"
    before = store.read_text()
    store.write_text(before + authority_certificate(key, FOREIGN_NAME, datetime.now(UTC)))
    try:
        yield key
    finally:
        store.write_text(before)


def certified(
    authority: ec.EllipticCurvePrivateKey,
    holder: ec.EllipticCurvePrivateKey,
    *pairs: tuple[str, str],
) -> str:
    """A certificate of that authority for the key."""
    now = datetime.now(UTC)
    return a_certificate(
        *pairs,
        key=holder,
        issuer=authority,
        issuer_name=a_name(("CN", FOREIGN_NAME)),
        since=now - timedelta(minutes=5),
        until=now + timedelta(days=1),
    )
