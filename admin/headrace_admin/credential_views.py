"""What the commands show of clients, keys, webhooks and who asks for access."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Console

from headrace.catalog import document
from headrace.catalog.model import Client
from headrace.exports.webhooks import Endpoint
from headrace.identity.access_requests import AccessRequest
from headrace.identity.api_keys import ApiKey
from headrace.identity.key_views import KeyView
from headrace.identity.model import StoredSecret
from headrace.kernel.clock import rfc3339
from headrace.kernel.view import as_json
from headrace_admin.grid import Json, print_grid, say, when


def hand_over_letter(client_id: str, link: str, until: datetime) -> str:
    """A text for an e-mail that brings a link to who runs the client."""
    return (
        f"The secret of your client {client_id} waits for you behind this link:\n\n  {link}\n\n"
        f"It is shown once, until {rfc3339(until)[:10]}. Have a safe place ready to keep it in "
        "before\nyou open it. If the link does not work, somebody else may have used it: tell us "
        "at once."
    )


def shown_once(secret_id: str, until: datetime) -> str:
    """What the operator is told beside a link."""
    return (
        f"It shows the secret once, until {rfc3339(until)[:10]}, to whoever opens it first. "
        f"The secret's id is {secret_id}."
    )


def access_request_json(request: AccessRequest) -> Json:
    """A request for access; of its evidence what can be told without opening it."""
    found = as_json(request)
    return {name: value for name, value in found.items() if value is not None}


def print_access_requests(out: Console, requests: Sequence[AccessRequest]) -> None:
    """Requests for access, a line each."""
    print_grid(
        out,
        ("request", "state", "client", "tenants", "recorded", "evidence"),
        [
            (
                one.request_id,
                str(one.state),
                one.client_id,
                ", ".join(one.tenants),
                when(one.recorded_at),
                f"{one.evidence.name}, {one.evidence.size:,} bytes",
            )
            for one in requests
        ],
    )


def client_json(client: Client, secrets: Sequence[StoredSecret]) -> Json:
    """A client with its secrets, of which only the ids are known."""
    return {
        **document.client_to_json(client),
        "secrets": [
            {"secretId": secret.secret_id, "createdAt": rfc3339(secret.created_at)}
            for secret in secrets
        ],
    }


def print_clients(out: Console, clients: Sequence[tuple[Client, Sequence[StoredSecret]]]) -> None:
    """Clients, a line for each secret."""
    rows = []
    for client, secrets in clients:
        facts = (client.client_id, client.name, ", ".join(client.tenants))
        rows += [(*facts, secret.secret_id, when(secret.created_at)) for secret in secrets]
        if not secrets:
            rows.append((*facts, "none", ""))
    print_grid(out, ("client", "name", "tenants", "secret", "since"), rows)


type Secrets = Sequence[tuple[str, datetime]]


def webhook_json(client_id: str, endpoint: Endpoint, secrets: Secrets) -> Json:
    """A client's webhook with its secrets, of which only the ids are shown."""
    return {
        "clientId": client_id,
        "webhook": endpoint.name,
        "url": endpoint.url,
        "default": endpoint.default,
        "secrets": [{"secretId": one, "createdAt": rfc3339(since)} for one, since in secrets],
    }


def print_webhooks(out: Console, webhooks: Sequence[tuple[str, Endpoint, Secrets]]) -> None:
    """Webhooks, a line for each secret."""
    rows = []
    for client_id, endpoint, secrets in webhooks:
        facts = (client_id, endpoint.name, "yes" if endpoint.default else "", endpoint.url)
        rows += [(*facts, one, when(since)) for one, since in secrets]
        if not secrets:
            rows.append((*facts, "none", ""))
    print_grid(out, ("client", "webhook", "default", "url", "secret", "since"), rows)


def print_managers(out: Console, users: Sequence[str], teams: Iterable[str]) -> None:
    """Who manages a service, for people."""
    rows = [("user", name) for name in users] + [("team", name) for name in sorted(teams)]
    if rows:
        print_grid(out, ("", "manager"), rows)
    else:
        say(out, "nobody manages it; name somebody with --user or --team")


def key_json(key: ApiKey, now: datetime) -> Json:
    """An API key, as its managers see it."""
    return {name: value for name, value in as_json(KeyView.of(key, now)).items() if value}


def print_keys(out: Console, keys: Sequence[ApiKey], now: datetime) -> None:
    """API keys, for people."""
    print_grid(
        out,
        ("key", "kind", "state", "name", "begins with", "last used", "expires"),
        [
            (
                key.key_id,
                str(key.kind),
                str(key.state(now)),
                key.name or "",
                key.shown or "",
                when(key.last_used_at) if key.last_used_at else "never",
                when(key.expires_at),
            )
            for key in keys
        ],
    )
