"""HeadraceClient: the service's API as typed calls."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin

import httpx

from headrace_client.connection import ClientCertificate
from headrace_client.credentials import CERTIFIED, ClientSecret, Credentials
from headrace_client.datasets.calls import DataSets
from headrace_client.download import Download, download_operation
from headrace_client.errors import (
    AccessDenied,
    AuthenticationError,
    Conflict,
    NotFound,
    ProtocolError,
    SetupError,
    WaitTimeout,
    printable,
)
from headrace_client.events import Listener, nobody
from headrace_client.keys import SigningKey
from headrace_client.model import (
    Compression,
    FileFormat,
    Manifest,
    Metadata,
    MetadataPage,
    Operation,
    OperationKind,
    OperationPage,
    SyncStanding,
)
from headrace_client.profiles.calls import Profiles
from headrace_client.retrying import RetryPolicy, retry_after_seconds
from headrace_client.storage import Storage
from headrace_client.templates.calls import Templates
from headrace_client.transport import DEFAULT_TIMEOUT, Transport, json_object, path_segment

_PAGES_AT_MOST = 10_000
_ORGANISATION = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_PATHS = {
    OperationKind.FULL: "/data/v1/fulldata",
    OperationKind.INCREMENTAL: "/data/v1/incrementals",
}
_POLL_SECONDS = 2.0
_POLL_AT_LEAST = 0.1
_POLL_AT_MOST = 30.0


class HeadraceClient:
    """One integrator's view of one Headrace service. Threads may share it.

    `api_url` is the base that the paths of the API follow. Plain http is refused for any but
    loopback hosts, because the client's secret would travel readable; `allow_http` overrides.

    `client_id`, `client_secret` and `tenant` are short for `credentials=ClientSecret(…)`; the other
    ways to prove who calls are in `headrace_client.credentials`. With `proof_key` tokens are bound
    to that key (DPoP). `certificate` is shown on each connection. A data broker names the
    organisation that it calls for by `on_behalf`. `public_url` is what the service calls itself,
    where that is another address than `api_url`; what keys sign names it.

    The token is fetched at the first call, renewed before it expires, and once when the service
    refuses it. Calls that may safely be repeated are repeated by `policy` after connection
    errors, 429 (not for an exhausted quota), 502, 503 and 504; `on_repeat` hears of it in a
    sentence, before each wait. An address where nobody listens, and that has never answered, is
    asked once.

    Every call may raise the errors of `headrace_client.errors`; use the client as a context
    manager, or `close()` it.
    """

    def __init__(
        self,
        api_url: str,
        client_id: str = "",
        client_secret: str = "",
        tenant: str | None = None,
        *,
        credentials: Credentials | None = None,
        proof_key: SigningKey | None = None,
        certificate: ClientCertificate | None = None,
        on_behalf: str | None = None,
        public_url: str | None = None,
        timeout: httpx.Timeout | float = DEFAULT_TIMEOUT,
        policy: RetryPolicy | None = None,
        allow_http: bool = False,
        on_repeat: Callable[[str], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = Transport(
            api_url,
            proof_key=proof_key,
            certificate=certificate,
            public_url=public_url,
            timeout=timeout,
            policy=policy,
            allow_http=allow_http,
            on_repeat=on_repeat,
            sleep=sleep,
        )
        self.api_url = self._transport.api_url
        self.policy = self._transport.policy
        self.storage = Storage(https_only=self.api_url.startswith("https:"))
        self.credentials = credentials or ClientSecret(client_id, client_secret, tenant)
        if proof_key is not None and not self.credentials.bindable:
            raise SetupError(
                "An API key that is sent as it is cannot be bound to a key of yours (DPoP): have a "
                "manager make a refresh key, or leave the proof key out."
            )
        if isinstance(self.credentials, CERTIFIED) and certificate is None:
            raise SetupError("The certificate that is to prove who calls is not given.")
        self._parameters = "" if on_behalf is None else f"; grp={_organisation(on_behalf)}"
        self.client_id = self.credentials.client_id + self._parameters
        self._sleep = sleep
        self._monotonic = monotonic
        self._tokens = self.credentials.tokens(self._transport, monotonic)
        self.data_sets = DataSets(self._call, self.storage, self.policy, sleep, monotonic)
        """The calls of data sets."""
        self.templates = Templates(self._call, self.api_url, self.client_id)
        """The calls of templates."""
        self.profiles = Profiles(self._call, self.api_url)
        """The calls of profiles."""
        self._kinds: dict[str, str] = {}  # of the operations that were seen, as paths need it

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()
        self.storage.close()

    # -- what an integrator asks -------------------------------------------------------------

    def check_credentials(self) -> None:
        """Make a call, to learn whether the credentials are accepted."""
        try:
            self._call("GET", "/data/v1/operations", params={"pageSize": "1"})
        except AccessDenied as denied:
            if denied.code != "insufficient_scope":  # known, and not for this call
                raise

    def metadata(self, configuration_id: str | None = None) -> Metadata:
        """The tables and fields that a configuration (None: the default one) grants."""
        with _naming(configuration_id):
            pages = list(self._metadata_pages(configuration_id))
        return Metadata(
            configuration_id=pages[0].configuration_id,
            tenant=pages[0].tenant,
            catalog_version=pages[0].catalog_version,
            tables=tuple(table for page in pages for table in page.tables),
        )

    def start_full_export(
        self,
        file_format: FileFormat | str | None = None,
        compression: Compression | str | None = None,
        *,
        entity: str | None = None,
        configuration_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Operation:
        """Start an export; what is None is left to the service's defaults (csv, none, all tables).

        The request always carries an Idempotency-Key (a fresh one unless given), so it is safely
        repeated: the same key and values give the same operation.
        """
        wanted = {
            "configurationId": configuration_id,
            "fileFormat": None if file_format is None else str(file_format),
            "compression": None if compression is None else str(compression),
            "entity": entity,
        }
        return self._start(OperationKind.FULL, wanted, idempotency_key)

    def sync_version(
        self, configuration_id: str | None = None, *, entity: str | None = None
    ) -> SyncStanding:
        """Where the caller's data and the source stand. Raises IncrementsUnavailable."""
        query = {"configurationId": configuration_id, "entity": entity}
        params = {name: value for name, value in query.items() if value is not None}
        with _naming(configuration_id if entity is None else None):
            response = self._call("GET", "/data/v1/incrementals/syncversion", params=params)
        return SyncStanding.from_json(json_object(response))

    def start_increment(
        self,
        since: str,
        file_format: FileFormat | str | None = None,
        compression: Compression | str | None = None,
        *,
        entity: str | None = None,
        configuration_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Operation:
        """Start an export of what changed since the version `since`; else as a full export.

        Raises SyncVersionExpired and ResyncRequired where only a full export helps,
        SyncVersionUnknown and IncrementsUnavailable.
        """
        wanted = {
            "syncVersion": since,
            "configurationId": configuration_id,
            "fileFormat": None if file_format is None else str(file_format),
            "compression": None if compression is None else str(compression),
            "entity": entity,
        }
        return self._start(OperationKind.INCREMENTAL, wanted, idempotency_key)

    def status(self, operation_id: str) -> Operation:
        """The operation with its jobs, of whatever kind it is."""
        return self._operation(self._of_operation("GET", operation_id, "/status"))

    def retry(self, operation_id: str) -> Operation:
        """Run the failed and cancelled jobs of an ended operation again."""
        try:
            return self._operation(self._of_operation("PUT", operation_id, "/retry"))
        except Conflict as conflict:
            if conflict.sent > 1 and conflict.code == "operation_not_retryable":
                # the first sending may have been carried out and its answer lost
                operation = self.status(operation_id)
                if operation.status.active:
                    return operation
            raise

    def cancel(self, operation_id: str) -> Operation:
        """Stop the operation; of one that was cancelled before, nothing changes."""
        return self._operation(self._of_operation("POST", operation_id, "/cancel"))

    def delete(self, operation_id: str) -> None:
        """Delete an ended operation and its files."""
        try:
            self._of_operation("DELETE", operation_id)
        except NotFound as missing:
            if missing.sent == 1:
                raise

    def operations(self) -> Iterator[Operation]:
        """The caller's operations, newest first, page after page as they are asked for."""
        cursor: str | None = None
        for _ in range(_PAGES_AT_MOST):
            page = self.operations_page(cursor)
            yield from page.operations
            if page.next is None:
                return
            if page.next == cursor:
                raise ProtocolError("The service's list of operations goes round in a circle.")
            cursor = page.next

    def operations_page(
        self, cursor: str | None = None, page_size: int | None = None
    ) -> OperationPage:
        """One page of the caller's operations."""
        query = {"cursor": cursor, "pageSize": page_size}
        response = self._call(
            "GET",
            "/data/v1/operations",
            params={name: str(value) for name, value in query.items() if value is not None},
        )
        page = OperationPage.from_json(json_object(response))
        self._kinds |= {entry.operation_id: entry.kind for entry in page.operations}
        return page

    def manifest(self, operation_id: str) -> Manifest:
        """What a succeeded operation holds; Conflict while it is unfinished."""
        response = self._call("GET", f"/data/v1/operations/{path_segment(operation_id)}/manifest")
        return Manifest.from_json(json_object(response))

    def job_url(self, job_id: str) -> str:
        """A short-lived URL of the job's document, to be fetched without any credentials."""
        path = f"/data/v1/jobs/{path_segment(job_id)}"
        response = self._call("GET", path, expected=(302, 303, 307))
        location = response.headers.get("Location")
        if not location:
            raise ProtocolError(f"The service's answer for job {job_id} has no Location.")
        return urljoin(str(response.request.url), str(location))

    def wait(
        self,
        operation_id: str,
        *,
        timeout: float | None = None,
        on_status: Callable[[Operation], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Operation:
        """Look at the operation, as often as the service asks, until it has ended.

        Returns it in whatever terminal state; raises WaitTimeout after `timeout` seconds.
        `on_status` sees every look.
        """
        deadline = None if timeout is None else self._monotonic() + timeout
        while True:
            operation = self.status(operation_id)
            if on_status is not None:
                on_status(operation)
            if not operation.status.active:
                return operation
            asked = _POLL_SECONDS if operation.retry_after is None else operation.retry_after
            pause = min(_POLL_AT_MOST, max(_POLL_AT_LEAST, asked))
            if deadline is not None:
                left = deadline - self._monotonic()
                if left <= 0:
                    raise WaitTimeout(
                        operation,
                        f"Operation {operation_id} is still {operation.status} after "
                        f"{timeout:g} seconds ({operation.percent:.0f} %); it goes on.",
                    )
                pause = min(pause, left)
            self._sleep(pause)

    def download(
        self,
        operation_id: str,
        directory: Path | str,
        *,
        parallel: int = 4,
        listener: Listener = nobody,
        verify_rows: bool = False,
    ) -> Download:
        """Download, verify and put in place every file of a succeeded operation.

        Picks up what an earlier, interrupted call for the same operation left in `directory`.
        `verify_rows` counts the rows of CSV and NDJSON files too.
        """
        return download_operation(
            self,
            self.manifest(operation_id),
            Path(directory),
            parallel=parallel,
            listener=listener,
            verify_rows=verify_rows,
        )

    def call(
        self, method: str, path: str, document: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any] | None:
        """Any call of the API, such as those that have no method here: its document, if it has one.

        Only a GET, PUT or DELETE is repeated where no answer comes.
        """
        if not path.startswith("/"):
            raise SetupError(f"{printable(path, 200)!r} is no path of the API: it begins with /.")
        response = self._call(
            method,
            path,
            expected=(200, 201, 202, 204),
            json=document,
            repeat=method in ("GET", "PUT", "DELETE"),
        )
        return json_object(response) if response.content else None

    # -- how it is asked ---------------------------------------------------------------------

    def _start(
        self, kind: OperationKind, wanted: Mapping[str, str | None], key: str | None
    ) -> Operation:
        response = self._call(
            "POST",
            _PATHS[kind],
            json={name: value for name, value in wanted.items() if value is not None},
            headers={"Idempotency-Key": key or str(uuid.uuid4())},
        )
        return self._operation(response)

    def _operation(self, response: httpx.Response) -> Operation:
        operation = Operation.from_json(
            json_object(response), retry_after_seconds(response.headers.get("Retry-After"))
        )
        self._kinds[operation.operation_id] = operation.kind
        return operation

    def _of_operation(self, method: str, operation_id: str, action: str = "") -> httpx.Response:
        """Call an operation's path. It depends on its kind: of one never seen, both are tried."""
        known = self._kinds.get(operation_id)
        kinds = [kind for kind in _PATHS if known in (None, kind)] or list(_PATHS)
        for kind in kinds:
            try:
                return self._call(method, f"{_PATHS[kind]}/{path_segment(operation_id)}{action}")
            except NotFound as missing:
                # above 1, an earlier sending may have found it, and deleted it
                if kind is kinds[-1] or missing.sent > 1:
                    raise
        raise AssertionError("unreachable: the last kind returns or raises")

    def _metadata_pages(self, configuration_id: str | None) -> Iterator[MetadataPage]:
        for number in range(1, _PAGES_AT_MOST + 1):
            query = {"currentPage": str(number), "pageSize": "100"}
            if configuration_id is not None:
                query["configurationId"] = configuration_id
            page = MetadataPage.from_json(
                json_object(self._call("GET", "/data/v1/metadata", params=query))
            )
            yield page
            if not page.has_next_page:
                return
            if not page.tables:
                raise ProtocolError("The service's metadata promises a next page without end.")

    def _call(
        self,
        method: str,
        path: str,
        *,
        expected: tuple[int, ...] = (200, 202, 204),
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes]] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        repeat: bool = True,
    ) -> httpx.Response:
        """An authenticated call; a refused token is renewed once."""

        def once(token: str) -> httpx.Response:
            return self._transport.send(
                method,
                path,
                expected=expected,
                params=params,
                json=json,
                form=None if form is None else lambda: form,
                files=files,
                content=content,
                headers=headers,
                token=token,
                parameters=self._parameters,
                repeat=repeat,
            )

        token = self._tokens.current()
        try:
            return once(token)
        except AuthenticationError as refusal:
            if refusal.code == "invalid_dpop_proof" or not self._tokens.refuse(token):
                raise
            return once(self._tokens.current())


@contextmanager
def _naming(configuration_id: str | None) -> Iterator[None]:
    """What the service does not have is this configuration, if one was asked for by name."""
    try:
        yield
    except NotFound as missing:
        if configuration_id is None:
            raise
        raise missing.reworded(
            f"There is no configuration {configuration_id!r} for you.",
            "Unless one is named, the default one is taken; your operator knows which others you "
            "have.",
        ) from None


def _organisation(name: str) -> str:
    """An organisation's id, as a parameter of credentials can hold it (RFC 9110 section 5.6.2)."""
    if not _ORGANISATION.fullmatch(name):
        raise SetupError(f"{printable(name, 200)!r} is no organisation's id.")
    return name
