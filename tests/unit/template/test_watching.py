"""Alarms, the dashboard and traces: of what there is, and each alarm with its runbook."""

import json
import re
from typing import Any

import pytest

from headrace.exports.watching import WHOLE
from headrace.runtime.metrics import METRICS
from tests.unit.template.deployed import TEMPLATE, Deployed
from tests.world import ROOT

RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text()
OURS = {"Fn::Sub": "Headrace/${AWS::StackName}"}
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
ALARMS = {
    name: one["Properties"]
    for name, one in RESOURCES.items()
    if one["Type"] == "AWS::CloudWatch::Alarm"
}
FUNCTIONS = {
    name: one["Properties"]
    for name, one in RESOURCES.items()
    if one["Type"] == "AWS::Serverless::Function"
}


def slug(alarm: dict[str, Any]) -> str:
    """The alarm's name without the stack's."""
    return str(alarm["AlarmName"]["Fn::Sub"]).removeprefix("${AWS::StackName}-")


def kept() -> set[tuple[str, tuple[str, ...]]]:
    """Each metric of ours with each set of dimensions that it is kept for."""
    return {(metric.name, one) for metric in METRICS for one in metric.by}


def section(alarm: dict[str, Any]) -> str:
    """The runbook's section that the alarm's description names."""
    _, sign, named = str(alarm["AlarmDescription"]).rpartition(": docs/runbooks.md#")
    assert sign, alarm["AlarmName"]
    return named


def test_every_alarm_has_a_runbook_and_every_runbook_an_alarm() -> None:
    sections = re.findall(r"^## (.+)$", RUNBOOKS, re.M)
    assert sorted(sections) == sorted({section(alarm) for alarm in ALARMS.values()})


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_has_the_name_of_its_runbook_with_what_it_watches_behind(name: str) -> None:
    alarm = ALARMS[name]
    what = slug(alarm).removeprefix(section(alarm))
    assert what in ("", "-data-sets", "-deliveries")
    if what:
        text = RUNBOOKS.partition(f"\n## {section(alarm)}\n")[2].partition("\n## ")[0]
        assert f"`STACK-{slug(alarm)}`" in text


def test_every_workflow_has_alarms_of_executions_that_failed_and_of_those_that_took_too_long() -> (
    None
):
    machines = {name for name, one in RESOURCES.items() if one["Type"].endswith("::StateMachine")}
    watched = {
        (alarm["MetricName"], alarm["Dimensions"][0]["Value"]["Ref"])
        for alarm in ALARMS.values()
        if alarm["Namespace"] == "AWS/States"
    }
    ends = ("ExecutionsFailed", "ExecutionsTimedOut")
    assert watched == {(end, machine) for end in ends for machine in machines}


@pytest.mark.parametrize("metric", ["StuckOperations", "SweeperLagSeconds"])
def test_the_sweepers_of_both_products_are_watched(metric: str) -> None:
    watched = [one["Dimensions"] for one in ALARMS.values() if one["MetricName"] == metric]
    assert sorted(one["Value"] for [one] in watched) == ["datasets", "exports"]


def test_what_takes_an_update_back_are_alarms_that_a_release_can_set_off() -> None:
    text = TEMPLATE["Outputs"]["RollbackConfiguration"]["Value"]["Fn::Sub"]
    told = json.loads(text)
    assert 15 < told["MonitoringTimeInMinutes"] <= 180  # CloudFormation's limit
    assert 0 < len(told["RollbackTriggers"]) <= 5  # and its other one
    named = [re.fullmatch(r"\$\{(\w+)\.Arn\}", one["Arn"]) for one in told["RollbackTriggers"]]
    triggers = [found[1] for found in named if found]
    assert triggers == [name for name in triggers if name in ALARMS]
    assert {one["Type"] for one in told["RollbackTriggers"]} == {"AWS::CloudWatch::Alarm"}
    # What others bring about, a source, a client or another stack, must not take a release back.
    assert {section(ALARMS[name]) for name in triggers} == {
        *("calls-failing", "errors-raised", "workflows-broken")
    }
    for name in triggers:
        late = ALARMS[name]["Period"] * ALARMS[name]["EvaluationPeriods"]
        assert late <= told["MonitoringTimeInMinutes"] * 60


@pytest.mark.parametrize("name", [name for name, one in ALARMS.items() if one["Namespace"] == OURS])
def test_an_alarm_of_ours_looks_at_a_metric_that_functions_emit(name: str) -> None:
    alarm = ALARMS[name]
    dimensions = tuple(one["Name"] for one in alarm.get("Dimensions", []))
    assert (alarm["MetricName"], dimensions) in kept()


def test_alarms_tell_a_topic_if_there_is_one() -> None:
    topic = "arn:aws:sns:eu-west-1:123456789012:pager"
    for given, told in ((Deployed(), None), (Deployed(AlarmTopic=topic), [topic])):
        for name in ALARMS:
            properties = given.resolved(RESOURCES[name]["Properties"])
            assert properties.get("AlarmActions") == told
            assert properties.get("OKActions") == told


def test_silence_is_an_alarm_of_what_runs_by_itself() -> None:
    def silent(deployed: Deployed) -> set[str]:
        shown = {name: deployed.resolved(one["TreatMissingData"]) for name, one in ALARMS.items()}
        return {name for name, missing in shown.items() if missing == "breaching"}

    always = {"SweeperBehind", "SweeperOfDataSetsBehind", "SchedulesBehind"}
    assert silent(Deployed()) == {*always, "SourcesUnreachable"}
    assert silent(Deployed(WatchMinutes="0")) == always


@pytest.mark.parametrize("minutes", TEMPLATE["Parameters"]["WatchMinutes"]["AllowedValues"])
def test_sources_are_asked_at_least_once_in_each_period_of_the_alarm_or_never(minutes: int) -> None:
    given = Deployed(WatchMinutes=str(minutes))
    event = given.resolved(FUNCTIONS["WatchSources"]["Events"]["Schedule"]["Properties"])
    assert event["State"] == ("ENABLED" if minutes else "DISABLED")
    assert minutes * 60 <= ALARMS["SourcesUnreachable"]["Period"]
    if minutes:
        assert event["ScheduleExpression"] == {"Fn::Sub": "rate(${WatchMinutes} minutes)"}
    # EventBridge takes the singular for one, and no rate of none.
    assert minutes != 1


def test_a_look_at_the_sources_has_time_for_those_that_do_not_answer() -> None:
    assert WHOLE.total_seconds() + 30 <= FUNCTIONS["WatchSources"]["Timeout"]


def widgets() -> list[dict[str, Any]]:
    """The dashboard's, as the deployed stack has them."""
    text = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    body = json.loads(text.replace("${AWS::StackName}", "acme").replace("${StageName}", "v1"))
    return list(body["widgets"])


def test_the_dashboard_shows_every_alarm() -> None:
    [alarms] = [one["properties"]["alarms"] for one in widgets() if one["type"] == "alarm"]
    assert sorted(alarms) == sorted(f"${{{name}.Arn}}" for name in ALARMS)


def test_the_dashboard_shows_metrics_that_functions_emit_and_all_of_them() -> None:
    shown = set()
    for widget in widgets():
        before: list[str] = []
        for line in widget["properties"].get("metrics", []):
            if isinstance(line[0], dict):
                search = re.fullmatch(
                    r"SEARCH\('\{\"Headrace/acme\",([A-Za-z,]+)\} MetricName=\"(\w+)\"', .*\)",
                    line[0]["expression"],
                )
                assert search is not None
                shown.add((search[2], tuple(search[1].split(","))))
                continue
            given = [one for one in line if isinstance(one, str)]
            if given[0] == "...":  # all of the line before but the last
                given = [*before[:-1], *given[1:]]
            # A point stands for what the line before has there.
            before = [before[i] if one == "." else one for i, one in enumerate(given)]
            if before[0] == "Headrace/acme":
                shown.add((before[1], tuple(before[2::2])))
    assert shown <= kept()
    assert {name for name, _ in shown} == {metric.name for metric in METRICS}


def test_no_event_is_lost_of_what_is_invoked_and_not_waited_for() -> None:
    queue = {"Fn::GetAtt": ["Undelivered", "Arn"]}
    scheduled = {
        name: one
        for name, one in FUNCTIONS.items()
        if any(event["Type"] == "ScheduleV2" for event in one.get("Events", {}).values())
    }
    assert set(scheduled) == {"Sweep", "RunSchedules", "SweepDataSets", "WatchSources"}
    for name in (*scheduled, "ReadTemplateRows"):
        assert FUNCTIONS[name]["DeadLetterQueue"] == {"Type": "SQS", "TargetArn": queue}
    for one in scheduled.values():
        for event in one["Events"].values():
            assert event["Properties"]["DeadLetterConfig"] == {"Arn": queue}


def test_a_trace_goes_through_the_api_the_workflows_and_all_functions() -> None:
    assert RESOURCES["Api"]["Properties"]["TracingEnabled"] is True
    assert TEMPLATE["Globals"]["Function"]["Tracing"] == "Active"
    assert not any("Tracing" in one for one in FUNCTIONS.values())
    machines = [one for one in RESOURCES.values() if one["Type"].endswith("::StateMachine")]
    assert len(machines) == 3
    for one in machines:
        assert one["Properties"]["Tracing"] == {"Enabled": True}
