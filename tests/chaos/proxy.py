"""An HTTP proxy between the functions and AWS, which sees each of their requests.

Every function has a port of its own here, so the port says which function asks, and /proc says
which process. Who wants to see requests, or to interfere, puts a ``Tap`` in: production code knows
nothing of it, as all that a function is told is another endpoint.
"""

import asyncio
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

_MAX_HEAD = 256 * 1024
_CREDENTIAL = re.compile(r"Credential=[^/]*/[0-9]*/[^/]*/([^/]*)/")
_S3_ACTIONS = (
    ("PUT", "partNumber", "UploadPart"),
    ("POST", "uploads", "CreateMultipartUpload"),
    ("POST", "uploadId", "CompleteMultipartUpload"),
    ("DELETE", "uploadId", "AbortMultipartUpload"),
    ("GET", "uploads", "ListMultipartUploads"),
    ("GET", "list-type", "ListObjectsV2"),
)


class Phase(StrEnum):
    """How far a request is."""

    HALF = "half"
    """Half of its body is here."""
    BEFORE = "before"
    """All of it is here, and AWS has nothing of it yet."""
    AFTER = "after"
    """AWS has answered, and the function does not know."""


@dataclass(frozen=True)
class Answer:
    """What AWS, or somebody in its place, answers: a whole HTTP response."""

    raw: bytes

    @property
    def status(self) -> int:
        """Its status."""
        return int(self.raw.split(b" ", 2)[1])

    @classmethod
    def made(cls, status: int, headers: Mapping[str, str], body: bytes) -> "Answer":
        """One of our own."""
        lines = [f"HTTP/1.1 {status} {'Injected'}", *(f"{k}: {v}" for k, v in headers.items())]
        head = [*lines, f"Content-Length: {len(body)}", "Connection: close", "", ""]
        return cls("\r\n".join(head).encode() + body)


class Gone(Exception):
    """Nobody is to get an answer."""


@dataclass(frozen=True)
class Request:
    """A request of a function, as far as it is here."""

    function: str
    """Its logical id."""
    pid: int | None
    method: str
    path: str
    headers: Mapping[str, str]
    """By their names in small letters."""
    body: bytes

    @property
    def service(self) -> str:
        """The AWS service that it is signed for: ``dynamodb``, ``s3``, ``states``, ``kms``, …"""
        found = _CREDENTIAL.search(self.headers.get("authorization", ""))
        return found[1] if found else ""

    @property
    def action(self) -> str:
        """What it asks for, as AWS names it: ``TransactWriteItems``, ``UploadPart``, …"""
        target = self.headers.get("x-amz-target")
        if target is not None:
            return target.rpartition(".")[2]
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        for method, parameter, action in _S3_ACTIONS:
            if self.method == method and parameter in query:
                return action
        return f"{self.method.title()}Object"

    def says(self, text: str) -> bool:
        """Is the text in its path or, if that is not a document's, in its body."""
        sealed = self.action in ("UploadPart", "PutObject")
        return text in self.path or (not sealed and text.encode() in self.body)


class Tap(Protocol):
    """Sees requests, and may interfere."""

    async def __call__(
        self, phase: Phase, request: Request, answer: Answer | None, forward: "Forward"
    ) -> Answer | None:
        """An answer in place of AWS's, or None to let things be. Raises Gone."""
        ...


class Forward(Protocol):
    """Sends the request to AWS (once more)."""

    async def __call__(self) -> Answer:
        """What AWS answers."""
        ...


@dataclass
class Proxy:
    """Listens for some functions in a thread of its own, and forwards to ``upstream``'s port."""

    upstream: int
    workers: Path
    """The processes of a function run a script in this folder that begins with its name."""
    names: Mapping[str, str]
    """The functions' names by their logical ids: those that there is a port for."""
    ports: dict[str, int] = field(default_factory=dict)
    troubles: list[BaseException] = field(default_factory=list)
    """What went wrong in here, which must be nothing."""
    _taps: list[Tap] = field(default_factory=list)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serves until the block ends."""
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        servers = [self._on_loop(function) for function in self.names]
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(self._end(servers), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    @contextmanager
    def tapped(self, tap: Tap) -> Iterator[None]:
        """Shows the tap every request until the block ends."""
        self._taps = [*self._taps, tap]
        try:
            yield
        finally:
            self._taps = [one for one in self._taps if one is not tap]

    def endpoint(self, function: str) -> str:
        """What the function is to take for AWS."""
        return f"http://127.0.0.1:{self.ports[function]}"

    @staticmethod
    async def _end(servers: list[asyncio.Server]) -> None:
        """Closes everything: what is still held is of functions that have ended."""
        for server in servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    # --- one connection, one request ----------------------------------------------------------

    def _on_loop(self, function: str) -> asyncio.Server:
        async def serve() -> asyncio.Server:
            async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await self._connected(function, reader, writer)

            server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=_MAX_HEAD)
            self.ports[function] = server.sockets[0].getsockname()[1]
            return server

        return asyncio.run_coroutine_threadsafe(serve(), self._loop).result()

    async def _connected(
        self, function: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            answer = await self._answer(function, reader, writer)
            if answer is not None:
                writer.write(answer.raw)
                await writer.drain()
        except TimeoutError as trouble:
            self.troubles.append(trouble)
        except (Gone, OSError, asyncio.IncompleteReadError):
            pass  # the function's process has ended, by our doing or not
        except Exception as trouble:
            self.troubles.append(trouble)
        finally:
            with suppress(OSError):
                writer.close()

    async def _answer(
        self, function: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Answer | None:
        head = await reader.readuntil(b"\r\n\r\n")
        line, *fields = head[:-4].decode("latin-1").split("\r\n")
        method, path, _ = line.split(" ", 2)
        pairs = [(one.partition(":")[0], one.partition(":")[2].strip()) for one in fields]
        headers = {name.lower(): value for name, value in pairs}
        assert "transfer-encoding" not in headers, f"{method} {path} has a body of unknown length"
        size = int(headers.get("content-length", "0"))
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        pid = self._process(function, writer.get_extra_info("peername")[1])
        body = await reader.readexactly(size // 2)

        def seen(body: bytes) -> Request:
            return Request(function, pid, method, path, headers, body)

        kept = [pair for pair in pairs if pair[0].lower() not in ("expect", "connection")]
        lines = [line, *(f"{name}: {value}" for name, value in kept), "Connection: close", "", ""]

        async def forward() -> Answer:
            return await self._forwarded("\r\n".join(lines).encode("latin-1") + body)

        await self._shown(Phase.HALF, seen(body), None, forward)
        body += await reader.readexactly(size - len(body))
        answer = await self._shown(Phase.BEFORE, seen(body), None, forward)
        if answer is None:
            answer = await forward()
            answer = await self._shown(Phase.AFTER, seen(body), answer, forward) or answer
        return answer

    async def _shown(
        self, phase: Phase, request: Request, answer: Answer | None, forward: Forward
    ) -> Answer | None:
        for tap in self._taps:
            instead = await tap(phase, request, answer, forward)
            if instead is not None:
                return instead
        return None

    async def _forwarded(self, sent: bytes) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        try:
            writer.write(sent)
            await writer.drain()
            return Answer(await reader.read())
        finally:
            writer.close()

    def _process(self, function: str, port: int) -> int | None:
        """The function's process that has this port of the loopback interface."""
        # Both ends: a port alone may be that of another connection, or of one that is over.
        ends = [f"0100007F:{port:04X}", f"0100007F:{self.ports[function]:04X}"]
        inode = next(
            (
                columns[9]
                for columns in map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
                if columns[1:3] == ends
            ),
            None,
        )
        mark = f"{self.workers}/ministack-lambda-{self.names[function]}-".encode()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                arguments = (process / "cmdline").read_bytes().split(b"\0")
                if len(arguments) < 2 or not arguments[1].startswith(mark):
                    continue
                for descriptor in (process / "fd").iterdir():
                    if str(descriptor.readlink()) == f"socket:[{inode}]":
                        return int(process.name)
        return None
