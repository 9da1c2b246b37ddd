"""Every way to prove who calls, by the command `headrace` against the deployed product."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from headrace.catalog.model import Service
from headrace.kernel.clock import SystemClock
from tests.component.consents.tables import Tables
from tests.system.client.ways import User, a_key, a_manager, a_service, tables
from tests.system.conftest import NORTHWIND, Clients, People
from tests.system.deployed import Integrator, Person, Platform, at_once
from tests.system.mutual_tls import another_authority, certified
from tests.unit.identity.certificates_made import a_request

pytestmark = pytest.mark.system

# kills itself, as a power cut would, when the answer of an exchange is there and not stored
KILLED_BEFORE_IT_IS_STORED = """
import os, signal, sys
from pathlib import Path
from headrace_client import HeadraceClient, RefreshFile, RefreshToken

class Dying(RefreshFile):
    def _write(self, kept):
        if kept.access_token is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        super()._write(kept)

url, path = sys.argv[1:]
with HeadraceClient(url, credentials=RefreshToken(Dying(Path(path)), "service")) as client:
    client.check_credentials()
"""


@pytest.fixture
def user(platform: Platform, tmp_path: Path) -> User:
    return User(platform, tmp_path)


@pytest.fixture(scope="module")
def service(clients: Clients) -> Integrator:
    return a_service(clients)


@pytest.fixture(scope="module")
def manager(platform: Platform, people: People, service: Integrator) -> Person:
    return a_manager(platform, people, service)


def test_a_static_key_pulls(user: User, manager: Person, service: Integrator) -> None:
    key = a_key(manager, service, "static")["access_token"]
    said = user.gets("whoami", API_KEY=key)
    assert (said["way"], said["accepted"]) == ("static_key", True)
    assert key not in json.dumps(said)
    pulled = user.gets("pull", "--out", str(user.home / "out"), API_KEY=key)
    assert [file["table"] for file in pulled["files"]] == ["departments"]
    refused = user.runs("whoami", API_KEY=key[:-1] + ("A" if key[-1] != "A" else "Q"))
    assert (refused.returncode, "make a new key" in refused.stderr) == (3, True)


@pytest.mark.abuse(65)
def test_a_refresh_key_outlives_a_kill_between_its_exchange_and_the_disk(
    user: User, manager: Person, service: Integrator
) -> None:
    key = a_key(manager, service, "refresh")["refresh_token"]
    assert tables(user.gets("metadata", API_KEY=key)) == ["departments"]
    [kept] = user.tokens()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    for _ in range(2):
        held = json.loads(kept.read_text())
        kept.write_text(json.dumps({**held, "renew_at": 0}))
        killed = subprocess.run(
            [sys.executable, "-c", KILLED_BEFORE_IT_IS_STORED, user.platform.api_url, str(kept)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert json.loads(kept.read_text())["refresh_token"] == held["refresh_token"]
        assert tables(user.gets("metadata", API_KEY=key)) == ["departments"]
        assert json.loads(kept.read_text())["refresh_token"] != held["refresh_token"]


def test_commands_at_once_share_what_one_exchange_gave(
    user: User, manager: Person, service: Integrator
) -> None:
    key = a_key(manager, service, "refresh")["refresh_token"]
    ended = at_once(4, lambda _: user.runs("metadata", "--json", API_KEY=key))
    assert [done.returncode for done in ended] == [0] * 4, [done.stderr for done in ended]
    assert tables(user.gets("metadata", API_KEY=key)) == ["departments"]


def test_a_refresh_token_that_is_good_no_more_is_sent_once(
    user: User, manager: Person, service: Integrator
) -> None:
    made = a_key(manager, service, "refresh")
    login = ("login", "--api-key", "--service", service.client_id, "--secret-stdin")
    assert user.gets(*login, typed=made["refresh_token"])["clientId"] == service.client_id
    assert user.runs("quota").returncode == 0
    user.platform.call(
        "DELETE",
        f"/services/{service.client_id}/keys/{made['key_id']}",
        headers={"Authorization": f"Bearer {manager.token()}"},
    )
    refused, again = user.runs("quota"), user.runs("quota")
    assert (refused.returncode, "Log in again" in refused.stderr) == (3, True)
    assert (again.returncode, "is not sent again" in again.stderr) == (2, True)


def test_a_client_that_has_to_bind_its_tokens_is_told_how(user: User, clients: Clients) -> None:
    strict = clients.special(NORTHWIND, "departments", dpop_required=True)
    given = {"CLIENT_ID": strict.client_id, "CLIENT_SECRET": strict.client_secret}
    unbound = user.runs("metadata", **given)
    assert (unbound.returncode, "--dpop" in unbound.stderr) == (3, True)


def test_a_client_signs_with_its_key(user: User, clients: Clients) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = json.loads(ECAlgorithm.to_jwk(key.public_key())) | {"kid": "2026"}
    client = clients.special(NORTHWIND, "departments", jwks=json.dumps({"keys": [jwk]}))
    given = {"CLIENT_ID": client.client_id, "PRIVATE_KEY_FILE": str(user.keeps(key))}
    assert tables(user.gets("metadata", **given, PRIVATE_KEY_ID="2026")) == ["departments"]
    misnamed = user.runs("metadata", **given)
    assert (misnamed.returncode, "headrace whoami" in misnamed.stderr) == (3, True)


def test_a_client_shows_its_certificate_at_the_token_endpoint(user: User, clients: Clients) -> None:
    client = clients.special(
        NORTHWIND, "departments", tls_client_auth_subject_dn="CN=exports,O=Acme"
    )
    key = ec.generate_private_key(ec.SECP256R1())
    with another_authority(user.platform) as authority:
        place = user.keeps(key, certified(authority, key, ("O", "Acme"), ("CN", "exports")))
        given = {**user.over_tls(), "CLIENT_ID": client.client_id}
        bound = user.gets("whoami", **given, CERTIFICATE_FILE=str(place), DPOP="1")
        assert (bound["way"], bound["accepted"]) == ("tls_client_auth", True)
        pull = ("pull", "--out", str(user.home / "out"))
        pulled = user.gets(*pull, **given, CERTIFICATE_FILE=str(place))
        assert [file["table"] for file in pulled["files"]] == ["departments"]


def test_a_service_shows_the_certificate_of_its_key(
    user: User, manager: Person, service: Integrator
) -> None:
    made = a_key(manager, service, "certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    request = a_request(("OU", made["ou"]), ("CN", made["cn"]), key=key).decode()
    reply = user.platform.call(
        "POST",
        f"/services/{service.client_id}/keys/{made['key_id']}/certificate",
        headers={"Authorization": f"Bearer {manager.token()}"},
        json={"csr": request},
    )
    assert reply.status_code == 200, reply.text
    place = user.keeps(key, reply.json()["certificate"])
    shown = {**user.over_tls(), "CERTIFICATE_FILE": str(place)}
    assert tables(user.gets("metadata", **shown)) == ["departments"]
    wrong_domain = user.runs("metadata", CERTIFICATE_FILE=str(place))
    assert (wrong_domain.returncode, "encrypted" in wrong_domain.stderr) == (2, True)
    nobodys = user.keeps(key, certified(key, key, ("CN", "nobody")))
    stranger = user.runs("metadata", **user.over_tls(), CERTIFICATE_FILE=str(nobodys))
    # The front of this platform ends the connection without a word.
    assert (stranger.returncode, "does not take" in stranger.stderr) == (5, True)


def test_a_person_logs_in_goes_on_and_logs_out(
    user: User, manager: Person, service: Integrator
) -> None:
    login = ("login", "--username", manager.username, "--dpop", "--secret-stdin")
    wrong = user.runs(*login, typed="wrong\n")
    assert (wrong.returncode, user.tokens()) == (3, [])
    assert user.gets(*login, typed=manager.password)["clientId"] == manager.username
    keys = f"/services/{service.client_id}/keys"
    assert "keys" in user.gets("call", "GET", keys)
    [kept] = user.tokens()
    held = json.loads(kept.read_text())
    kept.write_text(json.dumps({**held, "renew_at": 0}))
    assert "keys" in user.gets("call", "GET", keys)
    newest = json.loads(kept.read_text())["refresh_token"]
    assert newest != held["refresh_token"]
    for secret in (newest, manager.password):
        assert secret not in (user.home / ".config/headrace/config.json").read_text()
    assert "ended at the service" in user.runs("logout").stdout
    assert user.tokens() == []
    form = {"grant_type": "refresh_token", "refresh_token": newest}
    assert user.platform.call("POST", "/connect/token", data=form).status_code == 400


def test_a_broker_names_whom_it_calls_for(user: User, clients: Clients) -> None:
    broker = clients.special(NORTHWIND, "departments", service=Service("broker"))
    given = {"CLIENT_ID": broker.client_id, "CLIENT_SECRET": broker.client_secret}
    deployment = user.platform.deployment
    consents = Tables(deployment.consents().table, deployment.catalogs().table, SystemClock())
    clinic = f"clinic-{broker.client_id}"
    refused = user.runs("metadata", "--on-behalf", clinic, **given)
    assert (refused.returncode, "has joined the broker" in refused.stderr) == (3, True)
    consents.organise(NORTHWIND, clinic)
    consents.begin(NORTHWIND, f"broker#{broker.client_id}", clinic)
    assert tables(user.gets("metadata", "--on-behalf", clinic, **given)) == ["departments"]
    assert user.gets("whoami", ON_BEHALF=clinic, **given)["onBehalf"] == clinic
