"""Ways to prove who calls, by the command as a process; lost answers, kills and mistakes too."""

from __future__ import annotations

import json
import stat
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from tests.component.client.service import CLIENT_ID, CLIENT_SECRET
from tests.component.client.test_command import COMMAND, DEADLINE, an_environment, headrace, until
from tests.component.client.tls import TlsServer, a_pem
from tests.component.client.ways import PASSWORD, USERNAME, KeyService


def with_key(service: KeyService, home: Path, key: str, **more: str) -> dict[str, str]:
    """An environment with an API key."""
    held = an_environment(None, home) | {"HEADRACE_API_URL": service.api_url}
    return held | {"HEADRACE_API_KEY": key, **more}


def with_secret(service: KeyService, home: Path, **more: str) -> dict[str, str]:
    """An environment with a client's secret."""
    held = an_environment(None, home) | {"HEADRACE_API_URL": service.api_url}
    return held | {
        "HEADRACE_CLIENT_ID": CLIENT_ID,
        "HEADRACE_CLIENT_SECRET": CLIENT_SECRET,
        **more,
    }


def state(home: Path) -> Path:
    return home / ".local" / "state" / "headrace"


def kept(home: Path) -> Path:
    """The one file with a refresh token."""
    [file] = (state(home) / "tokens").glob("*.json")
    return file


def worn_out(home: Path) -> dict[str, Any]:
    """What is kept, once its access token has come to its end."""
    held: dict[str, Any] = json.loads(kept(home).read_text()) | {"renew_at": 0}
    kept(home).write_text(json.dumps(held))
    return held


def test_a_static_key_is_sent_as_it_is_and_shown_to_nobody(tmp_path: Path) -> None:
    with KeyService() as service:
        key = service.a_static_key()
        environment = with_key(service, tmp_path, key)
        done = headrace(environment, "whoami")
        assert done.returncode == 0, done.stderr
        assert "static API key" in done.stdout
        assert service.calls("POST", "/connect/token") == []
        service.static_keys.clear()
        service.forget_requests()
        refused = headrace(environment, "whoami")
        assert (refused.returncode, "make a new key" in refused.stderr) == (3, True)
        assert len(service.api_requests) == 1
        for said in (done, refused):
            assert key not in said.stdout + said.stderr


def test_a_refresh_key_goes_on_from_run_to_run_and_is_kept_from_others(tmp_path: Path) -> None:
    with KeyService() as service:
        key = service.a_refresh_key()
        environment = with_key(service, tmp_path, key)
        for _ in range(3):
            assert headrace(environment, "quota").returncode == 0
            worn_out(tmp_path)
        assert len(service.exchanges) == 3
        assert kept(tmp_path).stat().st_mode & 0o077 == 0
        assert stat.S_IMODE(kept(tmp_path).parent.stat().st_mode) == 0o700
        assert not service.family(key).revoked
        said = headrace(environment, "whoami", "--json").stdout
        assert json.loads(said)["way"] == "refresh_key"
        assert service.family(key).current not in said
        kept(tmp_path).chmod(0o644)
        refused = headrace(environment, "quota")
        assert (refused.returncode, "chmod 600" in refused.stderr) == (2, True)


def test_an_access_token_serves_all_commands_until_its_end(tmp_path: Path) -> None:
    with KeyService() as service:
        environment = with_key(service, tmp_path, service.a_refresh_key())
        for _ in range(2):
            assert headrace(environment, "quota").returncode == 0
        assert len(service.exchanges) == 1
        service.revoke_tokens()  # before its time: then the refresh token helps
        assert headrace(environment, "quota").returncode == 0
        assert len(service.exchanges) == 2


def test_commands_that_come_together_exchange_once(tmp_path: Path) -> None:
    with KeyService() as service:
        key = service.a_refresh_key()
        environment = with_key(service, tmp_path, key)
        with ThreadPoolExecutor(6) as pool:
            ended = list(pool.map(lambda _: headrace(environment, "quota"), range(6)))
        assert [done.returncode for done in ended] == [0] * 6, [done.stderr for done in ended]
        assert len(service.exchanges) == 1
        assert not service.family(key).revoked


@pytest.mark.abuse(65)
def test_an_exchange_whose_answer_is_lost_is_repeated_by_its_idempotency_key(
    tmp_path: Path,
) -> None:
    with KeyService() as service:
        key = service.a_refresh_key()
        service.lose_answers = 1
        done = headrace(with_key(service, tmp_path, key), "quota")
        assert done.returncode == 0, done.stderr
        assert len(service.exchanges) == 2
        assert len(set(service.exchanges)) == 1
        assert len(service.exchanges[0][1]) >= 32
        assert not service.family(key).revoked


def test_killed_while_the_service_exchanges_the_next_command_repeats_it(tmp_path: Path) -> None:
    with KeyService() as service:
        key = service.a_refresh_key()
        environment = with_key(service, tmp_path, key)
        release = service.hold = threading.Event()
        with subprocess.Popen([*COMMAND, "quota"], env=environment) as process:
            until(lambda: len(service.exchanges) == 1 and service.hold is None)
            process.kill()
        release.set()
        assert service.family(key).current != key
        again = headrace(environment, "quota")
        assert again.returncode == 0, again.stderr
        assert len(set(service.exchanges)) == 1
        worn_out(tmp_path)
        assert headrace(environment, "quota").returncode == 0
        assert not service.family(key).revoked


def test_a_refresh_token_that_was_refused_is_not_sent_again(tmp_path: Path) -> None:
    with KeyService() as service:
        key = service.a_refresh_key()
        environment = with_key(service, tmp_path, key)
        service.family(key).revoked = True
        first, second = headrace(environment, "quota"), headrace(environment, "quota")
        assert (first.returncode, "Log in again" in first.stderr) == (3, True)
        assert (second.returncode, "is not sent again" in second.stderr) == (2, True)
        assert len(service.exchanges) == 1
        another = with_key(service, tmp_path, service.a_refresh_key())
        assert headrace(another, "quota").returncode == 0


def test_login_keeps_a_refresh_key_where_its_followers_will_be(tmp_path: Path) -> None:
    with KeyService() as service:
        key = service.a_refresh_key()
        environment = an_environment(None, tmp_path)
        login = ("login", "--api-url", service.api_url, "--api-key", "--service", "wellness-app")
        done = headrace(environment, *login, "--secret-stdin", typed=f"{key}\n")
        assert done.returncode == 0, done.stderr
        assert "as wellness-app" in done.stdout
        config = tmp_path / "config" / "headrace" / "config.json"
        assert key not in config.read_text() + kept(tmp_path).read_text()
        worn_out(tmp_path)
        assert headrace(environment, "quota").returncode == 0
        out = headrace(environment, "logout")
        assert "have a manager revoke it" in out.stdout
        assert list((state(tmp_path) / "tokens").glob("*.json")) == []


def test_a_person_logs_in_goes_on_and_logs_out(tmp_path: Path) -> None:
    with KeyService() as service:
        environment = an_environment(None, tmp_path)
        login = ("login", "--api-url", service.api_url, "--username", USERNAME, "--secret-stdin")
        wrong = headrace(environment, *login, typed="a wrong one\n")
        assert (wrong.returncode, "do not fit" in wrong.stderr) == (3, True)
        assert len(service.calls("POST", "/login")) == 1  # each try counts there
        right = headrace(environment, *login, typed=f"{PASSWORD}\n")
        assert right.returncode == 0, right.stderr
        assert service.exchanges == []
        token = json.loads(kept(tmp_path).read_text())["refresh_token"]
        config = (tmp_path / "config" / "headrace" / "config.json").read_text()
        for secret in (PASSWORD, token):
            assert secret not in right.stdout + right.stderr + config
        worn_out(tmp_path)
        assert headrace(environment, "quota").returncode == 0
        assert len(service.exchanges) == 1
        again = headrace(environment, *login, typed=f"{PASSWORD}\n")
        assert again.returncode == 0, again.stderr
        assert service.family(token).revoked  # the login that the new one replaces
        newest = json.loads(kept(tmp_path).read_text())["refresh_token"]
        assert "ended at the service" in headrace(environment, "logout").stdout
        assert service.family(newest).revoked


def test_a_login_that_cannot_be_ended_there_is_forgotten_here(tmp_path: Path) -> None:
    environment = an_environment(None, tmp_path)
    with KeyService() as service:
        login = ("login", "--api-url", service.api_url, "--username", USERNAME, "--secret-stdin")
        assert headrace(environment, *login, typed=f"{PASSWORD}\n").returncode == 0
    out = headrace(environment, "logout")
    assert (out.returncode, "could not be told" in out.stdout) == (0, True)
    assert list((state(tmp_path) / "tokens").glob("*.json")) == []
    assert "Not logged in" in headrace(environment, "quota").stderr


@pytest.mark.parametrize("key", ["own", "given"])
def test_tokens_are_bound_to_a_key_and_nonces_are_answered(tmp_path: Path, key: str) -> None:
    bound = {"HEADRACE_DPOP": "1"}
    if key == "given":
        place = a_pem(tmp_path / "mine.pem", "me")
        bound = {"HEADRACE_DPOP_KEY_FILE": str(place)}
    with KeyService() as service:
        service.nonce = "first"
        environment = with_secret(service, tmp_path, **bound)
        done = headrace(environment, "metadata")
        assert done.returncode == 0, done.stderr
        assert {claims["nonce"] for claims in service.proofs} == {"first"}
        assert len({claims["jti"] for claims in service.proofs}) == len(service.proofs)
        service.nonce = "second"
        assert headrace(environment, "quota").returncode == 0
    if key == "own":
        assert stat.S_IMODE((state(tmp_path) / "dpop.pem").stat().st_mode) == 0o600


def test_commands_that_come_together_make_one_key(tmp_path: Path) -> None:
    with KeyService() as service:
        environment = with_secret(service, tmp_path, HEADRACE_DPOP="1")
        with ThreadPoolExecutor(4) as pool:
            ended = list(pool.map(lambda _: headrace(environment, "whoami", "--json"), range(4)))
        assert len({json.loads(done.stdout)["boundTo"] for done in ended}) == 1
        assert [path.name for path in state(tmp_path).iterdir()] == ["dpop.pem"]


def test_a_bound_refresh_key_is_not_sent_with_another_key(tmp_path: Path) -> None:
    with KeyService() as service:
        key = service.a_refresh_key()
        bound = with_key(service, tmp_path, key, HEADRACE_DPOP="1")
        assert headrace(bound, "quota").returncode == 0
        worn_out(tmp_path)
        (state(tmp_path) / "dpop.pem").unlink()
        for other in (bound, with_key(service, tmp_path, key)):
            refused = headrace(other, "quota")
            assert (refused.returncode, "bound to the key" in refused.stderr) == (2, True)
        assert len(service.exchanges) == 1


def test_the_organisation_follows_whatever_proves_the_broker(tmp_path: Path) -> None:
    with KeyService() as service:
        key = service.a_static_key()
        environment = with_key(service, tmp_path, key)
        assert headrace(environment, "quota", "--on-behalf", "clinic-7").returncode == 0
        sent = service.api_requests[-1].headers["authorization"]
        assert sent == f"Bearer {key}; grp=clinic-7"
        named = environment | {"HEADRACE_ON_BEHALF": "clinic-8"}
        assert json.loads(headrace(named, "whoami", "--json").stdout)["onBehalf"] == "clinic-8"
        wrong = headrace(environment, "quota", "--on-behalf", "a; grp=b")
        assert (wrong.returncode, "no organisation's id" in wrong.stderr) == (2, True)


def test_what_was_begun_for_one_organisation_is_not_gone_on_with_for_another(
    tmp_path: Path,
) -> None:
    with KeyService() as service:
        service.ends_as = "failed"
        environment = with_key(service, tmp_path, service.a_static_key())
        out = ("pull", "--out", str(tmp_path / "out"))
        assert headrace(environment, *out, "--on-behalf", "clinic-7").returncode == 1
        other = headrace(environment, *out, "--on-behalf", "clinic-8")
        assert (other.returncode, "unfinished pull" in other.stderr) == (2, True)


def test_any_call_can_be_made(tmp_path: Path) -> None:
    with KeyService() as service:
        environment = with_key(service, tmp_path, service.a_static_key())
        done = headrace(environment, "call", "get", "/data/v1/operations?pageSize=1")
        assert json.loads(done.stdout)["operations"] == []
        started = headrace(
            environment, "call", "POST", "/data/v1/fulldata", "--body-stdin", typed="{}"
        )
        assert json.loads(started.stdout)["operationId"] == "op-0001"
        for arguments, typed in (
            (("GET", "data/v1/operations"), ""),
            (("FETCH", "/data/v1/operations"), ""),
            (("POST", "/data/v1/fulldata", "--body-stdin"), "[]"),
        ):
            wrong = headrace(environment, "call", *arguments, typed=typed)
            assert (wrong.returncode, wrong.stdout) == (2, "")


# --- files that are not what they should be ---------------------------------------------------


def test_a_server_that_does_not_take_the_certificate_says_so_at_once(tmp_path: Path) -> None:
    ours, nobodys = a_pem(tmp_path / "ours.pem", "ours"), a_pem(tmp_path / "other.pem", "other")
    with TlsServer(tmp_path, trusted=ours) as server:
        environment = an_environment(None, tmp_path) | {
            "HEADRACE_API_URL": server.url,
            "SSL_CERT_FILE": str(server.certificate),
        }
        known = {"HEADRACE_CERTIFICATE_FILE": str(ours)}
        assert headrace(environment | known, "whoami").returncode == 0
        assert server.authorizations == ["Bearer client-certificate"]
        stranger = {"HEADRACE_CERTIFICATE_FILE": str(nobodys)}
        refused = headrace(environment | stranger, "whoami")
        assert (refused.returncode, "does not take that in" in refused.stderr) == (3, True)
        nothing = {"HEADRACE_API_KEY": "hrk_1_x"}
        refused = headrace(environment | nothing, "whoami")
        assert (refused.returncode, "HEADRACE_CERTIFICATE_FILE" in refused.stderr) == (3, True)


def test_files_that_are_none_are_told_apart(tmp_path: Path) -> None:
    one, other = a_pem(tmp_path / "one.pem", "one"), a_pem(tmp_path / "other.pem", "other")
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    sealed = tmp_path / "sealed.pem"
    secret = ec.generate_private_key(ec.SECP256R1())
    sealed.write_bytes(
        secret.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"the passphrase")
        )
    )
    wide = tmp_path / "wide.pem"
    wide.write_bytes(
        ec.generate_private_key(ec.SECP384R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
        )
    )
    environment = an_environment(None, tmp_path) | {"HEADRACE_API_URL": "https://127.0.0.1:9"}
    client = {"HEADRACE_CLIENT_ID": "me"}
    cases: list[tuple[dict[str, str], str]] = [
        ({"HEADRACE_CERTIFICATE_FILE": "nowhere.pem"}, "There is no file nowhere.pem"),
        ({"HEADRACE_CERTIFICATE_FILE": str(empty)}, "holds no certificate"),
        (
            {
                "HEADRACE_CERTIFICATE_FILE": str(one),
                "HEADRACE_CERTIFICATE_KEY_FILE": str(other),
            },
            "is not that of the certificate",
        ),
        (
            {
                "HEADRACE_CERTIFICATE_FILE": str(one),
                "HEADRACE_CERTIFICATE_KEY_FILE": str(sealed),
            },
            "HEADRACE_KEY_PASSPHRASE",
        ),
        ({**client, "HEADRACE_PRIVATE_KEY_FILE": "nowhere.pem"}, "cannot be read"),
        ({**client, "HEADRACE_PRIVATE_KEY_FILE": str(empty)}, "holds no private key"),
        ({**client, "HEADRACE_PRIVATE_KEY_FILE": str(sealed)}, "give its passphrase in"),
        (
            {
                **client,
                "HEADRACE_PRIVATE_KEY_FILE": str(wide),
                "HEADRACE_KEY_PASSPHRASE": "x",
            },
            "make a P-256 key",
        ),
        ({"HEADRACE_API_KEY": "hr_a-secret-of-a-client"}, "This is no API key"),
        ({"HEADRACE_API_KEY": "hrk_1_x", "HEADRACE_DPOP": "1"}, "cannot be bound"),
        ({"HEADRACE_API_KEY": "hrk_1_x", **client, "HEADRACE_CLIENT_SECRET": "x"}, "leave one"),
        ({"HEADRACE_CERTIFICATE_KEY_FILE": str(one), **client}, "lacks"),
    ]
    for given, said in cases:
        done = headrace(environment | given, "whoami")
        assert (done.returncode, said in done.stderr) == (2, True), (given, done.stderr)
        assert "Traceback" not in done.stderr


def test_a_damaged_token_file_says_to_log_in_again(tmp_path: Path) -> None:
    with KeyService() as service:
        environment = with_key(service, tmp_path, service.a_refresh_key())
        assert headrace(environment, "quota").returncode == 0
        kept(tmp_path).write_text("{")
        done = headrace(environment, "quota")
        assert (done.returncode, "is damaged" in done.stderr) == (2, True)


def test_no_secret_is_in_any_argument_of_the_commands() -> None:
    helped = subprocess.run(
        [*COMMAND, "login", "--help"], capture_output=True, text=True, timeout=DEADLINE, check=True
    ).stdout
    for option in ("--secret ", "--password", "--client-secret"):
        assert option not in helped
    for variable in ("HEADRACE_CLIENT_SECRET", "HEADRACE_API_KEY", "HEADRACE_PASSWORD"):
        assert variable in helped
