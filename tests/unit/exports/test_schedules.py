"""What is due of a schedule, also after nobody has looked for a while."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from headrace.exports.schedules import (
    MOST_RECORDED,
    Cursor,
    Reason,
    RunState,
    ScheduledRun,
    begun,
    caught_up,
)
from tests.builders import a_schedule

PUBLISHED = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST = datetime(2026, 3, 2, 1, tzinfo=UTC)
"""02:00 in Amsterdam."""
BUSY = Reason("operation_active", "Another one runs.")


def after(cursor: Cursor, now: datetime, **changes: object) -> tuple[Cursor, list[ScheduledRun]]:
    """The cursor of the nightly schedule at a moment, and the runs that came of it."""
    schedule = replace(a_schedule(), **changes)  # type: ignore[arg-type]
    later, runs = caught_up(cursor, schedule, PUBLISHED, now)
    return later, list(runs)


def test_a_new_schedule_is_due_from_its_publication_on() -> None:
    cursor = begun(a_schedule(), PUBLISHED)
    assert cursor.next_due == FIRST
    assert after(cursor, FIRST - timedelta(seconds=1)) == (cursor, [])


def test_what_is_due_waits_to_be_tried_at_once() -> None:
    cursor, runs = after(begun(a_schedule(), PUBLISHED), FIRST)
    assert runs == [ScheduledRun("nightly", FIRST)]
    assert cursor.tries_at(FIRST) == runs[0]
    assert cursor.next_due == FIRST + timedelta(days=1)


def test_after_an_outage_the_latest_waits_and_the_earlier_are_missed() -> None:
    now = FIRST + timedelta(days=3, hours=5)
    cursor, runs = after(begun(a_schedule(), PUBLISHED), now)
    assert [run.due for run in runs] == [FIRST + timedelta(days=day) for day in range(4)]
    assert [run.state for run in runs] == [*[RunState.MISSED] * 3, RunState.WAITING]
    assert {run.reason.code for run in runs[:3] if run.reason} == {"scheduler_outage"}
    assert cursor.waiting == runs[-1]
    assert cursor.next_due == FIRST + timedelta(days=4)


def test_of_many_missed_runs_the_latest_are_recorded_and_the_others_counted() -> None:
    cursor = begun(a_schedule(cron="* * * * *"), PUBLISHED)
    now = PUBLISHED + timedelta(minutes=1000)
    _, runs = after(cursor, now, cron="* * * * *")
    *missed, latest = runs
    assert (latest.due, latest.state) == (now, RunState.WAITING)
    assert len(missed) == MOST_RECORDED
    assert missed[0].reason is not None
    left_out = 1000 - 1 - MOST_RECORDED
    assert f"{left_out} earlier ones were missed as well." in missed[0].reason.detail
    assert "earlier ones" not in missed[1].reason.detail  # type: ignore[union-attr]


def test_a_run_that_still_waits_when_the_next_is_due_was_missed_for_what_it_waited_for() -> None:
    cursor, [run] = after(begun(a_schedule(), PUBLISHED), FIRST)
    cursor = cursor.put_off(run.refused(BUSY), FIRST)
    later, runs = after(cursor, FIRST + timedelta(days=1))
    assert [(one.due, one.state) for one in runs] == [
        (FIRST, RunState.MISSED),
        (FIRST + timedelta(days=1), RunState.WAITING),
    ]
    assert runs[0].reason == BUSY
    assert later.waiting == runs[1]


def test_a_run_is_tried_again_after_a_pause_that_grows_to_a_quarter_of_an_hour() -> None:
    run = ScheduledRun("nightly", FIRST)
    cursor = replace(begun(a_schedule(), PUBLISHED), waiting=run, try_at=FIRST)
    pauses = []
    for _ in range(20):
        run = run.refused(BUSY)
        cursor = cursor.put_off(run, FIRST)
        assert cursor.tries_at(FIRST) is None
        assert cursor.try_at is not None
        assert cursor.tries_at(cursor.try_at) == run
        pauses.append((cursor.try_at - FIRST).total_seconds() / 60)
    assert pauses == [*range(1, 16), *[15] * 5]


def test_new_times_count_from_their_publication_and_an_old_one_before_it_was_missed() -> None:
    cursor = begun(a_schedule(), PUBLISHED - timedelta(days=2))
    assert cursor.next_due == FIRST - timedelta(days=2)
    later, runs = after(cursor, PUBLISHED + timedelta(minutes=1), cron="30 14 * * *")
    assert [(run.state, run.reason.code) for run in runs if run.reason] == [
        (RunState.MISSED, "schedule_changed")
    ]
    assert later.next_due == datetime(2026, 3, 1, 13, 30, tzinfo=UTC)
    same, none = after(later, PUBLISHED + timedelta(minutes=2), cron="30  14 * * *")
    assert (same, none) == (later, [])


def test_a_schedule_that_is_never_due_again_stays_still() -> None:
    cursor = replace(begun(a_schedule(), PUBLISHED), next_due=None)
    assert after(cursor, PUBLISHED + timedelta(days=900)) == (cursor, [])


def test_no_callers_key_is_that_of_a_run() -> None:
    assert not ScheduledRun("nightly", FIRST).key.isprintable()
    keys = {ScheduledRun(name, FIRST + timedelta(days=n)).key for name in "ab" for n in range(3)}
    assert len(keys) == 6
