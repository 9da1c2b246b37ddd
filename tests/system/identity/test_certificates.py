"""Client certificates as deployed: real keys, real handshakes."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from headrace.adapters.dynamodb.managers import DynamoManagers
from headrace.adapters.dynamodb.table import Table
from headrace.catalog.model import Service
from headrace.identity.users import Management, Permission
from tests.system.conftest import NORTHWIND, Clients, People
from tests.system.deployed import Person, Platform
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


@dataclass
class Managed:
    """A service, its manager, and the folder in which whoever runs it keeps its keys."""

    platform: Platform
    service: str
    manager: Person
    folder: Path

    def manages(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer to a call of the manager's."""
        return self.platform.call(
            method,
            f"/services/{self.service}/keys{path}",
            headers={"Authorization": f"Bearer {self.manager.token()}"},
            **options,
        )

    def key(self) -> dict[str, Any]:
        """A new key of the kind certificate."""
        reply = self.manages("POST", "", json={"kind": "certificate"})
        assert reply.status_code == 201, reply.text
        made: dict[str, Any] = reply.json()
        return made

    def request(self, key: dict[str, Any]) -> str:
        """What the seed's openssl command makes for the key."""
        subject = f"/C=CH/O=Whoever runs it/OU={key['ou']}/CN={key['cn']}"
        self._openssl(
            *("req", "-new", "-nodes", "-newkey", "rsa:2048", "-subj", subject),
            *("-keyout", "client_certificate.key", "-out", "client_certificate.csr"),
        )
        return (self.folder / "client_certificate.csr").read_text()

    def certify(self, key: dict[str, Any], request: str) -> httpx.Response:
        """The answer to the request."""
        return self.manages("POST", f"/{key['key_id']}/certificate", json={"csr": request})

    def certificate(self, key: dict[str, Any]) -> str:
        """The certificate of a key, beside its private key."""
        reply = self.certify(key, self.request(key))
        assert reply.status_code == 200, reply.text
        pem: str = reply.json()["certificate"]
        (self.folder / "client_certificate.pem").write_text(pem)
        (self.folder / "chain.pem").write_text(reply.json()["chain"])
        return pem

    def calls(
        self, authorization: str = "Bearer client-certificate", url: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """What curl gets with the certificate, as the docs have it."""
        mutual_tls = self.platform.about["mutual_tls"]
        done = subprocess.run(
            [
                *("curl", "--silent", "--show-error", "--write-out", "\n%{http_code}"),
                *("--cacert", mutual_tls["server_certificate"]),
                *("--cert", "client_certificate.pem", "--key", "client_certificate.key"),
                *("--header", f"Authorization: {authorization}"),
                f"{url or mutual_tls['url']}{PATH}",
            ],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body)

    def _openssl(self, *arguments: str) -> str:
        done = subprocess.run(
            ["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, check=True
        )
        return done.stdout


@pytest.fixture
def managed(platform: Platform, clients: Clients, people: People, tmp_path: Path) -> Managed:
    """A service with a manager."""
    person = people.of(NORTHWIND, Permission.MANAGE_SERVICES)
    client = clients.special(service=Service("external"))
    table = Table(platform.aws("dynamodb"), platform.outputs["CredentialsTableName"])
    DynamoManagers(table).save(client.client_id, Management(users=frozenset({person.user_id})))
    return Managed(platform, client.client_id, person, tmp_path)


@pytest.mark.abuse(54)
def test_a_service_calls_with_its_certificate_until_the_key_is_revoked(managed: Managed) -> None:
    key = managed.key()
    assert (key["cn"], key["ou"]) == (key["key_id"], managed.service)
    managed.certificate(key)
    verified = managed._openssl(
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
