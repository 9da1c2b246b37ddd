"""What a function loads: no more than its own work takes."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.world import ROOT

TASKS = {
    "plan_export",
    "plan_job",
    "export_range",
    "hold_snapshot",
    "complete_job",
    "fail_job",
    "end_export",
    "sweep",
    "watch_sources",
    "deliver_webhook",
    "build_data_set",
    "end_data_set_process",
    "notify_data_set_process",
    "sweep_data_sets",
    "fetch_payload",
    "pause_task_processing",
    "import_data_set",
    "resume_task_processing",
    "read_template_rows",
}
READ_DATA_SETS = {
    "create_data_set",
    "create_and_build",
    "get_task_processing",
    "control_task_processing",
}
"""Functions of the API whose every call asks an application's database."""
TAKE_DATA_SETS = {
    "build_data_set",
    "import_data_set",
    "pause_task_processing",
    "resume_task_processing",
}
"""Tasks that do; the engine has no part in data sets."""
ENGINE = ("duckdb", "isal")
WAREHOUSE = ("headrace.adapters.warehouse",)
ASK_BY_KIND = {"get_sync_version", "start_incremental_export"}
"""Which versions a source holds only it can tell: who reads it is loaded when its kind is known."""
DRIVER = ("psycopg", "headrace.adapters.postgresql")
WORK = ("headrace.exports.extraction",)
PASSWORDS = ("headrace.adapters.argon2id", "cryptography.hazmat.primitives.kdf.argon2")
"""What logs persons in, and no call after that needs."""
FUNCTIONS = [
    path for path in sorted((ROOT / "functions").glob("*/*.py")) if path.stem != "__init__"
]
API = [path for path in FUNCTIONS if path.stem not in TASKS]
OF_DATA_SETS = [path for path in FUNCTIONS if path.stem in READ_DATA_SETS | TAKE_DATA_SETS]


ENVIRONMENT = {
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "EXPORT_STATE_MACHINE": "arn:aws:states:eu-west-1:000000000000:stateMachine:export",
    "DELIVERY_STATE_MACHINE": "arn:aws:states:eu-west-1:000000000000:stateMachine:delivery",
    "DATASETS_STATE_MACHINE": "arn:aws:states:eu-west-1:000000000000:stateMachine:datasets",
    **dict.fromkeys(
        (
            "CATALOG_TABLE",
            "OPERATIONS_TABLE",
            "CREDENTIALS_TABLE",
            "PROOFS_TABLE",
            "AUDIT_TABLE",
            "STATISTICS_TABLE",
            "USERS_TABLE",
            "CONSENTS_TABLE",
            "DATASETS_TABLE",
            "DATASETS_BUCKET",
            "TEMPLATES_TABLE",
            "TEMPLATES_BUCKET",
            "TEMPLATE_READER",
            "EXCHANGE_KEY",
            "PROFILES_TABLE",
            "PROFILES_KEY",
        ),
        "x",
    ),
    **dict.fromkeys(("FILES_BUCKET", "FILES_KEY", "SIGNING_KEY_IDS"), "x"),
}
LOADING = """
import importlib, os, sys
from headrace.runtime import api, instance

for service in ("dynamodb", "kms", "s3", "stepfunctions"):
    instance.client(service)
for module in sys.argv[1:]:
    process = os.fork()
    if not process:
        importlib.import_module(module)
        print(module, *sys.modules, flush=True)
        os._exit(0)
    if os.waitpid(process, 0)[1]:
        sys.exit(module)
"""
"""Initialises each function in a process of its own, as Lambda does. What nearly all load is
loaded once, before they part: it takes longer than the rest."""


@pytest.fixture(scope="module")
def loaded() -> Mapping[str, list[str]]:
    """By function, the modules that are loaded when Lambda has initialised it."""
    modules = [f"{path.parent.name}.{path.stem}" for path in {*API, *OF_DATA_SETS}]
    done = subprocess.run(
        [sys.executable, "-c", LOADING, *modules],
        env={**os.environ, **ENVIRONMENT, "PYTHONPATH": str(ROOT / "functions")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {module: names for module, *names in map(str.split, done.stdout.splitlines())}


@pytest.mark.parametrize("path", API, ids=lambda path: path.stem)
def test_a_function_of_the_api_loads_neither_an_engine_nor_the_workers_code(
    path: Path, loaded: Mapping[str, list[str]]
) -> None:
    names = loaded[f"{path.parent.name}.{path.stem}"]
    heavy: tuple[str, ...] = WORK + ENGINE
    heavy += () if path.stem in ASK_BY_KIND else WAREHOUSE
    heavy += () if path.stem in READ_DATA_SETS else DRIVER
    heavy += () if path.stem == "log_in" else PASSWORDS
    assert [name for name in names if name.startswith(heavy)] == []
    assert (path.stem == "log_in") == (PASSWORDS[0] in names)


@pytest.mark.parametrize("path", OF_DATA_SETS, ids=lambda path: path.stem)
def test_what_asks_an_applications_database_loads_its_driver_and_no_engine(
    path: Path, loaded: Mapping[str, list[str]]
) -> None:
    names = loaded[f"{path.parent.name}.{path.stem}"]
    assert "psycopg" in names
    assert [name for name in names if name.startswith(ENGINE + WAREHOUSE)] == []
