"""`headrace dataset` as a process, against a service with data sets."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.component.client.carrying import (
    COUNTS,
    DEFINITION,
    DIFFERENCE,
    CarryingService,
    a_payload,
)
from tests.component.client.service import Answer, ApiRequest, Fault, StorageRequest
from tests.component.client.test_command import COMMAND, DEADLINE, an_environment, headrace, until

REFUSED: dict[str, Any] = {
    "code": "GEN-MIGR-001",
    "severity": "Fatal",
    "text": "rate_id refers to RATES 7, which is neither in the data set nor in this environment",
    "item": "GROUP CLIENTS GAMMA",
}
TOLD: list[dict[str, Any]] = [
    {"code": "X-1", "severity": "Informative", "text": f"Message {n}", "item": None}
    for n in range(3)
]


def document(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def test_a_set_is_created_built_and_downloaded(tmp_path: Path) -> None:
    with CarryingService() as service:
        environment = an_environment(service, tmp_path)
        items = ["--item", "18039405", "--item", "18039405:7", "--exclude", "18039405:2220"]

        created = headrace(environment, "dataset", "create", DEFINITION, "TEST_321", *items)
        built = headrace(environment, "dataset", "build", DEFINITION, "TEST_321")
        got = headrace(
            environment, "dataset", "download", DEFINITION, "TEST_321", "--out", str(tmp_path)
        )

        assert created.stdout == "Created TEST_321 of CLAIMS_CONFIGURATION, with 2 items.\n"
        asked = service.data_sets["TEST_321"]
        assert asked["config_migration_items"] == [
            {"table_id": 18039405, "record_id": None},
            {"table_id": 18039405, "record_id": 7},
        ]
        assert asked["exclude_options"] == [{"table_top_id": 18039405, "table_dependent_id": 2220}]
        assert built.returncode == 0, built.stderr
        assert "Started build process-1" in built.stderr
        assert "process-1 of CLAIMS_CONFIGURATION TEST_321 succeeded: 10 records, in 9 s" in (
            built.stdout
        )
        assert got.returncode == 0, got.stderr
        file = tmp_path / "CLAIMS_CONFIGURATION_TEST_321.zip"
        assert file.read_bytes() == service.payload
        assert [path.name for path in tmp_path.glob(".*partial")] == []


def test_a_full_set_is_created_and_built_in_one_command_once(tmp_path: Path) -> None:
    with CarryingService() as service:
        environment = an_environment(service, tmp_path)

        full = headrace(environment, "dataset", "build", DEFINITION, "ALL", "--full", "--json")
        again = headrace(environment, "dataset", "build", DEFINITION, "ALL", "--full", "--json")

        assert document(full)["process"]["result"] == "S"
        assert document(full)["how"] == "started"
        assert again.returncode == 8
        assert document(again)["error"]["code"] == "data_set_exists"
        assert "Without --full" in document(again)["error"]["hint"]


def test_a_full_set_is_built_anew_with_what_is_named(tmp_path: Path) -> None:
    with CarryingService() as service:
        environment = an_environment(service, tmp_path)
        headrace(environment, "dataset", "build", DEFINITION, "ALL", "--full", "--keep-omitted")

        changed = ["--description", "All of it", "--exclude", "18039405:2220", "--delete-omitted"]
        done = headrace(environment, "dataset", "rebuild", DEFINITION, "ALL", *changed)
        other = headrace(environment, "dataset", "rebuild", DEFINITION, "OTHER", "--json")

        assert done.returncode == 0, done.stderr
        assert "process-2 of CLAIMS_CONFIGURATION ALL succeeded" in done.stdout
        held = service.data_sets["ALL"]
        assert held["description"] == "All of it"
        assert held["exclude_options"] == [{"table_top_id": 18039405, "table_dependent_id": 2220}]
        assert (held["exact_version_match"], held["disable_delete_by_omission"]) == (False, False)
        assert document(other)["error"]["code"] == "not_built"


def test_what_a_process_has_to_say_is_told_all_of_it(tmp_path: Path) -> None:
    with CarryingService() as service:
        service.messages = [*TOLD, REFUSED]
        service.data_sets["TEST_321"] = {}

        done = headrace(
            an_environment(service, tmp_path), "dataset", "build", DEFINITION, "TEST_321"
        )

        assert done.returncode == 0
        for told in (*TOLD, REFUSED):
            (line,) = [line for line in done.stdout.splitlines() if told["text"] in line]
            assert told["code"] in line
            assert told["severity"] in line
            assert (told["item"] or "") in line


def test_a_failed_process_is_exit_code_1_with_its_messages(tmp_path: Path) -> None:
    with CarryingService() as service:
        service.result, service.messages = "F", [*TOLD, REFUSED]
        service.data_sets["TEST_321"] = {}
        environment = an_environment(service, tmp_path)
        asked = ["dataset", "build", DEFINITION, "TEST_321"]

        human, scripted = headrace(environment, *asked), headrace(environment, *asked, "--json")

        assert (human.returncode, scripted.returncode) == (1, 1)
        assert REFUSED["text"] in human.stdout
        assert f"headrace: The build process-1 failed: {REFUSED['text']}" in human.stderr
        held = document(scripted)["error"]
        assert held["code"] == "process_unsuccessful"
        assert held["messages"] == [*TOLD, REFUSED]
        assert held["process"]["id"] == "process-2"


def test_a_small_file_goes_in_the_call_and_a_large_one_is_uploaded(tmp_path: Path) -> None:
    with CarryingService() as service:
        environment = an_environment(service, tmp_path)
        small, large = tmp_path / "small.zip", tmp_path / "large.zip"
        small.write_bytes(a_payload())
        large.write_bytes(a_payload(50_000))
        assert large.stat().st_size > 4 * 1024 * 1024

        for file in (small, large):
            done = headrace(environment, "dataset", "import", str(file), "--keep-omitted")
            assert done.returncode == 0, done.stderr
            assert "1 added, 1 changed, 1 deleted, 7 unchanged" in done.stdout

        contents = [(DEFINITION, small.read_bytes()), (DEFINITION, large.read_bytes())]
        assert service.imported == contents
        assert len(service.calls("POST", "/dataexchange/uploads")) == 1
        (put,) = service.storage_requests
        assert "authorization" not in put.headers
        assert put.headers["x-amz-server-side-encryption"] == "aws:kms"


def test_a_dry_run_shows_what_would_be_added_changed_and_deleted(tmp_path: Path) -> None:
    with CarryingService() as service:
        environment = an_environment(service, tmp_path)
        file = tmp_path / "set.zip"
        file.write_bytes(service.payload)
        asked = ["dataset", "import", str(file), "--dry-run"]

        human, scripted = headrace(environment, *asked), headrace(environment, *asked, "--json")
        service.linked = True
        later = headrace(environment, "dataset", "diff", "process-1")
        running = service.process("import")["id"]
        none = headrace(environment, "dataset", "diff", running)

        shown = [
            "GROUP CLIENTS",
            "  + ACME",
            "  ~ BETA",
            "      dynamic_logic_id: nothing → LOGIC",
            '      name: "Beta" → "Beta & sons"',
            "GROUP ACCOUNTS",
            "  - OLD (of GROUP CLIENTS BETA)",
        ]
        assert human.stdout.splitlines()[:7] == shown
        assert human.stdout.splitlines()[-1].startswith(
            "dry run, nothing was written: import process-1 of CLAIMS_CONFIGURATION"
        )
        assert ": 1 would be added, 1 changed, 1 deleted, 7 unchanged" in human.stdout
        assert later.stdout.splitlines() == shown
        assert (none.returncode, "it still runs" in none.stderr) == (8, True)
        assert document(scripted)["difference"] == DIFFERENCE
        assert document(scripted)["process"]["outcome"]["counts"] == COUNTS


def test_a_set_of_another_environment_is_imported_as_available_lists_it(tmp_path: Path) -> None:
    with CarryingService() as service:
        environment = an_environment(service, tmp_path)

        listed = headrace(environment, "dataset", "available", DEFINITION)
        scripted = headrace(environment, "dataset", "available", DEFINITION, "--json")
        one = document(scripted)["sources"][0]["dataSets"][0]
        done = headrace(
            environment,
            *("dataset", "import", "--from", one["environment"], DEFINITION, one["code"]),
        )

        assert "TEST_321" in listed.stdout
        assert "2026-11-25 14:57:59 UTC" in listed.stdout
        old, half = listed.stdout.splitlines()[-2:]
        assert old.startswith("https://old.example.com/v1/dataexchange: HTTP 409 Conflict")
        assert old.endswith("4.24.1.0.0")
        assert half == (
            "https://half.example.com/v1: HTTP 404 Not Found (what is registered is the URL of a "
            "source's /dataexchange)"
        )
        assert done.returncode == 0, done.stderr
        (call,) = service.calls("POST", f"{DEFINITION}/dataset/TEST_321")
        assert json.loads(call.body) == {"sourceEnvironment": "TEST"}


def test_an_import_is_undone_and_the_newest_process_watched(tmp_path: Path) -> None:
    with CarryingService() as service:
        environment = an_environment(service, tmp_path)
        file = tmp_path / "set.zip"
        file.write_bytes(service.payload)
        imported = document(headrace(environment, "dataset", "import", str(file), "--json"))

        undone = headrace(environment, "dataset", "undo", imported["process"]["id"], "--force")
        watched = headrace(environment, "dataset", "watch", "--json")

        assert undone.returncode == 0, undone.stderr
        (call,) = service.calls("POST", "/process-1/undo")
        assert json.loads(call.body) == {"force": True}
        assert document(watched)["process"]["id"] == "process-2"
        assert document(watched)["how"] == "given"


def test_an_undoing_that_left_what_others_changed_says_how_it_would_not(tmp_path: Path) -> None:
    with CarryingService() as service:
        environment = an_environment(service, tmp_path)
        file = tmp_path / "set.zip"
        file.write_bytes(service.payload)
        imported = document(headrace(environment, "dataset", "import", str(file), "--json"))
        service.result, service.messages = "F", [REFUSED | {"code": "HEADRACE-DATA-001"}]

        left = headrace(environment, "dataset", "undo", imported["process"]["id"])

    assert left.returncode == 1
    assert left.stderr.splitlines()[-1] == (
        "  With --force what others have changed since is overwritten, too."
    )


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_interrupted_it_says_how_to_watch_and_the_same_command_goes_on(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    with CarryingService() as service:
        service.data_sets["TEST_321"] = {}
        service.looks_until_done = 1_000_000
        environment = an_environment(service, tmp_path)
        process = subprocess.Popen(
            [*COMMAND, "dataset", "build", DEFINITION, "TEST_321"],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        until(lambda: len(service.calls("GET", "/datasetprocesses/process-1")) > 0)
        process.send_signal(number)
        _, said = process.communicate(timeout=DEADLINE)
        service.looks_until_done = 1

        again = headrace(environment, "dataset", "build", DEFINITION, "TEST_321")
        later = headrace(environment, "dataset", "build", DEFINITION, "TEST_321")

        assert process.returncode == code
        assert "The build goes on: `headrace dataset watch process-1` shows it to its end" in said
        assert "Traceback" not in said
        assert again.returncode == 0, again.stderr
        # The look that resumes it sees its end, so it is another one: of what there is now.
        assert "The build process-1, which an earlier run started, has succeeded" in again.stderr
        assert "Started build process-2" in again.stderr
        assert "Started build process-3" in later.stderr
        assert len(service.started("build")) == 3


def test_killed_while_it_waits_it_goes_on_with_the_same_process(tmp_path: Path) -> None:
    with CarryingService() as service:
        service.looks_until_done = 1_000_000
        environment = an_environment(service, tmp_path)
        file = tmp_path / "large.zip"
        file.write_bytes(a_payload(50_000))
        process = subprocess.Popen(
            [*COMMAND, "dataset", "import", str(file)],
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        until(lambda: len(service.calls("GET", "/datasetprocesses/process-1")) > 0)
        process.kill()
        process.wait(DEADLINE)
        service.looks_until_done = service.processes["process-1"]["looks"] + 5

        again = headrace(environment, "dataset", "import", str(file), "--json")

        assert again.returncode == 0, again.stderr
        assert document(again)["how"] == "resumed"
        assert document(again)["process"]["id"] == "process-1"
        assert len(service.calls("POST", "/dataexchange/uploads")) == 1
        assert len(service.imported) == 1
        assert list((tmp_path / ".local" / "state" / "headrace" / "datasets").iterdir()) == []


def test_what_can_be_done_once_only_is_told_when_it_ended_meanwhile(tmp_path: Path) -> None:
    with CarryingService() as service:
        service.looks_until_done = 1_000_000
        environment = an_environment(service, tmp_path)
        asked = ["dataset", "build", DEFINITION, "ALL", "--full", "--json"]
        late = headrace(environment, *asked, "--timeout", "0.05")
        service.end(service.processes["process-1"])

        again = headrace(environment, *asked)

        assert late.returncode == 9
        assert again.returncode == 0, again.stdout
        assert document(again)["process"]["id"] == "process-1"
        assert document(again)["how"] == "resumed"


def test_a_lost_answer_starts_no_second_process(tmp_path: Path) -> None:
    with CarryingService() as service:
        service.data_sets["TEST_321"] = {}
        lost: list[Answer] = []

        def lose_the_first(request: ApiRequest) -> Answer | None:
            if request.method == "POST" and "/export/" in request.path and not lost:
                with service.lock:
                    lost.append(service._route(request))  # carried out, and not answered
                return Answer(0, drop=True)
            return None

        service.api_fault = lose_the_first
        done = headrace(
            an_environment(service, tmp_path), "dataset", "build", DEFINITION, "TEST_321"
        )

        assert done.returncode == 0, done.stderr
        assert len(service.started("build")) == 1


def test_another_process_that_runs_is_named_with_how_to_watch_it(tmp_path: Path) -> None:
    with CarryingService() as service:
        service.data_sets["TEST_321"] = {}
        service.process("import")
        asked = ["dataset", "build", DEFINITION, "TEST_321"]

        done = headrace(an_environment(service, tmp_path), *asked)

        assert done.returncode == 4
        assert "It is not possible to start a new build" in done.stderr
        assert "`headrace dataset watch process-1` shows it." in done.stderr


def test_a_timeout_is_exit_code_9_and_the_process_goes_on(tmp_path: Path) -> None:
    with CarryingService() as service:
        service.data_sets["TEST_321"] = {}
        service.looks_until_done = 1_000_000
        asked = ["dataset", "build", DEFINITION, "TEST_321", "--timeout", "0.05"]

        done = headrace(an_environment(service, tmp_path), *asked)

        assert done.returncode == 9
        assert "The build process-1 has not ended after 0.05 seconds; it goes on." in done.stderr
        assert "`headrace dataset watch process-1` shows it to its end." in done.stderr


def test_a_linked_payload_that_is_cut_off_is_gone_on_with(tmp_path: Path) -> None:
    with CarryingService() as service:
        service.linked, service.payload = True, a_payload(30_000)
        service.payloads["TEST_321"] = service.payload
        cuts = [100_000, 1_000_000]

        def cut(request: StorageRequest) -> Fault | None:
            return Fault(cut_at=cuts.pop(0)) if cuts else None

        service.storage_fault = cut
        out = tmp_path / "set.zip"
        done = headrace(
            an_environment(service, tmp_path),
            *("dataset", "download", DEFINITION, "TEST_321", "--out", str(out)),
        )

        assert done.returncode == 0, done.stderr
        assert out.read_bytes() == service.payload
        # What arrived before a cut is not fetched again, but for what was lost on the way.
        assert [request.start > 0 for request in service.storage_requests] == [False, True, True]


def test_a_payload_that_comes_otherwise_than_its_digests_say_is_not_put_in_place(
    tmp_path: Path,
) -> None:
    with CarryingService() as service:
        service.linked = True
        service.payloads["TEST_321"] = a_payload(30_000)
        service.storage_fault = lambda request: Fault(flip_at=500_000)
        out = tmp_path / "set.zip"
        out.write_bytes(b"what was there before")

        done = headrace(
            an_environment(service, tmp_path),
            *("dataset", "download", DEFINITION, "TEST_321", "--out", str(out)),
        )

        assert done.returncode == 6, done.stderr
        assert out.read_bytes() == b"what was there before"
        assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["set.zip"]


def test_what_was_not_built_cannot_be_downloaded(tmp_path: Path) -> None:
    with CarryingService() as service:
        done = headrace(
            an_environment(service, tmp_path), "dataset", "download", DEFINITION, "NONE"
        )
        assert done.returncode == 8
        assert "was not built yet" in done.stderr


def test_wrong_usage_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("a.txt", "no payload")
    wrong = [
        (["create", DEFINITION, "X"], "Say what it is to have"),
        (["create", DEFINITION, "X", "--item", "CLIENTS"], "--item CLIENTS is none"),
        (["build", DEFINITION, "X", "--exclude", "1:2"], "are for --full"),
        (["import", str(other)], "does not say which data set definition"),
        (["import", "--from", "TEST", DEFINITION], "goes with DEFINITION CODE"),
    ]
    with CarryingService() as service:
        environment = an_environment(service, tmp_path)
        for arguments, said in wrong:
            done = headrace(environment, "dataset", *arguments)
            assert (done.returncode, said in done.stderr) == (2, True), (arguments, done.stderr)
        missing = headrace(environment, "dataset", "import", str(tmp_path / "none.zip"))
        assert missing.returncode == 7
        assert service.calls("POST", "") + service.calls("PUT", "") == []


def test_a_link_that_is_good_no_more_is_replaced_on_the_way(tmp_path: Path) -> None:
    with CarryingService() as service:
        service.linked, service.payload = True, a_payload(30_000)
        service.payloads["TEST_321"] = service.payload
        seen: list[StorageRequest] = []

        def cut_and_expire(request: StorageRequest) -> Fault | None:
            seen.append(request)
            if len(seen) == 1:
                service.expire_links()
                return Fault(cut_at=1_000_000)
            return None

        service.storage_fault = cut_and_expire
        out = tmp_path / "set.zip"
        done = headrace(
            an_environment(service, tmp_path),
            *("dataset", "download", DEFINITION, "TEST_321", "--out", str(out)),
        )

        assert done.returncode == 0, done.stderr
        assert out.read_bytes() == service.payload
        assert len(service.calls("GET", "/dataset/TEST_321")) == 2


def test_an_upload_that_fails_is_sent_again_and_imported_once(tmp_path: Path) -> None:
    with CarryingService() as service:
        faults = [Fault(status=503), Fault(status=403, body=b"<Error></Error>")]
        service.storage_fault = lambda request: faults.pop(0) if faults else None
        file = tmp_path / "large.zip"
        file.write_bytes(a_payload(50_000))

        done = headrace(an_environment(service, tmp_path), "dataset", "import", str(file))

        assert done.returncode == 0, done.stderr
        assert len(service.storage_requests) == 3
        assert service.imported == [(DEFINITION, file.read_bytes())]


def test_on_a_terminal_there_is_a_bar_and_with_json_there_are_lines(tmp_path: Path) -> None:
    with CarryingService() as service:
        file = tmp_path / "large.zip"
        file.write_bytes(a_payload(50_000))
        environment = an_environment(service, tmp_path) | {"TERM": "xterm-256color"}
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [*COMMAND, "dataset", "import", str(file)],
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
        scripted = headrace(environment, "dataset", "import", str(file), "--json")

    for said in (b"large.zip", b"Started import process-1", b"10 of 10 records (100 %)"):
        assert said in shown
    events = [json.loads(line) for line in scripted.stderr.splitlines()]
    assert {event["event"] for event in events} == {"bytes", "process", "progress"}
    assert events[-1]["percent"] == 100.0


def test_an_error_that_nobody_can_mend_here_keeps_its_code(tmp_path: Path) -> None:
    with CarryingService() as service:
        environment = an_environment(service, tmp_path)
        unknown = headrace(environment, "dataset", "build", DEFINITION, "NONE", "--json")
        file = tmp_path / "set.tar"
        file.write_bytes(a_payload())
        no_zip = headrace(environment, "dataset", "import", str(file), "--json")

    assert (unknown.returncode, no_zip.returncode) == (8, 2)
    assert document(unknown)["error"]["code"] == "OHI-IP-DATA-001"
    assert document(no_zip)["error"]["code"] == "GEN-MIGR-007"
    assert document(no_zip)["error"]["members"] == {"severity": "Fatal"}
