"""The commands about persons: ``headrace-admin role``, ``user`` and ``team``."""

import secrets
import sys
from getpass import getpass
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

from headrace.adapters.argon2id import Argon2idPasswords
from headrace.identity.user_administration import (
    CreateUser,
    DeleteUser,
    JoinTeam,
    LeaveTeam,
    PutRole,
    RemoveRole,
    SetPassword,
    SetRole,
    UserDirectory,
)
from headrace.identity.users import MAX_PASSWORD, User
from headrace.kernel.clock import SystemClock
from headrace.kernel.errors import InvalidRequest
from headrace.kernel.ids import RandomIds
from headrace.profiles.model import group_named
from headrace_admin.outcome import Exit, Printer, finished
from headrace_admin.people_views import (
    print_roles,
    print_teams,
    print_users,
    role_json,
    team_json,
    user_json,
)
from headrace_admin.published import deployment_with
from headrace_admin.target import AWS, Target

role = App(name="role")
user = App(name="user")
team = App(name="team")

Tenant = Annotated[str, Parameter(help="The tenant, as the published catalog names it.")]
Username = Annotated[str, Parameter(help="The user's name: an e-mail address.")]
Generate = Annotated[bool, Parameter(negative="", help="Make a password, and print it, this once.")]


def _known(tenant: str, target: Target) -> UserDirectory:
    """What is known of the tenant's persons. Raises NotFound: there is no such tenant."""
    return deployment_with(tenant, target).user_directory()


def _group_ids(tenant: str, named: tuple[str, ...], target: Target) -> frozenset[str]:
    """The ids of the groups of these names or ids. Raises NotFound, InvalidRequest."""
    groups = target.deployment().groups().groups(tenant)
    return frozenset(group_named(groups, text).group_id for text in named)


def _password(generate: bool) -> str:
    """From a prompt, or the first line of a pipe: never an argument, which others can read."""
    if generate:
        return secrets.token_urlsafe(18)
    if not sys.stdin.isatty():
        return sys.stdin.readline(MAX_PASSWORD * 4).rstrip("\r\n")
    password = getpass("Password: ")
    if getpass("Once more: ") != password:
        raise InvalidRequest("The two are not the same.")
    return password


def _print_user(printer: Printer, changed: User, said: str, password: str | None = None) -> None:
    shown = {} if password is None else {"password": password}

    def human(out: Console) -> None:
        out.print(said, markup=False)
        if password is not None:
            out.out(f"username  {changed.username}", highlight=False)
            out.out(f"password  {password}", highlight=False)
            printer.err.print("Hand it over safely; it cannot be shown again.")

    printer.result({**user_json(changed), **shown}, human)


def _changed(
    change: type[JoinTeam | LeaveTeam], tenant: str, name: str, username: str, target: Target
) -> int:
    """Changes who is in a team, and shows it."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        directory = _known(tenant, target)
        changed = change(directory)(tenant, name, username)
        members = directory.members(changed)
        printer.result(
            team_json(changed, members),
            lambda out: print_teams(out, [(changed, members)]),
        )
        return Exit.OK

    return finished(printer, work)


# --- role -----------------------------------------------------------------------------------


@role.command(name="list")
def list_roles(*, tenant: Tenant, target: Target = AWS) -> int:
    """List a tenant's roles and what they allow."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        found = _known(tenant, target).roles.listed(tenant)
        printer.result(
            {"roles": [role_json(one) for one in found]},
            lambda out: print_roles(out, found),
        )
        return Exit.OK

    return finished(printer, work)


@role.command(name="put")
def put_role(
    name: str,
    *,
    tenant: Tenant,
    integrator: Annotated[bool, Parameter(negative="")] = False,
    permission: Annotated[tuple[str, ...], Parameter(show_default=False, negative="")] = (),
    group: Annotated[tuple[str, ...], Parameter(show_default=False, negative="")] = (),
    every_group: Annotated[bool, Parameter(negative="")] = False,
    target: Target = AWS,
) -> int:
    """Make a role, or make it another. Whoever has it is bound by it from the next call on.

    Parameters
    ----------
    name
        The role's name.
    integrator
        Its users may log in through the API.
    permission
        What it allows; repeat it for more. There are "export templates through the API", "manage
        services", "manage consents", "read statistics", "dataexchange IP", "datasetoperation
        createandexport API", "read profiles" and "write profiles".
    group
        A group whose profiles its users see, by its name or id; repeat it for more. Without any
        they see all profiles.
    every_group
        A role that saw some groups' profiles only is to see all from now on.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        put = PutRole(_known(tenant, target))
        groups = _group_ids(tenant, group, target) if group else None
        made = put(
            tenant,
            name,
            integrator=integrator,
            permissions=permission,
            groups=groups,
            every_group=every_group,
        )
        printer.result(role_json(made), lambda out: print_roles(out, (made,)))
        return Exit.OK

    return finished(printer, work)


@role.command(name="delete")
def delete_role(name: str, *, tenant: Tenant, target: Target = AWS) -> int:
    """Delete a role that nobody has."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        gone = RemoveRole(_known(tenant, target))(tenant, name)
        printer.result(
            {"deleted": role_json(gone)},
            lambda out: out.print(f"The role {gone.name} is gone.", markup=False),
        )
        return Exit.OK

    return finished(printer, work)


# --- user -----------------------------------------------------------------------------------


@user.command(name="list")
def list_users(*, tenant: Tenant, target: Target = AWS) -> int:
    """List a tenant's users."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        found = _known(tenant, target).users.listed(tenant)
        printer.result(
            {"users": [user_json(one) for one in found]},
            lambda out: print_users(out, found),
        )
        return Exit.OK

    return finished(printer, work)


@user.command(name="create")
def create_user(
    username: Username,
    *,
    tenant: Tenant,
    role: Annotated[str, Parameter(help="The role, by its name.")],
    generate: Generate = False,
    target: Target = AWS,
) -> int:
    """Create a user. The password is asked for, or read from a pipe, or made by --generate."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        directory = _known(tenant, target)
        password = _password(generate)
        create = CreateUser(directory, Argon2idPasswords(), SystemClock(), RandomIds())
        made = create(tenant, username, role, password)
        said = f"{made.username} can log in as {made.role}."
        _print_user(printer, made, said, password if generate else None)
        return Exit.OK

    return finished(printer, work)


@user.command
def set_password(username: Username, *, generate: Generate = False, target: Target = AWS) -> int:
    """Give a user another password. Every login of the user ends at once."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        directory = target.deployment().user_directory()
        directory.user(username)
        password = _password(generate)
        changed = SetPassword(directory, Argon2idPasswords())(username, password)
        said = f"{changed.username} has another password; every login has ended."
        _print_user(printer, changed, said, password if generate else None)
        return Exit.OK

    return finished(printer, work)


@user.command
def set_role(
    username: Username,
    role: Annotated[str, Parameter(help="The role, by its name.")],
    *,
    target: Target = AWS,
) -> int:
    """Give a user another role, which counts from the next call on."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        changed = SetRole(target.deployment().user_directory())(username, role)
        _print_user(printer, changed, f"{changed.username} is {changed.role}.")
        return Exit.OK

    return finished(printer, work)


@user.command
def unlock(username: Username, *, target: Target = AWS) -> int:
    """Take back the count of a user's tries to log in, and with it a lockout."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = target.deployment()
        found = deployment.user_directory().user(username)
        deployment.login_tries().forget(found.username)
        _print_user(printer, found, f"{found.username} can try again.")
        return Exit.OK

    return finished(printer, work)


@user.command
def disable(username: Username, *, target: Target = AWS) -> int:
    """Keep a user from logging in. Every login of the user ends at once."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        directory = target.deployment().user_directory()
        changed = directory.user(username).disabled()
        directory.users.save(changed)
        _print_user(printer, changed, f"{changed.username} is disabled, and logged out.")
        return Exit.OK

    return finished(printer, work)


@user.command
def enable(username: Username, *, target: Target = AWS) -> int:
    """Let a disabled user log in again."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        directory = target.deployment().user_directory()
        changed = directory.user(username).enabled()
        directory.users.save(changed)
        _print_user(printer, changed, f"{changed.username} can log in again.")
        return Exit.OK

    return finished(printer, work)


@user.command(name="delete")
def delete_user(username: Username, *, target: Target = AWS) -> int:
    """Delete a user, who leaves all teams. Every login of the user ends at once."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        gone = DeleteUser(target.deployment().user_directory())(username)
        printer.result(
            {"deleted": user_json(gone)},
            lambda out: out.print(f"{gone.username} is gone.", markup=False),
        )
        return Exit.OK

    return finished(printer, work)


# --- team -----------------------------------------------------------------------------------


@team.command(name="list")
def list_teams(*, tenant: Tenant, target: Target = AWS) -> int:
    """List a tenant's teams and who is in them."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        directory = _known(tenant, target)
        found = [(one, directory.members(one)) for one in directory.teams.listed(tenant)]
        printer.result(
            {"teams": [team_json(*one) for one in found]},
            lambda out: print_teams(out, found),
        )
        return Exit.OK

    return finished(printer, work)


@team.command(name="add")
def add_member(name: str, username: Username, *, tenant: Tenant, target: Target = AWS) -> int:
    """Put a user into a team, which is made if there is none of this name.

    Parameters
    ----------
    name
        The team's name.
    """
    return _changed(JoinTeam, tenant, name, username, target)


@team.command(name="remove")
def remove_member(name: str, username: Username, *, tenant: Tenant, target: Target = AWS) -> int:
    """Take a user out of a team.

    Parameters
    ----------
    name
        The team's name.
    """
    return _changed(LeaveTeam, tenant, name, username, target)


@team.command(name="delete")
def delete_team(name: str, *, tenant: Tenant, target: Target = AWS) -> int:
    """Delete a team. Its members stay users.

    Parameters
    ----------
    name
        The team's name.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        directory = _known(tenant, target)
        gone = directory.team(tenant, name)
        directory.teams.remove(gone)
        printer.result(
            {"deleted": gone.name},
            lambda out: out.print(f"The team {gone.name} is gone.", markup=False),
        )
        return Exit.OK

    return finished(printer, work)
