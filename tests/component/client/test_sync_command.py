"""`headrace sync` and `headrace changes` as processes: what a cron job and a script see."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from headrace_client.sync.duckdb_file import DuckdbFile
from tests.component.client.changing import ChangingSource, Resync, a_person, people, visits
from tests.component.client.places import File, Folder
from tests.component.client.service import Fault, Service, StorageRequest
from tests.component.client.test_command import COMMAND, DEADLINE, an_environment, headrace, until


def a_source() -> ChangingSource:
    source = ChangingSource({"people": people(), "visits": visits()})
    for number in range(1, 4):
        source.put("people", **a_person(number))
    source.put("visits", nr="1", day="2024-02-29", remark=None)
    source.commit()
    return source


def test_a_run_says_what_it_did_to_each_table(tmp_path: Path) -> None:
    source = a_source()
    with Service({}, source=source) as service:
        environment = an_environment(service, tmp_path)
        to = ["--to", str(tmp_path / "copy")]
        first = headrace(environment, "sync", *to)
        assert first.returncode == 0, first.stderr
        assert "Started operation op-0001" in first.stderr
        assert f"Copied all rows to {tmp_path}/copy; it stands at version lake:1" in first.stdout

        source.put("people", **a_person(1, name="new"))
        source.remove("people", "2")
        source.commit()
        second = headrace(environment, "sync", *to)
        assert [line.rstrip() for line in second.stdout.splitlines()] == [
            "table   inserted  updated  deleted  rows now",
            "people         0        1        1         2",
            "visits         0        0        0         1",
            f"Applied what changed to {tmp_path}/copy; it stands at version lake:2",
        ]
        third = headrace(environment, "sync", *to)
        assert third.stdout.startswith("Nothing has changed for")

        source.revoke("visits")
        source.remove("people", "1")
        source.commit()
        source.expire()
        fourth = headrace(environment, "sync", *to)
        assert "The changes are not kept any more. Starting a full export." in fourth.stderr
        assert [line.split() for line in fourth.stdout.splitlines()[1:3]] == [
            ["people", "1", "0", "0", "1", "replaced"],
            ["visits", "0", "0", "1", "0", "no", "longer", "granted:", "removed"],
        ]


def test_for_scripts_there_is_one_object_at_the_end(tmp_path: Path) -> None:
    source = a_source()
    to = ["--to", f"duckdb:{tmp_path}/copy.duckdb", "--json"]
    with Service({}, source=source) as service:
        environment = an_environment(service, tmp_path)
        headrace(environment, "sync", *to)
        source.put("people", **a_person(9))
        source.commit()
        planned = json.loads(headrace(environment, "sync", *to, "--dry-run").stdout)
        assert (planned["action"], planned["syncVersion"], planned["latest"]) == (
            "increment",
            "lake:1",
            "lake:2",
        )
        done = headrace(environment, "sync", *to)
    document = json.loads(done.stdout)
    assert document.pop("quota")["used"] == 2
    assert document == {
        "destination": f"duckdb:{tmp_path}/copy.duckdb",
        "action": "increment",
        "reason": None,
        "configurationId": "default",
        "syncVersionBefore": "lake:1",
        "syncVersion": "lake:2",
        "operationId": "op-0002",
        "tables": [
            {
                "table": name,
                "content": "changes",
                "inserted": inserted,
                "updated": 0,
                "deleted": 0,
                "rows": rows,
            }
            for name, inserted, rows in (("people", 1, 4), ("visits", 0, 1))
        ],
    }
    assert all(json.loads(line)["event"] for line in done.stderr.splitlines())


def test_what_hinders_a_run_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "copy.duckdb"
    with Service({}, source=a_source()) as service:
        environment = an_environment(service, tmp_path)
        to = ["--to", f"duckdb:{path}"]
        with DuckdbFile(path).locked():
            locked = headrace(environment, "sync", *to)
        assert (locked.returncode, "Another headrace sync works on" in locked.stderr) == (10, True)

        path.write_text("no database" * 1000)
        refused = headrace(environment, "sync", *to)
        assert (refused.returncode, "DuckDB refuses" in refused.stderr) == (11, True)
        path.unlink()

        nowhere = ["--to", f"postgresql:host={tmp_path} dbname=x", "--json"]
        missing = headrace(environment, "sync", *nowhere)
        assert missing.returncode == json.loads(missing.stdout)["exitCode"] == 11

        service.quota_limit = 0
        full = headrace(environment, "sync", *to)
        assert (full.returncode, "0 of 0 operations used today" in full.stderr) == (4, True)

        wrong = headrace(environment, "sync", *to, "--every", "soon")
        assert (wrong.returncode, "is no time" in wrong.stderr) == (2, True)
        assert headrace(environment, "sync").returncode == 2
    with Service({"people": b"id\n"}) as service:
        none = headrace(an_environment(service, tmp_path), "sync", "--to", str(tmp_path / "new"))
        assert (none.returncode, "keeps no record of what changes" in none.stderr) == (2, True)
        assert f"  tables: {', '.join(sorted(service.tables))}" in none.stderr


def test_a_run_that_is_killed_while_it_downloads_is_gone_on_with(tmp_path: Path) -> None:
    source = ChangingSource({"people": people()})
    for number in range(400):
        source.put("people", **a_person(number, name=f"{number * 7919 % 10007:05}" * 40))
    source.commit()
    release = threading.Event()
    place = Folder(tmp_path / "copy")
    with Service({}, part_bytes=1024, source=source) as service:

        def stand_still(request: StorageRequest) -> Fault | None:
            return None if release.is_set() else Fault(hold_at=2 * 1024 + 9, release=release)

        service.storage_fault = stand_still
        environment = an_environment(service, tmp_path)
        command = ["sync", "--to", str(place.directory)]
        with subprocess.Popen([*COMMAND, *command], env=environment) as process:
            download = place.directory / ".headrace-sync" / "download"

            def arrived() -> bool:
                found = list(download.glob(".headrace/op-0001/people.parquet.partial"))
                content = service.documents.get("op-0001/people.parquet", b"")[: 2 * 1024]
                return bool(found) and found[0].read_bytes().startswith(content)

            until(lambda: bool(service.storage_requests) and arrived())
            process.kill()
            assert process.wait(DEADLINE) == -signal.SIGKILL
        release.set()
        assert place.names() == set()
        service.forget_requests()
        done = headrace(environment, *command)
        assert done.returncode == 0, done.stderr
        assert "Going on with operation op-0001, left unfinished by an earlier run" in done.stderr
        assert list(service.operations) == ["op-0001"]
        assert min(request.start for request in service.storage_requests) == 2 * 1024
    assert place.read(people()) == source.at(source.version, source.hashes())["people"]


def test_for_ever_means_until_it_is_told_to_stop(tmp_path: Path) -> None:
    source, place = a_source(), File(tmp_path / "copy.duckdb")
    with Service({}, source=source) as service:
        command = ["sync", "--to", f"duckdb:{place.path}", "--every", "1s", "--json", "--quiet"]
        with subprocess.Popen(
            [*COMMAND, *command],
            env=an_environment(service, tmp_path),
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            lines = process.stdout

            def told() -> dict[str, Any]:
                held: dict[str, Any] = json.loads(lines.readline())
                return held

            assert told()["action"] == "baseline"
            with service.lock:
                source.put("people", **a_person(9))
                source.commit()
            while (seen := told())["action"] == "nothing":
                pass
            assert (seen["action"], seen["syncVersion"]) == ("increment", "lake:2")
            assert told()["action"] == "nothing"
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE) == 143


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_changes_are_pulled_for_those_who_apply_them_themselves(
    tmp_path: Path, file_format: str
) -> None:
    source, out = a_source(), tmp_path / "changes"
    source.resync = Resync.DOCUMENT
    with Service({}, source=source) as service:
        environment = an_environment(service, tmp_path)
        pulled = headrace(environment, "pull", "--json", "--out", str(tmp_path / "all"))
        since = json.loads(pulled.stdout)["syncVersion"]
        source.put("visits", nr="2", day="2024-02-29", remark="=x")
        source.remove("visits", "2024-02-29", "1")
        source.commit()
        command = ["changes", "--since", since, "--to", str(out), "--format", file_format]
        done = headrace(environment, *command, "--json")
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert (document["kind"], document["sinceSyncVersion"], document["syncVersion"]) == (
            "incremental",
            "lake:1",
            "lake:2",
        )
        manifest = json.loads((out / "manifest.json").read_text())
        assert {file["table"]: file["content"] for file in manifest["files"]} == {
            "people": "changes",
            "visits": "changes",
        }
        if file_format == "csv":
            assert (out / "visits.csv").read_text() == (
                "_change,nr,day,remark\ninserted,2,2024-02-29,=x\ndeleted,1,2024-02-29,\n"
            )
        newest = json.loads(headrace(environment, "status", "--json").stdout)
        assert (newest["kind"], newest["operationId"]) == ("incremental", "op-0002")
        assert headrace(environment, "delete", "op-0002").returncode == 0

        source.expire()
        late = headrace(environment, *command)
        assert (late.returncode, "not kept any more" in late.stderr) == (8, True)
        unknown = headrace(environment, "changes", "--since", "other:1", "--out", str(out))
        assert (unknown.returncode, "none of yours" in unknown.stderr) == (2, True)
