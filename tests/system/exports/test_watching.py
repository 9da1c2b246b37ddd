"""What operators watch, of the deployed product."""

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from headrace.exports.sources import Source
from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Integrator, Json, Platform, eventually

pytestmark = pytest.mark.system


def measured(platform: Platform, metric: str, **dimensions: str) -> Iterator[float]:
    """The values of a metric, from the lines that functions printed."""
    for line in platform.logs(metric):
        if metric in line and "_aws" in line and dimensions.items() <= line.items():
            yield line[metric]


def test_an_export_is_measured_by_its_end_its_rows_and_its_work(
    platform: Platform, integrator: Integrator
) -> None:
    operation = integrator.export()
    size = sum(job["bytes"] for job in operation["jobs"])
    where = {"Product": "exports", "Tenant": integrator.tenant}

    def ended() -> bool:
        return size in measured(platform, "BytesExported", **where)

    assert eventually(ended, within=30, what="the line of the export's end")
    assert {0, 1} >= set(measured(platform, "OperationsFailed", **where))
    assert all(used > 0 for used in measured(platform, "GigabyteSeconds", **where))


def test_a_sweep_says_how_far_behind_it_is(platform: Platform) -> None:
    platform.sweep()

    def swept() -> list[float]:
        return list(measured(platform, "SweeperLagSeconds", Product="exports"))

    assert min(eventually(swept, within=30, what="the line of the sweep")) >= 0


@pytest.mark.parametrize("function", ["Sweep", "SweepDataSets"])
def test_no_sweep_leaves_out_how_far_behind_it_is(platform: Platform, function: str) -> None:
    product = {"Sweep": "exports", "SweepDataSets": "datasets"}[function]

    def told() -> int:
        return len(list(measured(platform, "SweeperLagSeconds", Product=product)))

    before = told()
    error, swept = platform.invoke(function, {})
    assert error is None, swept
    assert isinstance(swept, dict)
    assert swept["lag_s"] >= 0
    assert eventually(lambda: told() > before, within=30, what="the line of the sweep")


def test_sources_say_how_far_behind_they_are_and_a_silent_one_hides_none(
    platform: Platform, clients: Clients
) -> None:
    lake = next(one for one in clients.base.sources if one.name == "hr")
    late = replace(lake, name=f"late-{clients.run}", expected_every=timedelta(seconds=1))
    with socket.create_server(("127.0.0.1", 0)) as never_answers:
        where = {"host": "127.0.0.1", "port": str(never_answers.getsockname()[1])}
        silent = Source(
            f"silent-{clients.run}", "postgresql", {**where, "database": "x", "user": "x"}
        )
        clients.sources += [late, silent]
        clients.special(NORTHWIND, "cost_centres")  # which publishes
        published = clients.catalogs.current()
        assert published is not None
        try:
            error, looked = platform.invoke("WatchSources", {})
        finally:
            clients.withdraw(late, silent)
    assert error is None, looked
    assert isinstance(looked, dict)
    assert looked["asked"] == len(clients.catalogs.read(published.version).sources)
    assert looked["unreachable"] >= 1
    assert looked["behind"] >= 1

    def lags() -> list[float]:
        return list(measured(platform, "SourceLagSeconds", Source=late.name))

    # Two of each, if the scheduled look came in between.
    assert min(eventually(lags, within=30, what="the line of the source that is late")) > 0
    ages = [age - 1 for age in measured(platform, "SourceAgeSeconds", Source=late.name)]
    assert lags() == pytest.approx(ages, abs=0.001)
    assert min(measured(platform, "SourceLagSeconds", Source="roster")) >= 0
    assert not list(measured(platform, "SourceLagSeconds", Source="hr"))  # nothing is expected
    assert list(measured(platform, "SourceAgeSeconds", Source="hr"))
    assert max(measured(platform, "SourcesUnreachable", Product="exports")) >= 1
    said = {
        (one["code"], one["detail"])
        for one in platform.logs("source unavailable")
        if one.get("source") == silent.name
    }
    assert said == {("source_unavailable", "The source does not accept a connection now.")}


def test_the_stack_has_its_alarms_and_its_dashboard(platform: Platform) -> None:
    watch, stack = platform.aws("cloudwatch"), platform.about["stack"]
    alarms: list[Json] = watch.describe_alarms(AlarmNamePrefix=f"{stack}-")["MetricAlarms"]
    names = {alarm["AlarmName"].removeprefix(f"{stack}-") for alarm in alarms}
    assert {"stuck-exports", "failing-exports", "sweeper-behind", "events-undelivered"} <= names
    assert {"sources-behind", "sources-unreachable", "workflows-timed-out-data-sets"} <= names
    board = watch.get_dashboard(DashboardName=stack)["DashboardBody"]
    assert all(alarm["AlarmArn"] in board for alarm in alarms)


def test_the_stack_says_which_alarms_take_an_update_back(platform: Platform) -> None:
    """As CloudFormation is told it: the alarms' own ARNs."""
    watch, stack = platform.aws("cloudwatch"), platform.about["stack"]
    told = json.loads(platform.outputs["RollbackConfiguration"])
    alarms = watch.describe_alarms(AlarmNamePrefix=f"{stack}-")["MetricAlarms"]
    named = {alarm["AlarmArn"]: alarm["AlarmName"] for alarm in alarms}
    assert {named[one["Arn"]].removeprefix(f"{stack}-") for one in told["RollbackTriggers"]} == {
        *("calls-failing", "errors-raised", "workflows-broken", "workflows-broken-data-sets")
    }
