"""Certificates of the tests' own: authorities, and servers that they vouch for."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )


@dataclass(frozen=True)
class Authority:
    """Signs certificates; ``file`` holds its own, as a client is given it."""

    name: str
    key: ec.EllipticCurvePrivateKey
    file: Path

    def server(self, host: str) -> ssl.SSLContext:
        """A server that can prove to be this host."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        certificate = (
            _builder(host, self.name, key)
            .add_extension(names, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        place = self.file.with_name(f"{self.name} {host}.pem")
        place.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(place)
        return context


def an_authority(folder: Path, name: str) -> Authority:
    """A new one, whose certificate is put into the folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    signs = x509.BasicConstraints(ca=True, path_length=None)
    certificate = (
        _builder(name, name, key).add_extension(signs, critical=True).sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return Authority(name, key, file)
