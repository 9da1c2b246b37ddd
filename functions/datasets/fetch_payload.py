"""Task: fetches the payload of an import from the environment that built it."""

from typing import Any

from headrace.runtime import datasets, imports
from headrace.runtime.instance import prepare
from headrace.runtime.task import Event, Task

prepare(imports.fetch_payload)


@Task
def handler(event: Event) -> dict[str, Any]:
    """Whether it is there, or how the import ended without it."""
    return datasets.as_answer(imports.fetch_payload()(event["tenant"], event["process_id"]))
