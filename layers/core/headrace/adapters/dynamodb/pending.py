"""What deliveries and notices share: how their tries are kept, and written while pending."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from headrace.adapters.dynamodb.table import ConditionFailed, Item, Table
from headrace.kernel.clock import from_rfc3339, rfc3339
from headrace.kernel.deliveries import Answer, DeliveryState, Tried
from headrace.kernel.errors import Fenced


def put_while_pending(table: Table, item: Item, before: Tried) -> None:
    """Writes the item if what is kept is pending and stands as ``before`` says. Raises Fenced."""
    try:
        table.put(
            item,
            "#state = :pending AND run = :run AND tries = :tries",
            pending=str(DeliveryState.PENDING),
            run=before.run,
            tries=before.tries,
        )
    except ConditionFailed:
        raise Fenced("What is to be delivered has moved on.") from None


def tried_item(tried: Tried) -> Item:
    """How its tries stand, as a part of its item."""
    return {
        "state": str(tried.state),
        "run": tried.run,
        "tries": tried.tries,
        "next_try_at": rfc3339(tried.next_try_at) if tried.next_try_at else None,
        "last_try_at": rfc3339(tried.last_try_at) if tried.last_try_at else None,
        "last_status": tried.last.status,
        "last_error": tried.last.error,
    }


def tried_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of ``tried_item``: the fields of ``Tried``."""
    return {
        "state": DeliveryState(item["state"]),
        "run": item["run"],
        "tries": item["tries"],
        "next_try_at": _moment(item, "next_try_at"),
        "last_try_at": _moment(item, "last_try_at"),
        "last": Answer(item.get("last_status"), item.get("last_error")),
    }


def _moment(item: Mapping[str, Any], name: str) -> datetime | None:
    return from_rfc3339(item[name]) if item.get(name) else None
