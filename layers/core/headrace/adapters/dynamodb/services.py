"""The services of the published catalog, as consents see them. Its table: see ``catalogs``."""

from dataclasses import dataclass, field

from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
from headrace.adapters.dynamodb.table import Table
from headrace.consents.model import AudienceKind
from headrace.kernel.errors import NotFound

_KINDS = {"external": AudienceKind.SERVICE, "broker": AudienceKind.BROKER}


@dataclass(frozen=True)
class CatalogServices:
    """The ``Services`` port of consents."""

    table: Table
    _catalogs: DynamoCatalogs = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_catalogs", DynamoCatalogs(self.table))

    def kind(self, tenant: str, service_id: str) -> AudienceKind | None:
        """The kind of service that the client is, as published now; None if it is none of the
        tenant's."""
        try:
            client = self._catalogs.client(service_id)
        except NotFound:
            return None
        if client is None or client.service is None or tenant not in client.tenants:
            return None
        return _KINDS[client.service.kind]
