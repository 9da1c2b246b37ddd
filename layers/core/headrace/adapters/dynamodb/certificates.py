"""The certificate authority's certificate and the client certificates it issued, in DynamoDB.

    pk                      sk            holds
    certificate-authority   certificate   ``pem``, ``created_at``: there is one authority
    key#KEY_ID              certificate   the certificate of an API key: ``service``,
                                          ``thumbprint``, ``serial``, ``key_fingerprint``,
                                          ``not_before``, ``not_after``, ``pem``
    certificate#THUMBPRINT  key           ``key_id``, ``service``, ``not_before``, ``not_after``:
                                          what the authorizer asks, whose a certificate is

The last two are written in one transaction, and never again: a key has one certificate. No
certificate that we did not issue can be found, whatever is written in it.
"""

from dataclasses import dataclass
from datetime import datetime

from headrace.adapters.dynamodb.table import ConditionFailed, Table
from headrace.identity.model import BoundCertificate, IssuedCertificate
from headrace.kernel.clock import from_rfc3339, rfc3339
from headrace.kernel.errors import Conflict

_AUTHORITY = ("certificate-authority", "certificate")


@dataclass(frozen=True)
class DynamoCertificates:
    """The ``Certificates`` port."""

    table: Table

    def authority(self) -> str | None:
        """The authority's certificate in PEM, if there is one."""
        item = self.table.get(*_AUTHORITY)
        return None if item is None else str(item["pem"])

    def set_authority(self, pem: str, now: datetime) -> None:
        """Keeps the authority's certificate. Raises Conflict when there is one."""
        pk, sk = _AUTHORITY
        item = {"pk": pk, "sk": sk, "pem": pem, "created_at": rfc3339(now)}
        try:
            self.table.put(item, "attribute_not_exists(pk)")
        except ConditionFailed:
            raise Conflict("There is a certificate authority already.") from None

    def of_key(self, key_id: str) -> IssuedCertificate | None:
        """The certificate of an API key; consistent."""
        item = self.table.get(_of_key(key_id), "certificate")
        if item is None:
            return None
        return IssuedCertificate(
            key_id=key_id,
            service=item["service"],
            thumbprint=item["thumbprint"],
            serial=item["serial"],
            key_fingerprint=item["key_fingerprint"],
            not_before=from_rfc3339(item["not_before"]),
            not_after=from_rfc3339(item["not_after"]),
            pem=item["pem"],
        )

    def find(self, thumbprint: str) -> BoundCertificate | None:
        """Whose the certificate is; consistent. None for every one that we did not issue."""
        item = self.table.get(f"certificate#{thumbprint}", "key")
        if item is None:
            return None
        return BoundCertificate(
            item["key_id"],
            item["service"],
            from_rfc3339(item["not_before"]),
            from_rfc3339(item["not_after"]),
        )

    def add(self, certificate: IssuedCertificate) -> None:
        """Keeps a new certificate. Raises Conflict when its key has one."""
        shared = {
            "service": certificate.service,
            "not_before": rfc3339(certificate.not_before),
            "not_after": rfc3339(certificate.not_after),
        }
        of_key = {
            "pk": _of_key(certificate.key_id),
            "sk": "certificate",
            "thumbprint": certificate.thumbprint,
            "serial": certificate.serial,
            "key_fingerprint": certificate.key_fingerprint,
            "pem": certificate.pem,
            **shared,
        }
        found_by = {
            "pk": f"certificate#{certificate.thumbprint}",
            "sk": "key",
            "key_id": certificate.key_id,
            **shared,
        }
        new = "attribute_not_exists(pk)"
        try:
            self.table.transact([self.table.to_put(of_key, new), self.table.to_put(found_by, new)])
        except ConditionFailed:
            raise Conflict("The key has a certificate already.") from None


def _of_key(key_id: str) -> str:
    return f"key#{key_id}"
