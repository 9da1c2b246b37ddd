"""Our certificate authority at work: made once, then it answers the requests of managers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.x509 import load_pem_x509_certificate

from headrace.identity.api_keys import KeyKind, KeyState
from headrace.identity.certificates import (
    Authority,
    SigningRequest,
    Subject,
    authority_certificate,
)
from headrace.identity.model import IssuedCertificate
from headrace.identity.ports import Certificates
from headrace.identity.services import ManageKeys
from headrace.kernel.caller import Caller
from headrace.kernel.clock import Clock
from headrace.kernel.errors import Conflict, Unavailable


@dataclass(frozen=True)
class CreateAuthority:
    """Makes the certificate authority's own certificate, for the operator's command."""

    certificates: Certificates
    key: Callable[[], EllipticCurvePrivateKey]
    clock: Clock

    def __call__(self, name: str) -> str:
        """The certificate in PEM. Raises Conflict when there is one, Unavailable."""
        if self.certificates.authority() is not None:
            raise Conflict("There is a certificate authority already; see ca show.")
        now = self.clock.now()
        pem = authority_certificate(self.key(), name, now)
        self.certificates.set_authority(pem, now)
        return pem


@dataclass(frozen=True)
class Certified:
    """A certificate, and that of the authority that issued it."""

    certificate: IssuedCertificate
    authority: str


@dataclass(frozen=True)
class Certify:
    """Answers a certificate request for an API key of the kind ``certificate``."""

    certificates: Certificates
    key: Callable[[], EllipticCurvePrivateKey]
    clock: Clock

    def __call__(self, subject: Subject, expires_at: datetime, request: bytes) -> Certified:
        """The certificate of the key; the same for the same public key, however often asked.

        Raises InvalidRequest, ValidationFailed (the request is not answered), Conflict (the key
        has a certificate for another public key), Unavailable (there is no authority yet, or its
        key cannot be used).
        """
        wanted = SigningRequest.read(request, subject)
        authority = self.certificates.authority()
        if authority is None:
            raise Unavailable("The operator has not set up the certificate authority.")
        issued = self.certificates.of_key(subject.key_id)
        if issued is None:
            issued = self._issued(wanted, subject, expires_at, authority)
        if issued.key_fingerprint != wanted.fingerprint:
            raise Conflict(
                "The key has a certificate for another public key: revoke it, and make a new key."
            )
        return Certified(issued, authority)

    def _issued(
        self, wanted: SigningRequest, subject: Subject, expires_at: datetime, authority: str
    ) -> IssuedCertificate:
        signer = Authority(load_pem_x509_certificate(authority.encode()), self.key())
        certificate = signer.issue(wanted, subject, self.clock.now(), expires_at)
        try:
            self.certificates.add(certificate)
        except Conflict:  # somebody else was faster, with this request or another
            known = self.certificates.of_key(subject.key_id)
            if known is None:
                raise
            return known
        return certificate


@dataclass(frozen=True)
class CertifyKey:
    """Answers the certificate request of a manager, for a key of a service."""

    keys: ManageKeys
    certify: Certify

    def __call__(self, caller: Caller, service: str, key_id: str, request: str) -> Certified:
        """The certificate. Raises NotFound, InvalidRequest, ValidationFailed, Conflict (the key
        is of another kind, has ended, or has a certificate for another public key), Unavailable.
        """
        key = self.keys.one(caller, service, key_id)
        if key.kind is not KeyKind.CERTIFICATE:
            raise Conflict("A certificate is for a key of the kind certificate: make one.")
        if key.state(self.certify.clock.now()) is not KeyState.ACTIVE:
            raise Conflict("The key was revoked, or has expired: make a new one.")
        subject = Subject(key.common_name, key.organizational_unit)
        return self.certify(subject, key.expires_at, request.encode())
