"""Executions of Step Functions."""

from local.emulator.sources import Patch

_STATES = "ministack.services.stepfunctions"

PATCHES = (
    Patch(
        _STATES,
        "starting a running execution again with the same name and input is the same start",
        old="""\
    if exec_arn in _executions:
        return error_response_json(
            "ExecutionAlreadyExists",
""",
        new="""\
    known = _executions.get(exec_arn)
    if known and known["status"] == "RUNNING" and known["input"] == data.get("input", "{}"):
        return json_response({"executionArn": exec_arn, "startDate": known["startDate"]})
    if exec_arn in _executions:
        return error_response_json(
            "ExecutionAlreadyExists",
""",
    ),
    Patch(
        _STATES,
        "an execution that was stopped stays stopped, whatever its last task does",
        old="""\
def _fail_execution(execution, error, cause):
    execution["status"] = "FAILED"
""",
        new="""\
class _ExecutionOver(_ExecutionError):
    pass  # not an error of the workflow's: nothing retries or catches it


_failed_beside = contextvars.ContextVar("_failed_beside", default=())


def _is_over(execution):
    # A child of a distributed Map is over when the execution that maps is.
    if execution["status"] != "RUNNING" or any(one.is_set() for one in _failed_beside.get()):
        return True
    run = _map_runs.get(execution.get("mapRunArn"))
    parent = _executions.get(run["executionArn"]) if run else None
    return parent is not None and _is_over(parent)


def _fail_execution(execution, error, cause):
    if execution["status"] != "RUNNING":
        return
    execution["status"] = "FAILED"
""",
    ),
    Patch(
        _STATES,
        "no further state of a Map or Parallel starts when the execution is over",
        old="""\
    current_input = copy.deepcopy(input_data)

    while current_name:
        state_def = states.get(current_name)
""",
        new="""\
    current_input = copy.deepcopy(input_data)

    while current_name:
        if _is_over(execution):
            raise _ExecutionOver("States.Aborted", "The execution is over")
        state_def = states.get(current_name)
""",
    ),
    Patch(
        _STATES,
        "neither Retry nor Catch goes on after the execution is over",
        old="""\
        except _ExecutionError as err:
            last_error = err
            _add_event(execution, "TaskFailed", {
""",
        new="""\
        except _ExecutionError as err:
            if _is_over(execution):
                raise _ExecutionOver("States.Aborted", "The execution is over") from err
            last_error = err
            _add_event(execution, "TaskFailed", {
""",
    ),
    Patch(
        _STATES,
        "neither Retry nor Catch of a Map or Parallel goes on after the execution is over",
        old="""\
        try:
            return attempt()
        except _ExecutionError as err:
            retrier, retrier_idx = _find_matching_retrier(
""",
        new="""\
        try:
            return attempt()
        except _ExecutionOver:
            raise
        except _ExecutionError as err:
            retrier, retrier_idx = _find_matching_retrier(
""",
    ),
    Patch(
        _STATES,
        "a distributed Map of an execution that is over does not report failed items",
        old="""\
    failed = sum(1 for f in failures if f is not None)
    limits = []
""",
        new="""\
    if _is_over(execution):
        run.update(status="ABORTED", stopDate=now_iso())
        raise _ExecutionOver("States.Aborted", "The execution is over")
    failed = sum(1 for f in failures if f is not None)
    limits = []
""",
    ),
    Patch(
        _STATES,
        "the first branch of a Parallel that fails ends it; no further state of the others starts",
        old="""\
    threads = [
        threading.Thread(
            target=contextvars.copy_context().run,
            args=(run_branch, i, b),
            daemon=True,
        )
        for i, b in enumerate(branches)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()

    for err in errors:
""",
        new="""\
    import queue

    failed, ended = threading.Event(), queue.SimpleQueue()

    def run_beside(idx, branch):
        _failed_beside.set((*_failed_beside.get(), failed))
        run_branch(idx, branch)
        ended.put(errors[idx])

    for i, b in enumerate(branches):
        threading.Thread(
            target=contextvars.copy_context().run, args=(run_beside, i, b), daemon=True
        ).start()
    for _ in branches:
        err = ended.get()
        if err is not None:
            failed.set()
            raise err if isinstance(err, _ExecutionError) else _ExecutionError(
                "States.BranchFailed", str(err))

    for err in errors:
""",
    ),
    Patch(
        _STATES,
        "the TimeoutSeconds of a whole execution",
        old="""\
    all_states = definition.get("States", {})
    current_name = definition.get("StartAt")
    if not current_name or current_name not in all_states:
        _fail_execution(""",
        new="""\
    if "TimeoutSeconds" in definition:
        def time_out():
            if execution["status"] == "RUNNING":
                execution.update(status="TIMED_OUT", stopDate=now_iso(), error="States.Timeout")
                _add_event(execution, "ExecutionTimedOut", {})
                _emit_execution_status_event(execution)

        timer = threading.Timer(definition["TimeoutSeconds"], contextvars.copy_context().run, [time_out])
        timer.daemon = True
        timer.start()

    all_states = definition.get("States", {})
    current_name = definition.get("StartAt")
    if not current_name or current_name not in all_states:
        _fail_execution(""",  # noqa: E501
    ),
    Patch(
        _STATES,
        "a task's retries wait MaxDelaySeconds at most, with jitter where asked",
        old="""\
                sleep_sec = interval * (backoff ** count)
                _scaled_sleep(min(sleep_sec, 60))
""",
        new="""\
                _scaled_sleep(_retry_delay(retrier, interval * (backoff ** count)))
""",
    ),
    Patch(
        _STATES,
        "a Map's or Parallel's retries do so as well",
        old="""\
                _scaled_sleep(min(interval * (retrier.get("BackoffRate", 2.0) ** count), 60))
""",
        new="""\
                _scaled_sleep(_retry_delay(retrier, interval * (retrier.get("BackoffRate", 2.0) ** count)))
""",  # noqa: E501
    ),
    Patch(
        _STATES,
        "how long a retry waits",
        old="""\
def _find_matching_retrier(retriers, error, retry_counts):
""",
        new="""\
def _retry_delay(retrier, seconds):
    import random

    seconds = min(seconds, retrier.get("MaxDelaySeconds", seconds))
    return random.uniform(0, seconds) if retrier.get("JitterStrategy") == "FULL" else seconds


def _find_matching_retrier(retriers, error, retry_counts):
""",
    ),
)
