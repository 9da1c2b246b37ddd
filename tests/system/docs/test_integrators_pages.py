"""The integrator's pages, command by command, on the running platform.

Names of the page that others of the platform's tests use, or that a run before has left behind, are
swapped for names of this run's.
"""

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from headrace.exports.webhooks import Endpoint
from headrace.identity.users import Permission
from local.postgresql import Server
from tests.system.conftest import NORTHWIND, Clients, People
from tests.system.deployed import Integrator, Json, Person, Platform, eventually
from tests.system.docs.following import Followed, following
from tests.system.managed import a_managed_service
from tests.system.mutual_tls import another_authority, certified

pytestmark = pytest.mark.system

type Follow = Callable[[str], AbstractContextManager[Followed]]

CLAIMS = "CLAIMS_CONFIGURATION"


@pytest.fixture
def follow(platform: Platform, tmp_path: Path) -> Follow:
    """Follows a page in a folder of its own."""
    return lambda page: following(page, platform, tmp_path)


def test_identity(follow: Follow, clients: Clients, people: People) -> None:
    scopes = ("dataexchange", "datasetoperation:createandexport")
    integrator = clients.special(scopes=scopes)
    person = people.of(NORTHWIND, Permission.DATA_EXCHANGE)
    with follow("docs/identity.md") as page:
        page.given(CLIENT_ID=integrator.client_id, CLIENT_SECRET=integrator.client_secret)
        token = page.reply("curl")["access_token"]
        page.swapped(
            {
                "integrator@emailaddress.com": person.username,
                "carrier@example.com": person.username,
                "…": person.password,
            }
        )
        assert page.reply("curl")["access_token"]
        assert page.reply("curl")["identifier"]
        page.given(TOKEN=token)
        assert page.reply("curl")["active"] is True
    refused = integrator.platform.call(
        "GET", "/dataexchange/environment", headers={"Authorization": f"Bearer {token}"}
    )
    assert refused.status_code == 401, "the page's last command ended the token"


def test_increments(follow: Follow, integrator: Integrator) -> None:
    integrator.export(entity="departments")
    version = str(integrator.sync_version()["syncVersion"])
    with follow("docs/increments.md") as page:
        page.swapped({"42@2026-11-23T08:30:13.406311Z": version})
        page.given(TOKEN=integrator.token())
        started = page.reply("curl")
    assert integrator.ended(started["operationId"], within=120, of="incrementals")


def test_webhooks(follow: Follow, clients: Clients) -> None:
    endpoint = Endpoint("hooks", "https://hooks.example/headrace")
    integrator = clients.special(NORTHWIND, "departments", webhooks=(endpoint,))
    with follow("docs/webhooks.md") as page:
        page.given(TOKEN=integrator.token())
        started = page.reply("curl")
    integrator.ended(started["operationId"], within=120)


def test_debugger(follow: Follow, platform: Platform) -> None:
    with follow("docs/debugger.md") as page:
        address = page.run("python3").strip()
    assert address == f"{platform.api_url}/docs"


def test_certificates(
    follow: Follow, platform: Platform, clients: Clients, people: People, tmp_path: Path
) -> None:
    managed = a_managed_service(platform, clients, people, tmp_path)
    client = clients.special(tls_client_auth_subject_dn="CN=exports,O=Acme,C=NL")
    key, front = ec.generate_private_key(ec.SECP256R1()), platform.about["mutual_tls"]
    names = (("C", "NL"), ("O", "Acme"), ("CN", "exports"))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "exports.key").write_bytes(pem)
    trust = {"CURL_CA_BUNDLE": front["server_certificate"]}
    with another_authority(platform) as authority, follow("docs/certificates.md") as page:
        (tmp_path / "exports.pem").write_text(certified(authority, key, *names))
        page.swapped({"exports-of-acme": client.client_id})
        page.given(API=front["url"], **trust)
        assert page.reply("curl --cert exports.pem")["access_token"]
        page.given(API=platform.api_url, SERVICE=managed.service, TOKEN=managed.manager.token())
        made = page.reply("curl")
        page.given(KEY_ID=made["key_id"], DOMAIN=front["url"])
        page.run("openssl req")
        assert made["key_id"] in page.run("python3")
        assert page.reply("curl --cert client_certificate.pem")["tables"] is not None
        assert page.reply("DOMAIN=$(python3")["tables"] is not None


@pytest.fixture
def carrier(clients: Clients) -> Iterator[Integrator]:
    """A client that carries data sets. What its environment is told of others is taken back."""
    scopes = ("dataexchange", "datasetoperation:createandexport")
    integrator = clients.special(NORTHWIND, "cost_centres", scopes=scopes)
    yield integrator
    integrator.call(
        "POST", "/api/generic/properties", json={"name": "ohi.application.uri.CONF", "value": ""}
    )


def ended(carrier: Integrator, process: Json) -> Json:
    """A process that a call started, when it has ended."""
    path = f"/generic/datasetprocesses/{process['id']}"

    def look() -> Json | None:
        found: Json = carrier.get(path).json()
        return found if found["endDateTime"] else None

    done = eventually(look, within=120, what=f"the end of {path}")
    assert done is not None
    assert done["result"] == "S", carrier.get(f"{path}/messages").text
    return done


@pytest.fixture
def renamed(platform: Platform) -> Iterator[Callable[[], None]]:
    """Gives a group client another name, for an import to change, until the end of the test."""
    first = "(SELECT min(code) FROM claims.group_clients)"
    server = Server(platform.home.roster)

    def rename(name: str) -> None:
        statement = f"UPDATE claims.group_clients SET name = :'name' WHERE code = {first}"
        server.run(statement, "claims", name=name)

    before = server.run(f"SELECT name FROM claims.group_clients WHERE code = {first}", "claims")
    yield lambda: rename("changed here")
    rename(before.strip())


def test_datasets(
    follow: Follow,
    platform: Platform,
    carrier: Integrator,
    people: People,
    renamed: Callable[[], None],
) -> None:
    person: Person = people.of(NORTHWIND, Permission.DATA_EXCHANGE)
    code = f"SampleTest_{secrets.token_hex(4)}"
    here = carrier.get("/dataexchange/environment").json()["identifier"]
    export = f"/dataexchange/export/datasetdefinition/{CLAIMS}/dataset/{code}"
    with follow("docs/datasets.md") as page:
        page.given(TOKEN=carrier.token())
        page.swapped(
            {
                "SampleTest": code,
                "https://test.example.com/v1/dataexchange": f"{platform.api_url}/dataexchange",
                "carrier@example.com": person.username,
                '"…"': f'"{person.password}"',
                "TEST_321": code,
                '"sourceEnvironment": "TEST"': f'"sourceEnvironment": "{here}"',
            }
        )
        page.run("curl -X PUT")
        ended(carrier, json.loads(page.run("curl -i").split("\n\n")[-1]))
        (page.folder / "brands.zip").write_bytes(carrier.get(export).content)
        page.run('curl "$API/api/generic/properties"')
        assert code in page.run('curl "$API/dataexchange/datasets/fetchavailabledatasets')
        ended(carrier, page.reply('curl "$API/dataexchange/import'))
        renamed()
        imported = ended(carrier, page.reply('curl "$API/dataexchange/uploads"'))
        ended(carrier, page.reply('curl "$API/dataexchange/import'))
        page.swapped(
            {
                "01kaqb7m3y6c9r2t5v8x1z4d7h": imported["id"],
                "01kaqb7m3y6c9r2t5v8x1z4d7j": imported["id"],
            }
        )
        ended(carrier, page.reply("curl -X POST"))
        assert imported["id"] in page.run('curl "$API/generic/audittraildetails/search"')
