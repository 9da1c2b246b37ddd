"""The commands about the secrets of webhooks: ``headrace-admin webhook``."""

from cyclopts import App
from rich.console import Console

from headrace.catalog.usecases import ShowCatalog
from headrace.exports.delivering import IssueWebhookSecret
from headrace.kernel.clock import SystemClock
from headrace.kernel.errors import NotFound
from headrace.kernel.ids import RandomIds
from headrace_admin.credential_views import print_webhooks, webhook_json
from headrace_admin.deployment import Deployment
from headrace_admin.outcome import Exit, Printer, finished
from headrace_admin.target import AWS, Target

webhook = App(name="webhook")


def _registered(deployment: Deployment, client_id: str, name: str) -> None:
    known = deployment.catalogs().client(client_id)
    if known is None or name not in [one.name for one in known.webhooks]:
        raise NotFound(
            f"The published catalog has no webhook {name} of {client_id}; declare it under the "
            "client's webhooks and publish first."
        )


@webhook.command
def secret(client_id: str, name: str, *, target: Target = AWS) -> int:
    """Issue a secret that a webhook's messages are signed with, and print it, this once.

    A webhook may have two secrets: then messages are signed with both, so that the receiver can
    change from one to the next without a pause. Issue the second, let the receiver use it, revoke
    the first.

    Parameters
    ----------
    client_id
        The client, as the published catalog names it.
    name
        The webhook, as the client's entry names it.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = target.deployment()
        _registered(deployment, client_id, name)
        secret_id, issued = IssueWebhookSecret(
            deployment.webhook_secrets(), SystemClock(), RandomIds()
        )(client_id, name)

        def human(out: Console) -> None:
            out.out(f"webhook  {client_id} {name}", highlight=False)
            out.out(f"secret   {issued}", highlight=False)
            printer.err.print(
                f"Hand it over safely; it cannot be shown again. Its id is {secret_id}."
            )

        printer.result(
            {"clientId": client_id, "webhook": name, "secretId": secret_id, "secret": issued},
            human,
        )
        return Exit.OK

    return finished(printer, work)


@webhook.command(name="list")
def list_webhooks(*, target: Target = AWS) -> int:
    """List the webhooks of the published catalog with the ids of their secrets."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = target.deployment()
        _, published = ShowCatalog(deployment.catalogs())()
        secrets = deployment.webhook_secrets()
        found = [
            (known.client_id, endpoint, secrets.listed(known.client_id, endpoint.name))
            for known in sorted(published.clients, key=lambda c: c.client_id)
            for endpoint in known.webhooks
        ]
        printer.result(
            {"webhooks": [webhook_json(*one) for one in found]},
            lambda out: print_webhooks(out, found),
        )
        return Exit.OK

    return finished(printer, work)


@webhook.command(name="revoke-secret")
def revoke_webhook_secret(
    client_id: str, name: str, secret_id: str, *, target: Target = AWS
) -> int:
    """End one of a webhook's secrets: from the next try on nothing is signed with it.

    Parameters
    ----------
    client_id
        The client, in the published catalog or not.
    name
        The webhook, in the published catalog or not.
    secret_id
        The secret's id, as `webhook list` shows it.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        target.deployment().webhook_secrets().revoke(client_id, name, secret_id)
        printer.result(
            {"clientId": client_id, "webhook": name, "revokedSecretId": secret_id},
            lambda out: out.print(f"Nothing is signed with the secret {secret_id} any more."),
        )
        return Exit.OK

    return finished(printer, work)
