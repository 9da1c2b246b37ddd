"""Delivers webhooks, and issues the secrets that they are signed with.

One execution at a time sees to a delivery (``outbox``). Each try is claimed by a conditional write
before it is made, so a worker that comes twice, late or from an execution that was replaced sends
nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from headrace.exports.extraction import Attempt
from headrace.exports.ports import Configurations, Courier, Deliveries, WebhookSecrets
from headrace.exports.webhooks import Delivery, Endpoint
from headrace.kernel.clock import Clock
from headrace.kernel.deliveries import Answer, DeliveryState, headers, new_secret
from headrace.kernel.errors import AddressRefused, Fenced, Unavailable
from headrace.kernel.ids import Ids


@dataclass(frozen=True)
class DeliverWebhook:
    """Tries a delivery once, if it is time for it."""

    deliveries: Deliveries
    configurations: Configurations
    secrets: WebhookSecrets
    courier: Courier
    clock: Clock
    jitter: Callable[[], float]
    """A random number from 0 to 1."""

    def __call__(self, attempt: Attempt, run: int) -> Delivery:
        """What is owed for the attempt's end, as it stands then. Raises NotFound, Fenced,
        Unavailable.

        While it is pending, it is to be tried again at ``next_try_at``.
        """
        kept = self.deliveries.get(
            attempt.tenant, attempt.client_id, attempt.operation_id, attempt.attempt
        )
        if kept.state is not DeliveryState.PENDING or kept.run != run:
            raise Fenced("The delivery is over, or another execution sees to it.")
        now = self.clock.now()
        if kept.next_try_at is not None and now < kept.next_try_at:
            return kept
        if kept.is_hopeless:
            return self.deliveries.save(kept, kept.abandoned())
        endpoint = self._endpoint(kept)
        if endpoint is None:
            return self.deliveries.save(kept, kept.withdrawn())
        begun = self.deliveries.save(kept, kept.begun(now, self.jitter()))
        return self.deliveries.save(begun, begun.ended(self._send(begun, endpoint, now)))

    def _endpoint(self, delivery: Delivery) -> Endpoint | None:
        """The endpoint as the catalog has it now, if it still has it for this client and tenant."""
        known = self.configurations.endpoints(delivery.tenant, delivery.client_id)
        return next((one for one in known if one.name == delivery.endpoint), None)

    def _send(self, delivery: Delivery, endpoint: Endpoint, now: datetime) -> Answer:
        try:
            signing_secrets = self.secrets.of(delivery.client_id, endpoint.name)
        except Unavailable:
            return Answer(error="secret_unavailable")
        if not signing_secrets:
            return Answer(error="no_secret")
        body = delivery.body
        signed = headers(delivery.delivery_id, now, body, signing_secrets)
        try:
            return Answer(status=self.courier.post(endpoint.url, body, signed))
        except AddressRefused:
            return Answer(error="address_refused")
        except Unavailable:
            return Answer(error="no_answer")


@dataclass(frozen=True)
class IssueWebhookSecret:
    """Makes a signing secret for an endpoint. A second one beside the first is how to change
    secrets without an interruption: messages are signed with both."""

    secrets: WebhookSecrets
    clock: Clock
    ids: Ids

    def __call__(self, client_id: str, endpoint: str) -> tuple[str, str]:
        """The secret's id, and the secret, which nothing shows again.

        Raises Conflict when the endpoint has two already.
        """
        now = self.clock.now()
        secret_id, secret = self.ids.new(now), new_secret()
        self.secrets.add(client_id, endpoint, secret_id, secret, now)
        return secret_id, secret
