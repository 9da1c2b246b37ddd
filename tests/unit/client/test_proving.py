"""What proves who calls: what is signed, what is kept, and which way a profile means."""

from __future__ import annotations

import errno
import json
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from headrace.identity.keys import key_from_jwk, thumbprint
from headrace_client.command.profile import Way, find_profile, profile_in
from headrace_client.credentials import PrivateKey, key_id_of
from headrace_client.errors import CredentialEnded, LocalFileError, SetupError, api_error
from headrace_client.keys import SigningKey, own_signing_key, signing_key
from headrace_client.proofs import Proofs
from headrace_client.refreshing import RefreshedTokens, RefreshFile
from headrace_client.tokens import FixedToken, Grant

API = "https://mtls.example/stage"


def a_key(folder: Path, private: Any | None = None) -> SigningKey:
    made = private or ec.generate_private_key(ec.SECP256R1())
    place = folder / "key.pem"
    place.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return signing_key(place)


@pytest.mark.parametrize("kind", ["EC", "RSA"])
def test_a_key_is_known_by_its_public_half_alone(tmp_path: Path, kind: str) -> None:
    made: Any = rsa.generate_private_key(65537, 2048)
    if kind == "EC":
        made = ec.generate_private_key(ec.SECP256R1())
    key = a_key(tmp_path, made)
    read = key_from_jwk({**key.jwk, "kid": "-"})
    assert read is not None
    assert key.thumbprint == thumbprint(read.key)
    assert key.jwk.keys() <= {"kty", "crv", "x", "y", "n", "e"}
    assert "Private" not in repr(key)


def test_keys_that_the_service_does_not_take_are_refused(tmp_path: Path) -> None:
    for private in (ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 1024)):
        with pytest.raises(SetupError, match="P-256"):
            a_key(tmp_path, private)


def test_the_own_key_is_made_once(tmp_path: Path) -> None:
    place = tmp_path / "state" / "dpop.pem"
    assert own_signing_key(place).thumbprint == own_signing_key(place).thumbprint
    assert [path.name for path in place.parent.iterdir()] == ["dpop.pem"]


class Clock:
    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


def claims_of(request: httpx.Request) -> dict[str, Any]:
    read: dict[str, Any] = jwt.decode(request.headers["DPoP"], options={"verify_signature": False})
    return read


def test_a_proof_names_the_public_address_without_its_query(tmp_path: Path) -> None:
    proofs = Proofs(a_key(tmp_path), API, "https://data.example", Clock())
    request = httpx.Request("GET", f"{API}/data/v1/metadata?pageSize=1")
    proofs.sign(request, None)
    claims = claims_of(request)
    assert (claims["htm"], claims["htu"]) == ("GET", "https://data.example/data/v1/metadata")
    assert "ath" not in claims


def test_a_clock_that_is_wrong_is_put_right_by_the_services_once(tmp_path: Path) -> None:
    clock = Clock()
    proofs = Proofs(a_key(tmp_path), API, API, clock)
    late = {"Date": formatdate(clock.now + 3600, usegmt=True)}
    refusal = httpx.Response(401, headers=late)
    assert proofs.corrected(refusal)
    request = httpx.Request("GET", f"{API}/x")
    proofs.sign(request, None)
    assert abs(claims_of(request)["iat"] - clock.now - 3600) <= 1
    assert not proofs.corrected(refusal)  # so it was for something else
    assert not proofs.corrected(httpx.Response(401))
    assert not Proofs(a_key(tmp_path), API, API, clock).corrected(
        httpx.Response(401, headers={"Date": formatdate(clock.now + 2, usegmt=True)})
    )


class Endpoint:
    public_url = "https://data.example"
    bound_to = None

    def __init__(self) -> None:
        self.sent: list[dict[str, str]] = []

    def ask(self, form: Any, idempotency_key: str | None = None) -> Grant:
        self.sent += [dict(form()), dict(form())]  # as for a repetition
        return Grant("token", 3600)


def test_an_assertion_is_of_one_request(tmp_path: Path) -> None:
    key, endpoint, clock = a_key(tmp_path), Endpoint(), Clock()
    PrivateKey("me", key, "2026", "acme", clock).tokens(endpoint, clock).current()
    first, second = (form.pop("client_assertion") for form in endpoint.sent)
    assert first != second
    assert jwt.get_unverified_header(first)["kid"] == "2026"
    claims = jwt.decode(first, options={"verify_signature": False})
    assert claims.items() >= {"iss": "me", "sub": "me", "aud": "https://data.example"}.items()
    assert 0 < claims["exp"] - clock.now <= 300
    assert endpoint.sent[0]["tenant_id"] == "acme"


def test_what_is_sent_as_it_is_has_no_other() -> None:
    tokens = FixedToken("hrk_1_x")
    assert not tokens.refuse(tokens.current())


# --- refresh tokens ---------------------------------------------------------------------------


class Exchanges:
    """Gives tokens with numbers; remembers what came."""

    def __init__(self) -> None:
        self.came: list[tuple[str, str]] = []

    def __call__(self, refresh_token: str, key: str) -> Grant:
        self.came.append((refresh_token, key))
        number = len(dict.fromkeys(self.came))
        return Grant(f"access-{number}", 3600, f"refresh-{number}")


def a_file(folder: Path, clock: Clock | None = None) -> RefreshFile:
    file = RefreshFile(folder / "tokens" / "1.json", now=clock or Clock())
    file.begin("refresh-0")
    return file


def test_the_idempotency_key_is_on_the_disk_before_the_exchange(tmp_path: Path) -> None:
    file, exchanges = a_file(tmp_path), Exchanges()

    def looked_at(refresh_token: str, key: str) -> Grant:
        assert json.loads(file.path.read_text())["exchange"] == key
        return exchanges(refresh_token, key)

    assert file.access_token(looked_at, None, None)[0] == "access-1"
    assert json.loads(file.path.read_text())["exchange"] is None


def test_a_disk_that_is_full_after_the_exchange_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, exchanges = a_file(tmp_path), Exchanges()
    written = RefreshFile._write

    def full(self: RefreshFile, kept: Any) -> None:
        if kept.access_token is not None:
            raise LocalFileError(f"{errno.ENOSPC}: the disk is full")
        written(self, kept)

    monkeypatch.setattr(RefreshFile, "_write", full)
    with pytest.raises(LocalFileError):
        file.access_token(exchanges, None, None)
    monkeypatch.setattr(RefreshFile, "_write", written)
    assert file.access_token(exchanges, None, None)[0] == "access-1"
    assert len(exchanges.came) == 2
    assert len(set(exchanges.came)) == 1


def test_an_access_token_that_another_process_got_is_used(tmp_path: Path) -> None:
    file, exchanges = a_file(tmp_path), Exchanges()
    ours = RefreshedTokens(file, exchanges, None)
    theirs = RefreshedTokens(RefreshFile(file.path, now=Clock()), exchanges, None)
    assert (ours.current(), theirs.current()) == ("access-1", "access-1")
    assert theirs.refuse("access-1")
    assert theirs.current() == "access-2"
    assert ours.refuse("access-1")
    assert ours.current() == "access-2"
    assert len(exchanges.came) == 2


def test_the_token_that_a_file_began_with_changes_nothing_and_another_does(tmp_path: Path) -> None:
    file, exchanges = a_file(tmp_path), Exchanges()
    file.access_token(exchanges, None, None)
    file.begin("refresh-0")
    assert file.refresh_token() == "refresh-1"
    file.begin("another")
    assert file.refresh_token() == "another"


def test_a_token_is_renewed_in_time(tmp_path: Path) -> None:
    clock = Clock()
    tokens = RefreshedTokens(a_file(tmp_path, clock), Exchanges(), None)
    assert tokens.current() == "access-1"
    clock.now += 3539
    assert tokens.current() == "access-1"
    clock.now += 1
    assert tokens.current() == "access-2"


def test_a_process_that_stands_still_with_the_file_is_not_waited_for_for_ever(
    tmp_path: Path,
) -> None:
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.now += seconds

    file = a_file(tmp_path)
    waiting = RefreshFile(file.path, now=clock, sleep=sleep)
    with file._locked(), pytest.raises(LocalFileError, match="Another headrace command"):
        waiting.refresh_token()


def test_a_refusal_of_a_refresh_token_is_an_error_of_its_own() -> None:
    error = api_error(400, {"error": "invalid_grant", "error_description": "Gone."})
    assert isinstance(error, CredentialEnded)


@pytest.mark.parametrize("text", ["", "hrk_", "hrk_1", "hrk_1_", "xyz_1_2", "hrr_../x_y", "hr_x"])
def test_what_is_no_key_names_no_file(text: str) -> None:
    with pytest.raises(SetupError, match="no API key"):
        key_id_of(text)


# --- profiles -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "way"),
    [
        ({"CLIENT_ID": "me", "CLIENT_SECRET": "s"}, Way.SECRET),
        ({"CLIENT_ID": "me", "PRIVATE_KEY_FILE": "k"}, Way.PRIVATE_KEY),
        ({"CLIENT_ID": "me", "CERTIFICATE_FILE": "c"}, Way.TLS_CLIENT),
        ({"CLIENT_ID": "me", "CLIENT_SECRET": "s", "CERTIFICATE_FILE": "c"}, Way.SECRET),
        ({"CERTIFICATE_FILE": "c", "SERVICE": "app"}, Way.CERTIFICATE),
        ({"API_KEY": "hrk_1_x"}, Way.STATIC_KEY),
        ({"API_KEY": "hrr_1_x", "DPOP": "1"}, Way.REFRESH_KEY),
    ],
)
def test_the_environment_says_which_way(given: dict[str, str], way: Way) -> None:
    named = {f"HEADRACE_{name}": value for name, value in given.items()}
    profile = find_profile(None, None, {"HEADRACE_API_URL": "https://a", **named})
    assert profile.way is way
    assert profile.binds is ("DPOP" in given)
    for secret in ("hrk_1_x", "hrr_1_x"):
        assert secret not in repr(profile)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"API_KEY": "hrk_1_x"}, "lacks HEADRACE_API_URL"),
        ({"API_URL": "https://a", "PRIVATE_KEY_FILE": "k"}, "lacks HEADRACE_CLIENT_ID"),
        ({"API_URL": "https://a", "CLIENT_ID": "me"}, "PRIVATE_KEY_FILE"),
    ],
)
def test_what_the_environment_lacks_is_named(given: dict[str, str], said: str) -> None:
    with pytest.raises(SetupError, match=said):
        find_profile(None, None, {f"HEADRACE_{name}": value for name, value in given.items()})


def test_a_profile_file_names_files_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "headrace.json"
    entries = [
        {"client_id": "me", "private_key_file": "keys/me.pem", "dpop": True},
        {"service": "app", "api_key": "hrk_1_x"},
        {"client_id": "me", "private_key_file": 7},
    ]
    file.write_text(json.dumps({"api_url": "https://a", "clients": entries}))
    first = profile_in(file, "1")
    assert first.private_key_file == str(tmp_path / "keys" / "me.pem")
    assert (first.way, first.binds) == (Way.PRIVATE_KEY, True)
    assert profile_in(file, "app").way is Way.STATIC_KEY
    with pytest.raises(SetupError, match="is no text"):
        profile_in(file, "3")
