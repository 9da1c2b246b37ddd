"""What is read of one operation, or of a page of them, does not grow with the others."""

from collections.abc import Callable
from datetime import timedelta
from itertools import batched

from benchmarks.counting import Meter
from headrace.adapters.dynamodb.operations import DynamoDueOperations
from headrace.exports.model import Operation
from headrace.kernel.ids import RandomIds
from tests.load.growth import copied
from tests.world import World

READS: dict[str, Callable[[World, Operation], object]] = {
    "status": lambda world, one: world.status(one),
    "first page": lambda world, one: world.operations.page(one.tenant, one.client_id, 21, None),
    "next page": lambda world, one: world.operations.page(
        one.tenant, one.client_id, 21, one.operation_id
    ),
    "quota": lambda world, one: world.used(),
    "due": lambda world, one: list(
        DynamoDueOperations(world.operations.table).due(world.clock.now())
    ),
}


def test_a_read_costs_the_same_among_thirty_operations_and_three_hundred(world: World) -> None:
    model = world.run(world.start(entity="employees"))
    world.sweep()
    client, meter = world.clients["dynamodb"], Meter()
    units: list[dict[str, int]] = []
    items = [
        one
        for one in client.scan(TableName="OperationsTable")["Items"]
        if model.operation_id in one["sk"]["S"]
    ]
    meter.watch(client.meta)
    there = 1
    for count in (30, 300):
        made = [
            copy
            for number in range(there, count)
            for copy in copied(
                items,
                model.operation_id,
                RandomIds().new(model.created_at - timedelta(seconds=number)),
            )
        ]
        for batch in batched(made, 25, strict=False):
            client.batch_write_item(
                RequestItems={"OperationsTable": [{"PutRequest": {"Item": one}} for one in batch]}
            )
        there = count
        cost = {}
        for name, read in READS.items():
            meter.usage.clear()
            read(world, model)
            cost[name] = meter.usage["dynamodb_read"]
        units.append(cost)
    assert units[0] == units[1]
    assert all(units[0].values())
