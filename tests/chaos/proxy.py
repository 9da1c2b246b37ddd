"""A proxy between the functions and AWS, and their databases, which sees each of their requests.

Every function has a port of its own here, so the port says which function asks, and /proc says
which process. Who wants to see requests, or to interfere, puts a ``Tap`` in: production code knows
nothing of it, as all that a function is told is another endpoint.
"""

import asyncio
import re
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from socket import SO_PEERCRED, SOL_SOCKET
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

DATABASE = "postgresql"
"""What stands for a service where a request is a statement in a session with a database."""

STATEMENT = "STATEMENT"
"""The method of such a request. Its body is all that the session has said in the transaction."""

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
    sender: Callable[[], int | None]
    """Finds the process that has sent it and waits for the answer. It takes a while."""
    method: str
    path: str
    headers: Mapping[str, str]
    """By their names in small letters."""
    body: bytes

    @property
    def service(self) -> str:
        """The AWS service that it is signed for: ``dynamodb``, ``s3``, ``states``, ``kms``, …, or
        ``DATABASE``."""
        if self.method == STATEMENT:
            return DATABASE
        found = _CREDENTIAL.search(self.headers.get("authorization", ""))
        return found[1] if found else ""

    @property
    def action(self) -> str:
        """What it asks for, as AWS names it: ``TransactWriteItems``, ``UploadPart``, …; of a
        statement its first word: ``SELECT``, ``COMMIT``, …"""
        if self.method == STATEMENT:
            return self.headers["statement"].split(maxsplit=1)[0].upper()
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


class Shown(Protocol):
    """Shows a request to all taps."""

    async def __call__(
        self, phase: Phase, request: Request, answer: Answer | None, forward: Forward
    ) -> Answer | None:
        """See ``Tap``."""
        ...


async def _not_forwarded() -> Answer:
    raise AssertionError("a statement is not sent a second time")


@dataclass
class Session:
    """A function's session with PostgreSQL: what both say, message by message (its protocol 3.0).

    A statement is a request that is *before* until the server has it, and *after* as soon as the
    server says that it is ready for the next one.
    """

    pid: int | None
    function: str
    mark: str
    shown: Shown
    _asked: deque[Request | None] = field(default_factory=deque)
    """What the server has not answered yet; None: something that is no statement."""
    _transaction: list[str] = field(default_factory=list)

    async def asks(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        """Carries what the function says to the server. Raises Gone, IncompleteReadError."""
        size = await reader.readexactly(4)
        server.write(size + await reader.readexactly(int.from_bytes(size) - 4))
        self._asked.append(None)
        while True:
            kind, message = await _message(reader)
            if kind == b"Q":
                request = self._request(message[5:-1].decode())
                await self.shown(Phase.BEFORE, request, None, _not_forwarded)
                self._asked.append(request)
            elif kind == b"S":
                self._asked.append(None)
            server.write(message)
            await server.drain()

    async def is_told(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carries what the server says to the function. Raises Gone, IncompleteReadError."""
        while True:
            kind, message = await _message(reader)
            if kind == b"Z" and (request := self._asked.popleft()) is not None:
                await self.shown(Phase.AFTER, request, None, _not_forwarded)
            writer.write(message)
            await writer.drain()

    def _request(self, statement: str) -> Request:
        if statement.startswith("BEGIN"):
            self._transaction.clear()
        self._transaction.append(statement)
        said = "\n".join(self._transaction).encode()
        where = f"/{self.mark}/"
        headers = {"statement": statement}
        return Request(self.function, lambda: self.pid, STATEMENT, where, headers, said)


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The next message: its kind, and all of it."""
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(int.from_bytes(head[1:]) - 4)


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
    _servers: list[asyncio.Server] = field(default_factory=list)
    _taps: list[Tap] = field(default_factory=list)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serves until the block ends."""
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        self._servers.extend(self._on_loop(function) for function in self.names)
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(self._end(self._servers), self._loop).result()
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
        port = writer.get_extra_info("peername")[1]
        body = await reader.readexactly(size // 2)

        def seen(body: bytes) -> Request:
            return Request(
                function, lambda: self._process(function, port), method, path, headers, body
            )

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

    # --- a session with a database ---------------------------------------------------------------

    def of_database(self, socket: Path, folder: Path, mark: str) -> None:
        """Lets functions reach the server at ``socket`` by one in ``folder``.

        ``mark`` stands in the path of each request there.
        """

        async def serve() -> asyncio.Server:
            async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await self._session(socket, mark, reader, writer)

            return await asyncio.start_unix_server(connected, folder / socket.name)

        self._servers.append(asyncio.run_coroutine_threadsafe(serve(), self._loop).result())

    async def _session(
        self, socket: Path, mark: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        pid, function = self._client(writer)
        upstream = await asyncio.open_unix_connection(socket)
        session = Session(pid, function, mark, self._shown)
        ways = [
            asyncio.ensure_future(session.asks(reader, upstream[1])),
            asyncio.ensure_future(session.is_told(upstream[0], writer)),
        ]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                way.result()
        except (Gone, OSError, asyncio.IncompleteReadError):
            pass  # one end is closed, by our doing or not
        except Exception as trouble:
            self.troubles.append(trouble)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (upstream[1], writer):
                end.transport.abort()

    def _client(self, writer: asyncio.StreamWriter) -> tuple[int | None, str]:
        """The process at the other end, and its function (empty: it is none of ours)."""
        credentials = writer.get_extra_info("socket").getsockopt(
            SOL_SOCKET, SO_PEERCRED, struct.calcsize("3i")
        )
        pid = int(struct.unpack("3i", credentials)[0])
        with suppress(OSError):
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            for function, name in self.names.items():
                mark = f"{self.workers}/ministack-lambda-{name}-".encode()
                if len(arguments) > 1 and arguments[1].startswith(mark):
                    return pid, function
        return None, ""

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
