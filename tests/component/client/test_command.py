"""The command `headrace` as a process: what a user and a script see, kills included."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.component.client.service import (
    CLIENT_ID,
    CLIENT_SECRET,
    Answer,
    ApiRequest,
    Fault,
    Service,
    StorageRequest,
    csv_rows,
    problem,
)

PART = 16 * 1024
CONTENT = csv_rows(4000)
TABLES = {"absences": csv_rows(30), "employees": CONTENT}
COMMAND = [sys.executable, "-m", "headrace_client"]
DEADLINE = 60.0


def an_environment(service: Service | None, home: Path) -> dict[str, str]:
    held = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HEADRACE_", "XDG_")) and not name.lower().endswith("_proxy")
    }
    held |= {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "COLUMNS": "200"}
    if service is not None:
        held |= {
            "HEADRACE_API_URL": service.api_url,
            "HEADRACE_CLIENT_ID": CLIENT_ID,
            "HEADRACE_CLIENT_SECRET": CLIENT_SECRET,
        }
    return held


def headrace(
    environment: Mapping[str, str], *arguments: str, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env=dict(environment),
        input=typed,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, or fail after the deadline."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "the condition never came"
        time.sleep(0.01)


class Held:
    """A service whose storage stands still within the sixth part of the employees, and a pull that
    has read all before it, and the absences.
    """

    def __init__(self, service: Service, home: Path) -> None:
        self.service = service
        self.out = home / "out"
        self.environment = an_environment(service, home)
        self.release = threading.Event()
        hold = 5 * PART + 700

        def stand_still(request: StorageRequest) -> Fault | None:
            if request.name == "employees.csv" and not self.release.is_set():
                return Fault(hold_at=hold, release=self.release)
            return None

        service.storage_fault = stand_still
        self.process = subprocess.Popen(
            [*COMMAND, "pull", "--out", str(self.out)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

        wanted = {"employees.csv": CONTENT[:hold], "absences.csv": TABLES["absences"]}

        def arrived() -> bool:
            # They are fetched side by side.
            return all(
                any(
                    partial.read_bytes()[: len(content)] == content
                    for partial in self.out.glob(f".headrace/op-*/{name}.partial")
                )
                for name, content in wanted.items()
            )

        until(arrived)

    def end(self, number: signal.Signals) -> tuple[int, str]:
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=DEADLINE)
        self.release.set()
        return self.process.returncode, said

    def visible(self) -> list[str]:
        return sorted(path.name for path in self.out.iterdir() if path.name != ".headrace")


def test_killed_in_the_middle_and_run_again_only_the_missing_parts_are_fetched(
    tmp_path: Path,
) -> None:
    with Service(TABLES, PART) as service:
        held = Held(service, tmp_path)
        code, _ = held.end(signal.SIGKILL)
        assert code == -signal.SIGKILL
        assert held.visible() == []
        service.forget_requests()

        again = headrace(held.environment, "pull", "--out", str(held.out))

        assert again.returncode == 0, again.stderr
        assert "Going on with operation op-0001" in again.stderr
        assert service.calls("POST", "/fulldata") == []
        assert service.fetched("employees.csv") == [(5 * PART, len(CONTENT))]
        assert service.fetched("absences.csv") == []
        assert held.visible() == ["absences.csv", "employees.csv", "manifest.json"]
        assert (held.out / "employees.csv").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "term"]
)
def test_stopped_politely_it_says_how_to_go_on_and_leaves_the_operation(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with Service(TABLES, PART) as service:
        held = Held(service, tmp_path)
        before = time.monotonic()
        ended, said = held.end(number)
        assert ended == code, said
        assert time.monotonic() - before < 20  # though the storage stands still
        assert "Run the same command again" in said
        assert "headrace cancel op-0001" in said
        assert "Traceback" not in said
        assert service.calls("POST", "/cancel") == []
        assert held.visible() == []
        assert headrace(held.environment, "pull", "--out", str(held.out)).returncode == 0


def test_killed_while_it_waits_and_run_again_it_waits_for_the_same(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        service.looks_until_done = 10**9
        environment = an_environment(service, tmp_path)
        with subprocess.Popen(
            [*COMMAND, "pull", "-q", "--out", str(tmp_path)], env=environment
        ) as p:
            until(lambda: len(service.calls("GET", "/status")) > 1)
            p.kill()
        service.looks_until_done = 1
        again = headrace(environment, "pull", "--out", str(tmp_path), "--json")
        assert json.loads(again.stdout)["how"] == "resumed"
        assert list(service.operations) == ["op-0001"]


def test_killed_while_it_starts_and_run_again_there_is_one_operation(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        arrived, release = threading.Event(), threading.Event()

        def carry_out_and_stand_still(request: ApiRequest) -> Answer | None:
            if request.path.endswith("/fulldata") and not arrived.is_set():
                with service.lock:
                    service._start(request)
                arrived.set()
                release.wait()
                return Answer(0, drop=True)
            return None

        service.api_fault = carry_out_and_stand_still
        environment = an_environment(service, tmp_path)
        with subprocess.Popen(
            [*COMMAND, "pull", "-q", "--out", str(tmp_path)], env=environment
        ) as p:
            assert arrived.wait(DEADLINE)
            p.kill()
        release.set()
        again = headrace(environment, "pull", "--out", str(tmp_path))
        assert again.returncode == 0, again.stderr
        assert list(service.operations) == ["op-0001"]


def test_a_script_gets_one_document_on_stdout_and_events_on_stderr(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        service.rows = {"absences": 30, "employees": 4000}
        done = headrace(
            an_environment(service, tmp_path),
            *("pull", "--json", "--verify-rows", "--out", str(tmp_path / "out")),
        )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["operationId"] == "op-0001"
    assert document["rows"] == 4030
    assert document["bytes"] == sum(map(len, TABLES.values()))
    assert [file["countedRows"] for file in document["files"]] == [30, 4000]
    assert Path(document["files"][1]["path"]).read_bytes() == CONTENT
    events = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert events[0] == "operation"
    assert events[-1] == "published"
    assert events.count("verified") == 2


def test_rows_that_differ_from_the_manifest_fail_the_verification(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        service.rows = {"absences": 30, "employees": 4001}
        done = headrace(
            an_environment(service, tmp_path), "pull", "--verify-rows", "--out", str(tmp_path)
        )
    assert done.returncode == 6
    assert "4,000 rows, its manifest says 4,001" in done.stderr
    assert list(tmp_path.glob("*.csv")) == []


def test_in_a_log_there_are_plain_lines_and_a_table(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        service.rows = {"employees": 4000}
        done = headrace(an_environment(service, tmp_path), "pull", "--out", str(tmp_path))
    assert "\x1b" not in done.stdout + done.stderr
    assert "Started operation op-0001" in done.stderr
    assert "employees.csv: " in done.stderr
    assert "4,000" in done.stdout
    assert f"verified, in {tmp_path}" in done.stdout


def test_on_a_terminal_there_is_a_live_display(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        ours, theirs = pty.openpty()
        environment = an_environment(service, tmp_path) | {"TERM": "xterm-256color"}
        with subprocess.Popen(
            [*COMMAND, "pull", "--out", str(tmp_path)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=theirs,
        ) as process:
            os.close(theirs)
            shown = b""
            while select.select([ours], [], [], DEADLINE)[0]:
                try:
                    shown += os.read(ours, 65536)
                except OSError:  # how Linux says that the other end is closed
                    break
            assert process.wait(DEADLINE) == 0
        os.close(ours)
    assert b"\x1b[" in shown
    assert b"employees.csv" in shown
    assert b"verified" in shown


def test_quiet_is_quiet_but_for_errors(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        environment = an_environment(service, tmp_path)
        done = headrace(environment, "pull", "--quiet", "--out", str(tmp_path))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        lost = headrace(environment, "status", "nothing", "--quiet")
        assert lost.returncode == 8
        assert lost.stdout == ""
        assert "no such thing" in lost.stderr


def failing(made: Answer, *paths: str) -> Callable[[ApiRequest], Answer | None]:
    return lambda request: made if request.path.endswith(paths) else None


NO_CONFIGURATION = failing(
    problem(404, "not_found", "There is no such configuration; see GET /data/v1/metadata."),
    *("/metadata", "/syncversion", "/fulldata"),
)


@pytest.mark.parametrize(
    ("arguments", "fault", "code", "said"),
    [
        (["pull", "--format", "xml"], None, 2, "xml"),
        (["pull", "--jobs", "0"], None, 2, "jobs"),
        (["nonsense"], None, 2, "nonsense"),
        (["pull", "--entity", "secrets"], None, 8, "default has no table 'secrets'."),
        (
            ["metadata", "--configuration", "x"],
            NO_CONFIGURATION,
            8,
            "no configuration 'x' for you.",
        ),
        (["pull", "--configuration", "x"], NO_CONFIGURATION, 8, "no configuration 'x' for you."),
        (
            ["sync", "--to", "x", "--configuration", "x"],
            NO_CONFIGURATION,
            8,
            "no configuration 'x'",
        ),
        (["quota"], failing(problem(401, "invalid_token", "Bad."), "/operations"), 3, "Bad."),
        (["quota"], failing(problem(403, "network_not_allowed", "Net."), "/operations"), 3, "Net."),
        (["quota"], failing(problem(500, "internal", "Ours."), "/operations"), 5, "c0ffee"),
        (["status", "nothing"], None, 8, "no such thing"),
        (["delete", "nothing"], None, 8, "no such thing"),
        (["cancel"], None, 8, "no operations yet"),
    ],
)
def test_each_kind_of_failure_has_its_exit_code(
    tmp_path: Path,
    arguments: list[str],
    fault: Callable[[ApiRequest], Answer | None] | None,
    code: int,
    said: str,
) -> None:
    with Service(TABLES, PART) as service:
        if fault is not None:
            service.api_fault = fault
        environment = an_environment(service, tmp_path)
        if arguments[0] == "pull":
            arguments = [*arguments, "--out", str(tmp_path)]
        done = headrace(environment, *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_pull_that_cannot_go_well_has_its_exit_code_too(tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "out")]
    with Service(TABLES, PART) as service:
        environment = an_environment(service, tmp_path)
        service.quota_limit = 0
        full = headrace(environment, "pull", *out)
        assert (full.returncode, "0 of 0 operations used today" in full.stderr) == (4, True)
        service.quota_limit = 100

        service.begin(fileFormat="parquet")
        service.looks_until_done = 10**9
        busy = headrace(environment, "pull", *out)
        assert (busy.returncode, "headrace cancel op-0001" in busy.stderr) == (4, True)
        assert headrace(environment, "cancel").returncode == 0
        waited = headrace(environment, "pull", "--timeout", "0.2", *out)
        assert (waited.returncode, "still running" in waited.stderr) == (9, True)

        service.looks_until_done = 1
        service.ends_as = "failed"
        failed = headrace(environment, "pull", *out)
        assert (failed.returncode, "A job failed" in failed.stderr) == (1, True)
        assert "headrace retry op-0003" in failed.stderr

        service.ends_as = "succeeded"
        service.storage_fault = lambda request: Fault(flip_at=0)
        wrong = headrace(environment, "pull", *out)
        assert (wrong.returncode, "No file was put in place" in wrong.stderr) == (6, True)
        service.storage_fault = lambda request: None


@pytest.mark.parametrize("below", ["", "x", "x/y"])
def test_a_file_where_the_directory_is_to_be_is_named(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with Service(TABLES, PART) as service:
        done = headrace(an_environment(service, tmp_path), "pull", "--out", str(file / below))
    assert done.returncode == 7
    assert done.stderr.splitlines() == [
        f"headrace: {file} is a file, and a directory is to be there: name another one, or move "
        "the file away."
    ]
    assert file.read_text() == "mine"


def test_the_address_of_another_service_is_asked_about(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        service.api_fault = failing(Answer(403, {"message": "Forbidden"}), "/metadata")
        environment = an_environment(service, tmp_path)
        done = headrace(environment, "metadata")
    called = environment["HEADRACE_API_URL"]
    asked = f"  This is no answer of a Headrace API: is {called} the right address?"
    assert done.returncode == 3
    assert done.stderr.splitlines()[:2] == ["headrace: Forbidden", asked]


def test_a_scope_that_is_lacking_is_asked_of_the_operator_or_another_client(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        service.api_fault = failing(problem(403, "insufficient_scope", "No."), "/metadata")
        environment = an_environment(service, tmp_path)
        alone = headrace(environment, "metadata")
        file = tmp_path / "several.json"
        names = ("HEADRACE_API_URL", "HEADRACE_CLIENT_ID", "HEADRACE_CLIENT_SECRET")
        url, client_id, secret = (environment[name] for name in names)
        clients = [{"client_id": client_id, "client_secret": secret}]
        file.write_text(json.dumps({"api_url": url, "clients": clients}))
        listed = headrace(environment, "metadata", "--profile-file", str(file))
    assert (alone.returncode, listed.returncode) == (3, 3)
    asked = f"  {client_id} has not been given it: your operator grants scopes."
    assert alone.stderr.splitlines()[1] == asked
    assert listed.stderr.splitlines()[1] == f"{asked} --client names another client of {file}."


def test_a_table_that_there_is_not_is_named_with_where_to_look(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        environment = an_environment(service, tmp_path)
        pull = ["pull", "--out", str(tmp_path / "out"), "--entity"]
        near = headrace(environment, *pull, "employes")
        far = headrace(environment, *pull, "planets", "--configuration", "payroll")
        service.api_fault = failing(problem(403, "insufficient_scope", "No."), "/metadata")
        blind = headrace(environment, *pull, "planets")
    assert near.stderr.splitlines() == [
        "headrace: The configuration default has no table 'employes'.",
        "  `headrace metadata` shows the tables that there are. Is it employees?",
        "  correlation id c0ffee",
    ]
    assert far.stderr.splitlines()[:2] == [
        "headrace: The configuration payroll has no table 'planets'.",
        "  `headrace metadata --configuration payroll` shows the tables that there are.",
    ]
    assert "`headrace metadata` shows the tables" in blind.stderr
    assert [one.returncode for one in (near, far, blind)] == [8, 8, 8]


def test_whoami_at_an_address_where_nobody_listens_fails_at_once_and_says_what_to_look_at(
    tmp_path: Path,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        environment = an_environment(None, tmp_path) | {
            "HEADRACE_API_URL": url,
            "HEADRACE_CLIENT_ID": CLIENT_ID,
            "HEADRACE_CLIENT_SECRET": CLIENT_SECRET,
        }
        done = headrace(environment, "whoami")
    assert done.returncode == 5
    assert done.stderr.splitlines() == [
        f"headrace: {url.removeprefix('http://')} did not answer (1 attempt): [Errno 111] "
        "Connection refused",
        f"  Is {url} the right address, and does the service run?",
    ]


def test_a_command_that_has_to_try_again_says_so_meanwhile(tmp_path: Path) -> None:
    later = problem(503, "unavailable", "Later.", {"Retry-After": "0"})
    with Service(TABLES, PART) as service:
        environment = an_environment(service, tmp_path)

        def asked(*options: str) -> list[str]:
            answers = iter([later, later])
            service.api_fault = lambda request: (
                next(answers, None) if request.path.endswith("/operations") else None
            )
            done = headrace(environment, "whoami", *options)
            assert done.returncode == 0, done.stderr
            return done.stderr.splitlines()

        said = asked()
        assert [one.partition(" Trying again in ")[0] for one in said] == [
            f"{urlsplit(service.api_url).netloc} answered 503: Later."
        ] * 2
        assert "(attempt 2 of 6)" in said[0]
        events = [json.loads(line) for line in asked("--json")]
        assert [one["event"] for one in events] == ["note", "note"]
        assert "answered 503: Later. Trying again in" in events[0]["text"]
        assert asked("--quiet") == []


def test_an_error_is_a_document_too_for_scripts(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        service.begin(fileFormat="parquet")
        service.looks_until_done = 10**9
        environment = an_environment(service, tmp_path)
        done = headrace(environment, "pull", "--json", "--out", str(tmp_path))
    document = json.loads(done.stdout)
    assert done.returncode == document["exitCode"] == 4
    assert document["error"]["code"] == "operation_active"
    assert document["error"]["members"]["blockingOperationId"] == "op-0001"
    assert document["error"]["members"]["quota"]["limit"] == 1000


def test_the_other_commands_show_and_act(tmp_path: Path) -> None:
    with Service({**TABLES, "zones": b"id\n"}, PART) as service:
        environment = an_environment(service, tmp_path)

        def run(*arguments: str) -> str:
            done = headrace(environment, *arguments)
            assert done.returncode == 0, done.stderr
            return done.stdout

        def read(*arguments: str) -> Any:
            return json.loads(run(*arguments, "--json"))

        shown = run("metadata")
        assert "Configuration default of tenant acme: 3 tables" in shown
        assert "zones, about 12,345 rows" in shown
        assert "bigint" in shown
        assert [table["name"] for table in read("metadata")["tables"]] == sorted(service.tables)
        assert read("quota")["quota"]["remaining"] == 1000
        service.begin()
        service.looks_until_done = 10**9
        assert read("quota")["activeOperationId"] == "op-0001"
        assert "1 of 1000 operations used today, 999 left; resets 2026-11-24" in run("quota")
        assert "Operation op-0001: running, 50 %" in run("status")
        assert read("cancel")["status"] == "cancelled"
        assert read("retry", "op-0001")["attempt"] == 2
        assert read("cancel", "op-0001")["status"] == "cancelled"
        assert "op-0001    cancelled" in run("operations")
        assert read("operations")["operations"][0]["operationId"] == "op-0001"
        assert run("delete", "op-0001") == "Deleted op-0001.\n"
        assert run("operations") == "No operations.\n"


def test_login_tries_the_credentials_and_keeps_them_from_others(tmp_path: Path) -> None:
    environment = an_environment(None, tmp_path)
    stored = tmp_path / "config" / "headrace" / "config.json"
    with Service(TABLES, PART) as service:
        login = ["login", "--api-url", service.api_url, "--client-id", CLIENT_ID, "--secret-stdin"]
        wrong = headrace(environment, *login, typed="wrong\n")
        assert (wrong.returncode, stored.exists()) == (3, False)

        right = headrace(environment, *login, typed=f"{CLIENT_SECRET}\n")
        assert right.returncode == 0, right.stderr
        assert CLIENT_SECRET not in right.stdout + right.stderr
        assert stat.S_IMODE(stored.stat().st_mode) == 0o600
        assert headrace(environment, "quota").returncode == 0

        stored.chmod(0o644)
        open_to_all = headrace(environment, "quota")
        assert (open_to_all.returncode, "chmod 600" in open_to_all.stderr) == (2, True)

        assert headrace(environment, "logout").returncode == 0
        assert not stored.exists()
        assert "Not logged in" in headrace(environment, "quota").stderr


def test_login_without_a_terminal_says_what_is_missing(tmp_path: Path) -> None:
    done = headrace(an_environment(None, tmp_path), "login")
    assert done.returncode == 2
    assert "Address of the API is missing" in done.stderr


def test_a_profile_file_lends_its_clients_by_number_and_by_id(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        profile = tmp_path / "headrace.json"
        other = {"client_id": "other", "client_secret": "x", "tenant": "beta"}
        ours = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "tenant": "acme"}
        profile.write_text(json.dumps({"api_url": service.api_url, "clients": [other, ours]}))
        environment = an_environment(None, tmp_path)
        file = ["--profile-file", str(profile)]
        assert headrace(environment, "quota", *file).returncode == 3
        assert headrace(environment, "quota", *file, "--client", "2").returncode == 0
        assert headrace(environment, "quota", *file, "--client", CLIENT_ID).returncode == 0
        assert b"tenant_id=acme" in service.calls("POST", "/connect/token")[-1].body
        unknown = headrace(environment, "quota", *file, "--client", "9")
        assert (unknown.returncode, "1 (other), 2 (integrator)" in unknown.stderr) == (2, True)
        assert headrace(environment, "login", *file, "--client", "2").returncode == 0
        assert headrace(environment, "quota").returncode == 0
        assert (
            headrace(environment | {"HEADRACE_PROFILE_FILE": str(profile)}, "quota").returncode == 3
        )


def test_help_tells_the_exit_codes(tmp_path: Path) -> None:
    done = headrace(an_environment(None, tmp_path), "--help")
    assert done.returncode == 0
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130, 141, 143):
        assert f"{code}: " in done.stdout


def test_a_reader_that_leaves_early_is_no_surprise(tmp_path: Path) -> None:
    with (
        Service({f"t{number:03}": b"id\n" for number in range(200)}, PART) as service,
        subprocess.Popen(
            [*COMMAND, "metadata"],
            env=an_environment(service, tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(DEADLINE) == 141
