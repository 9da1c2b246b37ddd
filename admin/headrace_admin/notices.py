"""The command ``headrace-admin notice``: what the ends of data set processes are signed with."""

from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

from headrace.datasets.ending import ENDPOINT, secrets_owner
from headrace.exports.delivering import IssueWebhookSecret
from headrace.kernel.clock import SystemClock, rfc3339
from headrace.kernel.errors import NotFound
from headrace.kernel.ids import RandomIds
from headrace_admin.outcome import Exit, Printer, finished
from headrace_admin.published import known_tenant
from headrace_admin.target import AWS, Target

notice = App(name="notice")

Tenant = Annotated[str, Parameter(help="The tenant, as the published catalog names it.")]


@notice.command
def secret(tenant: Tenant, *, target: Target = AWS) -> int:
    """Issue a secret that the tenant's notices are signed with, and print it, this once.

    Without one, notices go unsigned. There may be two: then they are signed with both, so that the
    receiver can change from one to the next without a pause.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = target.deployment()
        known_tenant(deployment, tenant)
        secret_id, issued = IssueWebhookSecret(
            deployment.webhook_secrets(), SystemClock(), RandomIds()
        )(secrets_owner(tenant), ENDPOINT)

        def human(out: Console) -> None:
            out.out(f"notices of  {tenant}", highlight=False)
            out.out(f"secret      {issued}", highlight=False)
            printer.err.print(
                f"Hand it over safely; it cannot be shown again. Its id is {secret_id}."
            )

        printer.result({"tenant": tenant, "secretId": secret_id, "secret": issued}, human)
        return Exit.OK

    return finished(printer, work)


@notice.command(name="list")
def list_secrets(tenant: Tenant, *, target: Target = AWS) -> int:
    """List the ids of the secrets that the tenant's notices are signed with."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        found = target.deployment().webhook_secrets().listed(secrets_owner(tenant), ENDPOINT)
        listed = [{"secretId": one, "createdAt": rfc3339(since)} for one, since in found]

        def human(out: Console) -> None:
            for one in listed:
                out.out(f"{one['secretId']}  since {one['createdAt']}", highlight=False)
            if not listed:
                out.out("none: notices go unsigned", highlight=False)

        printer.result({"tenant": tenant, "secrets": listed}, human)
        return Exit.OK

    return finished(printer, work)


@notice.command(name="revoke-secret")
def revoke_secret(tenant: Tenant, secret_id: str, *, target: Target = AWS) -> int:
    """End one of the secrets: from the next try on nothing is signed with it.

    Parameters
    ----------
    secret_id
        The secret's id, as `notice list` shows it.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        secrets = target.deployment().webhook_secrets()
        try:
            secrets.revoke(secrets_owner(tenant), ENDPOINT, secret_id)
        except NotFound:  # which calls it a webhook's
            raise NotFound(f"The notices of {tenant} have no secret {secret_id}.") from None
        printer.result(
            {"tenant": tenant, "revokedSecretId": secret_id},
            lambda out: out.print(f"Nothing is signed with the secret {secret_id} any more."),
        )
        return Exit.OK

    return finished(printer, work)
