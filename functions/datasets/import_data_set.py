"""Task: imports the payload of a process, or undoes an import."""

from typing import Any

from headrace.runtime import datasets, imports
from headrace.runtime.instance import prepare
from headrace.runtime.task import Event, TimedTask, TimeLeft

prepare(imports.import_data_set)


@TimedTask
def handler(event: Event, time_left: TimeLeft) -> dict[str, Any]:
    """How it ended, or that another worker is to go on."""
    undoes = event["kind"] == "undo"
    work = imports.undo_import() if undoes else imports.import_data_set()
    return datasets.as_answer(work(event["tenant"], event["process_id"], time_left))
