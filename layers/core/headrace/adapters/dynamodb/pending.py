"""The write that deliveries and notices share: by whoever still sees to what is pending."""

from headrace.adapters.dynamodb.table import ConditionFailed, Item, Table
from headrace.kernel.deliveries import DeliveryState, Tried
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
