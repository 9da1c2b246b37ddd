"""Calls out of the deployment, to addresses that others may have chosen.

What a URL names is looked up once, every address found must be allowed, and the connection goes
to the address that was checked, so a name that resolves differently a moment later changes
nothing. No proxies; a limit on time and size. No redirects and no credentials, but those of an
``Asker``: it gives a credential to the URL that it was registered for and to no other, and follows
one redirect, without the credential, to where a document lies.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from threading import Timer
from urllib.parse import SplitResult, urljoin

from headrace.kernel.errors import AddressRefused, TimedOut, Unavailable
from headrace.kernel.urls import plain_url

type Address = IPv4Address | IPv6Address
type Network = IPv4Network | IPv6Network

_CHUNK = 64 * 1024
_IDENTITY = {"Accept-Encoding": "identity"}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
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

    ``plain``: addresses among those allowed that may be called without TLS. ``seconds``: for a
    call as a whole; ``idle_seconds``: how long the other side may say nothing, if less.
    """

    allows: Callable[[Address], bool] = is_public
    plain: Callable[[Address], bool] = _nowhere
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context
    seconds: float = 5.0
    max_bytes: int = 256 * 1024
    idle_seconds: float | None = None

    @property
    def silence(self) -> float:
        """Seconds that the other side may say nothing."""
        return min(self.seconds, self.idle_seconds or self.seconds)

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
        headers = {"Accept": accept, **_IDENTITY}
        with _answer(self.policy, "GET", url, None, headers) as response:
            if response.status != 200:
                raise Unavailable(f"The server answered {response.status}.")
            body = _body(response, self.policy)
        if time.monotonic() >= deadline or response.length:
            raise Unavailable("The answer took too long or was cut short.")
        return body


@dataclass(frozen=True)
class Poster:
    """Carries messages: the ``Courier`` ports. Of the answer only the status is looked at."""

    policy: OutboundPolicy = field(default_factory=OutboundPolicy)
    content_type: str = "application/json"

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer, of a redirect too. Raises AddressRefused, Unavailable."""
        return self._send("POST", url, body, headers)

    def put(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The same, by PUT."""
        return self._send("PUT", url, body, headers)

    def _send(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        ours = {"Content-Type": self.content_type, "User-Agent": "Headrace"}
        with _answer(self.policy, method, url, body, {**ours, **headers}) as response:
            return response.status


@dataclass(frozen=True)
class Asked:
    """What was answered: ``body`` is there for the statuses 200 and 4xx only."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Streamed:
    """An answer whose body is read by and by. ``length``: of this body, if the other side said so;
    ``tag``: its entity tag; ``chunks``: to be read once, raise Unavailable."""

    status: int
    length: int | None
    tag: str | None
    chunks: Iterator[bytes]


@dataclass(frozen=True)
class Asker:
    """Asks where a credential is given along, as the headers of a request.

    The headers go to the address of this very URL: nothing that the other side answers takes them
    anywhere else.
    """

    policy: OutboundPolicy = field(default_factory=OutboundPolicy)

    def ask(self, url: str, headers: Mapping[str, str]) -> Asked:
        """The answer, of a redirect too, which is not followed. Raises AddressRefused, TimedOut,
        Unavailable."""
        sent = {"Accept": "application/json", "User-Agent": "Headrace", **_IDENTITY, **headers}
        with _exchange(self.policy, "GET", url, None, sent) as (response, _):
            known = response.status == 200 or 400 <= response.status < 500
            return Asked(response.status, _body(response, self.policy) if known else b"")

    @contextmanager
    def stream(
        self, url: str, headers: Mapping[str, str], ranged: Mapping[str, str]
    ) -> Iterator[Streamed]:
        """The document at the URL, or where that leads to by one redirect.

        The second request has no credential. It is not by http if the first was by https, and from
        a host on the Internet it leads to no network of the operator's. ``ranged``: the headers
        that ask for a part; both requests have them. Raises AddressRefused, TimedOut, Unavailable.
        """
        ours = {"Accept": "*/*", "User-Agent": "Headrace", **_IDENTITY, **ranged}
        with _exchange(self.policy, "GET", url, None, {**ours, **headers}) as (response, address):
            if response.status not in _REDIRECTS:
                yield self._streamed(response)
                return
            target = urljoin(url, response.headers.get("Location", ""))
        if url.lower().startswith("https:") and not target.lower().startswith("https:"):
            raise AddressRefused("The server leads from https to something else.")
        onward = replace(self.policy, allows=is_public) if is_public(address) else self.policy
        with _exchange(onward, "GET", target, None, ours) as (response, _):
            if response.status in _REDIRECTS:
                raise AddressRefused("The server leads from one place to the next.")
            yield self._streamed(response)

    def _streamed(self, response: http.client.HTTPResponse) -> Streamed:
        _check_encoding(response)
        tag = response.headers.get("ETag")
        return Streamed(response.status, response.length, tag, self._chunks(response))

    def _chunks(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        """At most as many bytes as the policy allows."""
        left = self.policy.max_bytes
        while chunk := response.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise Unavailable("The answer is too large.")
            yield chunk
        if response.length:
            raise Unavailable("The answer was cut short.")


def _check_encoding(response: http.client.HTTPResponse) -> None:
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Unavailable("The server sent an encoding that was not asked for.")


def _body(response: http.client.HTTPResponse, policy: OutboundPolicy) -> bytes:
    """The whole of it. Raises Unavailable."""
    _check_encoding(response)
    body = b""
    while chunk := response.read(_CHUNK):
        body += chunk
        if len(body) > policy.max_bytes:
            raise Unavailable("The answer is too large.")
    return body


@contextmanager
def _answer(
    policy: OutboundPolicy, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
) -> Iterator[http.client.HTTPResponse]:
    """The answer to one request, its body yet to be read. Raises AddressRefused, Unavailable."""
    with _exchange(policy, method, url, body, headers) as (response, _):
        yield response


@contextmanager
def _exchange(
    policy: OutboundPolicy, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
) -> Iterator[tuple[http.client.HTTPResponse, Address]]:
    """The answer to one request, its body yet to be read, and the address that gave it.

    Raises AddressRefused, TimedOut, Unavailable.
    """
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
            yield response, connection.address
            if connection.aborted:
                raise TimeoutError("the answer took too long")
    except (OSError, http.client.HTTPException, ValueError) as error:
        if connection.aborted or isinstance(error, TimeoutError):
            raise TimedOut("The server took too long to answer.") from error
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
        self.address: Address = IPv4Address(0)
        # Kept here too: http.client lets go of its own as soon as a response has begun.
        self._open: socket.socket | None = None
        self.default_port = http.client.HTTP_PORT if self._tls is None else http.client.HTTPS_PORT
        # Without a port http.client would look for one in an IPv6 address.
        port = parts.port or self.default_port
        super().__init__(parts.hostname or "", port, timeout=policy.silence)

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
                connected = socket.create_connection((address, self.port), self.timeout)
                self.address = ip_address(address)
                return connected
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
