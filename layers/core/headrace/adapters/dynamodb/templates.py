"""Templates of the published catalog, and for which tenants the operator has activated them.

    pk          sk                  holds
    TENANT      ACTIVE#TEMPLATE     ``activated_at``: since when the tenant's partners may read it

The catalog's own table: see ``catalogs``. The table of templates holds walks too: see ``walks``.
"""

from dataclasses import dataclass, field
from datetime import datetime

from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
from headrace.adapters.dynamodb.table import ConditionFailed, Table
from headrace.kernel.clock import from_rfc3339, rfc3339
from headrace.kernel.errors import NotFound
from headrace.templates.definitions import ApplicationVersion, Template

_ACTIVE = "ACTIVE#"
_LONGEST_ID = 64


@dataclass(frozen=True)
class CatalogTemplates:
    """The ``Templates`` port."""

    table: Table
    _catalogs: DynamoCatalogs = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_catalogs", DynamoCatalogs(self.table))

    def all_now(self) -> tuple[int, tuple[Template, ...]]:
        """See the port."""
        publication = self._catalogs.current()
        if publication is None:
            return 0, ()
        found = self._catalogs.templates(publication.version)
        return publication.version, tuple(one.template for one in found)

    def find(self, template_id: str) -> tuple[int, Template] | None:
        """See the port."""
        publication = self._catalogs.current()
        if publication is None or len(template_id) > _LONGEST_ID:
            return None
        found = self._catalogs.template(publication.version, template_id)
        return None if found is None else (publication.version, found.template)

    def application_version(self, tenant: str) -> ApplicationVersion | None:
        """See the port."""
        try:
            found = self._catalogs.tenant(tenant)
        except NotFound:
            return None
        return None if found is None else found.application_version

    def time_zone(self, tenant: str) -> str:
        """See the port."""
        found = self._catalogs.tenant(tenant)
        return "UTC" if found is None else found.time_zone


@dataclass(frozen=True)
class DynamoActivations:
    """The ``Activations`` port."""

    table: Table

    def is_active(self, tenant: str, template_id: str) -> bool:
        """See the port."""
        return self.table.get(tenant, f"{_ACTIVE}{template_id}") is not None

    def activate(self, tenant: str, template_id: str, moment: datetime) -> bool:
        """See the port."""
        item = {
            "pk": tenant,
            "sk": f"{_ACTIVE}{template_id}",
            "activated_at": rfc3339(moment),
        }
        try:
            self.table.put(item, "attribute_not_exists(pk)")
        except ConditionFailed:
            return False
        return True

    def deactivate(self, tenant: str, template_id: str) -> bool:
        """See the port."""
        delete = self.table.to_delete(tenant, f"{_ACTIVE}{template_id}", "attribute_exists(pk)")
        try:
            self.table.transact([delete])
        except ConditionFailed:
            return False
        return True

    def active(self, tenant: str) -> dict[str, datetime]:
        """See the port."""
        return {
            item["sk"].removeprefix(_ACTIVE): from_rfc3339(item["activated_at"])
            for item in self.table.query(tenant, _ACTIVE)
        }
