"""What a manager is shown of a key's certificate."""

from dataclasses import dataclass
from datetime import datetime

from headrace.identity.certifying import Certified
from headrace.kernel.view import View


@dataclass(frozen=True)
class CertificateView(View):
    """The client certificate of an API key."""

    key_id: str
    """The key that it stands for."""
    certificate: str
    """The certificate, in PEM."""
    chain: str
    """The certificate of the authority that issued it, in PEM."""
    serial_number: str
    """Its serial number, hexadecimal."""
    thumbprint: str
    """SHA-256 of the certificate, base64url (`x5t#S256` of RFC 8705)."""
    not_before: datetime
    """From when on it is valid."""
    not_after: datetime
    """Until when; never longer than the key."""

    @classmethod
    def of(cls, certified: Certified) -> "CertificateView":
        """As it was issued."""
        issued = certified.certificate
        return cls(
            key_id=issued.key_id,
            certificate=issued.pem,
            chain=certified.authority,
            serial_number=issued.serial,
            thumbprint=issued.thumbprint,
            not_before=issued.not_before,
            not_after=issued.not_after,
        )
