"""POST /services/{serviceId}/keys/{keyId}/certificate: answers a certificate request for a key."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from headrace.audit.model import Action
from headrace.identity.certificate_views import CertificateView
from headrace.kernel.errors import (
    BodyTooLarge,
    Conflict,
    InvalidRequest,
    NotFound,
    Unavailable,
    ValidationFailed,
)
from headrace.runtime import identity
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare


class CertificateRequest(BaseModel):
    """A certificate request for the key."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, title="CertificateRequest")

    csr: Annotated[str, Field(max_length=16 * 1024)] = Field(
        description="The request (PKCS #10) in PEM, with the CN and OU that came with the key"
    )


route = Route(
    "POST",
    "/services/{serviceId}/keys/{keyId}/certificate",
    "Get the client certificate of an API key",
    scope=Scope.SERVICES_MANAGE,
    tag="identity",
    action=Action.GRANT,
    body=CertificateRequest,
    replies={200: CertificateView},
    errors=(InvalidRequest, BodyTooLarge, NotFound, ValidationFailed, Conflict, Unavailable),
)

prepare(identity.certify_key)


@route
def handler(call: Call) -> Reply:
    """Answers the same certificate for the same public key, however often it is asked."""
    asked: CertificateRequest = call.body
    certified = identity.certify_key()(
        call.known_caller, call.path["serviceId"], call.path["keyId"], asked.csr
    )
    concerns = {"keyId": certified.certificate.key_id}
    return Reply(200, CertificateView.of(certified), concerns=concerns)
