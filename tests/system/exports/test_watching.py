"""What operators watch, of the deployed product."""

from collections.abc import Iterator

import pytest

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


def test_the_stack_has_its_alarms_and_its_dashboard(platform: Platform) -> None:
    watch, stack = platform.aws("cloudwatch"), platform.about["stack"]
    alarms: list[Json] = watch.describe_alarms(AlarmNamePrefix=f"{stack}-")["MetricAlarms"]
    names = {alarm["AlarmName"].removeprefix(f"{stack}-") for alarm in alarms}
    assert {"stuck-exports", "failing-exports", "sweeper-behind", "events-undelivered"} <= names
    board = watch.get_dashboard(DashboardName=stack)["DashboardBody"]
    assert all(alarm["AlarmArn"] in board for alarm in alarms)
