"""A way over TCP to a server's Unix socket, which a test can cut or block in mid-stream, and which
can speak TLS as the server itself would: the wheel's was built without."""

import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from headrace.exports.sources import Source

_TLS_ASKED_FOR = struct.pack(">ii", 8, 80877103)
"""PostgreSQL's SSLRequest, which a client sends before all else."""

type Tls = Callable[[int], ssl.SSLContext | None]
"""By the number of the connection (from 1): who the server is there, or that it has no TLS."""

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
    tls: Tls | None = None
    """None: nobody asks for it."""
    mends: bool = False
    """What happens, happens once: who comes after that is served."""
    instead: Callable[[], object] | None = None
    """What is done in place of a reset; who comes meanwhile waits."""
    happened: int = 0
    """How often a connection was reset, or blocked."""
    connections: int = 0
    said: int = 0
    _acting: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)

    def through(self, source: Source, **options: str) -> Source:
        """The source, reached by this way."""
        way = {"host": "127.0.0.1", "port": str(self.port), "tls": "disable"}
        return replace(source, options={**source.options, **way, **options})

    def serve(self, client: socket.socket) -> None:
        """Carries one connection till one end closes it, or what was asked for happens."""
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            client = self._secured(client)
            with self._acting:
                pass
            server.connect(str(self.target))
            # One thread for both ways: a socket that another thread waits for is not closed.
            while not self._ended.is_set():
                for ready in select.select([client, server], [], [], 0.1)[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    while isinstance(ready, ssl.SSLSocket) and ready.pending():
                        data += ready.recv(65536)
                    if ready is client:
                        server.sendall(data)
                        continue
                    self.said += len(data)
                    if self._is_due(self.reset_after):
                        if self.instead is not None:
                            with self._acting:
                                self.instead()
                            client.sendall(data)
                            continue
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                        return
                    if self._is_due(self.blocked_after):
                        self._ended.wait()
                        return
                    client.sendall(data)

    def _is_due(self, after: int | None) -> bool:
        if after is None or self.said <= after or (self.mends and self.happened):
            return False
        self.happened += 1
        return True

    def _secured(self, client: socket.socket) -> socket.socket:
        """The client as a server with TLS talks to it. Raises OSError if it turns away."""
        self.connections += 1
        if self.tls is None:
            return client
        assert client.recv(8, socket.MSG_WAITALL) == _TLS_ASKED_FOR
        context = self.tls(self.connections)
        client.sendall(b"N" if context is None else b"S")
        return client if context is None else context.wrap_socket(client, server_side=True)

    def end(self) -> None:
        """Closes every connection."""
        self._ended.set()


@contextmanager
def a_proxy(
    source: Source,
    *,
    reset_after: int | None = None,
    blocked_after: int | None = None,
    tls: Tls | None = None,
    mends: bool = False,
) -> Iterator[Proxy]:
    """A proxy before the source's server, at a free port."""
    listener = socket.create_server(("127.0.0.1", 0))
    folder = Path(source.options["host"])
    port = listener.getsockname()[1]
    proxy = Proxy(port, folder / ".s.PGSQL.5432", reset_after, blocked_after, tls, mends)

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
