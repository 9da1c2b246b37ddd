"""Calls out of the deployment, to addresses that others may have chosen.

What a URL names is looked up once, every address found must be allowed, and the connection goes
to the address that was checked, so a name that resolves differently a moment later changes
nothing. No redirects, no proxies, no credentials; a limit on time and size.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from threading import Timer
from urllib.parse import SplitResult, urlsplit

from headrace.kernel.errors import Unavailable

type Address = IPv4Address | IPv6Address

_CHUNK = 64 * 1024
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NOT_HOSTS = (
    IPv6Network("::/96"),  # IPv4-compatible, long out of use
    IPv6Network("::ffff:0:0/96"),  # IPv4-mapped
    IPv6Network("64:ff9b::/96"),  # NAT64
    IPv6Network("64:ff9b:1::/48"),  # NAT64, local use
    IPv6Network("2001::/32"),  # Teredo
    IPv6Network("2002::/16"),  # 6to4
    IPv6Network("3fff::/20"),  # documentation, newer than the tables of Python 3.13
)
_RELAYS = IPv4Network("192.88.99.0/24")  # 6to4 relays, withdrawn


def is_public(address: Address) -> bool:
    """Whether the address is a host on the Internet, in its own right.

    ``is_global`` alone says yes to multicast and to IPv6 forms that carry an IPv4 address, which
    may be a private one.
    """
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, IPv4Address):
        return address not in _RELAYS
    return address in _GLOBAL_UNICAST and not any(address in net for net in _NOT_HOSTS)


@dataclass(frozen=True)
class OutboundPolicy:
    """Where calls may go, and how much they may take. The defaults are production's.

    Tests that need a server of their own hand in another policy; no setting does.
    """

    allows: Callable[[Address], bool] = is_public
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context
    seconds: float = 5.0
    max_bytes: int = 256 * 1024


@dataclass(frozen=True)
class Fetcher:
    """Gets documents by https."""

    policy: OutboundPolicy = field(default_factory=OutboundPolicy)

    def get(self, url: str, accept: str = "application/json") -> bytes:
        """The body of a 200 answer. Raises Unavailable for everything else.

        The reason is in the message for our logs; it quotes nothing that the other side sent.
        """
        parts = _checked(url)
        deadline = time.monotonic() + self.policy.seconds
        connection = _PinnedConnection(parts.hostname or "", parts.port or 443, self.policy)
        # A socket's time-out starts anew with every byte; this one ends the call as a whole.
        watchdog = Timer(self.policy.seconds, connection.abort)
        watchdog.daemon = True
        watchdog.start()
        try:
            path = parts.path or "/"
            connection.request(
                "GET",
                f"{path}?{parts.query}" if parts.query else path,
                headers={"Accept": accept, "Accept-Encoding": "identity", "Connection": "close"},
            )
            with connection.getresponse() as response:
                body = self._body(response)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unavailable(f"The server cannot be reached: {type(error).__name__}.") from error
        finally:
            watchdog.cancel()
            connection.close()
        if time.monotonic() >= deadline or response.length:
            raise Unavailable("The answer took too long or was cut short.")
        return body

    def _body(self, response: http.client.HTTPResponse) -> bytes:
        if response.status != 200:
            raise Unavailable(f"The server answered {response.status}.")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Unavailable("The server sent an encoding that was not asked for.")
        body = b""
        while chunk := response.read(_CHUNK):
            body += chunk
            if len(body) > self.policy.max_bytes:
                raise Unavailable("The answer is too large.")
        return body


def _checked(url: str) -> SplitResult:
    """The URL taken apart. Raises Unavailable for one that is not plain https."""
    refusal = Unavailable("The address is not a plain https URL.")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise refusal
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise refusal from None
    if parts.scheme != "https" or not parts.hostname or parts.fragment:
        raise refusal
    if parts.username is not None or parts.password is not None or parts.port == 0:
        raise refusal
    return parts


class _PinnedConnection(http.client.HTTPSConnection):
    """Connects to the address that was checked, with the name that was asked for."""

    def __init__(self, host: str, port: int, policy: OutboundPolicy) -> None:
        self._tls = policy.tls()
        self._allows = policy.allows
        self._aborted = False
        # Kept here too: http.client lets go of its own as soon as a response has begun.
        self._open: socket.socket | None = None
        super().__init__(host, port, timeout=policy.seconds, context=self._tls)

    def connect(self) -> None:
        """Resolves once, checks every address, connects to one of them. Raises OSError."""
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(self._allows(ip_address(address)) for address in addresses):
            raise OSError("the name leads to an address that is not allowed")
        plain = self._to_first(addresses)
        try:
            # The handshake comes later, so that the watchdog can end that as well.
            self._open = self.sock = self._tls.wrap_socket(
                plain, server_hostname=self.host, do_handshake_on_connect=False
            )
        except BaseException:
            plain.close()
            raise
        if self._aborted:
            raise TimeoutError("connecting took too long")
        self.sock.do_handshake()

    def _to_first(self, addresses: list[str]) -> socket.socket:
        failure = OSError("no address")
        for address in addresses:
            if self._aborted:
                break
            try:
                return socket.create_connection((address, self.port), self.timeout)
            except OSError as error:
                failure = error
        raise failure

    def abort(self) -> None:
        """Ends the call from another thread."""
        self._aborted = True
        if self._open is not None:
            with suppress(OSError):
                # Past the TLS layer, which another thread is in the middle of.
                socket.socket.shutdown(self._open, socket.SHUT_RDWR)
