"""What a release does with items of its neighbours: during a deployment both are at work."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
from headrace.adapters.dynamodb.table import Table
from headrace.catalog import document
from headrace.exports.model import Operation, Status
from headrace.kernel.errors import Unavailable
from headrace_admin.deployment import Deployment, DeploymentTooOld
from tests.builders import SteppingClock
from tests.unit.catalog.builders import a_catalog
from tests.unit.template.deployed import TEMPLATE
from tests.world import World, a_world

NEWER = {"of_a_later_release": {"S": "kept"}}
OLDER = Path(__file__).with_name("items-0.1.json")
"""What the first release left in the operations table (``leave``), in DynamoDB's own notation.
Never recorded anew for a change: it is what lies in somebody's table."""


def add_to_each_new_item(client: Any) -> None:
    """From here on each item is written first by a later release, with an attribute of its own."""
    seen: set[str] = set()

    def add(item: dict[str, Any]) -> None:
        key = f"{item['pk']} {item['sk']}"
        if key not in seen:
            seen.add(key)
            item |= NEWER

    def of_puts(params: dict[str, Any], **_: Any) -> None:
        for action in params.get("TransactItems", [{"Put": params}]):
            if "Put" in action:
                add(action["Put"]["Item"])

    for call in ("PutItem", "TransactWriteItems"):
        client.meta.events.register(f"provide-client-params.dynamodb.{call}", of_puts)


def items(world: World) -> list[dict[str, Any]]:
    """All of the operations table, as DynamoDB has it."""
    found: list[dict[str, Any]] = world.clients["dynamodb"].scan(TableName="OperationsTable")[
        "Items"
    ]
    return found


def kinds(world: World) -> dict[str, list[Mapping[str, Any]]]:
    """The items by what the docs of the table call them."""
    sorted_out: dict[str, list[Mapping[str, Any]]] = {}
    for item in items(world):
        sorted_out.setdefault(item["sk"]["S"].partition("#")[0], []).append(item)
    return sorted_out


def test_what_a_later_release_adds_is_not_in_the_way_and_is_kept() -> None:
    with a_world() as world:
        add_to_each_new_item(world.clients["dynamodb"])
        first = world.start(key="a key")
        done = world.run(first)
        assert done.status is Status.SUCCEEDED
        assert world.start(key="a key").operation_id == first.operation_id

        second = world.start()
        world.fail_job(second, world.plan(second)[0])
        world.end(second)
        retried = world.retry(second)
        assert world.run(retried).status is Status.SUCCEEDED
        assert world.used() == 1  # what failed was given back

        written = kinds(world)
        for kind in ("operation", "idempotency"):  # a job is written anew by each attempt
            assert written[kind], kind
            assert all(NEWER.items() <= item.items() for item in written[kind]), kind


def leave(world: World) -> None:
    """Operations as they stand at any moment: one ended well, one failed, one is in its middle."""
    world.run(world.start(key="a key"))
    failed = world.start()
    world.fail_job(failed, world.plan(failed)[0])
    world.end(failed)
    running = world.start()
    job_id, *_ = world.plan(running)
    job_attempt, _ = world.plan_job(running, job_id)
    world.export_range(running, job_id, job_attempt)


@pytest.fixture
def after_a_deployment() -> Iterator[World]:
    """A world whose operations table is what the earlier release left."""
    with a_world() as world:
        for item in json.loads(OLDER.read_text()):
            world.clients["dynamodb"].put_item(TableName="OperationsTable", Item=item)
        yield world


def standing(world: World) -> dict[Status, Operation]:
    """Its operations by how they stand."""
    found = world.operations.page("north", "bureau", 10, None)
    return {one.status: world.status(one) for one in found}


def test_what_the_earlier_release_left_is_read(after_a_deployment: World) -> None:
    found = standing(after_a_deployment)
    assert {*found} == {Status.SUCCEEDED, Status.FAILED, Status.RUNNING}
    assert [(job.table, job.rows) for job in found[Status.SUCCEEDED].jobs] == [
        ("employees", 3),
        ("absences", 2),
    ]
    again = after_a_deployment.start(key="a key")
    assert again.operation_id == found[Status.SUCCEEDED].operation_id


def test_what_the_earlier_release_began_is_ended(after_a_deployment: World) -> None:
    running = standing(after_a_deployment)[Status.RUNNING]
    assert after_a_deployment.lock() == running.operation_id
    # The parts of its document were lost with the earlier world's storage: the job begins anew.
    for job in running.jobs:
        job_attempt, ranges = after_a_deployment.plan_job(running, job.job_id, anew=True)
        for index in range(ranges):
            after_a_deployment.export_range(running, job.job_id, job_attempt, index)
        assert after_a_deployment.complete_job(running, job.job_id, job_attempt)
    assert after_a_deployment.end(running) is Status.SUCCEEDED
    assert after_a_deployment.lock() is None


def test_what_failed_in_the_earlier_release_is_retried(after_a_deployment: World) -> None:
    found = standing(after_a_deployment)
    after_a_deployment.cancel(found[Status.RUNNING])
    retried = after_a_deployment.retry(found[Status.FAILED])
    assert after_a_deployment.run(retried).status is Status.SUCCEEDED


def shapes(found: Iterable[Mapping[str, Any]]) -> set[tuple[str, str, str]]:
    """Kind of item, attribute, and the attribute's type."""
    return {
        (item["sk"]["S"].partition("#")[0], name, kind)
        for item in found
        for name, value in item.items()
        for kind in value
    }


def test_each_attribute_that_the_earlier_release_reads_is_still_written(world: World) -> None:
    leave(world)
    assert shapes(json.loads(OLDER.read_text())) <= shapes(items(world))


@pytest.fixture
def catalogs(world: World) -> DynamoCatalogs:
    """Published catalogs."""
    return DynamoCatalogs(Table(world.clients["dynamodb"], "CatalogTable"))


def test_a_catalog_of_a_later_format_is_refused_and_not_read_without_what_is_new(
    catalogs: DynamoCatalogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = a_catalog().clients[0].client_id
    catalogs.publish(a_catalog(), 0, SteppingClock().now())
    with monkeypatch.context() as later:
        later.setattr(document, "FORMAT", document.FORMAT + 1)
        published = catalogs.publish(a_catalog(), 1, SteppingClock().now())
        assert catalogs.client(client) is not None

    reader = DynamoCatalogs(catalogs.table)
    with pytest.raises(Unavailable):
        reader.current()
    with pytest.raises(Unavailable):
        reader.client(client)
    with pytest.raises(Unavailable):
        reader.read(published.version)
    assert {*reader.read(1).clients} == {*a_catalog().clients}


def test_a_catalog_of_before_there_were_formats_is_read(catalogs: DynamoCatalogs) -> None:
    catalogs.publish(a_catalog(), 0, SteppingClock().now())
    table = catalogs.table
    for item in table.client.scan(TableName=table.name)["Items"]:
        item.pop("format", None)
        table.client.put_item(TableName=table.name, Item=item)
    assert {*DynamoCatalogs(table).read(1).clients} == {*a_catalog().clients}


def test_the_template_says_which_format_its_functions_read() -> None:
    assert TEMPLATE["Outputs"]["CatalogFormat"]["Value"] == str(document.FORMAT)


@pytest.mark.parametrize(("told", "reads"), [({}, 1), ({"CatalogFormat": "2"}, 2)])
def test_nothing_is_published_that_the_deployment_does_not_read(
    told: dict[str, str], reads: int
) -> None:
    deployment = Deployment("stack headrace", told, boto3.Session(region_name="eu-west-1"))
    deployment.must_read(reads)
    with pytest.raises(DeploymentTooOld, match="Deploy the release first"):
        deployment.must_read(reads + 1)
