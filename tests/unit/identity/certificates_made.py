"""Certificates and requests as others make them: good ones, and bad ones of every kind."""

from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
_ATTRIBUTES = {
    "C": NameOID.COUNTRY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
}


def a_name(*pairs: tuple[str, str]) -> x509.Name:
    """A distinguished name of these attributes, in this order."""
    return x509.Name([x509.NameAttribute(_ATTRIBUTES[label], value) for label, value in pairs])


def a_request(
    *pairs: tuple[str, str],
    key: Any = KEY,
    algorithm: SHA256 | SHA512 | None = None,
) -> bytes:
    """A certificate signing request in PEM."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(a_name(*pairs))
    return builder.sign(key, algorithm or SHA256()).public_bytes(Encoding.PEM)


def a_certificate(
    *pairs: tuple[str, str],
    key: Any = KEY,
    issuer: Any = None,
    issuer_name: x509.Name | None = None,
    since: datetime = NOW - timedelta(days=1),
    until: datetime = NOW + timedelta(days=30),
) -> str:
    """A certificate in PEM, signed by itself if by nobody else."""
    subject = a_name(*pairs)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .sign(issuer or key, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()


def an_rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """An RSA key; the library makes none of less than 1024 bits."""
    return rsa.generate_private_key(65537, bits)
