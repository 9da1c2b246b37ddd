"""Certificate requests that are answered and refused, and what is in the certificates."""

from datetime import datetime, timedelta
from pathlib import Path
from ssl import DER_cert_to_PEM_cert
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from headrace.identity.certificates import (
    MAX_REQUEST_BYTES,
    Authority,
    SigningRequest,
    Subject,
    authority_certificate,
    has_subject,
)
from headrace.identity.certifying import Certify, CreateAuthority
from headrace.identity.encoding import to_base64url
from headrace.identity.model import BoundCertificate, IssuedCertificate
from headrace.identity.mutual_tls import certificate_of, thumbprint
from headrace.kernel.errors import Conflict, InvalidRequest, Unavailable, ValidationFailed
from tests.fakes import FakeCertificates
from tests.unit.identity.certificates_made import KEY, NOW, a_certificate, a_request, an_rsa_key
from tests.unit.identity.tokens_made import StoppedClock

AUTHORITY_KEY = ec.generate_private_key(ec.SECP256R1())
SUBJECT = Subject("01k0000000000000000000000a", "payroll")
NAMES = (("OU", "payroll"), ("CN", SUBJECT.key_id))
FOREVER = NOW + timedelta(days=3650)


def an_authority() -> Authority:
    pem = authority_certificate(AUTHORITY_KEY, "Headrace test", NOW)
    return Authority(x509.load_pem_x509_certificate(pem.encode()), AUTHORITY_KEY)


def issued(request: bytes, until: datetime = FOREVER) -> x509.Certificate:
    answer = an_authority().issue(SigningRequest.read(request, SUBJECT), SUBJECT, NOW, until)
    return x509.load_pem_x509_certificate(answer.pem.encode())


def test_a_certificate_says_whose_it_is_and_is_for_clients_only() -> None:
    certificate = issued(a_request(*NAMES))
    assert certificate.subject.rfc4514_string() == f"CN={SUBJECT.key_id},OU=payroll"
    certificate.verify_directly_issued_by(an_authority().certificate)
    extensions = certificate.extensions
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    [purpose] = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert purpose == ExtendedKeyUsageOID.CLIENT_AUTH
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and not usage.key_cert_sign
    assert certificate.public_key() == KEY.public_key()


def test_it_holds_for_a_year_from_five_minutes_ago() -> None:
    certificate = issued(a_request(*NAMES))
    assert certificate.not_valid_before_utc == NOW - timedelta(minutes=5)
    assert certificate.not_valid_after_utc == NOW + timedelta(days=365)


def test_it_ends_with_the_key_it_stands_for() -> None:
    end = NOW + timedelta(days=7)
    assert issued(a_request(*NAMES), until=end).not_valid_after_utc == end
    with pytest.raises(ValidationFailed):
        issued(a_request(*NAMES), until=NOW)


def test_serial_numbers_are_long_and_never_the_same() -> None:
    serials = {issued(a_request(*NAMES)).serial_number for _ in range(20)}
    assert len(serials) == 20
    assert min(serials).bit_length() > 100


def test_what_else_a_request_says_comes_into_no_certificate() -> None:
    request = a_request(("C", "AU"), ("O", "Internet Widgits Pty Ltd"), *NAMES)
    assert issued(request).subject.rfc4514_string() == f"CN={SUBJECT.key_id},OU=payroll"


@pytest.mark.parametrize("key", [an_rsa_key(), ec.generate_private_key(ec.SECP384R1())])
def test_rsa_and_p384_will_do(key: Any) -> None:
    assert issued(a_request(*NAMES, key=key, algorithm=SHA512())).public_key() == key.public_key()


@pytest.mark.abuse(51)
@pytest.mark.parametrize(
    "names",
    [
        (("OU", "payroll"), ("CN", "01k0000000000000000000000b")),
        (("OU", "other"), ("CN", SUBJECT.key_id)),
        (("CN", SUBJECT.key_id),),
        (("OU", "payroll"),),
        (*NAMES, ("CN", "01k0000000000000000000000b")),
        (*NAMES, ("OU", "other")),
        (),
    ],
)
def test_a_request_for_another_name_is_refused(names: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(ValidationFailed):
        SigningRequest.read(a_request(*names), SUBJECT)


@pytest.mark.parametrize(
    "key",
    [
        an_rsa_key(1024),
        ec.generate_private_key(ec.SECP521R1()),
        ec.generate_private_key(ec.SECP256K1()),
    ],
)
def test_a_weak_or_odd_key_is_refused(key: Any) -> None:
    with pytest.raises(ValidationFailed):
        SigningRequest.read(a_request(*NAMES, key=key), SUBJECT)


def test_a_key_that_signs_without_a_hash_is_refused() -> None:
    builder = x509.CertificateSigningRequestBuilder().subject_name(SUBJECT.name())
    request = builder.sign(ed25519.Ed25519PrivateKey.generate(), None)
    with pytest.raises(ValidationFailed):
        SigningRequest.read(request.public_bytes(Encoding.PEM), SUBJECT)


# Made with `openssl req -new -newkey rsa:2048 -nodes -sha1 -subj /OU=payroll/CN=…`: the library
# that the other requests are made with signs with SHA-1 no more.
SHA1 = Path(__file__).parent / "sha1_request.pem"


def test_a_request_signed_with_sha_1_is_refused() -> None:
    with pytest.raises(ValidationFailed) as refusal:
        SigningRequest.read(SHA1.read_bytes(), SUBJECT)
    assert "SHA-256" in str(refusal.value.members)


def test_a_request_for_a_key_that_its_sender_does_not_have_is_refused() -> None:
    theirs = ec.generate_private_key(ec.SECP256R1()).public_key()
    der = x509.load_pem_x509_csr(a_request(*NAMES)).public_bytes(Encoding.DER)
    forged = der.replace(_spki(KEY.public_key()), _spki(theirs))
    assert forged != der
    text = DER_cert_to_PEM_cert(forged).replace("CERTIFICATE", "CERTIFICATE REQUEST")
    with pytest.raises(ValidationFailed) as refusal:
        SigningRequest.read(text.encode(), SUBJECT)
    assert "own key" in str(refusal.value.members)


def _spki(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _of_another_version(request: bytes) -> bytes:
    """A request that says to be of a version that PKCS #10 does not have."""
    der = x509.load_pem_x509_csr(request).public_bytes(Encoding.DER)
    text = DER_cert_to_PEM_cert(der.replace(b"\x02\x01\x00", b"\x02\x01\x02", 1))
    return text.replace("CERTIFICATE", "CERTIFICATE REQUEST").encode()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"hello",
        b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        a_certificate(*NAMES).encode(),
        a_request(*NAMES) * 2,
        a_request(*NAMES) + b" " * MAX_REQUEST_BYTES,
        b"\xff\xfe" + a_request(*NAMES),
        _of_another_version(a_request(*NAMES)),
    ],
)
def test_what_is_no_single_request_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidRequest):
        SigningRequest.read(text, SUBJECT)


# --- the authority at work --------------------------------------------------------------------


def certify(certificates: FakeCertificates) -> Certify:
    return Certify(certificates, lambda: AUTHORITY_KEY, StoppedClock(NOW))


@pytest.fixture
def certificates() -> FakeCertificates:
    kept = FakeCertificates()
    CreateAuthority(kept, lambda: AUTHORITY_KEY, StoppedClock(NOW))("Headrace test")
    return kept


def test_the_authority_is_made_once(certificates: FakeCertificates) -> None:
    with pytest.raises(Conflict):
        CreateAuthority(certificates, lambda: AUTHORITY_KEY, StoppedClock(NOW))("again")


def test_without_an_authority_nothing_is_certified() -> None:
    with pytest.raises(Unavailable):
        certify(FakeCertificates())(SUBJECT, FOREVER, a_request(*NAMES))


def test_a_request_sent_again_gets_the_same_certificate(certificates: FakeCertificates) -> None:
    first = certify(certificates)(SUBJECT, FOREVER, a_request(*NAMES))
    again = certify(certificates)(SUBJECT, FOREVER, a_request(*NAMES))
    assert first == again
    assert first.authority == certificates.authority()


def test_another_public_key_for_the_same_key_is_a_conflict(certificates: FakeCertificates) -> None:
    certify(certificates)(SUBJECT, FOREVER, a_request(*NAMES))
    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(Conflict, match="revoke"):
        certify(certificates)(SUBJECT, FOREVER, a_request(*NAMES, key=other))


class Raced(FakeCertificates):
    """Somebody else's certificate comes in between the look and the write."""

    def __init__(self, pem: str | None, theirs: IssuedCertificate) -> None:
        super().__init__(pem)
        self.theirs = theirs

    def add(self, certificate: IssuedCertificate) -> None:
        super().add(self.theirs)
        super().add(certificate)


def test_of_two_requests_at_once_one_is_answered(certificates: FakeCertificates) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    theirs = certify(certificates)(SUBJECT, FOREVER, a_request(*NAMES, key=other)).certificate
    raced = Raced(certificates.authority(), theirs)
    with pytest.raises(Conflict):
        certify(raced)(SUBJECT, FOREVER, a_request(*NAMES))
    assert raced.of_key(SUBJECT.key_id) == theirs


# --- certificates of connections --------------------------------------------------------------


def test_a_certificate_is_taken_from_what_api_gateway_says() -> None:
    assert certificate_of({"identity": {"clientCert": {"clientCertPem": "PEM"}}}) == "PEM"
    none: list[dict[str, Any]] = [{}, {"identity": None}, {"identity": {"clientCert": None}}]
    assert [certificate_of(context) for context in none] == [None] * len(none)


def test_a_certificate_is_known_by_its_sha_256() -> None:
    pem = a_certificate(*NAMES)
    certificate = x509.load_pem_x509_certificate(pem.encode())
    assert thumbprint(pem) == to_base64url(certificate.fingerprint(SHA256()))
    assert thumbprint(pem * 2) is None
    assert thumbprint("certificate") is None


def test_subjects_are_compared_as_names() -> None:
    pem = a_certificate(("C", "NL"), ("O", "Acme, Inc"), ("CN", "exports"))
    assert has_subject(pem, "CN=exports,O=Acme\\, Inc,C=NL", NOW)
    assert not has_subject(pem, "C=NL,O=Acme\\, Inc,CN=exports", NOW)
    assert not has_subject(pem, "CN=exports", NOW)
    assert not has_subject(pem, "CN=exports,O=Acme\\, Inc,C=NL", NOW + timedelta(days=31))
    assert not has_subject(pem, "nonsense", NOW)
    assert not has_subject("nonsense", "CN=exports", NOW)
    der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    later = der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09", 1)
    assert not has_subject(DER_cert_to_PEM_cert(later), "CN=exports", NOW)


def test_a_certificate_holds_between_its_times() -> None:
    bound = BoundCertificate("k", "s", NOW, NOW + timedelta(days=1))
    assert bound.holds_at(NOW) and bound.holds_at(NOW + timedelta(days=1))
    assert not bound.holds_at(NOW - timedelta(seconds=1))
    assert not bound.holds_at(NOW + timedelta(days=1, seconds=1))
