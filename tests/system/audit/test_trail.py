"""Who took what, as the deployed product writes it down."""

import json
from typing import Any

import pytest

from tests.system.deployed import Integrator, Platform

pytestmark = pytest.mark.system


def test_the_operator_sees_who_started_took_and_deleted_what_and_what_was_refused(
    platform: Platform, integrator: Integrator
) -> None:
    operation = integrator.export(entity="departments")
    job_id = operation["jobs"][0]["jobId"]
    integrator.document(job_id)
    assert integrator.get("/data/v1/jobs/no-such-job").status_code == 404
    integrator.delete(operation["operationId"])

    lines = platform.headrace_admin("audit", "export", "--service", integrator.client_id)
    events = [json.loads(line) for line in lines.splitlines()]
    taken: list[tuple[str, dict[str, Any]]] = [
        (one["action"], one.get("concerns", {})) for one in events
    ]
    operation_id = {"operationId": operation["operationId"]}
    assert [one for one in taken if one[0] != "token"] == [
        ("export", operation_id),
        ("download", {"jobId": job_id}),
        ("delete", operation_id),
    ]
    shown = platform.headrace_admin("audit", "statistics", integrator.client_id, "--json")
    counts = json.loads(shown)["days"][-1]["counts"]
    assert counts.items() >= {"export": 1, "download": 1, "delete": 1, "failure": 1}.items()
    assert json.loads(shown)["newestErrors"][0]["what"] == "GET /data/v1/jobs/{jobId}"
