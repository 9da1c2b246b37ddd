"""Services that call the endpoints of consents: through the authorizer, as API Gateway does it."""

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.catalog.model import SCOPES, Client, Service
from headrace.kernel.caller import Caller
from headrace.kernel.clock import SystemClock
from headrace.runtime import auditing, consents
from headrace.runtime.authorizer import facts_of
from tests.component.consents.tables import Tables
from tests.component.identity.deployment import Deployment, Response, event_of

MANAGE = "youforce-data-api:consents:manage"
_GRANTED = (*SCOPES, "consents:manage")
CLIENTS = (
    Client("wellness", "Wellness", ("acme", "beta"), _GRANTED, service=Service("external")),
    Client("sleep", "Sleep", ("acme",), _GRANTED, service=Service("external")),
    Client("mute", "May not", ("acme",), SCOPES, service=Service("external")),
    Client("hub", "Hub", ("acme",), _GRANTED, service=Service("broker")),
    Client("plain", "No service", ("acme",), _GRANTED),
)


@dataclass
class Services:
    """The deployment, and what is called there."""

    deployment: Deployment
    tables: Tables

    def call(
        self,
        method: str,
        path: str,
        client_id: str = "wellness",
        *,
        tenant: str = "acme",
        parameter: str = "",
        body: Any = None,
        query: Mapping[str, str] | None = None,
    ) -> Response:
        """The answer to a client's call."""
        token = self.deployment.token(client_id, tenant_id=tenant)
        facts = self.deployment.authorize(f"Bearer {token}{parameter}")["context"]
        return self.answer(method, path, facts, body, query)

    def by_user(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None
    ) -> Response:
        """The answer to a person who may manage the consents of the tenant acme."""
        caller = Caller("acme", "user", frozenset({MANAGE}), user="u1")
        return self.answer(method, path, facts_of(caller), body, query)

    def answer(
        self,
        method: str,
        path: str,
        facts: Mapping[str, Any],
        body: Any,
        query: Mapping[str, str] | None,
    ) -> Response:
        parts = path.strip("/").split("/")
        module = {"POST": "subscribe", "DELETE": "unsubscribe", "GET": "search_consents"}[method]
        event = event_of(method, path, query=query)
        event["pathParameters"] = dict(zip(("serviceId", "account"), parts[1::2], strict=False))
        event["requestContext"]["authorizer"] = dict(facts)
        event["body"] = None if body is None else json.dumps(body)
        answer = importlib.import_module(f"consents.{module}").handler(event, None)
        return Response(answer["statusCode"], answer["headers"], answer["body"])

    def subscribe(self, account: str, client_id: str = "wellness", **more: Any) -> Response:
        """A service subscribes an account to itself."""
        path = f"/services/{client_id}/subscriptions"
        return self.call("POST", path, client_id, body={"account": account, **more})

    def leave(self, account: str, client_id: str = "wellness") -> Response:
        """A service ends an account's subscription."""
        path = f"/services/{client_id}/subscriptions/{account}"
        return self.call("DELETE", path, client_id)

    def sharing(self, client_id: str = "wellness", tenant: str = "acme") -> tuple[str, ...]:
        """Whose rows the service gets."""
        shared = self.tables.sharing.shared_by(tenant, client_id, None, SystemClock().now())
        assert shared is not None
        return shared.accounts


def services_over(deployment: Deployment) -> Services:
    """The services, published, each with a secret."""
    for module in (auditing, consents):
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()
    deployment.publish(*CLIENTS)
    for client in CLIENTS:
        deployment.give_secret(client.client_id)
    tables = deployment.tables
    return Services(deployment, Tables(tables["consents"], tables["catalog"], SystemClock()))
