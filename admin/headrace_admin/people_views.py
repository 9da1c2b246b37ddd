"""What the commands show of persons, roles, teams, account holders and organisations."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console

from headrace.consents.model import AccountHolder, Consent, Organisation
from headrace.consents.views import ConsentView
from headrace.identity.users import Role, Team, User
from headrace.kernel.clock import rfc3339
from headrace.kernel.view import as_json
from headrace_admin.grid import Json, print_grid, when


def role_json(role: Role) -> Json:
    """A role and what it allows."""
    return {
        "tenant": role.tenant,
        "role": role.name,
        "integrator": role.integrator,
        "permissions": sorted(role.permissions),
        "groups": None if role.groups is None else sorted(role.groups),
    }


def print_roles(out: Console, roles: Sequence[Role]) -> None:
    """Roles, a line each."""
    rows = [
        (
            role.name,
            "yes" if role.integrator else "no",
            ", ".join(sorted(role.permissions)),
            "all" if role.groups is None else ", ".join(sorted(role.groups)),
        )
        for role in roles
    ]
    print_grid(out, ("role", "may log in", "permissions", "profiles of groups"), rows)


def account_json(holder: AccountHolder) -> Json:
    """An account holder."""
    return {
        "tenant": holder.tenant,
        "account": holder.account_id,
        "registeredAt": rfc3339(holder.registered_at),
        "registeredBy": holder.registered_by,
    }


def print_accounts(out: Console, holders: Sequence[AccountHolder]) -> None:
    """Account holders, a line each."""
    rows = [(one.account_id, one.registered_by, when(one.registered_at)) for one in holders]
    print_grid(out, ("account", "registered by", "since"), rows)


def organisation_json(organisation: Organisation) -> Json:
    """An organisation."""
    return {
        "tenant": organisation.tenant,
        "organisation": organisation.organisation_id,
        "name": organisation.name,
        "registeredAt": rfc3339(organisation.registered_at),
    }


def print_organisations(out: Console, organisations: Sequence[Organisation]) -> None:
    """Organisations, a line each."""
    rows = [(one.organisation_id, one.name, when(one.registered_at)) for one in organisations]
    print_grid(out, ("organisation", "name", "since"), rows)


def consent_json(consent: Consent, now: datetime) -> Json:
    """A consent as it stands now."""
    shown: Json = as_json(ConsentView.of(consent, now))
    return {"tenant": consent.tenant, **shown, "changedBy": consent.changed_by}


def print_consents(out: Console, consents: Sequence[Consent], now: datetime) -> None:
    """Consents as they stand now, a line each."""
    rows = [
        (
            one.party,
            f"{one.audience.kind} {one.audience.audience_id}",
            str(one.state_at(now)),
            "yes" if one.shares_at(now) else "no",
            when(one.validity.begins),
            "" if one.validity.ends is None else when(one.validity.ends),
            one.changed_by,
        )
        for one in consents
    ]
    print_grid(out, ("who", "shares with", "state", "now", "from", "to", "changed by"), rows)


def user_json(user: User) -> Json:
    """A user, without the password's hash."""
    return {
        "tenant": user.tenant,
        "userId": user.user_id,
        "username": user.username,
        "role": user.role,
        "active": user.is_active,
        "createdAt": rfc3339(user.created_at),
    }


def print_users(out: Console, users: Sequence[User]) -> None:
    """Users, a line each."""
    rows = [
        (
            user.username,
            user.role,
            "active" if user.is_active else "disabled",
            user.user_id,
            when(user.created_at),
        )
        for user in users
    ]
    print_grid(out, ("user", "role", "state", "id", "since"), rows)


def team_json(team: Team, members: Sequence[User]) -> Json:
    """A team and who is in it."""
    return {
        "tenant": team.tenant,
        "team": team.name,
        "members": [{"userId": user.user_id, "username": user.username} for user in members],
    }


def print_teams(out: Console, teams: Sequence[tuple[Team, Sequence[User]]]) -> None:
    """Teams, a line for each member."""
    rows = []
    for team, members in teams:
        rows += [(team.name, user.username, user.user_id) for user in members]
        if not members:
            rows.append((team.name, "nobody", ""))
    print_grid(out, ("team", "member", "id"), rows)
