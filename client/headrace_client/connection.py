"""The TLS connection to the API, and the certificate that the client shows on it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from headrace_client.errors import SetupError
from headrace_client.keys import PASSPHRASE


@dataclass(frozen=True)
class ClientCertificate:
    """A certificate with its private key, in PEM files; `key` None: both are in one.

    `passphrase`: of an encrypted key.
    """

    certificate: Path
    key: Path | None = None
    passphrase: str | None = field(default=None, repr=False)


def tls_context(certificate: ClientCertificate | None) -> ssl.SSLContext:
    """How connections are made: the server's certificate is checked against the public authorities,
    or those in SSL_CERT_FILE. Raises SetupError for a certificate that cannot be used."""
    context = httpx.create_ssl_context()
    if certificate is None:
        return context
    for path in (certificate.certificate, certificate.key):
        if path is not None and not path.is_file():
            raise SetupError(f"There is no file {path}.")
    asked: list[bool] = []

    def passphrase() -> str:
        asked.append(True)
        return certificate.passphrase or ""

    try:
        context.load_cert_chain(certificate.certificate, certificate.key, passphrase)
    except ssl.SSLError as error:
        raise SetupError(_unusable(certificate, error, bool(asked))) from None
    except OSError as error:
        raise SetupError(
            f"{certificate.certificate} or its key cannot be read: {error.strerror}."
        ) from None
    return context


def refused_certificate(error: BaseException) -> bool:
    """Whether the server ended the handshake: with TLS 1.3 that shows at the first answer."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError) and "ALERT" in (seen.reason or ""):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _unusable(certificate: ClientCertificate, error: ssl.SSLError, encrypted: bool) -> str:
    key = certificate.key or certificate.certificate
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"The key in {key} is not that of the certificate in {certificate.certificate}."
    if encrypted:
        return f"The key in {key} is encrypted, and {PASSPHRASE} does not hold its passphrase."
    return (
        f"{certificate.certificate} holds no certificate in PEM, or {key} no private key in PEM: "
        "give both files, or one with both."
    )
