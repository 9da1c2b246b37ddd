"""The commands about who may call: ``headrace-admin access-request``."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

from headrace.audit.model import Action
from headrace.catalog.model import Tenant
from headrace.identity.access_requests import MAX_EVIDENCE, AccessRequest, RequestState
from headrace.identity.handing_over import HandOver
from headrace.identity.requesting_access import (
    ApproveAccessRequest,
    RecordAccessRequest,
    RejectAccessRequest,
)
from headrace.identity.usecases import CreateClientSecret
from headrace.kernel.clock import SystemClock, rfc3339
from headrace.kernel.errors import InvalidRequest, NotFound
from headrace.kernel.ids import RandomIds
from headrace_admin.credential_views import (
    access_request_json,
    hand_over_letter,
    print_access_requests,
    shown_once,
)
from headrace_admin.deployment import Deployment
from headrace_admin.outcome import Exit, Printer, finished
from headrace_admin.published import no_such
from headrace_admin.recording import record as written_down
from headrace_admin.target import AWS, Target

access_request = App(name="access-request")

RequestId = Annotated[str, Parameter(help="The request's id, as `access-request list` shows it.")]


@access_request.command
def record(
    client_id: str,
    *,
    tenant: Annotated[tuple[str, ...], Parameter(negative="")],
    evidence: Annotated[str | None, Parameter(show_default=False)] = None,
    evidence_file: Annotated[Path | None, Parameter(show_default=False)] = None,
    target: Target = AWS,
) -> int:
    """Record that somebody asks for access, and what shows that the tenant's people want it.

    The evidence is kept encrypted, and shown by `access-request evidence` only.

    Parameters
    ----------
    client_id
        The client that they are to have, in the published catalog or yet to be declared.
    tenant
        A tenant that it is to call for, by its name in the catalog or its organisation id; repeat
        it for more.
    evidence
        What was written, as a text.
    evidence_file
        … or a file with it, such as the e-mail.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = target.deployment()
        name, content = _evidence(evidence, evidence_file)
        known = deployment.catalogs().tenants()
        tenants = [_tenant(known, named) for named in tenant]
        keep = RecordAccessRequest(deployment.access_requests(), SystemClock(), RandomIds())
        recorded = keep(client_id, tenants, name, content, deployment.operator())
        _written(deployment, Action.ACCESS_REQUEST, recorded)
        printer.result(
            access_request_json(recorded),
            lambda out: out.print(f"Recorded as {recorded.request_id}.", markup=False),
        )
        if deployment.catalogs().client(client_id) is None:
            printer.err.print(
                f"The published catalog has no client {client_id} yet: declare it under clients "
                "and publish before you approve.",
                markup=False,
            )
        return Exit.OK

    return finished(printer, work)


@access_request.command(name="list")
def list_requests(
    *,
    state: Annotated[RequestState | None, Parameter(show_default=False)] = None,
    target: Target = AWS,
) -> int:
    """List the requests, oldest first, without their evidence.

    Parameters
    ----------
    state
        Those that stand so only.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        found = [
            one
            for one in target.deployment().access_requests().listed()
            if state in {None, one.state}
        ]
        printer.result(
            {"accessRequests": [access_request_json(one) for one in found]},
            lambda out: print_access_requests(out, found),
        )
        return Exit.OK

    return finished(printer, work)


@access_request.command
def evidence(
    request_id: RequestId,
    *,
    to_file: Annotated[Path | None, Parameter(show_default=False)] = None,
    target: Target = AWS,
) -> int:
    """Open the evidence of a request. That it was opened is written into the audit trail.

    Parameters
    ----------
    to_file
        The file, which must not be there; stdout if not named.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = target.deployment()
        requests = deployment.access_requests()
        found, content = requests.find(request_id), requests.evidence(request_id)
        if found is None or content is None:
            raise NotFound(f"There is no access request {request_id}.")
        _written(deployment, Action.ACCESS_REQUEST, found)
        if to_file is None:
            sys.stdout.buffer.write(content)
            return Exit.OK
        try:
            with to_file.open("xb") as file:
                file.write(content)
        except FileExistsError:
            raise InvalidRequest(f"{to_file} is there already; name another file.") from None
        printer.result(
            {"file": str(to_file), "bytes": len(content)},
            lambda out: out.print(f"{len(content):,} bytes written to {to_file}.", markup=False),
        )
        return Exit.OK

    return finished(printer, work)


@access_request.command
def approve(
    request_id: RequestId,
    *,
    letter: Annotated[bool, Parameter(negative="")] = False,
    without_credential: Annotated[bool, Parameter(negative="")] = False,
    target: Target = AWS,
) -> int:
    """Approve a request: the client gets a secret, behind a link that dies after seven days.

    The published catalog must have the client by then, with every tenant that it asks for.

    Parameters
    ----------
    letter
        Print a text for an e-mail around the link, to send on.
    without_credential
        Issue none: the client has one already, and is to call for one more tenant.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = target.deployment()
        approval = _approve(deployment)(
            request_id,
            deployment.operator(),
            _may_serve(deployment, request_id),
            with_credential=not without_credential,
        )
        approved = approval.request
        _written(deployment, Action.GRANT, approved)
        document = access_request_json(approved)
        if approval.token is None or approval.expires_at is None:
            said = f"Approved; {approved.client_id} keeps the credential that it has."
            printer.result(document, lambda out: out.print(said, markup=False))
            return Exit.OK
        url, until = f"{deployment.public_url}/credentials/{approval.token}", approval.expires_at
        text = hand_over_letter(approved.client_id, url, until) if letter else url
        printer.result(
            {**document, "link": url, "expiresAt": rfc3339(until)}
            | ({"letter": text} if letter else {}),
            lambda out: out.out(text, highlight=False),
        )
        printer.err.print(shown_once(str(approved.secret_id), until), markup=False)
        return Exit.OK

    return finished(printer, work)


@access_request.command
def reject(
    request_id: RequestId,
    *,
    reason: Annotated[str, Parameter(help="Why, without anybody's name.")],
    target: Target = AWS,
) -> int:
    """Reject a request. It is forgotten after ninety days, with its evidence."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = target.deployment()
        reject = RejectAccessRequest(deployment.access_requests(), SystemClock())
        rejected = reject(request_id, deployment.operator(), reason)
        _written(deployment, Action.ACCESS_REQUEST, rejected)

        def human(out: Console) -> None:
            out.print(f"{rejected.client_id} does not get access.", markup=False)

        printer.result(access_request_json(rejected), human)
        return Exit.OK

    return finished(printer, work)


def _evidence(text: str | None, file: Path | None) -> tuple[str, bytes]:
    """Its name and what is in it. Raises InvalidRequest."""
    if text is not None and file is None:
        return "text", text.encode()
    if file is None or text is not None:
        raise InvalidRequest("Give either --evidence or --evidence-file.")
    try:
        with file.open("rb") as opened:
            return file.name, opened.read(MAX_EVIDENCE + 1)
    except OSError as error:
        raise InvalidRequest(f"{file} cannot be read: {error.strerror}.") from None


def _tenant(known: tuple[Tenant, ...], named: str) -> str:
    """Raises NotFound: the catalog has no tenant of this name or organisation id."""
    for one in known:
        if named == one.tenant_id or named.lower() == one.organisation_id:
            return one.tenant_id
    raise no_such("tenant", named, (one.tenant_id for one in known))


def _may_serve(deployment: Deployment, request_id: str) -> tuple[str, ...]:
    """The tenants of the request's client. Raises NotFound: there is no such client."""
    found = deployment.access_requests().find(request_id)
    client = None if found is None else deployment.catalogs().client(found.client_id)
    if found is not None and client is None:
        raise NotFound(
            f"The published catalog has no client {found.client_id}; declare it under clients and "
            "publish first."
        )
    return () if client is None else client.tenants


def _approve(deployment: Deployment) -> ApproveAccessRequest:
    secrets, clock = deployment.client_secrets(), SystemClock()
    return ApproveAccessRequest(
        deployment.access_requests(),
        secrets,
        CreateClientSecret(secrets, clock, RandomIds()),
        HandOver(deployment.handovers(), clock),
        clock,
    )


def _written(deployment: Deployment, action: Action, request: AccessRequest) -> None:
    """An event for each tenant: that of one tells nothing of the others."""
    ids = {"accessRequestId": request.request_id}
    if request.secret_id is not None:
        ids["secretId"] = request.secret_id
    for tenant in request.tenants:
        written_down(deployment, action, tenant=tenant, service=request.client_id, concerns=ids)
