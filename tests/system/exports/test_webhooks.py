"""Webhooks of the deployed product, to a receiver on this machine."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from standardwebhooks import Webhook

from headrace.exports.delivering import IssueWebhookSecret
from headrace.exports.webhooks import Endpoint
from headrace.kernel.clock import SystemClock
from headrace.kernel.ids import RandomIds
from tests.serving import served
from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Integrator, Json, Platform, eventually

pytestmark = pytest.mark.system


@dataclass
class Receiver:
    """A server of the integrator's: answers in turn what it is told to, then 204."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    requests: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)


@contextmanager
def receiver(*answers: int) -> Iterator[Receiver]:
    """One that runs."""
    here = Receiver(answers=list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            given = {name.lower(): value for name, value in self.headers.items()}
            here.requests.append((self.path, body, given))
            self.send_response(here.answers.pop(0) if here.answers else 204)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        do_PUT = do_POST

        def log_message(self, format: str, *args: object) -> None:
            return

    with served(Handler) as port:
        here.url = f"http://127.0.0.1:{port}/in?key=sesame"
        yield here


def with_webhook(clients: Clients, url: str, *tables: str, **traits: Any) -> tuple[Integrator, str]:
    """A client with the webhook ``hooks``, and the secret that it is signed with."""
    integrator = clients.special(NORTHWIND, *tables, webhooks=(Endpoint("hooks", url),), **traits)
    secrets = integrator.platform.deployment.webhook_secrets()
    issue = IssueWebhookSecret(secrets, SystemClock(), RandomIds())
    return integrator, issue(integrator.client_id, "hooks")[1]


def told(
    integrator: Integrator, operation_id: str, holds: Callable[[Json], bool], *, within: float = 90
) -> Json:
    """The operation's last delivery as soon as this holds of it."""
    seen = integrator.until(
        operation_id,
        lambda status: bool(status["deliveries"]) and holds(status["deliveries"][-1]),
        within=within,
        what=f"delivery of {operation_id}",
    )
    delivery: Json = seen["deliveries"][-1]
    return delivery


@pytest.mark.abuse(129)
def test_an_endpoint_that_fails_twice_gets_the_signed_message_at_the_third_try(
    platform: Platform, clients: Clients, neighbour: Integrator
) -> None:
    with receiver(500, 500) as here:
        integrator, secret = with_webhook(clients, here.url)
        done = integrator.export(entity="cost_centres", webhook="hooks")
        delivery = told(integrator, done["operationId"], lambda one: one["state"] != "pending")

    assert (delivery["state"], delivery["tries"]) == ("delivered", 3)
    assert (delivery["endpoint"], delivery["lastStatus"]) == ("hooks", 204)
    assert delivery["nextTryAt"] is None
    assert len(here.requests) == 3
    assert len({body for _, body, _ in here.requests}) == 1
    for _, body, headers in here.requests:
        said = Webhook(secret).verify(body, headers)
        assert headers["webhook-id"] == delivery["id"]
    times = [int(headers["webhook-timestamp"]) for _, _, headers in here.requests]
    assert 3 <= times[1] - times[0] <= 15
    assert 11 <= times[2] - times[1] <= 30
    assert said["type"] == "operation.completed"
    assert said["data"]["operationId"] == done["operationId"]
    assert said["data"]["status"] == "succeeded"
    assert said["data"]["syncVersion"] == done["syncVersion"]
    assert said["data"]["manifest"] == done["links"]["manifest"]
    listed = integrator.call("GET", said["data"]["manifest"].removeprefix(platform.api_url))
    assert listed.status_code == 200
    status = integrator.get(f"/data/v1/fulldata/{done['operationId']}/status")
    assert "sesame" not in status.text
    theirs = neighbour.get(f"/data/v1/fulldata/{done['operationId']}/status")
    assert theirs.status_code == 404


def test_a_cancelled_operation_is_told_too(clients: Clients) -> None:
    with receiver() as here:
        integrator, secret = with_webhook(clients, here.url)
        operation_id = integrator.start(entity="payslips", webhook="hooks")["operationId"]
        cancelled = integrator.cancel(operation_id).json()
        told(integrator, operation_id, lambda one: one["state"] == "delivered")
    assert cancelled["status"] == "cancelled"
    [(_, body, headers)] = here.requests
    said = Webhook(secret).verify(body, headers)
    assert (said["data"]["status"], said["data"]["syncVersion"]) == ("cancelled", None)


def test_what_nobody_began_the_sweeper_begins(platform: Platform, clients: Clients) -> None:
    with receiver() as here:
        integrator, secret = with_webhook(clients, here.url)
        machine = platform.outputs["DeliveryStateMachineArn"] + "-that-is-not-there"
        with platform.configured("EndExport", DELIVERY_STATE_MACHINE=machine, LEASE_SECONDS="5"):
            done = integrator.export(entity="cost_centres", webhook="hooks")
        [owed] = done["deliveries"]
        assert (owed["state"], owed["tries"], here.requests) == ("pending", 0, [])

        def swept() -> Json:
            platform.sweep()  # or the one that the platform starts each minute came first
            delivery: Json = integrator.status(done["operationId"])["deliveries"][-1]
            return {} if delivery["state"] == "pending" else delivery

        delivery = eventually(swept, within=60, what="it is swept", every=1)
    assert (delivery["state"], delivery["id"]) == ("delivered", owed["id"])
    [(_, body, headers)] = here.requests
    assert Webhook(secret).verify(body, headers)


@pytest.mark.abuse(124)
def test_a_redirect_is_not_followed(clients: Clients) -> None:
    with receiver(307) as here:
        integrator, _ = with_webhook(clients, here.url)
        done = integrator.export(entity="cost_centres", webhook="hooks")
        delivery = told(integrator, done["operationId"], lambda one: one["lastStatus"] is not None)
        told(integrator, done["operationId"], lambda one: one["state"] == "delivered")
    assert delivery["lastStatus"] in (307, 204)
    assert {path for path, _, _ in here.requests} == {"/in?key=sesame"}
    assert len(here.requests) == 2


@pytest.mark.abuse(120)
@pytest.mark.abuse(125)
@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
        "https://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
    ],
)
def test_what_is_not_on_the_internet_is_not_called(clients: Clients, url: str) -> None:
    integrator, _ = with_webhook(clients, url)
    operation_id = integrator.start(entity="cost_centres", webhook="hooks")["operationId"]
    integrator.cancel(operation_id)
    delivery = told(integrator, operation_id, lambda one: one["lastError"] is not None)
    assert (delivery["state"], delivery["lastError"]) == ("pending", "address_refused")
    assert delivery["lastStatus"] is None


def test_a_webhook_that_is_not_registered_is_422(clients: Clients) -> None:
    integrator, _ = with_webhook(clients, "https://hooks.example/")
    refused = integrator.starts(webhook="hoks")
    assert refused.status_code == 422
    assert refused.json()["errors"] == [{"field": "webhook", "message": "is not registered"}]
    assert integrator.quota()["used"] == 0
    assert integrator.is_free()
