"""Proofs of possession: the examples of RFC 9449, and everything that is not quite one."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from headrace.identity.dpop import CheckProof, normalized, same_url, token_hash
from headrace.kernel.errors import InvalidProof
from tests.builders import NOON, SteppingClock
from tests.unit.identity.proofs_made import KEY, URL, Uses, a_proof, jwk_of

TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"

# RFC 9449, section 4.1 (figure 1) and section 7.1 (figure 12): made by one key.
RFC_KEY = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
RFC_HEADER = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNo"
    "UklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERW"
    "clUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
)
RFC_TOKEN_REQUEST = (
    f"{RFC_HEADER}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2Vy"
    "dmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiML"
    "vqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
)
RFC_RESOURCE_REQUEST = (
    f"{RFC_HEADER}.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNv"
    "dXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJa"
    "M0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plem"
    "AgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
)


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def check(clock: SteppingClock) -> CheckProof:
    return CheckProof(Uses(), clock)


# --- good ones -------------------------------------------------------------------------------


def test_the_rfcs_proof_at_the_token_endpoint_holds(
    check: CheckProof, clock: SteppingClock
) -> None:
    clock.moment = datetime.fromtimestamp(1562262616, UTC)
    url = "https://server.example.com/token"
    assert check((RFC_TOKEN_REQUEST,), "POST", url) == RFC_KEY


def test_the_rfcs_proof_at_the_resource_holds(check: CheckProof, clock: SteppingClock) -> None:
    clock.moment = datetime.fromtimestamp(1562262618, UTC)
    url = "https://resource.example.org/protectedresource"
    assert check((RFC_RESOURCE_REQUEST,), "GET", url, TOKEN) == RFC_KEY


def test_keys_of_both_kinds_do(check: CheckProof) -> None:
    key = rsa.generate_private_key(65537, 2048)
    for number, algorithm in enumerate(("RS256", "PS256")):
        assert check((a_proof(key, algorithm=algorithm, jti=f"rsa-{number}"),), "POST", URL)
    assert check((a_proof(),), "POST", URL)


@pytest.mark.abuse(38)
def test_query_and_fragment_of_the_request_do_not_count(check: CheckProof) -> None:
    assert check((a_proof(htu=f"{URL}?page=1#top"),), "POST", f"{URL}?page=2")


@pytest.mark.parametrize("ahead", [timedelta(seconds=10), timedelta(seconds=-60)])
@pytest.mark.abuse(40)
def test_clocks_may_differ_a_little(check: CheckProof, ahead: timedelta) -> None:
    assert check((a_proof(iat=(NOON + ahead).timestamp()),), "POST", URL)


# --- and what is none ------------------------------------------------------------------------

NOT_P256 = ec.generate_private_key(ec.SECP384R1())
SHORT = rsa.generate_private_key(65537, 1024)


def with_private_half() -> str:
    numbers = KEY.private_numbers()
    private = base64.urlsafe_b64encode(numbers.private_value.to_bytes(32)).rstrip(b"=").decode()
    return a_proof(header={"jwk": {**jwk_of(KEY), "d": private}})


REFUSED: dict[str, Callable[[], tuple[str, ...]]] = {
    "none at all": lambda: (),
    "two headers": lambda: (a_proof(), a_proof(jti="two")),
    "two joined by a comma": lambda: (f"{a_proof()},{a_proof(jti='two')}",),
    "no JWT": lambda: ("abc",),
    "a very long one": lambda: (a_proof(jti="x" * 5000),),
    "of another type": lambda: (a_proof(header={"typ": "JWT"}),),
    "of no type": lambda: (a_proof(header={"typ": None}),),
    "with a private key": lambda: (with_private_half(),),
    "without a key": lambda: (a_proof(header={"jwk": None}),),
    "with another's key": lambda: (
        a_proof(header={"jwk": jwk_of(ec.generate_private_key(ec.SECP256R1()))}),
    ),
    "with a short key": lambda: (a_proof(SHORT, algorithm="RS256"),),
    "with a key of another curve": lambda: (a_proof(NOT_P256, algorithm="ES384"),),
    "with an extension that must be understood": lambda: (a_proof(header={"crit": ["exp"]}),),
    "of another method": lambda: (a_proof(htm="GET"),),
    "of the method in small letters": lambda: (a_proof(htm="post"),),
    "of another host": lambda: (a_proof(htu="https://evil.example.com/v1/data/v1/fulldata"),),
    "of another path": lambda: (a_proof(htu=f"{URL}/x"),),
    "of another scheme": lambda: (a_proof(htu=URL.replace("https", "http")),),
    "61 seconds old": lambda: (a_proof(iat=NOON.timestamp() - 61),),
    "11 seconds ahead": lambda: (a_proof(iat=NOON.timestamp() + 11),),
    "61 seconds ahead": lambda: (a_proof(iat=NOON.timestamp() + 61),),
    "with a time that is text": lambda: (a_proof(iat="1"),),
    "with a time beyond all bounds": lambda: (a_proof(iat=1e300),),
    "without an id": lambda: (a_proof(drop=("jti",)),),
    "without a method": lambda: (a_proof(drop=("htm",)),),
    "without a URL": lambda: (a_proof(drop=("htu",)),),
    "without a time": lambda: (a_proof(drop=("iat",)),),
    "with an empty id": lambda: (a_proof(jti=""),),
    "with an id that is a number": lambda: (a_proof(jti=7),),
}


@pytest.mark.parametrize("proof", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.abuse(31)
@pytest.mark.abuse(32)
@pytest.mark.abuse(34)
@pytest.mark.abuse(35)
@pytest.mark.abuse(36)
@pytest.mark.abuse(39)
def test_what_is_not_quite_a_proof_is_refused(
    check: CheckProof, proof: Callable[[], tuple[str, ...]]
) -> None:
    with pytest.raises(InvalidProof):
        check(proof(), "POST", URL)


@pytest.mark.parametrize("algorithm", ["HS256", "none"])
@pytest.mark.abuse(33)
def test_no_algorithm_without_a_public_key_is_taken(check: CheckProof, algorithm: str) -> None:
    header, claims, _ = a_proof().split(".")
    told = json.loads(base64.urlsafe_b64decode(header + "=="))
    forged = base64.urlsafe_b64encode(json.dumps({**told, "alg": algorithm}).encode())
    for signature in ("", "AAAA"):
        with pytest.raises(InvalidProof):
            check((f"{forged.rstrip(b'=').decode()}.{claims}.{signature}",), "POST", URL)


@pytest.mark.abuse(44)
@pytest.mark.abuse(45)
def test_a_proof_for_a_token_names_that_token(check: CheckProof) -> None:
    wrong: tuple[dict[str, Any], ...] = ({}, {"ath": token_hash("another")}, {"ath": ""})
    for claims in wrong:
        with pytest.raises(InvalidProof):
            check((a_proof(**claims),), "POST", URL, TOKEN)
    assert check((a_proof(ath=token_hash(TOKEN)),), "POST", URL, TOKEN)


@pytest.mark.abuse(41)
def test_a_proof_is_good_once_and_one_that_is_refused_is_not_used_up(check: CheckProof) -> None:
    proof = a_proof()
    with pytest.raises(InvalidProof):
        check((proof,), "GET", URL)
    assert check((proof,), "POST", URL)
    with pytest.raises(InvalidProof):
        check((proof,), "POST", URL)
    # Another key's proof of the same id is another proof.
    assert check((a_proof(ec.generate_private_key(ec.SECP256R1())),), "POST", URL)


# --- URLs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("HTTPS://API.Example.com:443/a", "https://api.example.com/a"),
        ("https://api.example.com", "https://api.example.com/"),
        ("https://api.example.com/%7Ea/%41", "https://api.example.com/~a/A"),
        ("https://api.example.com/%c3%a9", "https://api.example.com/%C3%A9"),
        ("https://api.example.com/a/./b/../c", "https://api.example.com/a/c"),
        ("https://api.example.com/../a", "https://api.example.com/a"),
        ("https://api.example.com/a/..", "https://api.example.com/"),
        ("http://127.0.0.1:4566/x?y#z", "http://127.0.0.1:4566/x"),
        ("http://[::1]:80/x", "http://[::1]/x"),
        ("https://api.example.com/a%2Fb", "https://api.example.com/a%2Fb"),
    ],
)
def test_urls_are_compared_in_their_normal_form(given: str, normal: str) -> None:
    assert normalized(given) == normal
    assert same_url(given, normal)


@pytest.mark.parametrize(
    "given", ["", "/a", "ftp://x/a", "https://user@x/a", "https://x:port/a", "https:///a"]
)
def test_what_is_no_url_of_a_request_is_none(given: str) -> None:
    assert not same_url(given, given)
