"""Processes of data sets as executions in Step Functions."""

from dataclasses import dataclass

from headrace.adapters.stepfunctions.executions import Executions
from headrace.datasets.model import Process
from headrace.datasets.notices import Notice


@dataclass(frozen=True)
class StepFunctionsRuns:
    """The ``Runs`` port: one execution per process and attempt; it sees to the notice as well."""

    executions: Executions

    def start(self, process: Process) -> None:
        """See the port."""
        self.executions.start(
            process.execution_name,
            {
                "tenant": process.tenant,
                "process_id": process.process_id,
                "kind": str(process.kind),
                "run": 1,
            },
        )

    def is_running(self, process: Process) -> bool | None:
        """See the port."""
        return self.executions.is_running(process.execution_name)

    def start_notice(self, notice: Notice) -> None:
        """See the port."""
        self.executions.start(
            _notice_name(notice),
            {
                "tenant": notice.tenant,
                "process_id": notice.process_id,
                "kind": "notice",
                "run": notice.run,
            },
        )

    def notice_is_running(self, notice: Notice) -> bool:
        """See the port. The first run is the process's own execution."""
        names = [_notice_name(notice)]
        if notice.run == 1:
            names.append(f"{notice.process_id}-1")
        return any(self.executions.is_running(name) for name in names)


def _notice_name(notice: Notice) -> str:
    return f"{notice.process_id}-notice-{notice.run}"
