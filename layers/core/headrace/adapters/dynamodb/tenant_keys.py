"""The data keys of tenants, wrapped by KMS, in the table of profiles.

    pk              sk       holds
    key#TENANT      data     ``wrapped``: the key, as KMS encrypted it; never the key

A tenant's key is made when it is first needed, under the tenant's own KMS key, else the stack's,
and stays: who disables that KMS key makes the tenant's profiles unreadable, within ``KEPT_FOR``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from headrace.adapters.dynamodb.table import ConditionFailed, Table
from headrace.adapters.kms.data_keys import DataKey, KmsDataKeys
from headrace.kernel.clock import Clock

_SK = "data"


@dataclass(frozen=True)
class DynamoTenantKeys:
    """Gives the data key of a tenant. ``kms_key``: the tenant's own KMS key, if it has one."""

    table: Table
    keys: KmsDataKeys
    kms_key: Callable[[str], str | None]
    stack_key: str
    clock: Clock
    _known: dict[str, tuple[DataKey, datetime]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    KEPT_FOR = timedelta(minutes=5)

    def of(self, tenant: str) -> DataKey:
        """The tenant's key, made if there is none yet. Raises Unavailable while KMS does not give
        it."""
        return self.find(tenant) or self._keep(tenant, self._made(tenant))

    def find(self, tenant: str) -> DataKey | None:
        """The tenant's key, if there is one: who only reads may make none. Raises Unavailable."""
        known = self._known.get(tenant)
        if known is not None and self.clock.now() - known[1] < self.KEPT_FOR:
            return known[0]
        read = self._read(tenant)
        return None if read is None else self._keep(tenant, read)

    def _keep(self, tenant: str, key: DataKey) -> DataKey:
        self._known[tenant] = (key, self.clock.now())
        return key

    def _read(self, tenant: str) -> DataKey | None:
        item = self.table.get(_partition(tenant), _SK)
        return None if item is None else self.keys.unwrap(item["wrapped"], _purpose(tenant))

    def _made(self, tenant: str) -> DataKey:
        key, wrapped = self.keys.new(self.kms_key(tenant) or self.stack_key, _purpose(tenant))
        item = {"pk": _partition(tenant), "sk": _SK, "wrapped": wrapped}
        try:
            self.table.put(item, "attribute_not_exists(pk)")
        except ConditionFailed:  # somebody else made one just now, and that one counts
            return self._read(tenant) or key
        return key


def _partition(tenant: str) -> str:
    return f"key#{tenant}"


def _purpose(tenant: str) -> dict[str, str]:
    return {"purpose": "profiles", "tenant": tenant}
