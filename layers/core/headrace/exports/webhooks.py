"""Completion webhooks: what an endpoint is told when an operation has ended, how, and how often.

A *delivery* is a JSON message (``kernel.deliveries`` says how it is signed and tried), recorded by
the very write that ends an attempt of an operation.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from headrace.kernel.clock import rfc3339
from headrace.kernel.deliveries import Tried

EVENT_TYPE = "operation.completed"

MAX_SECRETS = 2
"""An endpoint has one secret, and a second one while it moves from the first to the next."""


@dataclass(frozen=True)
class Endpoint:
    """Where a client wants to be told, by a name of its own.

    ``default``: also of operations that name no endpoint. The URL may hold secrets of the client's:
    it is shown to nobody but the operator.
    """

    name: str
    url: str
    default: bool = False


@dataclass(frozen=True)
class Notice:
    """Which endpoint is told of an operation's end, and at what URL the API is for links."""

    endpoint: str
    base_url: str


@dataclass(frozen=True)
class Completion:
    """How an attempt of an operation ended. ``sync_version``: only of one that succeeded."""

    operation_id: str
    attempt: int
    kind: str
    status: str
    configuration_id: str
    entity: str | None
    sync_version: str | None
    error_code: str | None
    error_detail: str | None
    ended_at: datetime
    manifest: str


@dataclass(frozen=True)
class Delivery(Tried):
    """A message to an endpoint."""

    tenant: str
    client_id: str
    endpoint: str
    completion: Completion

    @property
    def delivery_id(self) -> str:
        """The message's id: the same at every try, and of no other end of any operation."""
        return f"msg_{self.completion.operation_id}_{self.completion.attempt}"

    @property
    def execution_name(self) -> str:
        """The name of the execution that sees to it: a second start is a repeat."""
        return f"{self.delivery_id}-{self.run}"

    @property
    def body(self) -> bytes:
        """The message: the same bytes at every try."""
        what = self.completion
        error = {"code": what.error_code, "detail": what.error_detail} if what.error_code else None
        message = {
            "type": EVENT_TYPE,
            "timestamp": rfc3339(what.ended_at),
            "data": {
                "operationId": what.operation_id,
                "attempt": what.attempt,
                "tenant": self.tenant,
                "kind": what.kind,
                "status": what.status,
                "configurationId": what.configuration_id,
                "entity": what.entity,
                "syncVersion": what.sync_version,
                "error": error,
                "manifest": what.manifest,
            },
        }
        return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()

    @property
    def owed_since(self) -> datetime:
        """Since the operation's end."""
        return self.completion.ended_at
