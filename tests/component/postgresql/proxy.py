"""A way over TCP to a server's Unix socket, which a test can cut or block in mid-stream."""

import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from headrace.exports.model import Source

_RESET = struct.pack("ii", 1, 0)
"""Of SO_LINGER: to close sends a reset and throws away what was not sent."""


@dataclass
class Proxy:
    """Carries bytes both ways. What the server says is counted over all connections."""

    port: int
    target: Path
    reset_after: int | None = None
    """Bytes from the server after which its connection is reset, and every later one refused."""
    blocked_after: int | None = None
    """Bytes from the server after which nothing more is carried."""
    _said: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def through(self, source: Source) -> Source:
        """The source, reached by this way."""
        options = {"host": "127.0.0.1", "port": str(self.port), "tls": "disable"}
        return replace(source, options={**source.options, **options})

    def serve(self, client: socket.socket) -> None:
        """Carries one connection till one end closes it, or what was asked for happens."""
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(str(self.target))
            # One thread for both ways: a socket that another thread waits for is not closed.
            while not self._ended.is_set():
                for ready in select.select([client, server], [], [], 0.1)[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    if ready is client:
                        server.sendall(data)
                        continue
                    self._said += len(data)
                    if self.reset_after is not None and self._said > self.reset_after:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                        return
                    if self.blocked_after is not None and self._said > self.blocked_after:
                        self._ended.wait()
                        return
                    client.sendall(data)

    def end(self) -> None:
        """Closes every connection."""
        self._ended.set()


@contextmanager
def a_proxy(
    source: Source, *, reset_after: int | None = None, blocked_after: int | None = None
) -> Iterator[Proxy]:
    """A proxy before the source's server, at a free port."""
    listener = socket.create_server(("127.0.0.1", 0))
    folder = Path(source.options["host"])
    port = listener.getsockname()[1]
    proxy = Proxy(port, folder / ".s.PGSQL.5432", reset_after, blocked_after)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=proxy.serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield proxy
    finally:
        listener.close()
        proxy.end()
