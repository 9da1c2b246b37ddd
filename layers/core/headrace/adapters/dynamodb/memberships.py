"""Which organisations are members of a broker, as identity asks it. The table: see ``consents``."""

from dataclasses import dataclass

from headrace.adapters.dynamodb.consents import DynamoConsents
from headrace.adapters.dynamodb.table import Table
from headrace.consents.model import ORGANISATION_ID, Audience, AudienceKind
from headrace.kernel.clock import Clock


@dataclass(frozen=True)
class DynamoMemberships:
    """The ``Memberships`` port of identity."""

    table: Table
    clock: Clock

    def is_member(self, tenant: str, broker: str, organisation: str) -> bool:
        """See the port. Never an exception for an odd id."""
        if not ORGANISATION_ID.fullmatch(organisation):
            return False
        audience = Audience(AudienceKind.BROKER, broker)
        consent = DynamoConsents(self.table).find(tenant, audience, organisation)
        return consent is not None and consent.shares_at(self.clock.now())
