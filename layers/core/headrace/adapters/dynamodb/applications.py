"""The applications of the published catalog, as data sets see them. Its table: see ``catalogs``."""

from dataclasses import dataclass, field

from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
from headrace.adapters.dynamodb.table import Table
from headrace.datasets.definitions import Application
from headrace.kernel.errors import NotFound


@dataclass(frozen=True)
class CatalogApplications:
    """The ``Applications`` port of data sets."""

    table: Table
    _catalogs: DynamoCatalogs = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_catalogs", DynamoCatalogs(self.table))

    def of_tenant(self, tenant: str) -> Application | None:
        """The tenant's, as published now, if it has one."""
        try:
            return self._catalogs.application(tenant)
        except NotFound:
            return None
