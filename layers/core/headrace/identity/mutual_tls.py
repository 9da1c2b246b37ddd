"""The certificate of a connection, as far as the authorizer needs to look at it.

Apart from ``certificates``, whose X.509 no call has to load: a certificate is known by its hash.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from headrace.identity.encoding import to_base64url

_PEM = re.compile(r"\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")


def certificate_of(request_context: Mapping[str, Any]) -> str | None:
    """The client's certificate, in PEM, that API Gateway saw at the TLS handshake and checked
    against the truststore; None for a connection without. Never one that a header claims."""
    seen = (request_context.get("identity") or {}).get("clientCert") or {}
    pem = seen.get("clientCertPem")
    return pem if isinstance(pem, str) and pem else None


def thumbprint_of_der(der: bytes) -> str:
    """The certificate's name everywhere here: ``x5t#S256`` of RFC 8705 section 3.1."""
    return to_base64url(hashlib.sha256(der).digest())


def thumbprint(pem: str | None) -> str | None:
    """The thumbprint of a certificate in PEM; None for what is none."""
    match = _PEM.fullmatch(pem or "")
    if match is None:
        return None
    try:
        return thumbprint_of_der(base64.b64decode("".join(match[1].split()), validate=True))
    except binascii.Error:
        return None
