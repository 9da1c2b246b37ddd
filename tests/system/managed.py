"""A service whose manager makes its API keys, and whoever runs it (seed 002)."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from headrace.adapters.dynamodb.managers import DynamoManagers
from headrace.adapters.dynamodb.table import Table
from headrace.catalog.model import Service
from headrace.identity.users import Management, Permission
from tests.system.conftest import NORTHWIND, Clients, People
from tests.system.deployed import Person, Platform


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

    def key(self, kind: str = "certificate") -> dict[str, Any]:
        """A new key."""
        reply = self.manages("POST", "", json={"kind": kind})
        assert reply.status_code == 201, reply.text
        made: dict[str, Any] = reply.json()
        return made

    def request(self, key: dict[str, Any]) -> str:
        """What the seed's openssl command makes for the key."""
        subject = f"/C=CH/O=Whoever runs it/OU={key['ou']}/CN={key['cn']}"
        self.openssl(
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
                f"{url or mutual_tls['url']}/data/v1/metadata",
            ],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body)

    def openssl(self, *arguments: str) -> str:
        """What openssl prints, run in the folder."""
        done = subprocess.run(
            ["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, check=True
        )
        return done.stdout


def a_managed_service(
    platform: Platform, clients: Clients, people: People, folder: Path, kind: str = "external"
) -> Managed:
    """A service of this kind, with a manager; whoever runs it keeps its keys in the folder."""
    person = people.of(NORTHWIND, Permission.MANAGE_SERVICES)
    client = clients.special(service=Service(kind))
    table = Table(platform.aws("dynamodb"), platform.outputs["CredentialsTableName"])
    DynamoManagers(table).save(client.client_id, Management(users=frozenset({person.user_id})))
    return Managed(platform, client.client_id, person, folder)
