"""How a token request is read."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.identity.client_authentication import (
    AuthenticateClient,
    SecretInForm,
    SecretInHeader,
)
from headrace.identity.model import CLIENT_ID, Client, StoredSecret, secret_hash
from headrace.identity.oauth import FORM, SentRequest, TokenRefused, grant_type, parameters_of

GOOD = {"grant_type": "client_credentials", "client_id": "acme-hr", "client_secret": "hr_s3cret"}


@dataclass(frozen=True)
class Anybody:
    """Every client there may be, each with the secrets given."""

    known: tuple[str, ...]

    def find(self, client_id: str) -> Client | None:
        return Client(client_id, frozenset({"acme"}), frozenset())

    def of(self, client_id: str) -> tuple[StoredSecret, ...]:
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        return tuple(StoredSecret(one, secret_hash(one), moment) for one in self.known)

    def add(self, client_id: str, secret: StoredSecret) -> None:
        raise AssertionError

    def revoke(self, client_id: str, secret_id: str) -> None:
        raise AssertionError


@dataclass(frozen=True)
class Read:
    asked: tuple[str | None, str | None]
    client_id: str
    method: str


def read(
    body: str | bytes,
    authorization: str | None = None,
    content_type: str = FORM,
    secret: str = "hr_s3cret",
) -> Read:
    raw = body.encode() if isinstance(body, str) else body
    sent = SentRequest(content_type, authorization, raw)
    parameters = parameters_of(sent)
    assert grant_type(parameters, ("client_credentials",)) == "client_credentials"
    asked = parameters.get("scope"), parameters.get("tenant_id")
    store = Anybody((secret,))
    methods = (SecretInHeader(store, store), SecretInForm(store, store))
    found = AuthenticateClient(methods)(sent, parameters)
    return Read(asked, found.client.client_id, found.method)


def refused(
    body: str | bytes, authorization: str | None = None, content_type: str = FORM
) -> TokenRefused:
    with pytest.raises(TokenRefused) as caught:
        read(body, authorization, content_type)
    return caught.value


def basic(client_id: str, secret: str) -> str:
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def without(*names: str) -> str:
    return urlencode({name: value for name, value in GOOD.items() if name not in names})


def test_the_secret_may_come_in_the_form() -> None:
    found = read(urlencode(GOOD | {"scope": "a b", "tenant_id": "acme"}))
    assert (found.client_id, found.method) == ("acme-hr", "client_secret_post")
    assert found.asked == ("a b", "acme")


@given(st.from_regex(CLIENT_ID, fullmatch=True), st.text(min_size=1))
def test_the_secret_may_come_by_http_basic_with_any_characters(client_id: str, secret: str) -> None:
    try:
        header = basic(client_id, secret)
    except UnicodeEncodeError:  # lone surrogates cannot be sent
        return
    found = read("grant_type=client_credentials", header, secret=secret)
    assert (found.client_id, found.method) == (client_id, "client_secret_basic")
    assert refused("grant_type=client_credentials", header).error == "invalid_client"


def test_the_scheme_is_read_without_case_and_the_client_may_be_named_twice_alike() -> None:
    header = basic("acme-hr", "hr_s3cret").replace("Basic ", "bAsIc  ")
    assert read(without("client_secret"), header).client_id == "acme-hr"


@pytest.mark.parametrize(
    "content_type", [FORM, FORM.upper(), f"{FORM}; charset=UTF-8", f" {FORM} ;x=y"]
)
def test_a_form_is_known_by_its_media_type(content_type: str) -> None:
    assert read(urlencode(GOOD), content_type=content_type).client_id == "acme-hr"


@pytest.mark.abuse(25)
@pytest.mark.parametrize(
    "content_type", ["application/json", "", "multipart/form-data", "text/plain", f"{FORM}x"]
)
def test_any_other_media_type_is_an_invalid_request(content_type: str) -> None:
    assert refused('{"grant_type":"x"}', content_type=content_type).error == "invalid_request"
    assert refused(urlencode(GOOD), content_type=content_type).error == "invalid_request"


@pytest.mark.parametrize("name", [*GOOD, "scope", "tenant_id", "unknown"])
def test_no_parameter_may_stand_twice(name: str) -> None:
    body = urlencode(GOOD) + f"&{name}=x&{name}=x"
    assert refused(body).error == "invalid_request"


def test_a_parameter_without_a_value_counts_as_not_sent_and_unknown_ones_are_ignored() -> None:
    found = read(urlencode(GOOD) + "&scope=&tenant_id=&colour=blue")
    assert found.asked == (None, None)


@pytest.mark.abuse(22)
@pytest.mark.parametrize(
    "grant", ["password", "authorization_code", "refresh_token", "Client_Credentials", "x" * 5000]
)
def test_an_unknown_grant_is_unsupported(grant: str) -> None:
    body = without("grant_type") + "&" + urlencode({"grant_type": grant})
    assert refused(body).error == "unsupported_grant_type"


def test_a_missing_grant_is_an_invalid_request() -> None:
    assert refused(without("grant_type")).error == "invalid_request"
    assert refused("").error == "invalid_request"


@pytest.mark.parametrize(
    "missing", [("client_id",), ("client_secret",), ("client_id", "client_secret")]
)
def test_a_request_without_credentials_is_of_an_invalid_client(missing: tuple[str, ...]) -> None:
    assert refused(without(*missing)).error == "invalid_client"


def test_a_secret_may_come_one_way_only() -> None:
    assert refused(urlencode(GOOD), basic("acme-hr", "hr_s3cret")).error == "invalid_request"
    body = without("client_id", "client_secret") + "&client_id=another"
    assert refused(body, basic("acme-hr", "hr_s3cret")).error == "invalid_request"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic YWJj",  # no colon
        "Basic " + base64.b64encode(b":secret").decode(),
        "Basic " + base64.b64encode(b"client:").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
        "Basic " + base64.b64encode(b"client:%ff").decode(),
        "Basic "
        + base64.b64encode(b"a:b").decode()
        + ", Basic "
        + base64.b64encode(b"c:d").decode(),
        "Bearer abc",
        "Digest username=x",
    ],
)
def test_a_header_that_is_no_http_basic_is_of_an_invalid_client(header: str) -> None:
    refusal = refused(without("client_id", "client_secret"), header)
    assert (refusal.error, refusal.by_header) == ("invalid_client", True)


@pytest.mark.parametrize(
    "body",
    [b"grant_type=%ff", b"\xff\xfe", b"&".join(b"a%d=1" % n for n in range(60)), b"x" * 20000],
)
def test_a_form_that_cannot_be_read_is_an_invalid_request(body: bytes) -> None:
    assert refused(body).error == "invalid_request"


def test_a_request_shows_its_secret_to_nobody_who_prints_it() -> None:
    sent = SentRequest(FORM, None, urlencode(GOOD).encode())
    assert "s3cret" not in repr(sent)
    assert "s3cret" not in repr(SentRequest(FORM, basic("acme-hr", "hr_s3cret"), b""))
    encoded = basic("acme-hr", "hr_s3cret")
    assert encoded.removeprefix("Basic ") not in repr(SentRequest(FORM, encoded, b""))


@given(st.binary(max_size=300), st.none() | st.text(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes, authorization: str | None) -> None:
    try:
        read(body, authorization)
    except TokenRefused as refusal:
        assert refusal.error in {"invalid_request", "invalid_client", "unsupported_grant_type"}
