"""S3's multipart upload over HTTP on loopback, which fails as it is told to."""

import base64
import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit


class Fault(StrEnum):
    """What happens to a part instead of being taken."""

    SLOW_DOWN = "503 SlowDown"
    INTERNAL = "500 InternalError"
    RESET = "a reset in the middle of the body"
    RESET_LATE = "a reset after the part was taken"
    SILENCE = "no answer"
    SLOW = "an answer that comes byte by byte"


_STATUS = {Fault.SLOW_DOWN: 503, Fault.INTERNAL: 500}


class FaultyStorage(ThreadingHTTPServer):
    """One upload. ``faults`` happen one a request for a part, then all is well.

    ``parts``: the bytes by number; ``taken``: how often each was taken. ``released`` ends the
    silences.
    """

    daemon_threads = True
    request_queue_size = 16

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.faults: list[Fault] = []
        self.requests = 0
        self.parts: dict[int, bytes] = {}
        self.taken: list[int] = []
        self.visible: bytes | None = None
        self.released = threading.Event()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next_fault(self) -> Fault | None:
        """What happens to the request that came."""
        with self.lock:
            self.requests += 1
            return self.faults.pop(0) if self.faults else None

    def take(self, number: int, body: bytes, digest: str) -> None:
        """Keeps a part in the place of what had its number."""
        assert base64.b64encode(hashlib.sha256(body).digest()).decode() == digest
        with self.lock:
            self.parts[number] = body
            self.taken.append(number)

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that broke was to break."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultyStorage
    answers: ClassVar[dict[str, str]] = {
        "uploads": "<InitiateMultipartUploadResult><UploadId>one</UploadId>"
        "</InitiateMultipartUploadResult>",
        "uploadId": '<CompleteMultipartUploadResult><ETag>"0"</ETag>'
        "</CompleteMultipartUploadResult>",
    }

    def do_POST(self) -> None:
        """Begins the upload, or completes it: what was sent becomes visible."""
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "uploadId" in query:
            parts = self.server.parts
            self.server.visible = b"".join(parts[number] for number in sorted(parts))
        self._answer(200, self.answers["uploads" if "uploads" in query else "uploadId"])

    def do_PUT(self) -> None:
        """UploadPart."""
        fault = self.server.next_fault()
        length = int(self.headers["Content-Length"])
        if fault is Fault.RESET:
            self.rfile.read(length // 2)
            self._reset()
            return
        body = self.rfile.read(length)
        if fault in _STATUS:
            code = fault.split()[1]
            self._answer(_STATUS[fault], f"<Error><Code>{code}</Code><Message/></Error>")
            return
        if fault is Fault.SILENCE:
            self.server.released.wait(60)
            self._reset()
            return
        number = int(parse_qs(urlsplit(self.path).query)["partNumber"][0])
        self.server.take(number, body, self.headers["x-amz-checksum-sha256"])
        if fault is Fault.RESET_LATE:
            self._reset()
            return
        self._answer(200, "", slowly=fault is Fault.SLOW)

    def _reset(self) -> None:
        """Ends the connection with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _answer(self, status: int, body: str, *, slowly: bool = False) -> None:
        head = f'HTTP/1.1 {status} -\r\nContent-Length: {len(body)}\r\nETag: "0"\r\n\r\n'
        answer = (head + body).encode()
        for piece in [answer[i : i + 1] for i in range(len(answer))] if slowly else [answer]:
            self.wfile.write(piece)
            self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def a_faulty_storage() -> Iterator[FaultyStorage]:
    """The server, while it serves."""
    with FaultyStorage() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()
