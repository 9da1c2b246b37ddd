"""Pull: which operation it chooses, whatever the last run left and whatever else is running."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from headrace_client import (
    AccessDenied,
    ConsentWithdrawn,
    DirectoryInUse,
    FileFormat,
    HeadraceClient,
    NetworkError,
    OperationActive,
    OperationUnsuccessful,
    Pull,
    Pulled,
    QuotaExhausted,
    RetryPolicy,
    SetupError,
    VerificationError,
    WaitTimeout,
    Wanted,
)
from headrace_client.events import Event, Note, OperationSeen
from headrace_client.workspace import Workspace
from tests.component.client.service import (
    CLIENT_ID,
    CLIENT_SECRET,
    Answer,
    ApiRequest,
    Fault,
    Service,
    csv_rows,
    problem,
)

TABLES = {"absences": csv_rows(300), "employees": csv_rows(900)}
PART = 8 * 1024


def a_client(service: Service, attempts: int = 2) -> HeadraceClient:
    quick = RetryPolicy(attempts=attempts, first=0.001, longest=0.002)
    return HeadraceClient(
        service.api_url, CLIENT_ID, CLIENT_SECRET, policy=quick, sleep=lambda seconds: None
    )


def pull(service: Service, directory: Path, wanted: Wanted = Wanted(), **options: Any) -> Pulled:  # noqa: B008
    with a_client(service) as client:
        return Pull(client, directory, **options)(wanted)


def cut_off(service: Service, directory: Path, wanted: Wanted = Wanted()) -> str:  # noqa: B008
    """A pull that ends while it downloads; returns its operation."""
    before = service.storage_fault
    service.storage_fault = lambda request: Fault(status=503)
    with pytest.raises(NetworkError):
        pull(service, directory, wanted)
    service.storage_fault = before
    return list(service.operations)[-1]


def in_place(directory: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in directory.glob("*.csv")}


def test_a_pull_into_an_empty_directory_starts_waits_and_downloads(tmp_path: Path) -> None:
    events: list[Event] = []
    with Service(TABLES, PART) as service:
        pulled = pull(service, tmp_path / "new" / "data", listener=events.append)
        assert pulled.how == "started"
        assert len(service.operations) == 1
    assert in_place(tmp_path / "new" / "data") == TABLES
    assert json.loads((tmp_path / "new/data/manifest.json").read_text()) == (
        pulled.download.manifest.raw
    )
    seen = [event.operation.status for event in events if isinstance(event, OperationSeen)]
    assert seen == ["running", "succeeded"]


def test_the_options_become_the_request(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        pull(service, tmp_path, Wanted("c2", FileFormat.NDJSON, None, "absences"))
        sent = service.calls("POST", "/fulldata")[0]
    assert json.loads(sent.body) == {
        "configurationId": "c2",
        "fileFormat": "ndjson",
        "compression": "none",
        "entity": "absences",
    }


def test_after_a_complete_pull_the_next_is_a_new_operation(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        pull(service, tmp_path)
        service.tables = {"absences": b"id\n", "employees": csv_rows(901)}
        assert pull(service, tmp_path).how == "started"
        assert len(service.operations) == 2
        assert in_place(tmp_path) == service.tables


def test_after_a_pull_that_was_cut_off_the_next_goes_on(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        operation_id = cut_off(service, tmp_path)
        pulled = pull(service, tmp_path)
        assert (pulled.how, pulled.operation.operation_id) == ("resumed", operation_id)
        assert list(service.operations) == [operation_id]
    assert in_place(tmp_path) == TABLES


def test_new_gives_up_what_was_cut_off(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        operation_id = cut_off(service, tmp_path)
        pulled = pull(service, tmp_path, Wanted(new=True))
        assert pulled.operation.operation_id != operation_id
    assert in_place(tmp_path) == TABLES


def test_a_start_whose_answer_never_came_is_the_same_operation_in_the_next_run(
    tmp_path: Path,
) -> None:
    with Service(TABLES, PART) as service:

        def carry_out_but_lose_the_answer(request: ApiRequest) -> Answer | None:
            if request.path.endswith("/fulldata"):
                with service.lock:
                    service._start(request)
                return Answer(0, drop=True)
            return None

        service.api_fault = carry_out_but_lose_the_answer
        with pytest.raises(NetworkError):
            pull(service, tmp_path)
        service.api_fault = lambda request: None
        pulled = pull(service, tmp_path)
        assert pulled.how == "resumed"
        assert list(service.operations) == [pulled.operation.operation_id]
        keys = {r.headers["idempotency-key"] for r in service.calls("POST", "/fulldata")}
        assert len(keys) == 1


def test_an_operation_that_is_gone_or_ended_badly_is_said_and_replaced(tmp_path: Path) -> None:
    for fate in ("gone", "failed", "cancelled", "expired"):
        directory = tmp_path / fate
        notes: list[Event] = []
        with Service(TABLES, PART) as service:
            operation_id = cut_off(service, directory)
            if fate == "gone":
                service.operations["other"] = service.operations.pop(operation_id)
            else:
                service.operations[operation_id]["status"] = fate
            pulled = pull(service, directory, listener=notes.append)
            assert pulled.how == "started"
            assert pulled.operation.operation_id != operation_id
        assert any(isinstance(note, Note) and operation_id in note.text for note in notes)
        assert in_place(directory) == TABLES


def test_a_failed_operation_ends_the_pull_and_after_a_retry_the_next_goes_on(
    tmp_path: Path,
) -> None:
    with Service(TABLES, PART) as service:
        service.ends_as = "failed"
        with pytest.raises(OperationUnsuccessful, match="A job failed") as caught:
            pull(service, tmp_path)
        operation_id = caught.value.operation.operation_id
        assert in_place(tmp_path) == {}
        service.ends_as = "succeeded"
        with a_client(service) as client:
            client.retry(operation_id)
        pulled = pull(service, tmp_path)
        assert (pulled.how, pulled.operation.operation_id) == ("resumed", operation_id)
        assert pulled.operation.attempt == 2


def test_options_that_contradict_the_unfinished_pull_are_refused(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        cut_off(service, tmp_path, Wanted(file_format=FileFormat.JSON))
        with pytest.raises(SetupError, match=r"unfinished pull with format json\. .* --new"):
            pull(service, tmp_path, Wanted(file_format=FileFormat.CSV))
        assert pull(service, tmp_path).download.manifest.file_format == "json"


def test_another_clients_unfinished_pull_is_left_alone(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        cut_off(service, tmp_path)
        with (
            HeadraceClient(service.api_url, "somebody", "s") as other,
            pytest.raises(SetupError, match="unfinished pull of client 'integrator'"),
        ):
            Pull(other, tmp_path)(Wanted())


@pytest.mark.parametrize("entity_shown", [True, False])
def test_the_same_export_running_elsewhere_is_joined(tmp_path: Path, entity_shown: bool) -> None:
    with Service(TABLES, PART) as service:
        service.entity_shown = entity_shown
        running = service.begin()
        pulled = pull(service, tmp_path)
        assert (pulled.how, pulled.operation.operation_id) == ("joined", running["operationId"])
        assert len(service.operations) == 1
        only = service.begin(entity="absences")
        pulled = pull(service, tmp_path, Wanted(entity="absences"))
        assert (pulled.how, pulled.operation.operation_id) == ("joined", only["operationId"])


@pytest.mark.parametrize("entity_shown", [True, False])
@pytest.mark.parametrize(
    ("running", "wanted", "said"),
    [
        ({"fileFormat": "json"}, Wanted(), "its format is json"),
        ({"compression": "gzip"}, Wanted(), "its compression is gzip"),
        ({"configurationId": "c2"}, Wanted(), "its configuration is c2"),
        ({}, Wanted(configuration_id="c2"), "its configuration is default"),
        ({"entity": "absences"}, Wanted(), "its tables are absences"),
        ({}, Wanted(entity="absences"), "its tables are"),
        ({}, Wanted(new=True), "--new was given"),
    ],
)
def test_another_export_running_is_explained_and_not_joined(
    tmp_path: Path, running: dict[str, Any], wanted: Wanted, said: str, entity_shown: bool
) -> None:
    with Service(TABLES, PART) as service:
        service.entity_shown = entity_shown
        service.looks_until_done = 10**9
        operation_id = service.begin(**running)["operationId"]
        with pytest.raises(OperationActive, match=said) as caught:
            pull(service, tmp_path, wanted)
        assert f"headrace cancel {operation_id}" in caught.value.detail
        assert caught.value.quota is not None


def test_without_the_right_to_see_metadata_the_default_configuration_must_be_named(
    tmp_path: Path,
) -> None:
    def no_metadata(request: ApiRequest) -> Answer | None:
        if request.path.endswith("/metadata"):
            return problem(403, "insufficient_scope", "The scope metadata:read is missing.")
        return None

    with Service(TABLES, PART) as service:
        service.api_fault = no_metadata
        service.entity_shown = True
        service.looks_until_done = 3
        service.begin()
        with pytest.raises(OperationActive, match="name it with --configuration"):
            pull(service, tmp_path)
        assert pull(service, tmp_path, Wanted(configuration_id="default")).how == "joined"


def test_an_operation_that_ends_while_we_ask_about_it_blocks_no_longer(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        service.looks_until_done = 1  # the look at what blocks is the one that ends it
        service.begin()
        pulled = pull(service, tmp_path)
        assert pulled.how == "started"
        assert len(service.operations) == 2


def test_a_given_operation_is_downloaded_and_none_started(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        given = service.begin(fileFormat="csv")
        pulled = pull(service, tmp_path, Wanted(operation_id=given["operationId"]))
        assert pulled.how == "given"
        assert service.calls("POST", "/fulldata") == []
    assert in_place(tmp_path) == TABLES


def test_an_exhausted_quota_passes_through(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        service.quota_limit = 0
        with pytest.raises(QuotaExhausted):
            pull(service, tmp_path)
        service.quota_limit = 1
        assert pull(service, tmp_path).how == "started"


def test_the_wait_has_an_end_and_the_next_run_goes_on(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        service.looks_until_done = 10**9
        with a_client(service) as client:
            ticks = iter(range(10**6))
            client._monotonic = lambda: float(next(ticks))
            with pytest.raises(WaitTimeout):
                Pull(client, tmp_path, timeout=5)(Wanted())
        service.looks_until_done = 1
        assert pull(service, tmp_path).how == "resumed"


def test_two_pulls_do_not_share_a_directory(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service, Workspace(tmp_path).locked():
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            said = pool.apply(_try_to_lock, (str(tmp_path),))
        assert said == "DirectoryInUse"
        with pytest.raises(DirectoryInUse):
            pull(service, tmp_path)
        assert service.api_requests == []


def _try_to_lock(directory: str) -> str:
    try:
        with Workspace(Path(directory)).locked():
            return "locked"
    except DirectoryInUse as error:
        return type(error).__name__


def test_an_unreadable_state_file_costs_a_resumption_and_nothing_else(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        cut_off(service, tmp_path)
        (tmp_path / ".headrace" / "pull.json").write_text("{")
        assert pull(service, tmp_path).how == "started"


def test_a_manifest_of_another_shape_is_refused(tmp_path: Path) -> None:
    def with_a_gap(manifest: dict[str, Any]) -> dict[str, Any]:
        manifest["files"][0]["parts"].pop(1)
        return manifest

    with Service(TABLES, 1024) as service:
        service.manifest_made = with_a_gap
        with pytest.raises(VerificationError, match="do not cover it"):
            pull(service, tmp_path)
    assert in_place(tmp_path) == {}


def test_a_missing_scope_for_data_is_access_denied(tmp_path: Path) -> None:
    def no_data(request: ApiRequest) -> Answer | None:
        if request.path.endswith("/manifest"):
            return problem(403, "insufficient_scope", "The scope data:read is missing.")
        return None

    with Service(TABLES, PART) as service:
        service.api_fault = no_data
        with pytest.raises(AccessDenied, match="data:read"):
            pull(service, tmp_path)


def test_a_pull_whose_files_are_refused_for_good_is_not_gone_on_with(tmp_path: Path) -> None:
    with Service(TABLES, PART) as service:
        refusal = problem(403, "consent_withdrawn", "Somebody shares no more.")
        service.api_fault = lambda request: refusal if "/manifest" in request.path else None
        with pytest.raises(ConsentWithdrawn, match="shares no more"):
            pull(service, tmp_path)
        service.api_fault = lambda request: None
        assert pull(service, tmp_path).how == "started"
        assert len(service.operations) == 2
