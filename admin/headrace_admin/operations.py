"""The commands about who takes what: ``headrace-admin operations``."""

from collections.abc import Iterator
from heapq import merge
from itertools import islice
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from headrace.catalog.usecases import ShowCatalog
from headrace.exports.model import Operation, Status
from headrace.kernel.clock import SystemClock
from headrace.kernel.errors import InvalidRequest, NotFound
from headrace.kernel.ids import OPERATION_ID
from headrace_admin.deployment import Deployment
from headrace_admin.operation_views import operation_json, print_operation, print_operations
from headrace_admin.outcome import Exit, Printer, finished
from headrace_admin.target import AWS, Target

operations = App(name="operations", help="Watch who takes what.")


TenantFilter = Annotated[str | None, Parameter(name="--tenant", show_default=False)]
ClientFilter = Annotated[str | None, Parameter(name="--client", show_default=False)]

_PAGE = 50


def callers(
    deployment: Deployment, tenant: str | None, client_id: str | None
) -> list[tuple[str, str]]:
    """The pairs of tenant and client to look at: those of the catalog, or the one named."""
    if tenant is not None and client_id is not None:
        return [(tenant, client_id)]  # in the catalog still, or no longer
    _, published = ShowCatalog(deployment.catalogs())()
    return [
        (served, known.client_id)
        for known in published.clients
        for served in known.tenants
        if tenant in (None, served) and client_id in (None, known.client_id)
    ]


def _newest_first(deployment: Deployment, tenant: str, client_id: str) -> Iterator[Operation]:
    reader, before = deployment.operations(), None
    while page := reader.page(tenant, client_id, _PAGE, before):
        yield from page
        before = page[-1].operation_id


@operations.command(name="list")
def list_operations(
    *,
    tenant: TenantFilter = None,
    client_id: ClientFilter = None,
    status: Annotated[tuple[Status, ...], Parameter(show_default=False, negative="")] = (),
    limit: Annotated[int, Parameter(validator=Number(gte=1))] = 20,
    target: Target = AWS,
) -> int:
    """List operations, newest first: of all clients in the published catalog, or of some.

    Parameters
    ----------
    tenant
        Those of this tenant.
    client_id
        Those of this client. With --tenant, of a client that has left the catalog too.
    status
        Those that stand so; repeat it for more.
    limit
        So many at most.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment, now = target.deployment(), SystemClock().now()
        everyones = merge(
            *(
                _newest_first(deployment, *caller)
                for caller in callers(deployment, tenant, client_id)
            ),
            key=lambda operation: operation.operation_id,
            reverse=True,
        )
        seen = (operation.seen_at(now) for operation in everyones)
        found = list(islice((o for o in seen if not status or o.status in status), limit))
        documents = [operation_json(operation) for operation in found]
        for document in documents:
            del document["jobs"], document["deliveries"]  # a list does not read them
        printer.result({"operations": documents}, lambda out: print_operations(out, found))
        return Exit.OK

    return finished(printer, work)


@operations.command(name="show")
def show_operation(
    operation_id: str,
    *,
    tenant: TenantFilter = None,
    client_id: ClientFilter = None,
    target: Target = AWS,
) -> int:
    """Show an operation with its jobs, a deleted one too.

    Parameters
    ----------
    operation_id
        Its id, as callers know it.
    tenant
        Look at this tenant's only.
    client_id
        Look at this client's only. With --tenant, at one that has left the catalog too.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        if not OPERATION_ID.fullmatch(operation_id):
            raise InvalidRequest(f"{operation_id} is no operation id: they have 26 characters.")
        deployment = target.deployment()
        reader = deployment.operations()
        looked_at = callers(deployment, tenant, client_id)
        found = (reader.find(*caller, operation_id) for caller in looked_at)
        operation = next((operation for operation in found if operation is not None), None)
        if operation is None:
            raise NotFound(
                "No client of the published catalog has such an operation; for one that has left "
                "the catalog, name --tenant and --client."
            )
        seen = operation.seen_at(SystemClock().now())
        printer.result(operation_json(seen), lambda out: print_operation(out, seen))
        return Exit.OK

    return finished(printer, work)
