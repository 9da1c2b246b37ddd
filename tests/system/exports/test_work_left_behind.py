"""What nobody ends, and what cannot succeed: it comes to an end, with nothing left.

All of it was begun before the first test of this folder (conftest.py), as it takes its time.
"""

from datetime import datetime, timedelta

import pytest

from tests.system.deployed import Platform
from tests.system.exports.conftest import LeftBehind

pytestmark = pytest.mark.system


@pytest.mark.abuse(94)
@pytest.mark.abuse(84)
def test_a_job_that_cannot_succeed_fails_alone_and_is_refunded_once(
    left_behind: LeftBehind,
) -> None:
    poisoned = left_behind.poisoned
    first, second = left_behind.poisoned_runs.result()
    for run, attempt in ((first, 1), (second, 2)):
        assert (run["status"], run["attempt"]) == ("failed", attempt)
        assert run["error"]["code"] == "jobs_failed"
        good, bad = sorted(run["jobs"], key=lambda job: job["status"] == "failed")
        assert (good["status"], bad["status"]) == ("succeeded", "failed")
        assert bad["error"]["code"] == "schema_changed"
        assert "not_there" not in str(run), "the source's own name"
        assert run["quota"]["used"] == 0
    assert poisoned.document(good["jobId"]).count(b"\n") == good["rows"] + 1
    poisoned.leaves(documents=1)


@pytest.mark.abuse(208)
@pytest.mark.abuse(84)
def test_work_that_nobody_ends_is_ended_by_the_sweeper_in_time(
    platform: Platform, left_behind: LeftBehind
) -> None:
    # The one test that waits for the schedule itself: a lease of 60 s and a period of one minute.
    client, operation_id = left_behind.abandoned, left_behind.abandoned_id
    done = client.ended(operation_id, within=150)

    assert done["status"] == "failed"
    assert done["error"]["code"] == "abandoned"
    begun, ended = map(datetime.fromisoformat, (done["createdAt"], done["endedAt"]))
    assert ended - begun <= timedelta(seconds=125), "lease and period together, and a little"
    assert done["quota"]["used"] == 0
    assert client.is_free()
    platform.sweep()  # once more, as the schedule will in a minute
    kept = sum(job["status"] == "succeeded" for job in done["jobs"])
    client.leaves(documents=kept)

    assert client.retry(operation_id).status_code == 202
    again = client.ended(operation_id)
    assert (again["status"], again["attempt"], again["quota"]["used"]) == ("succeeded", 2, 0)
    client.leaves(documents=2)


@pytest.mark.abuse(104)
def test_an_export_under_a_disabled_key_fails_until_the_key_is_enabled(
    platform: Platform, left_behind: LeftBehind
) -> None:
    client = left_behind.keyless
    failed = client.ended(left_behind.keyless_id)
    assert failed["status"] == "failed"
    [job] = failed["jobs"]
    assert (job["status"], job["error"]["code"]) == ("failed", "unavailable")
    assert left_behind.key not in str(failed)
    assert failed["quota"]["used"] == 0
    client.leaves(documents=0)

    platform.aws("kms").enable_key(KeyId=left_behind.key)

    assert client.retry(left_behind.keyless_id).status_code == 202
    assert client.ended(left_behind.keyless_id)["status"] == "succeeded"
    client.leaves(documents=1)
