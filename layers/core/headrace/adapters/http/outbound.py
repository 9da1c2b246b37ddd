"""Calls out of the deployment, to addresses that others may have chosen.

What a URL names is looked up once, every address found must be allowed, and the connection goes
to the address that was checked, so a name that resolves differently a moment later changes
nothing. No redirects, no proxies, no credentials; a limit on time and size.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from threading import Timer
from urllib.parse import SplitResult

from headrace.kernel.errors import AddressRefused, Unavailable
from headrace.kernel.urls import plain_url

type Address = IPv4Address | IPv6Address
type Network = IPv4Network | IPv6Network

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


def is_public_or_within(networks: Sequence[Network]) -> Callable[[Address], bool]:
    """Whether an address is public, or a host in one of these networks of the operator's.

    Link-local addresses (the cloud's metadata among them) are not to be had by any network, nor
    forms of IPv6 that carry an IPv4 address.
    """

    def allows(address: Address) -> bool:
        if is_public(address):
            return True
        if address.is_link_local or address.is_multicast or address.is_unspecified:
            return False
        carries = isinstance(address, IPv6Address) and any(address in net for net in _NOT_HOSTS)
        return (not carries or address.is_loopback) and any(address in net for net in networks)

    return allows


def _nowhere(address: Address) -> bool:
    return False


@dataclass(frozen=True)
class OutboundPolicy:
    """Where calls may go, and how much they may take. The defaults are production's.

    ``plain``: addresses among those allowed that may be called without TLS.
    """

    allows: Callable[[Address], bool] = is_public
    plain: Callable[[Address], bool] = _nowhere
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context
    seconds: float = 5.0
    max_bytes: int = 256 * 1024

    @classmethod
    def within(cls, networks: Sequence[Network], seconds: float = 5.0) -> "OutboundPolicy":
        """To the Internet and these networks of the operator's; by http to loopback only."""
        return cls(
            is_public_or_within(networks), lambda address: address.is_loopback, seconds=seconds
        )


@dataclass(frozen=True)
class Fetcher:
    """Gets documents by https."""

    policy: OutboundPolicy = field(default_factory=OutboundPolicy)

    def get(self, url: str, accept: str = "application/json") -> bytes:
        """The body of a 200 answer. Raises Unavailable for everything else.

        The reason is in the message for our logs; it quotes nothing that the other side sent.
        """
        deadline = time.monotonic() + self.policy.seconds
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        with _answer(self.policy, "GET", url, None, headers) as response:
            body = self._body(response)
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


@dataclass(frozen=True)
class Poster:
    """Posts JSON messages: the ``Courier`` port. Of the answer only the status is looked at."""

    policy: OutboundPolicy = field(default_factory=OutboundPolicy)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer, of a redirect too. Raises AddressRefused, Unavailable."""
        ours = {"Content-Type": "application/json", "User-Agent": "Headrace"}
        with _answer(self.policy, "POST", url, body, {**ours, **headers}) as response:
            return response.status


@contextmanager
def _answer(
    policy: OutboundPolicy, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
) -> Iterator[http.client.HTTPResponse]:
    """The answer to one request, its body yet to be read. Raises AddressRefused, Unavailable."""
    parts = _checked(url, policy)
    connection = _PinnedConnection(parts, policy)
    # A socket's time-out starts anew with every byte; this one ends the call as a whole.
    watchdog = Timer(policy.seconds, connection.abort)
    watchdog.daemon = True
    watchdog.start()
    try:
        path = parts.path or "/"
        connection.request(
            method,
            f"{path}?{parts.query}" if parts.query else path,
            body=body,
            headers={**headers, "Connection": "close"},
        )
        with connection.getresponse() as response:
            if connection.aborted:
                # Headers that are cut off look like headers that have ended.
                raise TimeoutError("the answer took too long")
            yield response
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unavailable(f"The server cannot be reached: {type(error).__name__}.") from error
    finally:
        watchdog.cancel()
        connection.close()


def _checked(url: str, policy: OutboundPolicy) -> SplitResult:
    """The URL taken apart. Raises AddressRefused for one that is not plain."""
    try:
        # Whether http may go where the name leads to is seen when that is known.
        return plain_url(url, ("https",) if policy.plain is _nowhere else ("https", "http"))
    except ValueError:
        raise AddressRefused("The address is not a plain https URL.") from None


class _PinnedConnection(http.client.HTTPConnection):
    """Connects to the address that was checked, with the name that was asked for."""

    def __init__(self, parts: SplitResult, policy: OutboundPolicy) -> None:
        self._tls = policy.tls() if parts.scheme == "https" else None
        self._policy = policy
        self.aborted = False
        # Kept here too: http.client lets go of its own as soon as a response has begun.
        self._open: socket.socket | None = None
        self.default_port = http.client.HTTP_PORT if self._tls is None else http.client.HTTPS_PORT
        # Without a port http.client would look for one in an IPv6 address.
        port = parts.port or self.default_port
        super().__init__(parts.hostname or "", port, timeout=policy.seconds)

    def connect(self) -> None:
        """Resolves once, checks every address, connects to one of them.

        Raises AddressRefused, OSError.
        """
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(self._may_call(ip_address(address)) for address in addresses):
            raise AddressRefused("The name leads to an address that is not allowed.")
        plain = self._to_first(addresses)
        if self._tls is None:
            self._open = self.sock = plain
            if self.aborted:
                raise TimeoutError("connecting took too long")
            return
        try:
            # The handshake comes later, so that the watchdog can end that as well.
            secured = self._tls.wrap_socket(
                plain, server_hostname=self.host, do_handshake_on_connect=False
            )
        except BaseException:
            plain.close()
            raise
        self._open = self.sock = secured
        if self.aborted:
            raise TimeoutError("connecting took too long")
        secured.do_handshake()

    def _may_call(self, address: Address) -> bool:
        plain = self._tls is not None or self._policy.plain(address)
        return plain and self._policy.allows(address)

    def _to_first(self, addresses: list[str]) -> socket.socket:
        failure = OSError("no address")
        for address in addresses:
            if self.aborted:
                break
            try:
                return socket.create_connection((address, self.port), self.timeout)
            except OSError as error:
                failure = error
        raise failure

    def abort(self) -> None:
        """Ends the call from another thread."""
        self.aborted = True
        if self._open is not None:
            with suppress(OSError):
                # Past the TLS layer, which another thread is in the middle of.
                socket.socket.shutdown(self._open, socket.SHUT_RDWR)
