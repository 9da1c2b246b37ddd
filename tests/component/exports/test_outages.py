"""Services that do not answer: nothing is lost, and no caller hears of a fault that is none."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from headrace.adapters.dynamodb.table import Table
from headrace.adapters.s3.files import S3Files
from headrace.adapters.stepfunctions.executions import Executions
from headrace.adapters.stepfunctions.workflows import StepFunctionsWorkflows
from headrace.exports import usecases
from headrace.exports.model import Compression, FileFormat, Operation, Status
from headrace.kernel.errors import Unavailable
from headrace.kernel.ids import RandomIds
from tests.builders import a_caller, an_export
from tests.fakes import FakeWorkflows
from tests.world import BUCKET, World


def busy(code: str = "ThrottlingException", status: int = 400) -> ClientError:
    """An error by which a service says that it is overloaded."""
    meta: Any = {"HTTPStatusCode": status}
    return ClientError({"Error": {"Code": code, "Message": ""}, "ResponseMetadata": meta}, "Call")


class Broken:
    """A client whose every call raises."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Any:
        def call(**request: Any) -> Any:
            raise self.error

        return call


class SilentWorkflows(FakeWorkflows):
    """A workflow service that does not answer."""

    def start(self, operation: Operation) -> None:
        """Does not."""
        raise Unavailable("busy")

    def stop(self, operation: Operation) -> None:
        """Does not."""
        raise Unavailable("busy")


OUTAGES = [
    busy(),
    busy("SlowDown", 503),
    busy("InternalError", 500),
    EndpointConnectionError(endpoint_url="http://x"),
]


@pytest.mark.parametrize(
    "outage", OUTAGES, ids=lambda error: type(error).__name__ + str(error)[:40]
)
def test_a_service_that_does_not_answer_is_unavailable_and_no_fault_of_ours(
    outage: Exception,
) -> None:
    broken = Broken(outage)
    table = Table(broken, "table", pause=lambda _: None)
    files = S3Files(broken, BUCKET, "key", timedelta(minutes=1))
    workflows = StepFunctionsWorkflows(Executions(broken, "arn:stateMachine:x"))
    for call in (
        lambda: table.get("a", "b"),
        lambda: list(table.query("a", "b")),
        lambda: list(table.get_many([("a", "b")])),
        lambda: table.put({"pk": "a", "sk": "b"}),
        lambda: files.complete("key", "id", ()),
        lambda: files.discard("key", "id"),
        lambda: files.link("key"),
        lambda: workflows.start(an_export()),
        lambda: workflows.is_running(an_export()),
    ):
        with pytest.raises(Unavailable):
            call()


def test_a_start_is_accepted_though_the_workflow_cannot_begin_yet(world: World) -> None:
    start = usecases.StartExport(
        world.export, usecases.Starter(world.export, RandomIds(), SilentWorkflows())
    )
    standing = start(a_caller(), None, FileFormat.NDJSON, Compression.NONE, None, None)
    assert standing.operation.status is Status.SCHEDULED

    world.clock.advance(seconds=61)
    assert world.sweep().restarted == 1
    assert world.run(standing.operation).status is Status.SUCCEEDED


def test_a_cancel_holds_though_nothing_can_be_tidied_up_yet(world: World) -> None:
    operation = world.start()
    job_id, _ = world.plan(operation)
    world.plan_job(operation, job_id)
    files = replace(world.files, client=Broken(busy("SlowDown", 503)))
    cancel = usecases.CancelExport(world.export, SilentWorkflows(), files, world.runs, world.limits)

    ended = cancel(a_caller(), operation.operation_id).operation
    assert ended.status is Status.CANCELLED
    assert world.lock() is None
    assert world.open_uploads() == 1
    world.sweep()
    assert world.open_uploads() == 0


def test_a_delete_holds_though_the_files_cannot_be_removed_yet(world: World) -> None:
    done = world.run(world.start())
    files = replace(world.files, client=Broken(busy("SlowDown", 503)))
    usecases.DeleteExport(world.export, files)(a_caller(), done.operation_id)
    assert len(world.stored()) == 2
    assert world.sweep().cleaned == 1
    assert world.stored() == {}


def test_the_trouble_of_one_operation_does_not_keep_the_sweep_from_others(world: World) -> None:
    world.configurations.rule = replace(world.configurations.rule, limit=100)
    first = world.run(world.start())
    world.clock.advance(seconds=1)
    second = world.run(world.start())
    world.clock.advance(hours=25)
    real = world.files.client

    class Picky:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def delete_object(self, **request: Any) -> Any:
            if f"/{first.operation_id}/" in request["Key"]:
                raise busy("SlowDown", 503)
            return real.delete_object(**request)

    object.__setattr__(world.files, "client", Picky())
    with pytest.raises(ExceptionGroup) as raised:
        world.sweep()
    assert [type(trouble) for trouble in raised.value.exceptions] == [Unavailable]
    kept = world.operations.find("north", "bureau", second.operation_id)
    assert kept is not None
    assert kept.status is Status.EXPIRED

    object.__setattr__(world.files, "client", real)
    assert world.sweep().expired == 1


class LosesReplies:
    """A client whose first write is done, and its reply lost: botocore's retry is the second."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.tokens: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def transact_write_items(self, **request: Any) -> Any:
        """Remembers the token, by which DynamoDB knows a repetition."""
        self.tokens.append(request["ClientRequestToken"])
        if len(self.tokens) == 1:
            raise busy("InternalServerError", 500)
        return self.client.transact_write_items(**request)


def test_a_write_tried_again_carries_the_token_of_the_first_try(world: World) -> None:
    client = LosesReplies(world.clients["dynamodb"])
    Table(client, "OperationsTable", pause=lambda _: None).put({"pk": "a", "sk": "b"})
    assert len(client.tokens) == 2
    assert len(set(client.tokens)) == 1


class ReadsAFew:
    """A DynamoDB that reads at most so many items at once, or none at all."""

    def __init__(self, client: Any, few: int) -> None:
        self.client, self.few = client, few

    def batch_get_item(self, RequestItems: dict[str, Any]) -> Any:
        """Leaves the rest for another time, as DynamoDB does."""
        [(table, asked)] = RequestItems.items()
        now, later = asked["Keys"][: self.few], asked["Keys"][self.few :]
        found: dict[str, Any] = {"Responses": {table: []}}
        if now:
            found = self.client.batch_get_item(RequestItems={table: {**asked, "Keys": now}})
        return found | {"UnprocessedKeys": {table: {**asked, "Keys": later}} if later else {}}


def test_items_that_were_not_read_at_once_are_read_later(world: World) -> None:
    keys = [(f"pk-{number}", "sk") for number in range(230)]
    client = world.clients["dynamodb"]
    for pk, sk in keys[:5]:
        Table(client, "OperationsTable").put({"pk": pk, "sk": sk})
    few = Table(ReadsAFew(client, 40), "OperationsTable", pause=lambda _: None)
    assert sorted(item["pk"] for item in few.get_many(keys)) == [pk for pk, _ in keys[:5]]
    assert list(few.get_many([])) == []
    none = Table(ReadsAFew(client, 0), "OperationsTable", pause=lambda _: None)
    with pytest.raises(Unavailable):
        list(none.get_many(keys))
