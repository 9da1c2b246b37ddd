"""`make load`: what a status and a list cost as operations become many; written to docs/load.md."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from benchmarks import report
from headrace.adapters.dynamodb.operations import DynamoDueOperations
from headrace.kernel.clock import from_rfc3339
from local.home import CHECKOUT
from tests.load.growth import OWNERS_SHARE, Copies, Reads, milliseconds
from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Integrator, Platform

pytestmark = pytest.mark.system

COUNTS = (1, 1_000, 10_000, 100_000)
TIMES = 5
"""Calls that a figure of milliseconds is the median of."""


def _page(integrator: Integrator) -> None:
    reply = integrator.get("/data/v1/operations")
    assert reply.status_code == 200, reply.text


def _newest(dynamodb: Any, table: str, tenant: str, client_id: str) -> None:
    """What the emulator takes for the least that a page can ask of it."""
    dynamodb.query(
        TableName=table,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
        ExpressionAttributeValues={
            ":pk": {"S": f"{tenant}#{client_id}"},
            ":prefix": {"S": "operation#"},
        },
        ScanIndexForward=False,
        Limit=1,
    )


def test_what_is_read_of_one_operation_or_a_page_stays_the_same_among_a_hundred_thousand(
    platform: Platform, clients: Clients, capsys: pytest.CaptureFixture[str]
) -> None:
    owner, other = clients.several(2, NORTHWIND, "cost_centres")
    first, others = owner.export(), other.export()["operationId"]
    operation_id, moment = first["operationId"], from_rfc3339(first["createdAt"])
    dynamodb = platform.aws("dynamodb")
    operations, reads = platform.deployment.operations(), Reads()
    table = operations.table
    reads.watch(table.client)
    of_owner = (owner.tenant, owner.client_id)
    has = owner.items()
    kept = [
        has[f"operation#{operation_id}"],
        *(item for key, item in has.items() if key.startswith(f"job#{operation_id}-")),
    ]
    due = DynamoDueOperations(table)
    read: dict[str, Callable[[], object]] = {
        "status": lambda: operations.get(*of_owner, operation_id),
        "list, first page": lambda: operations.page(*of_owner, 21, None),
        "list, next page": lambda: operations.page(*of_owner, 21, operation_id),
        "due for the sweeper": lambda: list(due.due(moment)),
    }
    called: dict[str, Callable[[], object]] = {
        "status": lambda: owner.status(operation_id),
        "list": lambda: _page(owner),
        "status, of a client with one": lambda: other.status(others),
        "list, of a client with one": lambda: _page(other),
    }
    copies = Copies(dynamodb, table.name, kept, operation_id, moment)
    costs, units, times, bare = [], [], [], []
    try:
        for count in COUNTS:
            copies.grow_to(count)
            measured = {name: reads.of(one) for name, one in read.items()}
            costs.append({name: calls for name, (calls, _) in measured.items()})
            units.append({name: read_units for name, (_, read_units) in measured.items()})
            times.append({name: milliseconds(one, TIMES) for name, one in called.items()})
            bare.append(milliseconds(lambda: _newest(dynamodb, table.name, *of_owner), TIMES))
    finally:
        copies.forget()
    head = ("operations in the table", *(f"{count:,}" for count in COUNTS))
    own = ("of the client that asks", *(f"{max(1, count // OWNERS_SHARE):,}" for count in COUNTS))
    rows = [list(own)]
    rows += [[f"{name}: read units", *(f"{at[name]}" for at in units)] for name in read]
    rows += [[f"{name}: ms", *(f"{at[name]:.0f}" for at in times)] for name in called]
    rows.append(
        ["the emulator's `Query` of the newest operation alone: ms", *(f"{b:.0f}" for b in bare)]
    )
    asked = "; ".join(
        f"{name}: {', '.join(f'{number} × {call}' for call, number in calls.items())}"
        for name, calls in costs[-1].items()
    )
    text = "\n\n".join(
        [
            f"`make load` on {datetime.now(UTC).date()}, a machine with {report.machine()}; "
            f"milliseconds are the median of {TIMES} calls over HTTP. Calls of DynamoDB: {asked}.",
            report.table(head, rows),
        ]
    )
    with capsys.disabled():
        print(f"\n{text}\n")  # noqa: T201
    report.write("growth", text, CHECKOUT / "docs" / "load.md")
    for cost in costs:
        assert cost == costs[-1]
        assert {call for calls in cost.values() for call in calls} <= {"GetItem", "Query"}
    # A page of one or ten operations weighs less than a full one; there are full ones from here on.
    full = units[COUNTS.index(10_000) :]
    assert all(some == full[0] for some in full)
    for name in ("status", "due for the sweeper"):
        assert units[0][name] == units[-1][name]
