"""Downloads against a storage that fails in every way that storages do."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace_client import (
    AccessDenied,
    FileExpired,
    HeadraceClient,
    LocalFileError,
    Manifest,
    NetworkError,
    ProtocolError,
    RetryPolicy,
    VerificationError,
)
from headrace_client import download as download_module
from headrace_client.events import BytesArrived, DownloadPlanned, Event, PartRejected
from tests.component.client.service import (
    CLIENT_ID,
    CLIENT_SECRET,
    Fault,
    Service,
    StorageRequest,
    csv_rows,
)

PART = 16 * 1024
CONTENT = csv_rows(4000)
NAME = "employees.csv"
KEY = "employees"
QUICK = RetryPolicy(first=0.001, longest=0.002)


def a_service(**tables: bytes) -> Service:
    return Service(tables or {KEY: CONTENT}, part_bytes=PART)


def a_client(service: Service, policy: RetryPolicy = QUICK) -> HeadraceClient:
    return HeadraceClient(service.api_url, CLIENT_ID, CLIENT_SECRET, policy=policy)


def a_finished(service: Service, **request: Any) -> str:
    operation = service.begin(**request)
    service.finish(operation)
    return str(operation["operationId"])


def visible(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir() if not entry.name.startswith("."))


def once(fault: Fault, when: Callable[[StorageRequest], bool] = lambda request: True) -> Any:
    """The storage fails in this way the first time that `when` holds."""
    done = threading.Event()

    def answer(request: StorageRequest) -> Fault | None:
        if done.is_set() or not when(request):
            return None
        done.set()
        return fault

    return answer


def test_files_arrive_whole_with_the_manifest_and_nothing_else(tmp_path: Path) -> None:
    tables = {KEY: CONTENT, "empty": b"", "header": b"id,note\n"}
    with Service(tables, PART) as service, a_client(service) as client:
        made = client.download(a_finished(service), tmp_path)
        assert visible(tmp_path) == [NAME, "empty.csv", "header.csv", "manifest.json"]
        for table, content in tables.items():
            assert (tmp_path / f"{table}.csv").read_bytes() == content
        assert [file.sha256 for file in made.files] == [
            hashlib.sha256(tables[file.table]).hexdigest() for file in made.files
        ]
        assert service.fetched("empty.csv") == []


def test_a_large_file_is_fetched_in_parallel_ranges_along_its_parts(tmp_path: Path) -> None:
    content = os.urandom(40 * 1024 * 1024 + 12345)
    both = threading.Barrier(2, timeout=30)

    def wait_for_another(request: StorageRequest) -> None:
        if request.start < 16 * 1024 * 1024:
            both.wait()  # passes only if two ranges are under way at once

    with Service({KEY: content}, 8 * 1024 * 1024) as service, a_client(service) as client:
        service.storage_fault = wait_for_another
        client.download(a_finished(service), tmp_path, parallel=2)
        ranges = service.fetched(NAME)
    assert (tmp_path / NAME).read_bytes() == content
    assert len(ranges) >= 4
    assert ranges[0][0] == 0
    assert ranges[-1][1] == len(content)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(ranges))


def test_the_token_never_goes_to_the_storage(tmp_path: Path) -> None:
    with a_service() as service, a_client(service) as client:
        client.download(a_finished(service), tmp_path)
        for request in service.storage_requests:
            assert "authorization" not in request.headers
            assert not any(token in str(request.headers) for token in service.tokens)
            assert "cookie" not in request.headers
            assert request.headers["accept-encoding"] == "identity"


def test_a_connection_cut_in_the_middle_of_a_part_goes_on_at_that_byte(tmp_path: Path) -> None:
    cut = 3 * PART + 1000
    with a_service() as service, a_client(service) as client:
        service.storage_fault = once(Fault(cut_at=cut))
        client.download(a_finished(service), tmp_path)
        ranges = service.fetched(NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert ranges == [(0, len(CONTENT)), (cut, len(CONTENT))]


def test_a_line_that_breaks_again_and_again_gets_there_as_long_as_bytes_come(
    tmp_path: Path,
) -> None:
    def cut_soon(request: StorageRequest) -> Fault:
        return Fault(cut_at=request.start + 5000)

    with a_service() as service, a_client(service) as client:
        service.storage_fault = cut_soon
        client.download(a_finished(service), tmp_path)
        assert len(service.storage_requests) > 30
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_line_over_which_nothing_comes_is_given_up(tmp_path: Path) -> None:
    with a_service() as service, a_client(service) as client:
        service.storage_fault = lambda request: Fault(cut_at=request.start)
        with pytest.raises(NetworkError, match="broke off 6 times"):
            client.download(a_finished(service), tmp_path)
        assert len(service.storage_requests) == 6
    assert visible(tmp_path) == []


def test_wrong_bytes_are_fetched_again_and_only_their_part(tmp_path: Path) -> None:
    events: list[Event] = []
    with a_service() as service, a_client(service) as client:
        service.storage_fault = once(Fault(flip_at=2 * PART + 7))
        client.download(a_finished(service), tmp_path, listener=events.append)
        ranges = service.fetched(NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert ranges == [(0, len(CONTENT)), (2 * PART, len(CONTENT))]
    assert [event.part for event in events if isinstance(event, PartRejected)] == [3]
    assert sum(event.bytes for event in events if isinstance(event, BytesArrived)) == len(CONTENT)


def test_bytes_that_stay_wrong_end_it_with_nothing_to_be_seen(tmp_path: Path) -> None:
    with a_service() as service, a_client(service) as client:
        service.storage_fault = lambda request: Fault(flip_at=2 * PART + 7)
        with pytest.raises(VerificationError, match=r"Part 3 .* after 4 downloads"):
            client.download(a_finished(service), tmp_path)
        assert len({request.signature for request in service.storage_requests}) == 4
    assert visible(tmp_path) == []


def test_one_wrong_table_keeps_all_tables_out_of_sight(tmp_path: Path) -> None:
    with a_service(aaa=b"id\n1\n", bbb=CONTENT) as service, a_client(service) as client:

        def damage(request: StorageRequest) -> Fault | None:
            return Fault(flip_at=0) if request.name == "bbb.csv" else None

        service.storage_fault = damage
        with pytest.raises(VerificationError):
            client.download(a_finished(service), tmp_path, parallel=1)
    assert visible(tmp_path) == []


def test_a_document_that_is_not_the_manifests_is_refused(tmp_path: Path) -> None:
    def other_digest(manifest: dict[str, Any]) -> dict[str, Any]:
        manifest["files"][0]["sha256"] = "0" * 64
        return manifest

    with a_service() as service, a_client(service) as client:
        service.manifest_made = other_digest
        with pytest.raises(VerificationError, match="its manifest says 0000"):
            client.download(a_finished(service), tmp_path)
    assert visible(tmp_path) == []


def test_a_document_shorter_than_its_manifest_is_refused(tmp_path: Path) -> None:
    with a_service() as service, a_client(service) as client:
        operation_id = a_finished(service)
        manifest = client.manifest(operation_id)
        service.documents[f"{operation_id}/{NAME}"] = CONTENT[: PART * 2]
        with pytest.raises((VerificationError, NetworkError)):
            download_module.download_operation(client, manifest, tmp_path)
    assert visible(tmp_path) == []


def test_without_a_digest_of_the_whole_the_parts_decide(tmp_path: Path) -> None:
    with a_service() as service, a_client(service) as client:
        service.whole_digests = False
        made = client.download(a_finished(service), tmp_path)
    assert made.files[0].sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_an_expired_link_is_asked_for_again(tmp_path: Path) -> None:
    with a_service() as service, a_client(service) as client:

        def cut_and_expire(request: StorageRequest) -> Fault | None:
            if request.start == 0:
                service.expire_links()
                return Fault(cut_at=PART + 5)
            return None

        service.storage_fault = cut_and_expire
        operation_id = a_finished(service)
        client.download(operation_id, tmp_path)
        links = service.calls("GET", f"/jobs/{operation_id}.{KEY}")
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert len(links) == 2


def test_an_expired_token_of_the_signer_is_an_expired_link(tmp_path: Path) -> None:
    said = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message>"
    with a_service() as service, a_client(service) as client:
        service.storage_fault = once(Fault(status=400, body=said))
        client.download(a_finished(service), tmp_path)
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_storage_that_refuses_fresh_links_is_said_to(tmp_path: Path) -> None:
    said = b"<Error><Code>AccessDenied</Code><Message>not from your network</Message></Error>"
    with a_service() as service, a_client(service) as client:
        service.storage_fault = lambda request: Fault(status=403, body=said)
        with pytest.raises(AccessDenied, match=r"refuses fresh links .* not from your network"):
            client.download(a_finished(service), tmp_path)
        assert len({request.signature for request in service.storage_requests}) == 4


def test_a_file_that_expires_on_the_way_is_said_to_have(tmp_path: Path) -> None:
    with a_service() as service, a_client(service) as client:
        operation_id = a_finished(service)

        def expire(request: StorageRequest) -> Fault:
            service.operations[operation_id]["status"] = "expired"
            return Fault(status=404, body=b"<Error><Code>NoSuchKey</Code></Error>")

        service.storage_fault = expire
        with pytest.raises(FileExpired):
            client.download(operation_id, tmp_path)


def test_a_busy_storage_is_waited_for(tmp_path: Path) -> None:
    slow = Fault(status=503, body=b"<Error><Code>SlowDown</Code></Error>")
    with a_service() as service, a_client(service) as client:
        answers: list[Fault | None] = [slow, slow, slow]
        service.storage_fault = lambda request: answers.pop() if answers else None
        client.download(a_finished(service), tmp_path)
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_something_on_the_way_that_ignores_ranges_costs_bytes_not_correctness(
    tmp_path: Path,
) -> None:
    with a_service() as service, a_client(service) as client:
        service.storage_fault = lambda request: Fault(
            ignore_range=True, cut_at=3 * PART + 9 if request.start == 0 else None
        )
        client.download(a_finished(service), tmp_path)
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_content_encoding_is_not_undone_since_digests_are_of_the_stored_bytes(
    tmp_path: Path,
) -> None:
    import gzip

    packed = gzip.compress(CONTENT, mtime=0)
    with a_service(employees=packed) as service, a_client(service) as client:
        service.storage_fault = lambda request: Fault(headers={"Content-Encoding": "gzip"})
        client.download(a_finished(service, compression="gzip"), tmp_path)
    assert (tmp_path / "employees.csv.gz").read_bytes() == packed


def test_the_storage_cannot_send_us_elsewhere(tmp_path: Path) -> None:
    with a_service() as service, a_service() as elsewhere, a_client(service) as client:
        away = Fault(status=307, headers={"Location": f"{elsewhere.storage_url}/x"})
        service.storage_fault = lambda request: away
        with pytest.raises(ProtocolError, match="redirects"):
            client.download(a_finished(service), tmp_path)
        assert elsewhere.storage_requests == []


def test_parts_that_survived_are_not_fetched_again(tmp_path: Path) -> None:
    with a_service() as service, a_client(service) as client:
        operation_id = a_finished(service)
        service.storage_fault = lambda request: Fault(cut_at=request.start or 4 * PART + 3)
        with pytest.raises(NetworkError):
            client.download(operation_id, tmp_path)
        service.forget_requests()
        service.storage_fault = lambda request: None
        events: list[Event] = []
        made = client.download(operation_id, tmp_path, listener=events.append)
        assert service.fetched(NAME) == [(4 * PART, len(CONTENT))]
    assert made.files[0].reused == 4 * PART
    assert [event.held for event in events if isinstance(event, DownloadPlanned)] == [
        {NAME: 4 * PART}
    ]
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_an_unchanged_file_of_an_earlier_pull_is_not_downloaded_again(tmp_path: Path) -> None:
    with a_service(aaa=CONTENT, bbb=b"id\n1\n") as service, a_client(service) as client:
        client.download(a_finished(service), tmp_path)
        service.forget_requests()
        service.tables["bbb"] = b"id\n2\n"
        second = a_finished(service)
        client.download(second, tmp_path)
        assert service.fetched("aaa.csv") == []
        assert service.fetched("bbb.csv") == [(0, 5)]
    assert (tmp_path / "aaa.csv").read_bytes() == CONTENT
    assert (tmp_path / "bbb.csv").read_bytes() == b"id\n2\n"
    assert second in (tmp_path / "manifest.json").read_text()


def test_a_file_that_somebody_changed_is_fetched_again(tmp_path: Path) -> None:
    with a_service() as service, a_client(service) as client:
        operation_id = a_finished(service)
        client.download(operation_id, tmp_path)
        damaged = bytearray(CONTENT)
        damaged[PART + 1] ^= 1
        (tmp_path / NAME).write_bytes(damaged)
        client.download(operation_id, tmp_path)
    assert (tmp_path / NAME).read_bytes() == CONTENT


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data(), size=st.integers(0, 5 * PART), part=st.integers(1000, 2 * PART))
def test_whatever_lies_in_a_partial_file_the_result_is_the_document(
    data: st.DataObject, size: int, part: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("pull")
    content = CONTENT[:size]
    left = bytearray(content[: data.draw(st.integers(0, size), label="cut")])
    for position in data.draw(st.lists(st.integers(0, max(0, size - 1)), max_size=4)):
        if position < len(left):
            left[position] ^= 0x40
    left += data.draw(st.binary(max_size=300), label="surplus")
    with Service({KEY: content}, part) as service, a_client(service) as client:
        operation_id = a_finished(service)
        state = directory / ".headrace" / operation_id
        state.mkdir(parents=True)
        (state / f"{NAME}.partial").write_bytes(left)
        client.download(operation_id, directory)
        whole = [
            (at, min(at + part, size))
            for at in range(0, size, part)
            if left[at : at + part][: size - at] == content[at : at + part]
        ]
        fetched = service.fetched(NAME)
    assert (directory / NAME).read_bytes() == content
    for start, end in whole:
        assert not any(start < until and since < end for since, until in fetched)


def test_a_full_disk_is_said_before_a_byte_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with a_service() as service, a_client(service) as client:
        with pytest.raises(LocalFileError, match=r"bytes more, and its disk has 1,000 free"):
            client.download(a_finished(service), tmp_path)
        assert service.storage_requests == []


def test_a_disk_that_fills_on_the_way_is_said_and_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite

    def full(handle: int, data: Any, offset: int) -> int:
        if offset >= 2 * PART:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(handle, data[: 2 * PART - offset], offset)

    with a_service() as service, a_client(service) as client:
        operation_id = a_finished(service)
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(LocalFileError, match="the disk is full"):
            client.download(operation_id, tmp_path)
        assert visible(tmp_path) == []
        monkeypatch.setattr(os, "pwrite", real)
        service.forget_requests()
        client.download(operation_id, tmp_path)
        assert service.fetched(NAME) == [(2 * PART, len(CONTENT))]


def test_a_directory_in_the_files_place_is_said_before_a_byte_is_fetched(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with a_service() as service, a_client(service) as client:
        with pytest.raises(LocalFileError, match="is a directory"):
            client.download(a_finished(service), tmp_path)
        assert service.storage_requests == []


def test_a_symlink_in_the_partials_place_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    with a_service() as service, a_client(service) as client:
        operation_id = a_finished(service)
        state = tmp_path / "out" / ".headrace" / operation_id
        state.mkdir(parents=True)
        (state / f"{NAME}.partial").symlink_to(victim)
        with pytest.raises(LocalFileError):
            client.download(operation_id, tmp_path / "out")
    assert victim.read_bytes() == b"mine"


@pytest.mark.parametrize(
    "name", ["../../evil.csv", "/etc/evil", "a/b.csv", ".headrace", "manifest.json", "", "a\nb"]
)
def test_a_manifest_cannot_choose_where_to_write(name: str, tmp_path: Path) -> None:
    def renamed(manifest: dict[str, Any]) -> dict[str, Any]:
        manifest["files"][0]["fileName"] = name
        return manifest

    with a_service() as service, a_client(service) as client:
        service.manifest_made = renamed
        with pytest.raises(VerificationError, match="refused"):
            client.download(a_finished(service), tmp_path / "out")
        assert service.storage_requests == []
    assert visible(tmp_path) == ["out"]
    assert visible(tmp_path / "out") == []


def test_a_plain_http_link_of_an_https_service_is_refused() -> None:
    from headrace_client.storage import Storage

    storage = Storage(https_only=True)
    with (
        pytest.raises(ProtocolError, match="without encryption"),
        storage.read("http://bucket.example/x", 0, 10),
    ):
        raise AssertionError("read")
    storage.close()


def test_publishing_goes_on_from_wherever_it_was_cut(tmp_path: Path) -> None:
    """Crash after each rename in turn: the set is complete only once the manifest is there."""
    tables = {name: csv_rows(50 + number) for number, name in enumerate("abc")}
    with Service(tables, PART) as service, a_client(service) as client:
        first = a_finished(service)
        for renames in range(4):
            directory = tmp_path / str(renames)
            client.download(first, directory)
            service.tables = {name: csv_rows(90 + number) for number, name in enumerate("abc")}
            second = a_finished(service)
            _crash_after(renames, client, client.manifest(second), directory)
            assert not (directory / "manifest.json").exists()
            service.forget_requests()
            client.download(second, directory)
            assert service.storage_requests == []
            for name, content in service.tables.items():
                assert (directory / f"{name}.csv").read_bytes() == content
            assert second in (directory / "manifest.json").read_text()
            assert list((directory / ".headrace").glob("op-*")) == []
            service.tables = dict(tables)


class _PowerCut(BaseException):
    pass


def _crash_after(renames: int, client: HeadraceClient, manifest: Manifest, into: Path) -> None:
    real = Path.replace
    counted: Counter[str] = Counter()

    def replace(self: Path, target: Path) -> Path:
        if self.name.endswith(".partial"):
            counted["partial"] += 1
            if counted["partial"] > renames:
                raise _PowerCut
        elif counted["partial"] and target.parent == into:
            raise _PowerCut  # the manifest, after the last rename
        return real(self, target)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(_PowerCut):
        patch.setattr(Path, "replace", replace)
        download_module.download_operation(client, manifest, into)
