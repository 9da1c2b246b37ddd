"""`make demo-profiles`: a vendor asks for access, is let in, and pushes athletes into a tenant.

The operator's part is done by the operator's command, the vendor's by the integrator's package,
with the secret that the link showed.
"""

import json
import shlex
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import httpx
from rich.console import Console

from headrace.identity.access_requests import Evidence
from headrace_admin.deployment import Deployment
from headrace_client import HeadraceClient
from local.home import CHECKOUT, Home, LocalFailure
from local.provision import SAMPLE_USER

TENANT, CLIENT = "northwind-care", "athlete-system"
EVIDENCE = "From: office@northwind.example. Our athletes' system may push their profiles to you."
ATHLETES = (
    ("demo-1", "Ada", "Lovelace", "1992-12-10"),
    ("demo-2", "Wilma", "Rudolph", "1994-06-23"),
    ("demo-3", "Emil", "Zátopek", "1998-09-19"),
)


class DemoFailed(LocalFailure):
    """The demonstration did not end well; the message says why."""


def run(home: Home) -> None:
    """Ask, approve, take the secret, push, push again, find, redirect, export and erase."""
    out = Console(highlight=False, soft_wrap=True)
    deployment = Deployment.local(home.root)
    _end_what_was_left(deployment)
    _announce(out, 1, "the vendor asks for access, and the operator approves")
    asked = _admin(
        home, out, "access-request", "record", CLIENT, "--tenant", TENANT, "--evidence", EVIDENCE
    )
    approved = _admin(home, out, "access-request", "approve", asked["requestId"])
    try:
        secret = _taken(deployment, approved["link"])
        with HeadraceClient(deployment.public_url, CLIENT, secret) as client:
            _push_and_find(out, client)
        _announce(out, 5, "a person asks what is kept of them, and to be forgotten")
        told = _admin(home, out, "profile", "export", TENANT, "--sync-id", "demo-1")
        out.print(f"   {json.dumps(told['profiles'][0]['person'], ensure_ascii=False)}")
        _admin(home, out, "profile", "erase", TENANT, "--sync-id", "demo-1")
        if deployment.profiles().by_sync_id(TENANT, "demo-1") is not None:
            raise DemoFailed("the profile is still there")
        out.print("   the profile is gone")
    finally:
        deployment.client_secrets().revoke(CLIENT, approved["secretId"])
    out.print("\nThe demonstration's secret works no more.")
    out.print(by_hand(home), markup=False)


def _end_what_was_left(deployment: Deployment) -> None:
    """Revokes the secrets of demonstrations that were killed: a client has two at most."""
    secrets, digest = deployment.client_secrets(), Evidence.of("text", EVIDENCE.encode()).sha256
    ours = {
        request.secret_id
        for request in deployment.access_requests().listed()
        if request.client_id == CLIENT and request.evidence.sha256 == digest
    }
    for stored in secrets.of(CLIENT):
        if stored.secret_id in ours:
            secrets.revoke(CLIENT, stored.secret_id)


def _push_and_find(out: Console, client: HeadraceClient) -> None:
    [tenant] = client.profiles.tenants()
    _announce(out, 2, f"the vendor pushes athletes into {tenant['name']}")
    profiles = [
        {
            "tenantId": tenant["id"],
            "syncId": sync_id,
            "givenName": given,
            "familyName": family,
            "dateOfBirth": born,
        }
        for sync_id, given, family, born in ATHLETES
    ]
    for wanted in (("created", "changed", "unchanged"), ("unchanged",)):
        done = list(client.profiles.push(profiles))
        out.print("   " + ", ".join(f"{one.sync_id} {one.outcome}" for one in done))
        if not {one.outcome for one in done} <= set(wanted):
            raise DemoFailed(f"the athletes were not pushed: {done}")

    _announce(out, 3, "and finds the id of one's profile")
    [found] = client.profiles.search(tenant["id"], sync_id="demo-2")
    out.print(f"   demo-2 is {found['profileId']}")

    _announce(out, 4, "a button leads to it, through a page where the user signs in")
    url = client.profiles.redirect_url(tenant["id"], "demo-2")
    out.print(f"   {url}", markup=False)
    target = client.call("GET", f"/redirect/target?{urlsplit(url).query}")
    out.print(f"   which goes on to {(target or {}).get('url')}", markup=False)


def by_hand(home: Home) -> str:
    """What to try next, for a shell in the checkout; the client has a secret of its own there."""
    of = f"--profile-file {shlex.quote(str(home.outputs))} --client {CLIENT}"
    return f"""
The same by hand

  .venv/bin/headrace profiles list {of}
  .venv/bin/headrace profiles redirect-url demo-3 {of}

who signs in on that page: {SAMPLE_USER}, whose password is in {home.outputs}
"""


def _taken(deployment: Deployment, link: str) -> str:
    """The secret behind the link, as who presses its button sees it. Raises DemoFailed."""
    reply = httpx.post(link, timeout=60)
    _, _, shown = reply.text.partition("client_secret</p><code>")
    secret = shown.partition("</code>")[0]
    if reply.status_code != 200 or not secret:
        raise DemoFailed(f"{deployment.name}: the link answers {reply.status_code}")
    return secret


def _admin(home: Home, out: Console, *words: str) -> dict[str, Any]:
    """What the operator's command answers. Raises DemoFailed."""
    out.print(f"   $ headrace-admin {' '.join(words[:4])} …", markup=False, style="dim")
    where = ("--local", "--home", str(home.root))
    done = subprocess.run(
        [sys.executable, "-m", "headrace_admin", *words, "--json", *where],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DemoFailed(f"headrace-admin {' '.join(words[:2])}: {done.stderr or done.stdout}")
    answered: dict[str, Any] = json.loads(done.stdout)
    return answered


def _announce(out: Console, number: int, name: str) -> None:
    out.print(f"\n[bold]{number}. {name}[/]", soft_wrap=True)
