"""On whose behalf a data broker calls (seed 002, ``grp``).

The organisation is a parameter of the call's credentials, whatever their kind, or was fixed when
the broker's API key was made. Who is no broker, and an organisation that is none of the broker's
members (unknown, of another tenant, no longer or not yet one) get the same refusal: nothing tells
which organisations there are.
"""

from dataclasses import dataclass, replace

from headrace.identity.ports import Clients, Memberships
from headrace.kernel.caller import Caller
from headrace.kernel.errors import OrganisationNotAllowed


@dataclass(frozen=True)
class OnBehalf:
    """Says for which organisation a caller calls, on every call anew."""

    clients: Clients
    memberships: Memberships

    def __call__(self, caller: Caller, named: str | None) -> Caller:
        """The caller, for the organisation that the call names or that its key is fixed to.

        Raises OrganisationNotAllowed.
        """
        organisation = named or caller.organisation
        if organisation is None:
            return caller
        if caller.organisation not in (None, organisation) or not self._may(caller, organisation):
            raise OrganisationNotAllowed("The caller may not act on behalf of this organisation.")
        return replace(caller, organisation=organisation)

    def _may(self, caller: Caller, organisation: str) -> bool:
        client = self.clients.find(caller.client_id)
        if client is None or not client.is_broker:
            return False
        return self.memberships.is_member(caller.tenant, caller.client_id, organisation)
