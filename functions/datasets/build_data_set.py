"""Task: gathers the items of a data set in one snapshot, and writes its payload."""

from typing import Any

from headrace.runtime import datasets
from headrace.runtime.instance import prepare
from headrace.runtime.task import Event, Task

prepare(datasets.build_data_set)


@Task
def handler(event: Event) -> dict[str, Any]:
    """How it ended."""
    return datasets.as_answer(datasets.build_data_set()(event["tenant"], event["process_id"]))
