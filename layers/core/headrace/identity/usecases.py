"""What others need to verify tokens and to ask for them, and the secrets of clients.

Who calls is in ``authorizing``, how a token is had in ``issuing``.
"""

from dataclasses import dataclass

from headrace.identity.client_authentication import (
    METHODS,
)
from headrace.identity.dpop import ALGORITHMS
from headrace.identity.keys import VerificationKey
from headrace.identity.model import (
    StoredSecret,
    new_secret,
    secret_hash,
)
from headrace.identity.ports import ClientSecrets
from headrace.kernel.clock import Clock
from headrace.kernel.ids import Ids

# --- What others need to verify tokens, and to ask for them ---------------------------------------


def key_document(keys: tuple[VerificationKey, ...]) -> dict[str, list[dict[str, str]]]:
    """The JWK set (RFC 7517 section 5) of our keys."""
    return {"keys": [key.jwk() for key in keys]}


def issuer_document(
    issuer: str, scopes: tuple[str, ...], mutual_tls_url: str = ""
) -> dict[str, str | bool | list[str] | dict[str, str]]:
    """The metadata of the authorization server (RFC 8414 section 2).

    Only what is true: there is no authorization endpoint and no ID token, so no response type.
    Where clients with certificates call another domain, it says so (RFC 8705 section 5).
    """
    elsewhere = {"token_endpoint": f"{mutual_tls_url}/connect/token"}
    return {
        **({"mtls_endpoint_aliases": elsewhere} if mutual_tls_url not in {"", issuer} else {}),
        "issuer": issuer,
        "token_endpoint": f"{issuer}/connect/token",
        "introspection_endpoint": f"{issuer}/connect/introspect",
        "revocation_endpoint": f"{issuer}/connect/revoke",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "scopes_supported": list(scopes),
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials", "refresh_token"],
        "token_endpoint_auth_methods_supported": list(METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": list(METHODS),
        "introspection_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": list(METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "tls_client_certificate_bound_access_tokens": True,
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "service_documentation": f"{issuer}/docs",
    }


# --- Secrets --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CreateClientSecret:
    """Makes a secret for a client. A second one beside the first is how to change secrets
    without an interruption."""

    secrets: ClientSecrets
    clock: Clock
    ids: Ids

    def __call__(self, client_id: str) -> tuple[StoredSecret, str]:
        """What is stored, and the secret itself, which nothing can show again.

        Raises Conflict when the client has two already.
        """
        now = self.clock.now()
        secret = new_secret()
        stored = StoredSecret(self.ids.new(now), secret_hash(secret), now)
        self.secrets.add(client_id, stored)
        return stored, secret
