"""The commands about clients' secrets: ``headrace-admin client``."""

from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

from headrace.catalog.usecases import ShowCatalog
from headrace.identity.handing_over import HandOver
from headrace.identity.usecases import CreateClientSecret
from headrace.kernel.clock import SystemClock, rfc3339
from headrace.kernel.ids import RandomIds
from headrace_admin.credential_views import client_json, hand_over_letter, print_clients, shown_once
from headrace_admin.outcome import Exit, Printer, finished
from headrace_admin.published import known_client
from headrace_admin.target import AWS, Target

client = App(name="client")


@client.command
def create(
    client_id: str,
    *,
    link: Annotated[bool, Parameter(negative="")] = False,
    letter: Annotated[bool, Parameter(negative="")] = False,
    target: Target = AWS,
) -> int:
    """Issue a secret for a client of the published catalog, and print it, this once.

    Only its hash is kept. A client may have two secrets, so that it can change from one to the
    next without a pause: issue the second, let the client use it, revoke the first.

    Parameters
    ----------
    client_id
        The client, as the published catalog names it.
    link
        Print a link in place of the secret: it shows the secret once, and dies after seven days.
    letter
        Print a text for an e-mail around the link, to send on.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = target.deployment()
        known_client(deployment, client_id)
        stored, secret = CreateClientSecret(
            deployment.client_secrets(), SystemClock(), RandomIds()
        )(client_id)
        if link or letter:
            token, until = HandOver(deployment.handovers(), SystemClock())(
                client_id, stored.secret_id, secret
            )
            url = f"{deployment.public_url}/credentials/{token}"
            text = hand_over_letter(client_id, url, until) if letter else url
            printer.result(
                {
                    "clientId": client_id,
                    "secretId": stored.secret_id,
                    "link": url,
                    "expiresAt": rfc3339(until),
                    **({"letter": text} if letter else {}),
                },
                lambda out: out.out(text, highlight=False),
            )
            printer.err.print(shown_once(stored.secret_id, until), markup=False)
            return Exit.OK

        def human(out: Console) -> None:
            out.out(f"client_id      {client_id}", highlight=False)
            out.out(f"client_secret  {secret}", highlight=False)
            printer.err.print(
                f"Hand it over safely; it cannot be shown again. Its id is {stored.secret_id}."
            )

        printer.result(
            {"clientId": client_id, "secretId": stored.secret_id, "clientSecret": secret}, human
        )
        return Exit.OK

    return finished(printer, work)


@client.command(name="list")
def list_clients(*, target: Target = AWS) -> int:
    """List the clients of the published catalog with the ids of their secrets."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = target.deployment()
        _, published = ShowCatalog(deployment.catalogs())()
        secrets = deployment.client_secrets()
        found = [
            (client, secrets.of(client.client_id))
            for client in sorted(published.clients, key=lambda c: c.client_id)
        ]
        printer.result(
            {"clients": [client_json(client, held) for client, held in found]},
            lambda out: print_clients(out, found),
        )
        return Exit.OK

    return finished(printer, work)


@client.command
def revoke_secret(client_id: str, secret_id: str, *, target: Target = AWS) -> int:
    """End one of a client's secrets, at once. Tokens it was used for end within the hour.

    Parameters
    ----------
    client_id
        The client, in the published catalog or not.
    secret_id
        The secret's id, as `client list` shows it.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        target.deployment().client_secrets().revoke(client_id, secret_id)
        printer.result(
            {"clientId": client_id, "revokedSecretId": secret_id},
            lambda out: out.print(f"The secret {secret_id} of {client_id} no longer works."),
        )
        return Exit.OK

    return finished(printer, work)
