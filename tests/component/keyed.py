"""Tables as the template has them, as far as their keys go."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

KEYED: dict[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
    ],
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
}
"""How a table is created whose items have ``pk`` and ``sk``, and no index."""


@contextmanager
def keys_refused(client: Any) -> Iterator[None]:
    """Reads of keys that no item can have are refused, as DynamoDB does it and moto does not."""

    def refuse(params: dict[str, Any], **_: Any) -> None:
        for name, most in (("pk", 2048), ("sk", 1024)):
            if not 0 < len(params["Key"][name]["S"].encode()) <= most:
                raise ClientError(
                    {"Error": {"Code": "ValidationException", "Message": f"{name} is no key"}},
                    "GetItem",
                )

    event = "provide-client-params.dynamodb.GetItem"
    client.meta.events.register(event, refuse)
    try:
        yield
    finally:
        client.meta.events.unregister(event, refuse)
