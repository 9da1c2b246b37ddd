"""``headrace-admin restore``, on a deployment in moto, which restores a table as it is now.

So what is lost here is lost after the restoring.
"""

from datetime import timedelta
from typing import Any

import boto3
import pytest

from headrace.adapters.dynamodb.table import marshal
from headrace.audit.model import Action, Event
from headrace.audit.usecases import RecordEvent
from headrace.exports.model import Status
from headrace.kernel.clock import SystemClock, from_rfc3339, rfc3339
from headrace.kernel.errors import OperationActive
from headrace_admin.deployment import Deployment
from headrace_admin.restoring import TABLES, Restoration
from tests.component.admin.test_commands import (  # noqa: F401 - the fixture
    Run,
    begun,
    cancelled,
    run,
    started,
)
from tests.unit.docs.checkout import template


@pytest.fixture
def at() -> str:
    """A minute ago."""
    return rfc3339((SystemClock().now() - timedelta(minutes=1)).replace(microsecond=0))


@pytest.fixture
def deployed(run: Run, at: str) -> Run:  # noqa: F811
    """Ten accounts, an operation, and all tables restored."""
    assert run("catalog", "publish").code == 0
    boto3.client("logs").create_log_group(logGroupName="/headrace/headrace")
    for number in range(10):
        put("consents", number)
    started("northwind", "bureau", 1)
    assert run("restore", "tables", "--at", at).code == 0
    return run


def dynamodb() -> Any:
    return boto3.client("dynamodb")


def name(table: str) -> str:
    return Deployment.on_aws("headrace").outputs[TABLES[table]]


def key(number: int) -> dict[str, str]:
    return {"pk": f"accounts#northwind#{number % 2}", "sk": f"A{number}"}


def put(table: str, number: int, **more: Any) -> None:
    item = {**key(number), "data": {"texts": ["a", "b"]}, "raw": b"\0", **more}
    dynamodb().put_item(TableName=name(table), Item=marshal(item))


def lose(table: str, *numbers: int) -> None:
    for number in numbers:
        dynamodb().delete_item(TableName=name(table), Key=marshal(key(number)))


def items(table: str) -> dict[str, Any]:
    return {one["sk"]["S"]: one for one in dynamodb().scan(TableName=name(table))["Items"]}


def test_the_tables_are_those_of_the_template_that_can_be_restored() -> None:
    kept = {
        f"{logical}Name"
        for logical, one in template()["Resources"].items()
        if one["Type"] == "AWS::DynamoDB::Table"
        and one["Properties"].get("PointInTimeRecoverySpecification")
    }
    assert set(TABLES.values()) == kept


def test_what_is_missing_comes_back_and_what_is_there_stays(deployed: Run, at: str) -> None:
    before = items("consents")
    lose("consents", 2, 3)
    put("consents", 4, data="changed")
    put("consents", 11)
    looked = deployed("restore", "check", "--at", at, "--table", "consents", "--json").json
    [compared] = looked["tables"]
    assert (compared["same"], compared["changed"], compared["missing"]) == (7, 1, 2)
    assert "A2" not in items("consents")
    done = deployed("restore", "copy", "consents", "--at", at, "--json").json
    assert (done["missing"], done["copied"]) == (2, 2)
    after = items("consents")
    assert {sk: after[sk] for sk in ("A2", "A3")} == {sk: before[sk] for sk in ("A2", "A3")}
    assert after["A4"]["data"]["S"] == "changed"
    assert "A11" in after
    again = deployed("restore", "copy", "consents", "--at", at, "--json").json
    assert (again["missing"], again["copied"]) == (0, 0)


def test_a_partition_can_be_brought_back_alone(deployed: Run, at: str) -> None:
    lose("consents", 2, 3)
    pk = key(2)["pk"]
    done = deployed("restore", "copy", "consents", "--at", at, "--partition", pk)
    assert done.code == 0, done.err
    assert "A2" in items("consents")
    assert "A3" not in items("consents")


def test_what_was_ended_or_has_expired_stays_away(run: Run, at: str) -> None:  # noqa: F811
    now = SystemClock().now()
    run("catalog", "publish")
    put("credentials", 1, ttl=int(now.timestamp()) - 1)
    put("credentials", 2, key_id="k-erased")
    put("credentials", 3, ttl=int(now.timestamp()) + 1000)
    run("restore", "tables", "--at", at, "--table", "credentials")
    lose("credentials", 1, 2, 3)
    deployment = Deployment.on_aws("headrace")
    event = Event(now, Action.REVOKE, "northwind", "bureau", "c", concerns={"keyId": "k-erased"})
    RecordEvent(deployment.audit_trail(), deployment.statistics())(event)
    done = run("restore", "copy", "credentials", "--at", at, "--json").json
    assert (done["ended"], done["copied"]) == (2, 1)
    assert set(items("credentials")) == {"A3"}


def test_what_was_restored_is_read(deployed: Run, at: str) -> None:
    looked = deployed("restore", "check", "--at", at, "--json")
    assert looked.code == 0, looked.err
    said = looked.json
    assert (said["catalogVersion"], said["operationsRead"]) == (1, 1)
    assert said["story"]
    assert said["moments"] >= 2
    assert "consents" in deployed("restore", "check", "--at", at).out


def test_an_operation_that_cannot_be_read_is_told(deployed: Run, at: str) -> None:
    restoration = Restoration(Deployment.on_aws("headrace"), dynamodb(), from_rfc3339(at))
    damaged = restoration.restored("operations")
    for item in dynamodb().scan(TableName=damaged)["Items"]:
        kept = {name: item[name] for name in ("pk", "sk")}
        dynamodb().put_item(TableName=damaged, Item=kept)
    refused = deployed("restore", "check", "--at", at)
    assert refused.code == 4
    assert "cannot read what was restored" in refused.err


def test_no_lock_comes_back_of_an_operation_that_has_ended_since(
    run: Run,  # noqa: F811
    at: str,
) -> None:
    run("catalog", "publish")
    operation = begun("northwind", "bureau", 1)
    broken = begun("northwind", "integrator", 1)
    run("restore", "tables", "--at", at, "--table", "operations")
    cancelled(operation)
    for one in items("operations").values():  # of the other one all is lost while it runs
        if one["pk"]["S"] == "northwind#integrator":
            dynamodb().delete_item(
                TableName=name("operations"), Key={part: one[part] for part in ("pk", "sk")}
            )
    done = run("restore", "copy", "operations", "--at", at, "--json").json
    assert done["copied"]
    again = begun("northwind", "bureau", 2)
    assert again.status is Status.SCHEDULED
    with pytest.raises(OperationActive) as blocked:
        begun("northwind", "integrator", 2)
    assert blocked.value.members["blockingOperationId"] == broken.operation_id
    cancelled(broken)
    assert begun("northwind", "integrator", 3).status is Status.SCHEDULED


def test_no_pause_comes_back_of_a_process_that_has_ended_since(
    run: Run,  # noqa: F811
    at: str,
) -> None:
    run("catalog", "publish")
    table = name("data-sets")
    for tenant in ("northwind", "harbour"):
        for kept in (
            {"sk": "LEASE", "process_id": "p1", "held_until": at},
            {"sk": "PAUSE", "process_id": "p1"},
            {"sk": "PROCESS#p1"},
        ):
            dynamodb().put_item(TableName=table, Item=marshal({"pk": tenant, **kept}))
    run("restore", "tables", "--at", at, "--table", "data-sets")
    ended = {"pk": "northwind", "sk": "PROCESS#p1", "ended_at": at}
    dynamodb().put_item(TableName=table, Item=marshal(ended))
    for tenant, lost in (("northwind", "LEASE PAUSE"), ("harbour", "LEASE PAUSE PROCESS#p1")):
        for sk in lost.split():
            dynamodb().delete_item(TableName=table, Key=marshal({"pk": tenant, "sk": sk}))
    done = run("restore", "copy", "data-sets", "--at", at, "--json").json
    assert (done["ended"], done["copied"]) == (2, 3)
    left = {(one["pk"]["S"], one["sk"]["S"]) for one in dynamodb().scan(TableName=table)["Items"]}
    assert left == {
        ("northwind", "PROCESS#p1"),
        *(("harbour", sk) for sk in ("LEASE", "PAUSE", "PROCESS#p1")),
    }


class Killed(BaseException):
    """The end of the process."""


def test_a_copy_that_is_killed_is_run_again(
    deployed: Run, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = items("consents")
    lose("consents", *range(10))
    whole, written = Restoration._put, list[Any]()

    def killed(self: Restoration, table: str, item: Any) -> bool:
        if len(written) == 4:
            raise Killed
        written.append(item)
        return whole(self, table, item)

    with monkeypatch.context() as patched:
        patched.setattr(Restoration, "_put", killed)
        with pytest.raises(Killed):
            deployed("restore", "copy", "consents", "--at", at)
    assert len(items("consents")) == 4
    assert deployed("restore", "copy", "consents", "--at", at, "--json").json["copied"] == 6
    assert items("consents") == before


def test_a_restoring_that_is_killed_is_run_again(
    run: Run,  # noqa: F811
    at: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin = Restoration.begin

    def killed(self: Restoration, table: str) -> None:
        if table == "operations":
            raise Killed
        begin(self, table)

    with monkeypatch.context() as patched:
        patched.setattr(Restoration, "begin", killed)
        with pytest.raises(Killed):
            run("restore", "tables", "--at", at)
    done = run("restore", "tables", "--at", at, "--json")
    assert set(done.json["restored"]) == set(TABLES)
    assert set(done.json["restored"].values()) <= set(dynamodb().list_tables()["TableNames"])


def test_what_was_restored_is_removed_and_nothing_else(deployed: Run, at: str) -> None:
    gone = deployed("restore", "remove", "--at", at, "--json").json["removed"]
    assert len(gone) == len(TABLES)
    left = dynamodb().list_tables()["TableNames"]
    assert {name(table) for table in TABLES} <= set(left)
    assert not [one for one in left if "-at-" in one]
    assert deployed("restore", "copy", "consents", "--at", at).code == 3


def test_a_wrong_table_or_moment_is_told(run: Run, at: str) -> None:  # noqa: F811
    assert run("restore", "tables", "--at", "yesterday").code == 2
    refused = run("restore", "tables", "--at", at, "--table", "nonsense")
    assert refused.code == 2
    assert "there are audit, catalog" in refused.err
