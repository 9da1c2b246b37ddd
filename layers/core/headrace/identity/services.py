"""External services (seed 002) and those who manage them: who may make and revoke their keys.

A service is a client of the catalog with a ``service`` section, and serves one tenant. Its managers
are users of that tenant, by themselves or as members of a team.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

from headrace.identity.api_keys import LIFETIME, ApiKey, KeyKind, KeyText
from headrace.identity.model import Client
from headrace.identity.ports import ApiKeys, Clients, Managers, Teams, Users
from headrace.identity.users import Management
from headrace.kernel.caller import Caller
from headrace.kernel.clock import Clock
from headrace.kernel.errors import NotFound, ValidationFailed
from headrace.kernel.ids import Ids

NO_SERVICE = "There is no such service, or you do not manage it."
NO_KEY = "The service has no such key."


@dataclass(frozen=True)
class ManagedServices:
    """The services that a caller manages; all others are not there, as far as it can tell."""

    clients: Clients
    managers: Managers
    teams: Teams

    def one(self, caller: Caller, service: str) -> Client:
        """The service. Raises NotFound."""
        client = self.clients.find(service)
        if (
            client is None
            or not client.is_service
            or caller.user is None
            or caller.tenant not in client.tenants
            or not self._manages(caller.tenant, caller.user, self.managers.of(service))
        ):
            raise NotFound(NO_SERVICE)
        return client

    def _manages(self, tenant: str, user: str, management: Management) -> bool:
        if user in management.users:
            return True
        found = (self.teams.find(tenant, name) for name in sorted(management.teams))
        return any(team is not None and user in team.members for team in found)


@dataclass(frozen=True)
class CreatedKey:
    """A new key, and its text: shown this once. A certificate's key has no text."""

    key: ApiKey
    text: str | None = field(repr=False)


@dataclass(frozen=True)
class CreateKey:
    """Makes a key of a service, for one of its managers."""

    services: ManagedServices
    api_keys: ApiKeys
    clock: Clock
    ids: Ids

    def __call__(
        self,
        caller: Caller,
        service: str,
        kind: KeyKind,
        name: str | None = None,
        organisation: str | None = None,
    ) -> CreatedKey:
        """The key. Raises NotFound, ValidationFailed, Conflict (it has as many as it may)."""
        client = self.services.one(caller, service)
        if organisation is not None and not client.is_broker:
            raise ValidationFailed(
                "Only the key of a data broker is for an organisation.",
                [{"field": "organisation", "message": "leave it out"}],
            )
        if kind is KeyKind.STATIC and (client.needs_proof or client.needs_certificate):
            raise ValidationFailed(
                "The service's calls must prove a key or a certificate, which a static key cannot.",
                [{"field": "kind", "message": "take refresh or certificate"}],
            )
        now = self.clock.now()
        key_id = self.ids.new(now)
        text = None if kind is KeyKind.CERTIFICATE else KeyText.new(kind, key_id)
        key = ApiKey(
            key_id=key_id,
            service=service,
            tenant=caller.tenant,
            kind=kind,
            created_at=now,
            created_by=str(caller.user),
            expires_at=now + LIFETIME,
            name=name,
            organisation=organisation,
            shown=None if text is None else text.shown,
            sha256=None if text is None else text.sha256,
        )
        self.api_keys.add(key)
        return CreatedKey(key, None if text is None else text.text)


@dataclass(frozen=True)
class ManageKeys:
    """Lists and revokes the keys of a service, for one of its managers."""

    services: ManagedServices
    api_keys: ApiKeys
    clock: Clock

    def listed(self, caller: Caller, service: str) -> tuple[tuple[ApiKey, ...], datetime]:
        """All that are remembered, oldest first, and the time that their states are of.

        Raises NotFound.
        """
        self.services.one(caller, service)
        return self.api_keys.listed(service), self.clock.now()

    def one(self, caller: Caller, service: str, key_id: str) -> ApiKey:
        """A key of the service. Raises NotFound."""
        self.services.one(caller, service)
        key = self.api_keys.find(key_id)
        if key is None or key.service != service:
            raise NotFound(NO_KEY)
        return key

    def revoke(self, caller: Caller, service: str, key_id: str) -> None:
        """Ends it with the next call; what has ended stays so. Raises NotFound, Conflict."""
        self.api_keys.revoke(self.one(caller, service, key_id).key_id, self.clock.now())


@dataclass(frozen=True)
class HandOver:
    """Shows who manages a service, and hands its management over."""

    services: ManagedServices
    managers: Managers
    users: Users
    teams: Teams

    def shown(self, caller: Caller, service: str) -> Management:
        """Who manages it. Raises NotFound."""
        self.services.one(caller, service)
        return self.managers.of(service)

    def __call__(
        self, caller: Caller, service: str, users: frozenset[str], teams: frozenset[str]
    ) -> Management:
        """From now on these manage it, and nobody else: perhaps not the caller.

        Raises NotFound, ValidationFailed (nobody, or somebody who is not of the tenant), Conflict
        (somebody changed it at the same moment).
        """
        self.services.one(caller, service)
        return appointed(
            self.managers, self.users, self.teams, caller.tenant, service, users, teams
        )


def appointed(
    managers: Managers,
    users: Users,
    teams: Teams,
    tenant: str,
    service: str,
    user_ids: frozenset[str],
    team_names: frozenset[str],
) -> Management:
    """Makes these users and teams of the tenant the managers of the service.

    Raises ValidationFailed, Conflict.
    """
    found_users = {user_id: users.find(tenant, user_id) for user_id in user_ids}
    found_teams = [teams.find(tenant, name) for name in sorted(team_names)]
    unknown = [
        *(
            {"field": "users", "message": "one of them is no user of this tenant"}
            for user in found_users.values()
            if user is None
        ),
        *(
            {"field": "teams", "message": "one of them is no team of this tenant"}
            for team in found_teams
            if team is None
        ),
    ]
    if unknown:
        raise ValidationFailed("Somebody who is named is not there.", unknown)
    members = {member for team in found_teams if team is not None for member in team.members}
    persons = [*found_users.values(), *(users.find(tenant, member) for member in sorted(members))]
    if not any(user is not None and user.is_active for user in persons):
        raise ValidationFailed(
            "A service has a manager: name a user who can log in, or a team that has one."
        )
    management = replace(managers.of(service), users=user_ids, teams=team_names)
    managers.save(service, management)
    return management
