"""What is begun before the first test of exports, and looked at by the last."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from headrace.catalog.model import Tenant
from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Integrator, Json, Platform, eventually


@dataclass
class LeftBehind:
    """What takes its time, and goes on while the other tests of this folder run."""

    abandoned: Integrator
    abandoned_id: str
    poisoned: Integrator
    poisoned_runs: Future[tuple[Json, Json]]
    keyless: Integrator
    keyless_id: str
    key: str


@pytest.fixture(scope="session", autouse=True)
def left_behind(platform: Platform, clients: Clients) -> Iterator[LeftBehind]:
    """Operations whose execution somebody stopped, whose table cannot be read, whose key is off."""
    abandoned = clients.special(NORTHWIND, "absences", "payslips")
    clients.keep(abandoned)
    operation_id = abandoned.start(fileFormat="json")["operationId"]
    eventually(lambda: platform.parts(abandoned.prefix), within=60, what="a part was stored")
    platform.aws("stepfunctions").stop_execution(
        executionArn=platform.execution_arn(operation_id, 1)
    )

    poisoned = clients.special(NORTHWIND, "cost_centres", "departments")
    clients.keep(poisoned)
    clients.reconfigure(
        poisoned,
        lambda one: replace(
            one, tables=(one.tables[0], replace(one.tables[1], source="hr.not_there"))
        ),
    )

    def run_twice() -> tuple[Json, Json]:
        first = poisoned.ended(poisoned.start()["operationId"])
        assert poisoned.retry(first["operationId"]).status_code == 202
        return first, poisoned.ended(first["operationId"])

    kms = platform.aws("kms")
    key: str = kms.create_key(Description="a key that is off")["KeyMetadata"]["Arn"]
    kms.disable_key(KeyId=key)
    tenant = Tenant(f"keyless-{clients.run}", "Keyless", "UTC", kms_key=key)
    clients.add_tenant(tenant, like=NORTHWIND)
    keyless = clients.special(tenant.tenant_id, "cost_centres")
    clients.keep(keyless)
    keyless_id = keyless.start()["operationId"]
    # Before any test kills workers: that would be another failure than the one that is meant.
    keyless.ended(keyless_id)

    with ThreadPoolExecutor(1) as pool:
        runs = pool.submit(run_twice)
        yield LeftBehind(abandoned, operation_id, poisoned, runs, keyless, keyless_id, key)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
