"""The clients of the published catalog, as identity sees them. Its table: see ``catalogs``."""

from dataclasses import dataclass, field

from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
from headrace.adapters.dynamodb.table import Table
from headrace.identity.model import CLIENT_ID, Client, Networks
from headrace.kernel.errors import NotFound


@dataclass(frozen=True)
class CatalogClients:
    """The ``Clients`` port of identity. The catalog names scopes without ``scope_prefix``."""

    table: Table
    scope_prefix: str
    _catalogs: DynamoCatalogs = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_catalogs", DynamoCatalogs(self.table))

    def find(self, client_id: str) -> Client | None:
        """The client as published now, or None; never an exception for an odd id."""
        if not CLIENT_ID.fullmatch(client_id):
            return None
        try:
            found = self._catalogs.client(client_id)
        except NotFound:
            return None
        if found is None:
            return None
        return Client(
            client_id=found.client_id,
            tenants=frozenset(found.tenants),
            scopes=frozenset(f"{self.scope_prefix}:{scope}" for scope in found.scopes),
            networks=Networks.of(found.allowed_networks),
            trusted_issuers=frozenset(found.trusted_issuers),
            needs_proof=found.dpop_required,
            subject_dn=found.tls_client_auth_subject_dn,
            needs_certificate=found.certificate_bound,
            is_service=found.service is not None,
            is_broker=found.service is not None and found.service.kind == "broker",
            jwks=found.jwks,
            jwks_uri=found.jwks_uri,
        )
