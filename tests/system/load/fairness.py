"""`make load`: a tenant's huge export does not starve another's small one; into docs/load.md.

The platform of its own has ``HEADRACE_WORKERS`` at least as many as the huge exports read tables at
once: otherwise what is measured is the wait for a process, which no one has on AWS.
"""

import os
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from benchmarks import report
from headrace.exports.sources import SnapshotScope, Table
from local.home import CHECKOUT
from tests.load import fairness
from tests.load.fairness import Contest
from tests.system.conftest import HARBOUR, NORTHWIND, Clients
from tests.system.deployed import Integrator

pytestmark = pytest.mark.system

SLOTS = 2
HUGE = 4
"""Clients of the huge tenant: each runs one operation at a time."""
AT_ONCE = 2 * HUGE
"""Tables that they read together: as many of each operation as JobConcurrency in samconfig.toml."""
TABLES = 60
"""Of each huge export: so many that it outlasts the small ones."""
WORST = AT_ONCE + 1
"""The most that the ratio may be where there are slots: of nine that work, each has a ninth. At the
DuckLake all of them, the API's functions and the emulator share this machine's processors, so the
ratio there is shown, and what must hold is that the small exports end long before the huge ones.
"""


def _granted(clients: Clients, tenant: str, source: str, name: str) -> Table:
    """The table as the sample's catalog grants it to a client of the tenant."""
    return next(
        table
        for one in clients.base.configurations
        for table in one.tables
        if (one.tenant, one.source, table.name) == (tenant, source, name)
    )


def _reading(
    clients: Clients, tenant: str, source: str, read_as: str, tables: tuple[Table, ...]
) -> Integrator:
    """A client of the tenant that gets these tables of the source."""
    integrator = clients.special(tenant, "cost_centres")
    clients.reconfigure(
        integrator,
        lambda one: replace(one, source=read_as, snapshot=SnapshotScope.JOB, tables=tables),
    )
    return integrator


def _contest(
    clients: Clients, source: str, read_as: str, shown: str, small: str, huge: str
) -> Contest:
    little = _granted(clients, HARBOUR, source, small)
    large = _granted(clients, NORTHWIND, source, huge)
    copies = tuple(replace(large, name=f"{huge}{number}") for number in range(TABLES))
    return fairness.measure(
        shown,
        _reading(clients, HARBOUR, source, read_as, (little,)),
        [_reading(clients, NORTHWIND, source, read_as, copies) for _ in range(HUGE)],
        AT_ONCE,
    )


def test_a_huge_export_does_not_starve_a_small_one(
    clients: Clients, capsys: pytest.CaptureFixture[str]
) -> None:
    assert int(os.environ.get("HEADRACE_WORKERS", "4")) >= AT_ONCE + 2, "too few processes"
    pattern = next(one for one in clients.base.sources if one.name == "roster")
    few = replace(
        pattern,
        name=f"few-slots-{clients.run}",
        options={**pattern.options, "max_connections": f"{SLOTS}"},
    )
    clients.sources.append(few)
    contests = [
        _contest(clients, "roster", few.name, f"PostgreSQL with {SLOTS} slots", "wards", "shifts"),
        _contest(clients, "hr", "hr", "DuckLake", "cost_centres", "payslips"),
    ]
    text = "\n\n".join(
        [
            f"`make load` on {datetime.now(UTC).date()}, a machine with {report.machine()}; "
            f"medians of {fairness.ROUNDS}. Huge: {HUGE} clients of one tenant, each with an "
            f"export of {TABLES} tables.",
            fairness.table(contests),
        ]
    )
    with capsys.disabled():
        print(f"\n{text}\n")  # noqa: T201
    report.write("fairness", text, CHECKOUT / "docs" / "load.md")
    for contest in contests:
        assert contest.active, f"a huge export of {contest.source} ended too early"
    assert contests[0].ratio <= WORST, contests[0]
