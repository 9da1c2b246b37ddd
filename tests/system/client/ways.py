"""Who uses the command `headrace`, and what services and their managers have for it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from headrace.adapters.dynamodb.managers import DynamoManagers
from headrace.adapters.dynamodb.table import Table
from headrace.catalog.model import Service
from headrace.identity.users import Management, Permission
from tests.system.conftest import NORTHWIND, Clients, People
from tests.system.deployed import Integrator, Person, Platform

COMMAND = [sys.executable, "-m", "headrace_client"]


@dataclass(frozen=True)
class User:
    """Somebody with a home of their own, and the command."""

    platform: Platform
    home: Path

    def runs(
        self, *arguments: str, typed: str = "", **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """The command with these settings of the environment (HEADRACE_ left off)."""
        held = {name: value for name, value in os.environ.items() if "HEADRACE" not in name}
        held |= {"HOME": str(self.home), "HEADRACE_API_URL": self.platform.api_url}
        held |= {"XDG_CONFIG_HOME": "", "XDG_STATE_HOME": ""}
        given = {
            name if name.startswith("SSL") else f"HEADRACE_{name}": value
            for name, value in settings.items()
        }
        return subprocess.run(
            [*COMMAND, *arguments],
            env=held | given,
            input=typed,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def gets(self, *arguments: str, typed: str = "", **settings: str) -> Any:
        """The document that the command prints as it ends well."""
        done = self.runs(*arguments, "--json", typed=typed, **settings)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def over_tls(self) -> dict[str, str]:
        """Settings for the domain that asks for certificates."""
        about = self.platform.about["mutual_tls"]
        return {
            "API_URL": about["url"],
            "PUBLIC_URL": self.platform.api_url,
            "SSL_CERT_FILE": about["server_certificate"],
        }

    def keeps(self, key: ec.EllipticCurvePrivateKey, certificate: str | None = None) -> Path:
        """A file of theirs with the key, and the certificate."""
        place = self.home / "key.pem"
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        place.write_text(text + (certificate or ""))
        return place

    def tokens(self) -> list[Path]:
        """The files with refresh tokens."""
        return sorted((self.home / ".local/state/headrace/tokens").glob("*.json"))


def a_service(clients: Clients) -> Integrator:
    """A service, for as long as there are tests."""
    made = clients.special(NORTHWIND, "departments", service=Service("external"))
    clients.keep(made)
    return made


def a_manager(platform: Platform, people: People, service: Integrator) -> Person:
    """Somebody who makes keys of the service."""
    person = people.of(NORTHWIND, Permission.MANAGE_SERVICES)
    table = Table(platform.aws("dynamodb"), platform.outputs["CredentialsTableName"])
    DynamoManagers(table).save(service.client_id, Management(users=frozenset({person.user_id})))
    return person


def a_key(manager: Person, service: Integrator, kind: str) -> dict[str, str]:
    reply = manager.platform.call(
        "POST",
        f"/services/{service.client_id}/keys",
        headers={"Authorization": f"Bearer {manager.token()}"},
        json={"kind": kind},
    )
    assert reply.status_code == 201, reply.text
    made: dict[str, str] = reply.json()
    return made


def tables(metadata: Any) -> list[str]:
    return [table["name"] for table in metadata["tables"]]
