"""``headrace-admin operations story`` of the deployed product."""

import json

import pytest

from tests.system.deployed import Integrator, Json, Platform

pytestmark = pytest.mark.system


def story(platform: Platform, about: str) -> Json:
    told: Json = json.loads(platform.headrace_admin("operations", "story", about, "--json"))
    return told


def test_an_operation_is_told_by_tables_trail_and_logs(
    platform: Platform, integrator: Integrator
) -> None:
    operation = integrator.export()
    about = operation["operationId"]
    integrator.document(operation["jobs"][0]["jobId"])
    told = story(platform, about)
    assert (told["about"], told["status"]) == (about, "succeeded")
    moments = told["moments"]
    assert [one["at"] for one in moments] == sorted(one["at"] for one in moments)
    assert {one["from"] for one in moments} == {"tables", "trail", "log"}
    [asked] = [one for one in moments if (one["from"], one["what"]) == ("trail", "export")]
    assert asked["told"]["by"] == integrator.client_id
    [taken] = [one for one in moments if one["what"] == "download"]
    assert taken["told"]["job_id"] == operation["jobs"][0]["jobId"]
    tasks = {one["told"].get("task") for one in moments if one["from"] == "log"}
    assert {"plan_export", "plan_job", "export_range", "complete_job", "end_export"} <= tasks
    succeeded = [one["told"]["job_id"] for one in moments if one["what"] == "job succeeded"]
    assert sorted(succeeded) == sorted(job["jobId"] for job in operation["jobs"])
    line = platform.headrace_admin("operations", "story", about)
    assert f"operation succeeded  attempt={operation['attempt']}" in line
    events = platform.headrace_admin("audit", "export", "--service", "headrace-admin")
    assert f'"storyOf": "{about}"' in events
