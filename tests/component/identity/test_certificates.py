"""The certificate authority over moto: its key in KMS, its certificates in DynamoDB."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from headrace.adapters.dynamodb.certificates import DynamoCertificates
from headrace.adapters.kms.certificate_key import KmsCertificateKey
from headrace.identity.certificates import Subject
from headrace.identity.certifying import CreateAuthority
from headrace.identity.model import IssuedCertificate
from headrace.identity.ports import Certificates
from headrace.kernel.clock import SystemClock
from headrace.kernel.errors import Conflict
from headrace.runtime import identity
from headrace.runtime.instance import client
from headrace.runtime.settings import settings
from tests.component.identity.deployment import Deployment
from tests.fakes import FakeCertificates
from tests.unit.identity.certificates_made import a_request

SUBJECT = Subject("01k0000000000000000000000a", "acme-hr")
REQUEST = a_request(("OU", SUBJECT.service), ("CN", SUBJECT.key_id))
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture(params=["fake", "dynamodb"])
def certificates(request: pytest.FixtureRequest, deployment: Deployment) -> Certificates:
    """The port, answered by the fake and by the real adapter."""
    if request.param == "fake":
        return FakeCertificates()
    return DynamoCertificates(deployment.tables["credentials"])


def issued(key_id: str = SUBJECT.key_id, thumbprint: str = "t") -> IssuedCertificate:
    return IssuedCertificate(
        key_id=key_id,
        service="acme-hr",
        not_before=NOW,
        not_after=NOW + timedelta(days=1),
        thumbprint=thumbprint,
        serial="ab",
        key_fingerprint="cd",
        pem="PEM",
    )


def test_the_authority_is_kept_once(certificates: Certificates) -> None:
    assert certificates.authority() is None
    certificates.set_authority("PEM", NOW)
    with pytest.raises(Conflict):
        certificates.set_authority("OTHER", NOW)
    assert certificates.authority() == "PEM"


def test_a_certificate_is_found_by_its_key_and_by_its_hash(certificates: Certificates) -> None:
    assert certificates.of_key(SUBJECT.key_id) is None
    certificates.add(issued())
    assert certificates.of_key(SUBJECT.key_id) == issued()
    found = certificates.find("t")
    assert found is not None
    assert (found.key_id, found.service) == (SUBJECT.key_id, "acme-hr")
    assert found.holds_at(NOW) and not found.holds_at(NOW + timedelta(days=2))
    assert certificates.find("other") is None


def test_a_key_has_one_certificate(certificates: Certificates) -> None:
    certificates.add(issued())
    with pytest.raises(Conflict):
        certificates.add(issued(thumbprint="other"))
    assert certificates.find("other") is None


def test_the_authority_signs_in_kms(deployment: Deployment) -> None:
    key = KmsCertificateKey.read(client("kms"), settings().certificate_key)
    pem = CreateAuthority(identity.certificates(), lambda: key, SystemClock())("Headrace test")
    authority = x509.load_pem_x509_certificate(pem.encode())
    authority.verify_directly_issued_by(authority)
    certified = identity.certify()(SUBJECT, datetime.now(UTC) + timedelta(days=9), REQUEST)
    certificate = x509.load_pem_x509_certificate(certified.certificate.pem.encode())
    certificate.verify_directly_issued_by(authority)
    assert identity.certify()(SUBJECT, datetime.now(UTC), REQUEST) == certified


def test_the_private_half_is_out_of_reach(deployment: Deployment) -> None:
    key = KmsCertificateKey.read(client("kms"), settings().certificate_key)
    with pytest.raises(TypeError):
        key.private_numbers()
