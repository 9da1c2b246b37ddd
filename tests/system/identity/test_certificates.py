"""Client certificates as deployed: real keys, real handshakes."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.system.conftest import Clients, People
from tests.system.deployed import Platform
from tests.system.managed import Managed, a_managed_service
from tests.system.mutual_tls import KeyHolder, another_authority, certified

pytestmark = pytest.mark.system

PATH = "/data/v1/metadata"


@pytest.fixture
def holder(platform: Platform, tmp_path: Path) -> Callable[[str | None], KeyHolder]:
    """Makes holders of one key, with the certificate given."""
    key = ec.generate_private_key(ec.SECP256R1())
    return lambda certificate: KeyHolder(platform, tmp_path, key, certificate)


# --- tokens that are bound to a certificate (RFC 8705) ----------------------------------------


def test_a_client_without_a_secret_gets_a_token_that_its_certificate_opens(
    platform: Platform, clients: Clients, holder: Callable[[str | None], KeyHolder]
) -> None:
    client = clients.special(tls_client_auth_subject_dn="CN=exports,O=Acme")
    form = {"grant_type": "client_credentials", "client_id": client.client_id}
    with another_authority(platform) as authority:
        names = (("O", "Acme"), ("CN", "exports"))
        mine = holder(certified(authority, holder(None).key, *names))
        reply = mine.calls("POST", "/connect/token", data=form)
        assert reply.status_code == 200, reply.text
        given = {"Authorization": f"Bearer {reply.json()['access_token']}"}
        assert mine.calls("GET", PATH, headers=given).status_code == 200
        assert platform.call("GET", PATH, headers=given).status_code == 401
        others = holder(certified(authority, holder(None).key, *names))
        assert others.calls("GET", PATH, headers=given).status_code == 401
        stranger = holder(certified(authority, holder(None).key, ("CN", "exports")))
        assert stranger.calls("POST", "/connect/token", data=form).status_code == 401
    assert platform.call("POST", "/connect/token", data=form).status_code == 401
    with pytest.raises(httpx.TransportError):
        mine.calls("GET", PATH, headers=given)


@pytest.mark.abuse(50)
@pytest.mark.abuse(55)
def test_the_handshake_fails_without_a_certificate_that_is_trusted(
    holder: Callable[[str | None], KeyHolder],
) -> None:
    foreign = ec.generate_private_key(ec.SECP256R1())
    for certificate in (None, certified(foreign, holder(None).key, ("CN", "exports"))):
        with pytest.raises(httpx.TransportError):
            holder(certificate).calls("GET", "/docs")


# --- certificates of API keys (seed 002) ------------------------------------------------------


@pytest.fixture
def managed(platform: Platform, clients: Clients, people: People, tmp_path: Path) -> Managed:
    """A service with a manager."""
    return a_managed_service(platform, clients, people, tmp_path)


@pytest.mark.abuse(54)
def test_a_service_calls_with_its_certificate_until_the_key_is_revoked(managed: Managed) -> None:
    key = managed.key()
    assert (key["cn"], key["ou"]) == (key["key_id"], managed.service)
    managed.certificate(key)
    verified = managed.openssl(
        *("verify", "-purpose", "sslclient", "-CAfile", "chain.pem", "client_certificate.pem")
    )
    assert verified.strip() == "client_certificate.pem: OK"
    status, body = managed.calls()
    assert (status, body["totalCount"] > 0) == (200, True)
    assert managed.manages("DELETE", f"/{key['key_id']}").status_code == 204
    status, body = managed.calls()
    assert (status, body["code"]) == (401, "invalid_token")


@pytest.mark.abuse(50)
@pytest.mark.abuse(56)
def test_only_the_connection_shows_a_certificate(managed: Managed) -> None:
    pem = managed.certificate(managed.key())
    for headers in ({}, {"X-Client-Cert": quote(pem)}, {"Client-Cert": ":AAAA:"}):
        given = {"Authorization": "Bearer client-certificate", **headers}
        reply = managed.platform.call("GET", PATH, headers=given)
        assert (reply.status_code, reply.json()["code"]) == (401, "invalid_token")


@pytest.mark.abuse(72)
def test_who_is_no_broker_calls_for_no_organisation(managed: Managed) -> None:
    managed.certificate(managed.key())
    status, body = managed.calls("Bearer client-certificate; grp=12345")
    assert (status, body["code"]) == (403, "organisation_not_allowed")


@pytest.mark.abuse(51)
def test_a_key_has_one_certificate_and_in_its_own_name(managed: Managed) -> None:
    key, other = managed.key(), managed.key()
    request = managed.request(key)
    first = managed.certify(key, request)
    assert first.status_code == 200, first.text
    assert managed.certify(key, request).json() == first.json()
    refused = managed.certify(other, request)
    assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")
    assert managed.certify(key, managed.request(key)).status_code == 409
    assert managed.certify(key, "hello").status_code == 400
    assert managed.certify({"key_id": "0" * 26}, request).status_code == 404
