"""X.509: our certificate authority, the requests that it answers, the certificates it issues.

Nothing here reads a clock, a store or KMS. The authority's key is handed in, as a key of
``cryptography`` (the adapter has one that signs in KMS).
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from headrace.identity.keys import MAX_RSA_BITS, MIN_RSA_BITS
from headrace.identity.model import IssuedCertificate
from headrace.identity.mutual_tls import thumbprint_of_der
from headrace.kernel.clock import rfc3339
from headrace.kernel.errors import InvalidRequest, ValidationFailed

AUTHORITY_LIFETIME = timedelta(days=3653)
CERTIFICATE_LIFETIME = timedelta(days=365)
BACKDATED = timedelta(minutes=5)
"""Clocks of those who check a new certificate may be behind ours."""
MAX_REQUEST_BYTES = 16 * 1024
_HASHES = frozenset({"sha256", "sha384", "sha512"})
_REQUEST = re.compile(
    rb"\s*-----BEGIN (NEW )?CERTIFICATE REQUEST-----[A-Za-z0-9+/=\s]+"
    rb"-----END (?(1)NEW )CERTIFICATE REQUEST-----\s*"
)


@dataclass(frozen=True)
class Subject:
    """Whom a client certificate is of (seed 002: CN and OU are given out with the key)."""

    key_id: str
    """The common name."""
    service: str
    """The organizational unit."""

    def name(self) -> x509.Name:
        """As it stands in the certificate: these two and nothing else."""
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, self.service),
                x509.NameAttribute(NameOID.COMMON_NAME, self.key_id),
            ]
        )


@dataclass(frozen=True)
class SigningRequest:
    """A certificate signing request (PKCS #10) whose sender has the key it is for."""

    public_key: RSAPublicKey | EllipticCurvePublicKey

    @classmethod
    def read(cls, text: bytes, subject: Subject) -> "SigningRequest":
        """Reads a request in PEM and holds it against whom it must be of.

        Of the subject only CN and OU count; what else it says (openssl fills in a country), and
        the extensions that it asks for, come into no certificate. Raises InvalidRequest for what
        is no request, ValidationFailed for one that is not answered.
        """
        if len(text) > MAX_REQUEST_BYTES or not _REQUEST.fullmatch(text):
            raise InvalidRequest("Send one certificate request in PEM, of 16 KiB at most.")
        try:
            request = x509.load_pem_x509_csr(text)
            key = request.public_key()
            algorithm = request.signature_hash_algorithm
            possessed = request.is_signature_valid
            names = request.subject
        except InvalidSignature:
            raise _refused("its signature is not by its own key") from None
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
            raise InvalidRequest("The certificate request cannot be read.") from None
        if not isinstance(key, RSAPublicKey | EllipticCurvePublicKey) or not _is_strong(key):
            raise _refused(
                "its key must be RSA of 2048 to 8192 bits, or of the curve P-256 or P-384"
            )
        if algorithm is None or algorithm.name not in _HASHES:
            raise _refused("it must be signed with SHA-256, SHA-384 or SHA-512")
        if not possessed:
            raise _refused("its signature is not by its own key")
        _check(names, NameOID.COMMON_NAME, "CN", subject.key_id)
        _check(names, NameOID.ORGANIZATIONAL_UNIT_NAME, "OU", subject.service)
        return cls(key)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public key: what makes two requests the same."""
        return key_fingerprint(self.public_key)


def _is_strong(key: RSAPublicKey | EllipticCurvePublicKey) -> bool:
    if isinstance(key, RSAPublicKey):
        return MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS
    return isinstance(key.curve, SECP256R1 | SECP384R1)


def _check(names: x509.Name, oid: x509.ObjectIdentifier, label: str, wanted: str) -> None:
    found = [attribute.value for attribute in names.get_attributes_for_oid(oid)]
    if found != [wanted]:
        raise _refused(f"its subject must have one {label}, that of the key: {wanted}")


def _refused(reason: str) -> ValidationFailed:
    return ValidationFailed(
        "The certificate request is refused; see errors.",
        [{"field": "csr", "message": reason}],
    )


def key_fingerprint(key: RSAPublicKey | EllipticCurvePublicKey) -> str:
    """SHA-256 of the public key (SubjectPublicKeyInfo), hex."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


@dataclass(frozen=True)
class Authority:
    """Our certificate authority: its certificate, and the key that it signs with."""

    certificate: x509.Certificate
    key: EllipticCurvePrivateKey

    def issue(
        self, request: SigningRequest, subject: Subject, now: datetime, until: datetime
    ) -> IssuedCertificate:
        """A certificate for the request's key (RFC 5280), for one year, and no longer than
        ``until`` and the authority itself. Raises ValidationFailed when no time is left;
        what the key raises."""
        start = now.replace(microsecond=0) - BACKDATED
        end = min(now + CERTIFICATE_LIFETIME, until, self.certificate.not_valid_after_utc).replace(
            microsecond=0
        )
        if end <= now:
            raise ValidationFailed("The key or the certificate authority has expired.")
        serial = x509.random_serial_number()
        authority_key = self.key.public_key()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject.name())
            .issuer_name(self.certificate.subject)
            .public_key(request.public_key)
            .serial_number(serial)
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(request.public_key), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key), critical=False
            )
            .sign(self.key, SHA256())
        )
        der = certificate.public_bytes(Encoding.DER)
        return IssuedCertificate(
            key_id=subject.key_id,
            service=subject.service,
            thumbprint=thumbprint_of_der(der),
            serial=f"{serial:x}",
            key_fingerprint=request.fingerprint,
            not_before=start,
            not_after=end,
            pem=certificate.public_bytes(Encoding.PEM).decode(),
        )


def authority_certificate(key: EllipticCurvePrivateKey, name: str, now: datetime) -> str:
    """The authority's own certificate, signed by itself, in PEM: what a truststore holds."""
    public = key.public_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = now.replace(microsecond=0)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - BACKDATED)
        .not_valid_after(start + AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def about_certificate(pem: str) -> dict[str, str]:
    """What people want to know of a certificate in PEM. Raises ValueError."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    return {
        "subject": certificate.subject.rfc4514_string(),
        "serialNumber": f"{certificate.serial_number:x}",
        "notBefore": rfc3339(certificate.not_valid_before_utc),
        "notAfter": rfc3339(certificate.not_valid_after_utc),
        "sha256": certificate.fingerprint(SHA256()).hex(),
    }


def has_subject(pem: str, wanted: str, now: datetime) -> bool:
    """Is the certificate valid now, and its subject the one wanted (RFC 8705 section 2.1.2).

    ``wanted``: a distinguished name as RFC 4514 writes it; names are compared, not texts. Who
    issued it was checked by whoever took the connection, against the truststore.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        same = certificate.subject == x509.Name.from_rfc4514_string(wanted)
    except (ValueError, x509.InvalidVersion):
        return False
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return same and begins <= now.astimezone(UTC) <= ends
