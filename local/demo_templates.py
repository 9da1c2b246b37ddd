"""`make demo-templates`: a partner reads templates, as seed 003 has it, while rows change.

It is done by plain HTTP calls, and by the operator's command. What is in the source is looked up by
SQL, not asked of Headrace.
"""

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
from rich.console import Console

from headrace_admin.deployment import Deployment
from local.home import CHECKOUT, Home, LocalFailure
from local.sample.caller import SampleMissing
from local.sample.roster import Roster

PERSONS, SESSIONS = "persons", "training-sessions"
PAGE = 500

_PATH = "/api/ver3/services/exporttemplate"
_SHIFT = "interval '4000 days'"


class DemoFailed(LocalFailure):
    """The demonstration did not end well; the message says why."""


def run(home: Home) -> None:
    """Log in, be refused, have the templates activated, read pages, walk while rows change."""
    out = Console(highlight=False, soft_wrap=True)
    about = json.loads(home.outputs.read_text("utf-8"))
    if not about.get("users"):
        raise SampleMissing(home, "Nobody of the sample logs in here.")
    person = about["users"][0]
    with httpx.Client(base_url=about["api_url"], timeout=60) as http:
        _announce(out, 1, "log in", "POST /api/ver3/auth/login")
        login = {"username": person["username"], "password": person["password"]}
        token = _answer(http.post("/api/ver3/auth/login", json=login))["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        out.print(f"   {person['username']} of {person['tenant']}, an integrator")

        _announce(out, 2, "a template that is not active", f"GET {_PATH}/{PERSONS}")
        _deactivate(home, person["tenant"], PERSONS)
        refused = http.get(f"{_PATH}/{PERSONS}")
        if refused.status_code != 404:
            raise DemoFailed(f"it can be read though it is not active: {refused.status_code}")
        out.print(f"   404: {refused.json()['detail']}")

        _announce(out, 3, "the operator activates it", "headrace-admin template activate")
        for template in (PERSONS, SESSIONS):
            _activate(home, person["tenant"], template, out)

        _announce(out, 4, "pages", f"GET {_PATH}/{PERSONS}?count={PAGE}&offset=0")
        first = _answer(http.get(f"{_PATH}/{PERSONS}", params={"count": PAGE, "showTotal": "true"}))
        out.print(f"   {first['template']['name']}: {first['count']} of {first['total']:,} rows")
        out.print(f"   {json.dumps(first['rows'][0], ensure_ascii=False)}", markup=False)

        _announce(out, 5, "all pages, while rows change", "GET, and the `next` of each page")
        _walk(out, http, Roster(home.roster), person["tenant"])
    out.print("\n[bold]The same by hand[/]")
    out.print(by_hand(home, about["api_url"]), markup=False)


def _walk(out: Console, http: httpx.Client, roster: Roster, tenant: str) -> None:
    """Reads all training sessions, a third of which move to the front after the first page."""
    before, found = _in_source(roster, tenant), list[int]()
    moved = False
    try:
        for page in _pages(http):
            found += [row["id"] for row in page["rows"]]
            if not moved:
                _move(roster, tenant, "-")
                moved = True
        now = _in_source(roster, tenant)
    finally:
        if moved:
            _move(roster, tenant, "+")
    if found != before:
        raise DemoFailed("the pages do not have each row once, as it was at the beginning")
    twice = sum(one in now[:PAGE] for one in before[PAGE:])
    out.print(f"   {len(found):,} rows, each once, in the order of the beginning")
    out.print(f"   (by SQL, page 2 would have begun with {twice} others than those after page 1)")


def _pages(http: httpx.Client) -> Iterator[dict[str, Any]]:
    url: str | None = f"{_PATH}/{SESSIONS}?count={PAGE}&offset=0"
    while url is not None:
        page = _answer(http.get(url))
        yield page
        url = page["next"]


def _in_source(roster: Roster, tenant: str) -> list[int]:
    said = roster.run(
        "SELECT json_agg(id ORDER BY starts_at, id) FROM public.training_sessions "
        "WHERE tenant_id = :'tenant'",
        tenant=tenant,
    )
    held: list[int] = json.loads(said)
    return held


def _move(roster: Roster, tenant: str, sign: str) -> None:
    roster.run(
        f"UPDATE public.training_sessions SET starts_at = starts_at {sign} {_SHIFT} "
        "WHERE tenant_id = :'tenant' AND id % 3 = 0",
        tenant=tenant,
    )


def _activate(home: Home, tenant: str, template: str, out: Console) -> None:
    out.print(f"   {_admin(home, 'activate', template, '--tenant', tenant).strip()}", markup=False)


def _deactivate(home: Home, tenant: str, template: str) -> None:
    """If an earlier demonstration has left it active."""
    if Deployment.local(home.root).activations().is_active(tenant, template):
        _admin(home, "deactivate", template, "--tenant", tenant)


def _admin(home: Home, *arguments: str) -> str:
    command = [sys.executable, "-m", "headrace_admin", "template", *arguments]
    done = subprocess.run(
        [*command, "--local", "--home", str(home.root)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DemoFailed(f"headrace-admin template {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def _answer(reply: httpx.Response) -> dict[str, Any]:
    if reply.is_error:
        raise DemoFailed(f"{reply.request.url}: {reply.status_code} {reply.text}")
    held: dict[str, Any] = reply.json()
    return held


def _announce(out: Console, number: int, name: str, call: str) -> None:
    out.print(f"\n[bold]{number}. {name}[/]  [dim]{call}[/]")


def by_hand(home: Home, api_url: str) -> str:
    """The commands that do the same, for a shell in the checkout."""
    kept = shlex.quote(str(home.outputs))
    read = f"python3 -c \"import json; print(json.load(open({str(home.outputs)!r}))['users'][0]"
    return f"""
  export HEADRACE_PASSWORD=$({read}['password'])")
  .venv/bin/headrace login --api-url {api_url} --username $({read}['username'])")
  .venv/bin/headrace template {PERSONS}
  .venv/bin/headrace template {SESSIONS} --all --to sessions.csv

the person's password is in {kept}
"""
