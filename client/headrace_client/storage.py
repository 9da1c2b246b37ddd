"""Reading ranges of documents from their presigned URLs, and sending documents to such.

This side never sees the access token: it has an HTTP client of its own, without credentials,
that follows no redirects.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from headrace_client.errors import AccessDenied, ProtocolError, VerificationError, printable
from headrace_client.retrying import retry_after_seconds
from headrace_client.transport import is_loopback
from headrace_client.version import USER_AGENT

_S3_ERROR = re.compile(r"<(Code|Message)>([^<]{0,500})</\1>")
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)$")


class StaleLink(Exception):
    """The storage no longer (or not yet) accepts the URL: ask for another."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"{status} {said}".strip())


class Interrupted(Exception):
    """The transfer did not happen or was cut off; going on from where it stopped may help."""

    def __init__(self, said: str, retry_after: float | None = None) -> None:
        super().__init__(said)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Stored:
    """A document as it lies there: its bytes in all, its ETag, and what was asked of it."""

    size: int
    etag: str | None
    chunks: Iterator[bytes]


class Storage:
    """Documents behind presigned URLs. Threads may share it."""

    def __init__(self, *, https_only: bool) -> None:
        self._https_only = https_only
        self._http = httpx.Client(
            timeout=httpx.Timeout(60.0, connect=10.0),
            follow_redirects=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @contextmanager
    def read(self, url: str, start: int, end: int) -> Iterator[Iterator[bytes]]:
        """The bytes from `start` to before `end`, in chunks as they arrive; perhaps too few.

        Raises StaleLink, Interrupted, or an error of the tree when no repetition can help.
        """
        self._demand_encryption(url)
        request = self._http.build_request(
            "GET", url, headers={"Range": f"bytes={start}-{end - 1}"}
        )
        try:
            response = self._http.send(request, stream=True)
        except httpx.TransportError as error:
            raise Interrupted(_said(error)) from error
        try:
            skip = self._accepted(response, start)
            yield self._chunks(response, skip, end - start)
        finally:
            response.close()

    @contextmanager
    def rest(self, url: str, start: int, etag: str | None) -> Iterator[Stored]:
        """The document from the byte `start` to its end, perhaps too few bytes of it.

        `etag` is that of the document whose first bytes are there already; if it is another one
        by now, StaleLink is raised. Raises as `read` does.
        """
        self._demand_encryption(url)
        headers = {} if start == 0 else {"Range": f"bytes={start}-", "If-Match": etag or "*"}
        try:
            response = self._http.send(
                self._http.build_request("GET", url, headers=headers), stream=True
            )
        except httpx.TransportError as error:
            raise Interrupted(_said(error)) from error
        try:
            if response.status_code == 412:
                raise StaleLink(412, "the document is another one by now")
            skip = self._accepted(response, start)
            size = _whole_size(response)
            chunks = self._chunks(response, skip, size - start)
            yield Stored(size, response.headers.get("ETag"), chunks)
        finally:
            response.close()

    def send(self, url: str, headers: Mapping[str, str], content: Iterable[bytes]) -> None:
        """Put a document there, with all of these headers. Raises as `read` does."""
        self._demand_encryption(url)
        request = self._http.build_request("PUT", url, content=content, headers=dict(headers))
        try:
            response = self._http.send(request, stream=True)
        except httpx.TransportError as error:
            raise Interrupted(_said(error)) from error
        try:
            if response.status_code not in (200, 201, 204):
                self._accepted(response, 0)
        finally:
            response.close()

    def _demand_encryption(self, url: str) -> None:
        parts = urlsplit(url)
        if self._https_only and parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise ProtocolError("The service sent a storage address without encryption; refused.")

    def _accepted(self, response: httpx.Response, start: int) -> int:
        """How many leading bytes to skip; raises unless the answer holds what was asked."""
        status = response.status_code
        if status == 206:
            held = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
            if held is None or int(held.group(1)) != start:
                raise ProtocolError("The storage answered another range than was asked for.")
            return 0
        if status == 200:
            return start  # something on the way ignores ranges: the whole document comes
        code, message = _s3_error(response)
        said = printable(f"{code} {message}".strip(), 300)
        if status in (401, 403) or code in ("ExpiredToken", "RequestTimeTooSkewed"):
            raise StaleLink(status, said)
        if status == 404:
            raise StaleLink(status, said)  # the service knows whether it has expired
        if status == 416:
            raise VerificationError("The stored document is shorter than its manifest says.")
        if status in (408, 429) or status >= 500:
            retry_after = retry_after_seconds(response.headers.get("Retry-After"))
            raise Interrupted(f"the storage answered {status} {said}".strip(), retry_after)
        if 300 <= status < 400:
            raise ProtocolError("The storage redirects to another address; not followed.")
        raise AccessDenied(status, code or f"http_{status}", said or "The storage refuses.")

    @staticmethod
    def _chunks(response: httpx.Response, skip: int, wanted: int) -> Iterator[bytes]:
        try:
            # raw: the digests are of the stored bytes, whatever Content-Encoding they carry
            for received in response.iter_raw():
                if not wanted:
                    return  # more than was asked; else read to the end, so that the line is reused
                chunk = received
                if skip:
                    chunk, skip = chunk[skip:], max(0, skip - len(chunk))
                chunk = chunk[:wanted]
                if chunk:
                    wanted -= len(chunk)
                    yield chunk
        except httpx.TransportError as error:
            raise Interrupted(_said(error)) from error


def _whole_size(response: httpx.Response) -> int:
    """The bytes of the whole document."""
    held = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    said = held.group(3) if held else response.headers.get("Content-Length", "")
    if not said.isdecimal():
        raise ProtocolError("The storage does not say how large the document is.")
    return int(said)


def _s3_error(response: httpx.Response) -> tuple[str, str]:
    """Code and message of S3's error document, empty where there is none."""
    body = b""
    try:
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > 16_384:
                break
    except httpx.TransportError:
        pass
    held = dict(_S3_ERROR.findall(body.decode("utf-8", "replace")))
    return held.get("Code", ""), held.get("Message", "")


def _said(error: Exception) -> str:
    return printable(str(error) or type(error).__name__, 300)
