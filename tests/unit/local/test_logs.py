"""How a function's log lines look."""

import json

from local.logs import function_of, pretty

STAMP = 1_790_000_000_123


def _line(message: str) -> str | None:
    return pretty("StartExport", {"timestamp": STAMP, "message": message})


def test_the_frame_around_an_invocation_is_left_out() -> None:
    assert _line("START RequestId: 1 Version: $LATEST") is None
    assert _line("END RequestId: 1") is None


def test_the_report_is_a_duration() -> None:
    line = _line("REPORT RequestId: 1\tDuration: 12 ms\tBilled Duration: 12 ms")
    assert line is not None
    assert line.endswith("Duration: 12 ms")


def test_a_structured_record_is_level_message_and_what_else_it_carries() -> None:
    record = {"level": "INFO", "message": "started", "service": "headrace", "operation_id": "op"}
    line = _line(json.dumps(record))
    assert line is not None
    assert "StartExport" in line
    assert line.endswith("INFO    started  operation_id=op")


def test_an_exception_follows_on_its_own_lines() -> None:
    record = {"level": "ERROR", "message": "failed", "exception": "Traceback\nValueError: x"}
    line = _line(json.dumps(record))
    assert line is not None
    assert line.splitlines()[1:] == ["Traceback", "ValueError: x"]


def test_metrics_are_names_and_values() -> None:
    record = {
        "_aws": {"CloudWatchMetrics": [{"Metrics": [{"Name": "Rows"}]}]},
        "Rows": [12.0],
    }
    line = _line(json.dumps(record))
    assert line is not None
    assert line.endswith("metrics Rows=[12.0]")


def test_what_looks_like_json_and_is_not_stays_as_it_is() -> None:
    line = _line("{half")
    assert line is not None
    assert line.endswith("{half")


def test_a_stream_names_its_function() -> None:
    names = {"headrace-StartExport-1A2B": "StartExport"}
    assert function_of("2026/11/23/headrace-StartExport-1A2B[$LATEST]ff", names) == "StartExport"
    assert function_of("2026/11/23/other[$LATEST]ff", names) == "other"
