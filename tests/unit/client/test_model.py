"""Reading the service's documents: strict where the client relies on them, else lenient."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from headrace_client import Manifest, Operation, ProtocolError, Status


def an_operation(**members: Any) -> dict[str, Any]:
    return {
        "operationId": "op-1",
        "kind": "full",
        "status": "running",
        "configurationId": "c",
        "fileFormat": "csv",
        "compression": "none",
        "syncVersion": None,
        "catalogVersion": 3,
        "attempt": 1,
        "createdAt": "2026-11-23T01:02:03.456789Z",
        "startedAt": "2026-11-23T03:02:03+02:00",
        "percent": 40,
        "quota": {"limit": 3, "used": 1, "remaining": 2, "resetsAt": "2026-11-24T00:00:00Z"},
        "error": None,
        "jobs": [{"jobId": "j", "table": "t", "status": "running", "rows": None, "bytes": None}],
    } | members


def test_an_operation_is_read_with_times_in_utc_and_unknown_members_ignored() -> None:
    operation = Operation.from_json(an_operation(surprise=[1, 2]))
    assert operation.status is Status.RUNNING
    assert operation.created_at == datetime(2026, 11, 23, 1, 2, 3, 456789, tzinfo=UTC)
    assert operation.started_at == datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)
    assert operation.quota is not None
    assert operation.quota.remaining == 2
    assert operation.jobs[0].rows == 0
    assert operation.raw["surprise"] == [1, 2]


def test_a_summary_without_jobs_percent_and_quota_is_an_operation_too() -> None:
    held = an_operation()
    for name in ("jobs", "percent", "quota"):
        del held[name]
    operation = Operation.from_json(held)
    assert (operation.jobs, operation.percent, operation.quota) == ((), 0.0, None)


@pytest.mark.parametrize(
    "members",
    [
        {"operationId": None},
        {"operationId": 7},
        {"status": "paused"},
        {"createdAt": "yesterday"},
        {"createdAt": 12},
        {"percent": "40"},
        {"percent": True},
        {"jobs": {}},
        {"jobs": ["j"]},
        {"quota": "much"},
        {"quota": {"limit": -1, "used": 0, "remaining": 0}},
    ],
)
def test_what_the_client_relies_on_is_demanded(members: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        Operation.from_json(an_operation(**members))


@pytest.mark.parametrize("held", [None, [], "x", 3])
def test_what_is_no_object_is_refused(held: object) -> None:
    with pytest.raises(ProtocolError, match="not a JSON object"):
        Manifest.from_json(held)


def test_digests_are_compared_in_lower_case() -> None:
    manifest = Manifest.from_json(
        {
            "operationId": "op-1",
            "configurationId": "c",
            "fileFormat": "csv",
            "files": [
                {
                    "jobId": "j",
                    "table": "t",
                    "fileName": "t.csv",
                    "rows": 1,
                    "bytes": 1,
                    "sha256": "AB",
                    "parts": [{"number": 1, "offset": 0, "bytes": 1, "sha256": "AB"}],
                }
            ],
        }
    )
    assert manifest.files[0].sha256 == "ab"
    assert manifest.files[0].parts[0].sha256 == "ab"
