"""The commands about external services: ``headrace-admin service``."""

from typing import Annotated

from cyclopts import App, Parameter

from headrace.catalog.model import Client
from headrace.catalog.suggestions import did_you_mean
from headrace.catalog.usecases import ShowCatalog
from headrace.identity.services import appointed
from headrace.kernel.clock import SystemClock
from headrace.kernel.errors import NotFound
from headrace_admin.credential_views import key_json, print_keys, print_managers
from headrace_admin.deployment import Deployment
from headrace_admin.outcome import Exit, Printer, finished
from headrace_admin.target import AWS, Target

service = App(name="service")

Named = Annotated[str, Parameter(help="The service: its client's id in the catalog.")]


def _service(deployment: Deployment, service_id: str) -> Client:
    """Raises NotFound."""
    _, published = ShowCatalog(deployment.catalogs())()
    for known in published.clients:
        if known.client_id == service_id and known.service is not None:
            return known
    services = (one.client_id for one in published.clients if one.service is not None)
    meant = did_you_mean(service_id, services) or "; give the client a service section"
    raise NotFound(f"The published catalog has no service {service_id}{meant}.")


@service.command(name="managers")
def managers(
    service_id: Named,
    *,
    users: Annotated[
        tuple[str, ...], Parameter(name="--user", show_default=False, negative="")
    ] = (),
    teams: Annotated[
        tuple[str, ...], Parameter(name="--team", show_default=False, negative="")
    ] = (),
    target: Target = AWS,
) -> int:
    """Show who manages a service, or name its managers anew.

    Managers make and revoke the service's API keys, and hand its management over.

    Parameters
    ----------
    users
        The name of a user who manages it from now on; repeat it for more.
    teams
        A team that does; repeat it for more.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = target.deployment()
        tenant = _service(deployment, service_id).tenants[0]
        directory, store = deployment.user_directory(), deployment.managers()
        if users or teams:
            appointed(
                store,
                directory.users,
                directory.teams,
                tenant,
                service_id,
                frozenset(directory.user(name).user_id for name in users),
                frozenset(directory.team(tenant, name).name for name in teams),
            )
        management = store.of(service_id)
        found = [directory.users.find(tenant, user_id) for user_id in sorted(management.users)]
        names = [user.username for user in found if user is not None]
        shown = {"service": service_id, "users": names, "teams": sorted(management.teams)}
        printer.result(shown, lambda out: print_managers(out, names, management.teams))
        return Exit.OK

    return finished(printer, work)


@service.command(name="keys")
def keys(service_id: Named, *, target: Target = AWS) -> int:
    """List the API keys of a service, which only its managers can make."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        found, now = target.deployment().api_keys().listed(service_id), SystemClock().now()
        printer.result(
            {"keys": [key_json(key, now) for key in found]},
            lambda out: print_keys(out, found, now),
        )
        return Exit.OK

    return finished(printer, work)


@service.command(name="revoke-key")
def revoke_key(service_id: Named, key_id: str, *, target: Target = AWS) -> int:
    """End an API key with its next call, with its access tokens and its certificate.

    Parameters
    ----------
    key_id
        The key's id, as `service keys` shows it.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        store = target.deployment().api_keys()
        key = store.find(key_id)
        if key is None or key.service != service_id:
            raise NotFound(f"The service {service_id} has no key {key_id}.")
        store.revoke(key_id, SystemClock().now())
        printer.result(
            {"service": service_id, "revokedKeyId": key_id},
            lambda out: out.print(f"The key {key_id} has ended."),
        )
        return Exit.OK

    return finished(printer, work)
