"""The commands about who takes what: ``headrace-admin operations``."""

import re
from collections.abc import Iterator
from heapq import merge
from itertools import islice
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from headrace.audit.model import Action
from headrace.catalog.usecases import ShowCatalog
from headrace.datasets.model import Process
from headrace.exports.model import Operation, Status
from headrace.kernel.clock import SystemClock
from headrace.kernel.errors import InvalidRequest, NotFound
from headrace.kernel.ids import OPERATION_ID
from headrace_admin.deployment import Deployment
from headrace_admin.operation_views import operation_json, print_operation, print_operations
from headrace_admin.outcome import Exit, Printer, finished
from headrace_admin.recording import record
from headrace_admin.stories import of_message, of_operation, of_process
from headrace_admin.story_views import print_story, story_json
from headrace_admin.target import AWS, Target

operations = App(name="operations")


TenantFilter = Annotated[str | None, Parameter(name="--tenant", show_default=False)]
ClientFilter = Annotated[str | None, Parameter(name="--client", show_default=False)]

_PAGE = 50
_LEFT = "for one that has left the catalog, name --tenant and --client."
_MESSAGE = re.compile(r"msg_(?P<about>[^_]+)(_\d+)?")
"""The id of a webhook's delivery, or of a notice (``Delivery``, ``datasets.notices.Notice``)."""


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


def _operation(
    deployment: Deployment, tenant: str | None, client_id: str | None, operation_id: str
) -> Operation | None:
    if not OPERATION_ID.fullmatch(operation_id):
        raise InvalidRequest(f"{operation_id} is no operation id: they have 26 characters.")
    reader = deployment.operations()
    looked_at = callers(deployment, tenant, client_id)
    found = (reader.find(*caller, operation_id) for caller in looked_at)
    return next((operation for operation in found if operation is not None), None)


def _process(deployment: Deployment, tenant: str | None, process_id: str) -> Process | None:
    _, published = ShowCatalog(deployment.catalogs())()
    tenants = [tenant] if tenant is not None else [known.tenant_id for known in published.tenants]
    found = (deployment.processes().find(one, process_id) for one in tenants)
    return next((process for process in found if process is not None), None)


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
        operation = _operation(target.deployment(), tenant, client_id, operation_id)
        if operation is None:
            raise NotFound(f"No client of the published catalog has such an operation; {_LEFT}")
        seen = operation.seen_at(SystemClock().now())
        printer.result(operation_json(seen), lambda out: print_operation(out, seen))
        return Exit.OK

    return finished(printer, work)


@operations.command
def story(
    about: str,
    *,
    tenant: TenantFilter = None,
    client_id: ClientFilter = None,
    target: Target = AWS,
) -> int:
    """Tell what happened to an operation, a process or a webhook's delivery, in order.

    From the tables, the audit trail and the logs. That it was told is written into the trail.

    Parameters
    ----------
    about
        The id of an export's operation, of a data set's process, or of a delivery (msg_…).
    tenant
        Look at this tenant's only.
    client_id
        Look at this client's only. With --tenant, at one that has left the catalog too.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment, now = target.deployment(), SystemClock().now()
        message = _MESSAGE.fullmatch(about)
        looked_for = message["about"] if message else about
        operation = _operation(deployment, tenant, client_id, looked_for)
        process = None if operation else _process(deployment, tenant, looked_for)
        if operation is not None:
            told = of_operation(deployment, operation.seen_at(now), now)
        elif process is not None:
            told = of_process(deployment, process, now)
        else:
            raise NotFound(f"There is neither such an operation nor such a process; {_LEFT}")
        told = of_message(told, about) if message else told
        record(deployment, Action.STORY, tenant=told.tenant, concerns={"storyOf": about})
        printer.result(story_json(told), lambda out: print_story(out, told))
        return Exit.OK

    return finished(printer, work)
