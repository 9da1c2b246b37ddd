"""Copies of an operation that was really run, so that there are many."""

import json
from collections.abc import Iterable, Iterator

from tests.system.deployed import Json


def copied(items: Iterable[Json], operation_id: str, copy: str) -> Iterator[Json]:
    """The items of an operation, in DynamoDB's notation, as those of another."""
    for item in items:
        yield json.loads(json.dumps(item).replace(operation_id, copy))
