"""The commands about recurring exports: ``headrace-admin schedule``."""

from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from headrace.exports.schedules import RunState
from headrace.exports.scheduling import ListSchedules, ScheduleStanding
from headrace.kernel.clock import SystemClock
from headrace.kernel.errors import NotFound
from headrace_admin.deployment import Deployment
from headrace_admin.operation_views import (
    print_scheduled_runs,
    print_schedules,
    schedule_json,
    scheduled_run_json,
)
from headrace_admin.operations import ClientFilter, TenantFilter, callers
from headrace_admin.outcome import Exit, Printer, finished
from headrace_admin.target import AWS, Target

schedule = App(name="schedule")


def _standings(
    deployment: Deployment, tenant: str | None, client_id: str | None, runs: int
) -> list[ScheduleStanding]:
    work = ListSchedules(deployment.catalogs(), deployment.schedule_runs(), SystemClock())
    return [
        standing
        for caller in sorted(callers(deployment, tenant, client_id))
        for standing in work(*caller, runs)
    ]


@schedule.command(name="list")
def list_schedules(
    *, tenant: TenantFilter = None, client_id: ClientFilter = None, target: Target = AWS
) -> int:
    """List the published schedules with their next run and their last one.

    Parameters
    ----------
    tenant
        Those of this tenant.
    client_id
        Those of this client.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        found = _standings(target.deployment(), tenant, client_id, 1)
        printer.result(
            {"schedules": [schedule_json(standing) for standing in found]},
            lambda out: print_schedules(out, found),
        )
        return Exit.OK

    return finished(printer, work)


@schedule.command(name="runs")
def list_runs(
    name: str | None = None,
    *,
    tenant: TenantFilter = None,
    client_id: ClientFilter = None,
    missed: Annotated[bool, Parameter(negative="")] = False,
    limit: Annotated[int, Parameter(validator=Number(gte=1))] = 20,
    target: Target = AWS,
) -> int:
    """List the runs of schedules, the latest due first: started, waiting and missed, and why.

    Parameters
    ----------
    name
        Those of schedules of this name.
    tenant
        Those of this tenant.
    client_id
        Those of this client.
    missed
        Only what was missed.
    limit
        So many at most.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        standings = _standings(target.deployment(), tenant, client_id, _RUNS_READ)
        if name is not None:
            standings = [one for one in standings if one.schedule.name == name]
            if not standings:
                raise NotFound(
                    f"No schedule {name} is published; see headrace-admin schedule list."
                )
        runs = [(one.schedule, run) for one in standings for run in one.runs]
        runs.sort(key=lambda pair: pair[1].due, reverse=True)
        found = [pair for pair in runs if not missed or pair[1].state is RunState.MISSED][:limit]
        printer.result(
            {"runs": [scheduled_run_json(*pair) for pair in found]},
            lambda out: print_scheduled_runs(out, found),
        )
        return Exit.OK

    return finished(printer, work)


_RUNS_READ = 1000
"""Of each schedule: what is kept of one that runs every two hours."""
