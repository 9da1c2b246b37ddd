"""The calls of data sets: create, build, download, import, compare, undo."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urljoin

import httpx

from headrace_client.datasets import payload_file
from headrace_client.datasets.model import (
    AvailableDataSet,
    Change,
    DataSet,
    Environment,
    Exclusion,
    ImportOptions,
    MessagePage,
    Process,
    ProcessMessage,
    Selection,
    Source,
    Upload,
)
from headrace_client.datasets.transfer import (
    Counted,
    Link,
    nothing_counted,
    received,
    received_lines,
    sent,
)
from headrace_client.errors import NoDifference, NotBuilt, ProcessTimeout, ProtocolError
from headrace_client.model import Document
from headrace_client.retrying import RetryPolicy, retry_after_seconds
from headrace_client.storage import Storage
from headrace_client.transport import json_object, path_segment
from headrace_client.workspace import local_errors

IN_A_CALL = 3_500_000
"""Bytes of a file that goes in the call itself; what a call lets through is 4 MiB, form and all."""
_PAGES_AT_MOST = 100_000
_PAGE_SIZE = "1000"
_POLL_SECONDS = 1.0
_POLL_AT_LEAST = 0.1
_POLL_AT_MOST = 5.0
_POLL_GROWTH = 1.2
_SUFFIXES = {"application/zip": "zip", "application/xml": "xml", "text/xml": "xml"}


class Call(Protocol):
    """Makes an authenticated call."""

    def __call__(
        self,
        method: str,
        path: str,
        *,
        expected: tuple[int, ...] = ...,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response: ...


class DataSets:
    """The data sets of one environment, as `HeadraceClient.data_sets` has them.

    What creates a data set or starts a process always carries an Idempotency-Key (a fresh one
    unless given), so it is safely repeated: the same key and values give the same again.
    """

    def __init__(
        self,
        call: Call,
        storage: Storage,
        policy: RetryPolicy,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._call = call
        self._storage = storage
        self._policy = policy
        self._sleep = sleep
        self._monotonic = monotonic

    # -- the source environment --------------------------------------------------------------

    def environment(self) -> Environment:
        """Which environment this is, and the version of the application in it."""
        return Environment.from_json(json_object(self._call("GET", "/dataexchange/environment")))

    def create(
        self,
        definition: str,
        code: str,
        selections: Sequence[Selection],
        *,
        description: str = "",
        exclusions: Sequence[Exclusion] = (),
        global_includes: Sequence[int] = (),
        exact_version_match: bool = False,
        disable_delete_by_omission: bool = False,
        idempotency_key: str | None = None,
    ) -> DataSet:
        """Create a data set of these items. Conflict (`data_set_exists`): there is one already."""
        wanted = _created(
            code,
            description,
            exclusions,
            global_includes,
            exact_version_match=exact_version_match,
            disable_delete_by_omission=disable_delete_by_omission,
        )
        wanted["configMigrationItems"] = [
            {"tableId": one.table_id}
            | ({} if one.record_id is None else {"recordId": one.record_id})
            for one in selections
        ]
        path = f"/dataexchange/datasetdefinition/{path_segment(definition)}/dataset"
        response = self._call(
            "PUT", path, expected=(201,), json=wanted, headers=_repeatable(idempotency_key)
        )
        return DataSet.from_json(json_object(response))

    def create_and_build(
        self,
        definition: str,
        code: str,
        *,
        description: str = "",
        exclusions: Sequence[Exclusion] = (),
        exact_version_match: bool = False,
        disable_delete_by_omission: bool = False,
        idempotency_key: str | None = None,
    ) -> Process:
        """Create a data set of all top-level items with their reference data, and build it.

        Raises ProcessActive, and Conflict (`data_set_exists`).
        """
        wanted = _created(
            code,
            description,
            exclusions,
            (),
            exact_version_match=exact_version_match,
            disable_delete_by_omission=disable_delete_by_omission,
        )
        path = f"/dataexchange/createandexport/datasetdefinition/{path_segment(definition)}/dataset"
        return self._start(path, idempotency_key, wanted)

    def build(
        self,
        definition: str,
        code: str,
        *,
        inclusion_date: str | None = None,
        exact_version_match: bool | None = None,
        disable_delete_by_omission: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Process:
        """Start to gather a data set's items into its payload; None is as it was created with.

        Raises ProcessActive, NotFound, InvalidRequest (GEN-MIGR-010: it has no items).
        """
        options = {
            "inclusionDate": inclusion_date,
            "exactVersionMatch": exact_version_match,
            "disableDeleteByOmission": disable_delete_by_omission,
        }
        wanted = {name: value for name, value in options.items() if value is not None}
        return self._start(_export_path(definition, code), idempotency_key, wanted)

    def rebuild(
        self,
        definition: str,
        code: str,
        *,
        description: str | None = None,
        exclusions: Sequence[Exclusion] | None = None,
        exact_version_match: bool | None = None,
        disable_delete_by_omission: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Process:
        """Build a data set of everything anew, of all items that there are now; None is as it was.

        Raises ProcessActive; NotBuilt: there is none that was built; NotFound: it is one of items
        that were named.
        """
        options: dict[str, Any] = {
            "description": description,
            "excludeOptions": None if exclusions is None else _excluded(exclusions),
            "exactVersionMatch": exact_version_match,
            "disableDeleteByOmission": disable_delete_by_omission,
        }
        wanted = {name: value for name, value in options.items() if value is not None}
        known = path_segment(self.environment().version)
        built = f"/dataexchange/datasets/{path_segment(definition)}/{known}"
        held = Document(json_object(self._call("GET", built)), "list of data sets")
        for one in held.documents("dataSetMetaDataRestEntities"):
            found = Document(one, "data set")
            if found.text("code") == code:
                path = "/dataexchange/createandexport/datasetdefinition/dataset/"
                path += path_segment(found.text("id"))
                return self._start(path, idempotency_key, wanted, method="PATCH")
        raise NotBuilt(f"{definition} has no data set {code} that was built.")

    def download(
        self,
        definition: str,
        code: str,
        place: Path | str,
        *,
        on_bytes: Counted = nothing_counted,
    ) -> Path:
        """Download a data set's payload, verified; it is seen only when it is whole.

        `place` is a file, or a directory in which it is DEFINITION_CODE.zip (or .xml). Raises
        NotBuilt, NotFound, FileExpired, VerificationError, LocalFileError.
        """
        place = Path(place)

        def link() -> Link:
            response = self._call(
                "GET",
                _export_path(definition, code),
                expected=(200, 204, 303),
                headers={"Accept": "*/*"},
            )
            if response.status_code == 204:
                raise NotBuilt(f"The data set {code} of {definition} was not built yet.")
            if response.status_code == 303:
                return _link(response)
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
            return Link("", _SUFFIXES.get(kind, "zip"), response.content)

        return received(
            self._storage,
            link,
            lambda suffix: place / f"{definition}_{code}.{suffix}" if place.is_dir() else place,
            self._policy,
            self._sleep,
            on_bytes,
        )

    # -- the target environment --------------------------------------------------------------

    def available(self, definition: str, version: str | None = None) -> tuple[Source, ...]:
        """What the registered source environments have built, for an application of this version
        (None: that of the environment that is asked)."""
        known = self.environment().version if version is None else version
        path = (
            f"/dataexchange/datasets/fetchavailabledatasets/{path_segment(definition)}"
            f"/{path_segment(known)}"
        )
        doc = Document(json_object(self._call("GET", path)), "list of data sets")
        return tuple(Source.from_json(one) for one in doc.documents("dataSetMetaDataResponse"))

    def import_file(
        self,
        file: Path | str,
        definition: str | None = None,
        options: ImportOptions | None = None,
        *,
        upload_id: str | None = None,
        on_bytes: Counted = nothing_counted,
        idempotency_key: str | None = None,
    ) -> Process:
        """Start the import of a payload: a small one goes in the call, a larger one is uploaded.

        The definition is that which the payload names, unless given. With `upload_id` the file
        was uploaded before (`upload`). Raises ProcessActive, InvalidRequest (GEN-MIGR-007: its
        name), LocalFileError, SetupError.
        """
        file, wanted = Path(file), options or ImportOptions()
        named = payload_file.definition_of(file) if definition is None else definition
        path = f"/dataexchange/import/datasetdefinition/{path_segment(named)}"
        if upload_id is None and payload_file.size_of(file) <= IN_A_CALL:
            with local_errors(file):
                content = file.read_bytes()
            form = dict.fromkeys(wanted.members(), "true")
            return self._start(
                path, idempotency_key, form=form, files={"file": (file.name, content)}
            )
        upload = upload_id or self.upload(file, on_bytes=on_bytes)
        return self._start(path, idempotency_key, {"uploadId": upload, **wanted.members()})

    def upload(self, file: Path | str, *, on_bytes: Counted = nothing_counted) -> str:
        """Upload a payload, and return its id, by which it can be imported again and again."""
        file = Path(file)

        def prepare() -> Upload:
            wanted = {"fileName": file.name, "size": payload_file.size_of(file)}
            response = self._call("POST", "/dataexchange/uploads", expected=(200, 201), json=wanted)
            return Upload.from_json(json_object(response))

        return sent(self._storage, prepare, file, self._policy, self._sleep, on_bytes)

    def import_from(
        self,
        environment: str,
        definition: str,
        code: str,
        options: ImportOptions | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Process:
        """Start to fetch a data set from the registered environment that is called so, and to
        import it. Raises ProcessActive, NotFound, InvalidRequest."""
        path = (
            f"/dataexchange/import/datasetdefinition/{path_segment(definition)}"
            f"/dataset/{path_segment(code)}"
        )
        members = (options or ImportOptions()).members()
        return self._start(path, idempotency_key, {"sourceEnvironment": environment, **members})

    def undo(
        self,
        process_id: str,
        *,
        force: bool = False,
        stop_task_processing: bool = False,
        idempotency_key: str | None = None,
    ) -> Process:
        """Start to make what an import wrote again what it was before.

        Items with records that somebody has changed since are left as they are, unless `force`.
        Raises ProcessActive, Conflict (`not_undoable`), NotFound.
        """
        options = {"force": force, "stopTaskProcessing": stop_task_processing}
        wanted = {name: value for name, value in options.items() if value}
        return self._start(f"{_process_path(process_id)}/undo", idempotency_key, wanted)

    # -- processes ---------------------------------------------------------------------------

    def latest(self, limit: int = 20) -> tuple[Process, ...]:
        """The processes of the environment, the newest first, without how far they are."""
        wanted = {"resource": {"q": "", "limit": limit}}
        response = self._call(
            "POST", "/generic/audittraildetails/search", expected=(200,), json=wanted
        )
        doc = Document(json_object(response), "list of processes")
        return tuple(Process.from_json(one) for one in doc.documents("processes"))

    def process(self, process_id: str) -> Process:
        """How a build, an import or an undoing stands."""
        return _process(self._call("GET", _process_path(process_id)))

    def messages(self, process_id: str) -> Iterator[ProcessMessage]:
        """What a process has to say, page after page as it is asked for."""
        path = f"{_process_path(process_id)}/messages"
        for number in range(1, _PAGES_AT_MOST + 1):
            query = {"currentPage": str(number), "pageSize": _PAGE_SIZE}
            page = MessagePage.from_json(json_object(self._call("GET", path, params=query)))
            yield from page.messages
            if not page.has_next_page:
                return
            if not page.messages:
                raise ProtocolError("The service's messages promise a next page without end.")

    def difference(self, process_id: str) -> Iterator[Change]:
        """What an import did, or a dry run says that it would do, record by record.

        Raises NoDifference, and NotFound: there is no such process.
        """
        path = f"{_process_path(process_id)}/difference"

        def link() -> Link:
            response = self._call("GET", path, expected=(200, 204, 303), headers={"Accept": "*/*"})
            if response.status_code == 204:
                raise NoDifference(
                    f"The process {process_id} has no difference: it still runs, is no import, or "
                    "was refused as a whole."
                )
            if response.status_code == 303:
                return _link(response)
            return Link("", "ndjson", response.content)

        for line in received_lines(self._storage, link, self._policy, self._sleep):
            try:
                yield Change.from_json(json.loads(line))
            except ValueError:
                raise ProtocolError("The service's difference is not made of JSON.") from None

    def wait(
        self,
        process_id: str,
        *,
        timeout: float | None = None,
        on_look: Callable[[Process], None] | None = None,
    ) -> Process:
        """Look at a process, now and then, until it has ended, with whatever result.

        Raises ProcessTimeout after `timeout` seconds. `on_look` sees every look.
        """
        deadline = None if timeout is None else self._monotonic() + timeout
        pause = _POLL_SECONDS / 2
        while True:
            process = self.process(process_id)
            if on_look is not None:
                on_look(process)
            if process.has_ended:
                return process
            pause = min(_POLL_AT_MOST, pause * _POLL_GROWTH)
            if process.retry_after is not None:
                pause = min(_POLL_AT_MOST, max(_POLL_AT_LEAST, process.retry_after))
            if deadline is not None:
                left = deadline - self._monotonic()
                if left <= 0:
                    raise ProcessTimeout(
                        process,
                        f"The {process.kind} {process_id} has not ended after {timeout:g} "
                        "seconds; it goes on.",
                    )
                pause = min(pause, left)
            self._sleep(pause)

    def _start(
        self,
        path: str,
        key: str | None,
        wanted: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes]] | None = None,
        method: str = "POST",
    ) -> Process:
        response = self._call(
            method,
            path,
            expected=(200, 201, 202),
            json=wanted,
            form=form,
            files=files,
            headers=_repeatable(key),
        )
        return _process(response)


def newest_first(sources: Sequence[Source]) -> list[AvailableDataSet]:
    """All data sets of the sources that answered, the one that was built last first."""
    held = [one for source in sources for one in source.data_sets]
    return sorted(
        held,
        key=lambda one: one.payload_built_at.timestamp() if one.payload_built_at else 0.0,
        reverse=True,
    )


def _created(
    code: str,
    description: str,
    exclusions: Sequence[Exclusion],
    global_includes: Sequence[int],
    *,
    exact_version_match: bool,
    disable_delete_by_omission: bool,
) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "code": code,
        "description": description,
        "exactVersionMatch": exact_version_match,
        "disableDeleteByOmission": disable_delete_by_omission,
    }
    if exclusions:
        wanted["excludeOptions"] = _excluded(exclusions)
    if global_includes:
        wanted["globalIncludeOptions"] = [{"tableId": one} for one in global_includes]
    return wanted


def _excluded(exclusions: Sequence[Exclusion]) -> list[dict[str, int]]:
    return [{"tableTopId": one.top, "tableDependentId": one.dependent} for one in exclusions]


def _repeatable(key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": key or str(uuid.uuid4())}


def _export_path(definition: str, code: str) -> str:
    return (
        f"/dataexchange/export/datasetdefinition/{path_segment(definition)}"
        f"/dataset/{path_segment(code)}"
    )


def _process_path(process_id: str) -> str:
    return f"/generic/datasetprocesses/{path_segment(process_id)}"


def _process(response: httpx.Response) -> Process:
    retry_after = retry_after_seconds(response.headers.get("Retry-After"))
    return Process.from_json(json_object(response), retry_after)


def _link(response: httpx.Response) -> Link:
    location = response.headers.get("Location")
    if not location:
        raise ProtocolError(f"{response.request.url.path} answered 303 without a Location.")
    url = urljoin(str(response.request.url), str(location))
    suffix = httpx.URL(url).path.rpartition(".")[2].lower()
    return Link(url, suffix if suffix in ("zip", "xml") else "zip")
