"""Which networks a client may call from."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.identity.model import Networks


@pytest.mark.parametrize(
    ("cidrs", "address", "allowed"),
    [
        ([], "203.0.113.9", True),
        ([], "", True),
        (["203.0.113.0/24"], "203.0.113.9", True),
        (["203.0.113.0/24"], "203.0.114.9", False),
        (["203.0.113.9"], "203.0.113.9", True),
        (["203.0.113.0/24"], "::ffff:203.0.113.9", True),
        (["203.0.113.0/24"], "::ffff:203.0.114.9", False),
        (["::ffff:203.0.113.0/120"], "203.0.113.9", True),
        (["::ffff:203.0.113.0/120"], "203.0.114.9", False),
        (["2001:db8::/32"], "2001:db8:1::5", True),
        (["2001:db8::/32"], "2001:db9::5", False),
        (["2001:db8::/32"], "203.0.113.9", False),
        (["0.0.0.0/0"], "2001:db8::1", False),
        (["::/0"], "203.0.113.9", False),
        (["10.0.0.0/8", "2001:db8::/32"], "10.9.8.7", True),
        (["203.0.113.0/24"], "", False),
        (["203.0.113.0/24"], "unknown", False),
        (["203.0.113.0/24"], "203.0.113.9, 10.0.0.1", False),
        (["203.0.113.0/24"], "203.0.113.9:443", False),
        (["203.0.113.0/24"], "203.0.113.09", False),
        (["0.0.0.0/0"], "3405803785", False),
    ],
)
def test_an_address_is_allowed_inside_the_listed_networks_only(
    cidrs: list[str], address: str, allowed: bool
) -> None:
    assert Networks.of(cidrs).allow(address) is allowed


@pytest.mark.parametrize("cidr", ["", "here", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/8/8"])
def test_what_is_no_network_cannot_be_listed(cidr: str) -> None:
    with pytest.raises(ValueError):
        Networks.of([cidr])


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_an_ipv4_address_counts_the_same_in_either_form(
    address: ipaddress.IPv4Address, prefix: int
) -> None:
    network = ipaddress.ip_network((address, prefix), strict=False)
    mapped = f"::ffff:{network.network_address}/{prefix + 96}"
    for cidr in (str(network), mapped):
        networks = Networks.of([cidr])
        assert networks.allow(str(address))
        assert networks.allow(f"::ffff:{address}")
