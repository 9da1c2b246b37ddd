"""How often a password may be tried: what makes guessing useless without locking anybody out
for good.

A try counts before it is known to fail, so that many at once are all counted; a right password
takes the count back. Nothing here knows whether there is such a user.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Network, ip_address
from math import ceil

_NEVER = datetime.fromtimestamp(0, UTC)

FREE_TRIES = 10
"""Tries that cost no waiting; after that many without success the next has to wait."""
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
FORGOTTEN_AFTER = timedelta(hours=24)
"""A name that nobody tried for so long begins anew."""

ADDRESS_WINDOW = timedelta(minutes=15)
"""One address, whatever names it tries, has so many tries in each quarter of an hour as the
deployment says."""


@dataclass(frozen=True)
class Tries:
    """Tries of one user name since the last that succeeded. ``last``: when the latest one was."""

    count: int = 0
    last: datetime = _NEVER

    def wait(self, now: datetime) -> int:
        """The seconds until the next may be made; 0 if it may be now."""
        left = self.last + self._pause - now
        return max(0, ceil(min(left, LONGEST_WAIT).total_seconds()))

    def after_another(self, now: datetime) -> "Tries":
        """With one more, made now."""
        forgotten = now - self.last >= FORGOTTEN_AFTER
        return Tries(1 if forgotten else self.count + 1, now)

    @property
    def _pause(self) -> timedelta:
        if self.count < FREE_TRIES:
            return timedelta(0)
        # Beyond so many doublings the longest wait is reached, and the numbers would only grow.
        doublings: int = min(self.count - FREE_TRIES, 16)
        return min(LONGEST_WAIT, FIRST_WAIT * (1 << doublings))


@dataclass(frozen=True)
class Window:
    """The quarter of an hour that the tries of an address are counted in."""

    number: int
    ends_in: int
    """Seconds, at least 1."""

    @classmethod
    def at(cls, now: datetime) -> "Window":
        """The one that is open."""
        length = int(ADDRESS_WINDOW.total_seconds())
        number, gone = divmod(int(now.timestamp()), length)
        return cls(number, length - gone)


def address_counted(source_ip: str) -> str:
    """What tries are counted under for an address: an IPv4 address itself, of an IPv6 address the
    network of 64 bits, whose addresses all belong to whoever has one."""
    try:
        address = ip_address(source_ip)
    except ValueError:
        return "unknown"
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address), 64), strict=False))
