"""The page at /docs in a real browser: signing in by each kind of credential, trying calls."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from playwright.sync_api import Browser, Dialog, expect

from headrace.kernel.clock import SystemClock
from reference.document import text
from tests.component.consents.tables import Tables
from tests.system.browser import browser as a_browser
from tests.system.conftest import NORTHWIND, Clients, People
from tests.system.deployed import Integrator, Platform
from tests.system.managed import Managed, a_managed_service
from tests.system.mutual_tls import another_authority, certified
from tests.system.reference.debugger import (
    CERTIFICATE,
    LOGIN,
    REFRESH,
    SECRET,
    TOKEN,
    Debugger,
    opened,
)

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for all of them."""
    with a_browser() as started:
        yield started


@pytest.fixture
def debugger(platform: Platform, browser: Browser) -> Iterator[Debugger]:
    """The page, in a window that knows nothing yet."""
    with opened(browser, platform.api_url) as page:
        yield page


@pytest.fixture
def managed(platform: Platform, clients: Clients, people: People, tmp_path: Path) -> Managed:
    """A service with a manager."""
    return a_managed_service(platform, clients, people, tmp_path)


def by_secret(integrator: Integrator) -> Any:
    """What the form asks a client for."""
    return {"client_id": integrator.client_id, "client_secret": integrator.client_secret}


def run(curl: str) -> bytes:
    """What the line prints, pasted into a shell."""
    line = f"{curl} --silent --show-error --fail-with-body"
    done = subprocess.run(["sh", "-c", line], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


# --- each kind of credential ------------------------------------------------------------------


def test_a_client_signs_in_by_its_secret_and_calls(
    debugger: Debugger, integrator: Integrator
) -> None:
    assert debugger.tries("get_metadata").status == 401
    debugger.signs_in(SECRET, **by_secret(integrator))
    expect(debugger.standing).to_contain_text("youforce-data-api:metadata:read")
    tried = debugger.tries("get_metadata")
    assert (tried.status, tried.json["tenant"]) == (200, NORTHWIND)


def test_a_token_is_bound_to_a_key_of_the_page(debugger: Debugger, clients: Clients) -> None:
    strict = clients.special(NORTHWIND, "cost_centres", dpop_required=True)
    debugger.tries_to_sign_in(SECRET, **by_secret(strict))
    expect(debugger.standing).to_contain_text("invalid_dpop_proof: Send exactly one")
    debugger.signs_in(SECRET, bound=True, **by_secret(strict))
    tried = debugger.tries("get_metadata")
    assert tried.status == 200
    assert "Authorization: DPoP ACCESS_TOKEN" in tried.curl
    assert "DPoP: DPOP_PROOF" in tried.curl
    # Every call has a proof of its own: none is taken twice.
    assert debugger.tries("get_metadata").status == 200
    assert debugger.tries("list_operations").status == 200
    assert "eyJ" not in debugger.shown()


def test_a_service_calls_with_its_static_key(debugger: Debugger, managed: Managed) -> None:
    key = managed.key("static")["access_token"]
    debugger.signs_in(TOKEN, token=key)
    assert debugger.tries("get_metadata").status == 200


def test_a_refresh_token_is_exchanged_and_the_next_one_given_out(
    debugger: Debugger, managed: Managed
) -> None:
    token = managed.key("refresh")["refresh_token"]
    debugger.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    debugger.signs_in(REFRESH, refresh_token=token)
    assert debugger.tries("get_metadata").status == 200
    second = debugger.page.get_by_label("The next refresh token").input_value()
    assert second not in {"", token}
    debugger.page.get_by_role("button", name="Renew").click()
    next_token = debugger.page.get_by_label("The next refresh token")
    expect(next_token).not_to_have_value(second)
    assert debugger.tries("get_metadata").status == 200

    # Nobody else has the third: the page is not left before it is copied.
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    debugger.page.on("dialog", stay)
    debugger.page.get_by_role("button", name="Sign out").click()
    assert asked == ["beforeunload"]
    expect(debugger.standing).to_contain_text("Signed in")
    debugger.page.get_by_role("button", name="Copy", exact=True).click()
    third = debugger.page.evaluate("() => navigator.clipboard.readText()")
    assert third == next_token.input_value()
    debugger.page.get_by_role("button", name="Sign out").click()
    expect(debugger.standing).to_contain_text("Not signed in")
    debugger.signs_in(REFRESH, refresh_token=third, bound=True)
    assert debugger.tries("get_metadata").status == 200
    debugger.page.get_by_role("button", name="Copy", exact=True).click()


def test_an_access_token_is_pasted(debugger: Debugger, integrator: Integrator) -> None:
    debugger.signs_in(TOKEN, token=integrator.token())
    assert debugger.tries("get_metadata").status == 200


@pytest.mark.parametrize("bound", [False, True])
def test_a_person_logs_in(debugger: Debugger, managed: Managed, bound: bool) -> None:
    person = managed.manager
    debugger.signs_in(LOGIN, bound=bound, username=person.username, password=person.password)
    tried = debugger.tries("list_keys", serviceId=managed.service)
    assert (tried.status, tried.json) == (200, {"keys": []})
    debugger.page.get_by_role("button", name="Renew").click()
    expect(debugger.standing).to_contain_text("Signed in")
    assert debugger.tries("list_keys", serviceId=managed.service).status == 200


def test_a_service_calls_with_the_certificate_that_the_browser_holds(
    platform: Platform, browser: Browser, managed: Managed
) -> None:
    managed.certificate(managed.key())
    url = platform.about["mutual_tls"]["url"]
    with opened(browser, url, **holding(managed.folder, url)) as debugger:
        debugger.signs_in(CERTIFICATE)
        tried = debugger.tries("get_metadata")
        assert tried.status == 200
        assert "--cert 'client_certificate.pem' --key 'client_certificate.key'" in tried.curl
        assert "Authorization: Bearer client-certificate" in tried.curl
        # Proofs name the URL that the API has for the world, whatever host the page came from.
        person = managed.manager
        debugger.page.get_by_role("button", name="Sign out").click()
        login = {"username": person.username, "password": person.password}
        debugger.signs_in(LOGIN, bound=True, **login)
        assert debugger.tries("list_keys", serviceId=managed.service).status == 200


def test_a_client_gets_a_token_by_the_certificate_that_the_browser_holds(
    platform: Platform, clients: Clients, browser: Browser, tmp_path: Path
) -> None:
    client = clients.special(tls_client_auth_subject_dn="CN=exports,O=Acme")
    url = platform.about["mutual_tls"]["url"]
    key = ec.generate_private_key(ec.SECP256R1())
    with another_authority(platform) as authority:
        pem = certified(authority, key, ("O", "Acme"), ("CN", "exports"))
        (tmp_path / "client_certificate.pem").write_text(pem)
        (tmp_path / "client_certificate.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        with opened(browser, url, **holding(tmp_path, url)) as debugger:
            debugger.signs_in(CERTIFICATE, client_id=client.client_id)
            assert debugger.tries("get_metadata").status == 200


def holding(folder: Path, url: str) -> dict[str, Any]:
    """A browser that holds the certificate in the folder for the host."""
    certificate = {
        "origin": url,
        "certPath": folder / "client_certificate.pem",
        "keyPath": folder / "client_certificate.key",
    }
    return {"client_certificates": [certificate], "ignore_https_errors": True}


def test_a_broker_names_the_organisation_that_it_calls_for(
    platform: Platform,
    clients: Clients,
    people: People,
    debugger: Debugger,
    tmp_path: Path,
) -> None:
    broker = a_managed_service(platform, clients, people, tmp_path, kind="broker")
    deployment = platform.deployment
    consents = Tables(deployment.consents().table, deployment.catalogs().table, SystemClock())
    clinic = f"clinic-{broker.service}"
    consents.organise(NORTHWIND, clinic)
    consents.begin(NORTHWIND, f"broker#{broker.service}", clinic)
    debugger.signs_in(TOKEN, token=broker.key("static")["access_token"])
    organisation = debugger.page.get_by_label("organisation (grp)")
    organisation.fill(clinic)
    tried = debugger.tries("get_metadata")
    assert tried.status == 200
    assert f"Authorization: Bearer ACCESS_TOKEN; grp={clinic}'" in tried.curl
    organisation.fill("somebody-elses")
    tried = debugger.tries("get_metadata")
    assert (tried.status, tried.json["code"]) == (403, "organisation_not_allowed")


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.abuse(21)
def test_a_wrong_secret_is_told_with_the_correlation_id_of_the_reply(
    debugger: Debugger, integrator: Integrator
) -> None:
    with debugger.page.expect_response("**/connect/token") as reply:
        debugger.tries_to_sign_in(SECRET, client_id=integrator.client_id, client_secret="hr_wrong")
    expect(debugger.standing).to_contain_text("invalid_client: The client is unknown, or its proof")
    expect(debugger.standing).to_contain_text(reply.value.headers["x-correlation-id"])
    expect(debugger.standing).to_be_focused()
    debugger.signs_in(SECRET, **by_secret(integrator))


@pytest.mark.parametrize(
    ("way", "fields", "message"),
    [
        (TOKEN, {"token": "hrk_nobodys"}, "correlation id"),
        (REFRESH, {"refresh_token": "hrr_nobodys"}, "invalid_grant"),
        (LOGIN, {"username": "nobody@northwind.example", "password": "wrong"}, "correlation id"),
    ],
    ids=["token", "refresh token", "login"],
)
def test_what_is_nobodys_signs_nobody_in(
    debugger: Debugger, way: str, fields: Any, message: str
) -> None:
    debugger.tries_to_sign_in(way, **fields)
    expect(debugger.standing).to_contain_text(message)
    expect(debugger.page.get_by_role("button", name="Sign in")).to_be_visible()
    assert debugger.tries("get_metadata").status == 401


def test_a_refused_call_is_shown_with_its_problem_and_its_correlation_id(
    debugger: Debugger, integrator: Integrator
) -> None:
    debugger.signs_in(SECRET, **by_secret(integrator))
    tried = debugger.tries("get_export_status", operationId="01jd3x9v6p4m8c2t7r5w0k1nqz")
    assert (tried.status, tried.json["code"]) == (404, "not_found")
    assert f"x-correlation-id: {tried.json['correlationId']}" in tried.headers


# --- the request as curl ----------------------------------------------------------------------


def test_the_line_for_curl_has_no_secret_until_it_is_asked_for_and_then_it_runs(
    debugger: Debugger, integrator: Integrator
) -> None:
    debugger.signs_in(TOKEN, token=integrator.token())
    tried = debugger.tries("get_metadata")
    assert "Authorization: Bearer ACCESS_TOKEN'" in tried.curl
    assert integrator.token() not in debugger.shown()
    tried.show_secrets()
    assert f"Authorization: Bearer {integrator.token()}'" in tried.curl
    assert json.loads(run(tried.curl)) == tried.json


def test_bodies_and_paths_have_their_secrets_replaced_too(
    debugger: Debugger, integrator: Integrator
) -> None:
    tried = debugger.tries(
        "issue_token", client_id=integrator.client_id, client_secret=integrator.client_secret
    )
    assert tried.status == 200
    assert f"client_id={integrator.client_id}&client_secret=CLIENT_SECRET'" in tried.curl
    tried.show_secrets()
    assert json.loads(run(tried.curl))["token_type"] == "Bearer"

    body = json.dumps({"username": "nobody@example.com", "password": 'can"ary'})
    tried = debugger.tries("log_in", body=body)
    assert (tried.status, "can" in tried.curl) == (401, False)
    assert '"password": "PASSWORD"' in tried.curl
    tried = debugger.tries("log_in", body='{"password":"canary')
    assert (tried.status, "canary" in tried.curl) == (400, False)

    tried = debugger.tries("take_credential", token="canary")
    assert "/credentials/TOKEN'" in tried.curl


def test_an_export_is_made_and_its_document_fetched_by_the_line_for_curl(
    debugger: Debugger, clients: Clients
) -> None:
    integrator = clients.special(NORTHWIND, "cost_centres")
    debugger.signs_in(SECRET, **by_secret(integrator))
    started = debugger.tries("start_full_export", body='{"fileFormat": "csv"}')
    assert started.status == 202
    operation = started.json["operationId"]
    integrator.ended(operation)
    [job] = debugger.tries("get_export_status", operationId=operation).json["jobs"]
    tried = debugger.tries("download_job", jobId=job["jobId"])
    assert (tried.status, "The curl line does" in tried.text) == (303, True)
    tried.show_secrets()
    assert run(tried.curl) == integrator.document(job["jobId"])


def test_a_call_says_which_scope_it_needs(debugger: Debugger) -> None:
    described = debugger.tries("get_metadata").operation.locator(".opblock-description")
    expect(described).to_contain_text("Needs the scope youforce-data-api:metadata:read.")


def test_without_its_description_the_page_says_so(
    debugger: Debugger,
) -> None:
    debugger.page.route("**/openapi.json", lambda route: route.fulfill(status=503))
    debugger.page.reload()
    expect(debugger.standing).to_contain_text("The description is not there (status 503)")
    expect(debugger.page.get_by_role("button", name="Sign in")).to_be_disabled()
    debugger.violations.clear()


def test_every_call_of_the_description_can_be_tried(debugger: Debugger) -> None:
    for item in json.loads(text())["paths"].values():
        for operation in item.values():
            name = operation["operationId"]
            expect(debugger.page.locator(f"[id$='-{name}'].opblock")).to_be_visible()


# --- what is kept -----------------------------------------------------------------------------


def test_nothing_is_stored_and_nothing_secret_left_after_signing_out(
    debugger: Debugger, people: People, integrator: Integrator
) -> None:
    tried = debugger.tries(
        "issue_token", client_id=integrator.client_id, client_secret=integrator.client_secret
    )
    secrets = [integrator.client_secret, tried.json["access_token"]]
    debugger.signs_in(TOKEN, token=integrator.token())
    debugger.tries("get_metadata").show_secrets()
    shown = debugger.shown()
    assert [one for one in (*secrets, integrator.token()) if one not in shown] == []
    assert debugger.stored() == []
    debugger.page.get_by_role("button", name="Sign out").click()
    expect(debugger.standing).to_contain_text("Not signed in")
    expect(debugger.page.get_by_role("button", name="Sign in")).to_be_enabled()
    shown = debugger.shown()
    assert [one for one in (*secrets, integrator.token()) if one in shown] == []
    assert debugger.stored() == []
    assert debugger.tries("get_metadata").status == 401
    debugger.page.go_back()
    assert integrator.token() not in debugger.shown()


def test_the_form_is_empty_once_somebody_is_signed_in(
    debugger: Debugger, integrator: Integrator
) -> None:
    debugger.signs_in(SECRET, **by_secret(integrator))
    assert integrator.client_secret not in debugger.shown()


# --- for everybody ----------------------------------------------------------------------------


def test_the_page_is_used_by_keyboard_alone(debugger: Debugger, integrator: Integrator) -> None:
    keyboard, focused = debugger.page.keyboard, debugger.page.locator(":focus")

    def tab_to(what: str) -> None:
        for _ in range(200):
            keyboard.press("Tab")
            if focused.evaluate(f"e => e.matches({what!r})"):
                return
        pytest.fail(f"Tab never comes to {what}")

    tab_to("#kind")
    tab_to("#client_id")
    keyboard.type(integrator.client_id)
    tab_to("#client_secret")
    keyboard.type(integrator.client_secret)
    keyboard.press("Enter")
    expect(debugger.standing).to_contain_text("Signed in")
    expect(debugger.standing).to_be_focused()
    operation = "#operations-exports-get_metadata"
    tab_to(f"{operation} .opblock-summary-control")
    keyboard.press("Enter")
    tab_to(f"{operation} .execute")
    keyboard.press("Enter")
    expect(debugger.page.locator(f"{operation} .live-responses-table")).to_contain_text(NORTHWIND)
    tab_to(f"{operation} .with-secrets input")
    keyboard.press("Space")
    expect(debugger.page.locator(f"{operation} .curl-command")).to_contain_text("Bearer eyJ")


def test_the_page_is_read_on_a_phone_without_scrolling_sideways(
    platform: Platform, browser: Browser, integrator: Integrator
) -> None:
    phone = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
    with opened(browser, platform.api_url, **phone) as debugger:
        debugger.signs_in(SECRET, **by_secret(integrator))
        debugger.tries("get_metadata").show_secrets()
        debugger.tries("issue_token")
        width = debugger.page.evaluate("() => document.documentElement.scrollWidth")
        assert width == 360
