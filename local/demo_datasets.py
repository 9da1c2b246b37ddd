"""`make demo-datasets`: configuration carried from one environment to another, and back again.

Two platforms stand beside each other: the home's, which is the environment TEST, and a second one
in a folder beside it, which is PRODUCTION and behind. What happened is looked up by SQL in both
databases, not asked of Headrace.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from rich.console import Console

from headrace.datasets.definitions import Application
from headrace_admin.deployment import Deployment
from local.home import CHECKOUT, Home, LocalFailure
from local.sample.caller import sample_client
from local.sample.comparing import TableComparison, compared
from local.sample.roster import Roster

CLIENT = "claims-pipeline"
DEFINITION = "CLAIMS_CONFIGURATION"
SECOND = {
    "HEADRACE_ENVIRONMENT": "PRODUCTION",
    "HEADRACE_APPLICATION_VERSION": "4.24.0.0.0",
    "HEADRACE_SAMPLE": "production",
}
"""What the second environment is; its version differs from the first one's in no major part."""

_CODES = "DEMO-"
"""What the codes of the demonstrations' data sets begin with."""

_LOOKED_AT = 50
"""Processes, the newest first, among which an import that was not undone is looked for."""

_PATIENCE_S = 300
_SHOWN = 3
"""Records of each kind of change that are printed."""


class DemoFailed(LocalFailure):
    """The demonstration did not end well; the message says why."""


def start_second(home: Home) -> Home:
    """Starts the second environment's platform, which keeps what it was told it is."""
    second = home.beside
    environ = {**os.environ, **SECOND, "HEADRACE_HOME": str(second.root)}
    done = subprocess.run(
        [sys.executable, "-m", "local", "up"], cwd=CHECKOUT, env=environ, check=False
    )
    if done.returncode:
        raise DemoFailed(f"the second environment does not start; see {second.root}")
    return second


@dataclass(frozen=True)
class Environment:
    """A running environment, as its client calls it."""

    home: Home
    http: httpx.Client
    url: str
    username: str
    password: str
    application: Application

    @classmethod
    @contextmanager
    def of(cls, home: Home, client: str = CLIENT) -> "Iterator[Environment]":
        """The platform that runs in a home, and the application of the client's tenant.

        Raises SampleMissing if the sample is not published there, DemoFailed.
        """
        profile = sample_client(home, client)
        catalogs = Deployment.local(home.root).catalogs()
        application = catalogs.application(profile.tenant or "")
        if application is None:
            raise DemoFailed(f"the catalog of {home.root} has no application for {client}")
        login = (profile.client_id or "", profile.client_secret or "")
        with httpx.Client(base_url=profile.api_url, auth=login, timeout=60) as http:
            yield cls(home, http, profile.api_url, *login, application)

    def call(self, method: str, path: str, body: Any = None, **sent: Any) -> httpx.Response:
        """The reply of a call that succeeded. Raises DemoFailed with the problem's sentence."""
        try:
            reply = self.http.request(method, path, json=body, **sent)
        except httpx.HTTPError as error:
            raise DemoFailed(f"{method} {path}: {error!r}") from error
        if reply.is_error:
            raise DemoFailed(f"{method} {path}: {reply.status_code} {_reason(reply)}")
        return reply

    def finished(self, started: httpx.Response, shown: Callable[[str], None]) -> dict[str, Any]:
        """The process that a call started, at its end. Raises DemoFailed if it failed."""
        process = self.ended(started.headers["Location"].removeprefix(self.url))
        path = f"/generic/datasetprocesses/{process['id']}"
        shown(f"{path}: result {process['result']}")
        for message in self.call("GET", f"{path}/messages").json()["messages"]:
            shown(f"   {message['code']} {message['item'] or ''} {message['text']}")
        if process["result"] != "S":
            raise DemoFailed(f"{path} failed")
        return process

    def ended(self, path: str) -> dict[str, Any]:
        """The process at a path, once it has ended, however. Raises DemoFailed if it does not."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            process: dict[str, Any] = self.call("GET", path).json()
            if process["endDateTime"] is not None:
                return process
            if time.monotonic() > deadline:
                raise DemoFailed(f"{path} does not end; it is at {process['progress']}")
            time.sleep(0.5)

    def put_back(self, shown: Callable[[str], None]) -> None:
        """Waits for what still runs here, and undoes what a demonstration that was interrupted had
        imported; what others imported stays. Raises DemoFailed."""
        asked = {"resource": {"limit": _LOOKED_AT}}
        path = "/generic/audittraildetails/search"
        for told in self.call("POST", path, asked).json()["processes"]:
            if told["endDateTime"] is None:
                self.ended(f"/generic/datasetprocesses/{told['id']}")
        for told in self.call("POST", path, asked).json()["processes"]:
            counts = told["counts"] or {}
            if told["type"] != "import" or told["request"]["dryRun"] or not _changes(counts):
                continue
            left = self.call("GET", f"/generic/datasetprocesses/{told['id']}").json()
            if left["dataSetCode"].startswith(_CODES) and left["undoneBy"] is None:
                shown(f"{left['dataSetCode']} was left imported by a demonstration that stopped:")
                undo = f"/generic/datasetprocesses/{told['id']}/undo"
                self.finished(self.call("POST", undo, {}), shown)
            return

    @property
    def database(self) -> tuple[Roster, str]:
        """Its application's database, for who looks into it by SQL."""
        return Roster(self.home.roster), self.application.options["database"]

    def compared(self, other: "Environment", definition: str) -> list[TableComparison]:
        """What both databases have of a definition, table by table. Raises DemoFailed."""
        found = self.application.definition(definition)
        if found is None:
            raise DemoFailed(f"{self.home.root} has no definition {definition}")
        return list(compared(found, self.database, other.database))

    def register(self, source: "Environment") -> str:
        """Makes another environment known here as a source; its identifier."""
        for kind in ("CONF", "PRD"):
            self.call(
                "POST",
                "/api/generic/properties",
                {"name": f"ohi.application.uri.{kind}", "value": f"{source.url}/dataexchange"},
            )
        self.call(
            "PUT",
            "/api/credentials/credential/DataExchangeClient",
            {"username": source.username, "password": source.password},
        )
        return str(source.call("GET", "/dataexchange/environment").json()["identifier"])


def run(home: Home) -> None:
    """Create, build, see what is available, dry run, import, compare, undo."""
    out = Console(highlight=False, soft_wrap=True)
    second = start_second(home)
    with Environment.of(home) as test, Environment.of(second) as production:
        code = f"{_CODES}{datetime.now(UTC):%Y%m%d-%H%M%S}"
        _announce(out, 1, "two environments", "GET /dataexchange/environment")
        for one in (test, production):
            known = one.call("GET", "/dataexchange/environment").json()
            out.print(f"   {known['identifier']:<12} version {known['version']}  {one.url}")
            one.put_back(_told(out))
        before = _compare(out, test, production)

        _announce(out, 2, "create and build in TEST", "POST …/createandexport/…")
        body = {"code": code, "description": "What make demo-datasets carries"}
        path = f"/dataexchange/createandexport/datasetdefinition/{DEFINITION}/dataset"
        test.finished(test.call("POST", path, body), _told(out))
        payload = test.call(
            "GET",
            f"/dataexchange/export/datasetdefinition/{DEFINITION}/dataset/{code}",
            follow_redirects=True,
        )
        out.print(f"   the payload of {code} has {len(payload.content):,} bytes")

        _announce(out, 3, "see in PRODUCTION what is available", "GET …/fetchavailabledatasets/…")
        source = production.register(test)
        version = production.call("GET", "/dataexchange/environment").json()["version"]
        _list_available(out, production, version)

        _announce(out, 4, "dry run: what would change", 'POST …/import/… {"dryRun": true}')
        path = f"/dataexchange/import/datasetdefinition/{DEFINITION}/dataset/{code}"
        asked = {"sourceEnvironment": source, "dryRun": True}
        dry = production.finished(production.call("POST", path, asked), _told(out))
        _print_outcome(out, dry)
        _print_difference(out, production, dry["id"])
        if test.compared(production, DEFINITION) != before:
            raise DemoFailed("the dry run changed something")
        out.print("   and nothing has changed")

        _announce(out, 5, "import", "POST …/import/…")
        asked = {"sourceEnvironment": source, "stopTaskProcessing": True}
        imported = production.finished(production.call("POST", path, asked), _told(out))
        _print_outcome(out, imported)
        after = _compare(out, test, production)
        left = [one.name for one in after if one.different or one.only_first]
        if left:
            raise DemoFailed(f"after the import these are not as in TEST: {', '.join(left)}")
        out.print("   the same once more:")
        again = production.finished(production.call("POST", path, asked), _told(out))
        _print_outcome(out, again)

        _announce(out, 6, "undo", "POST /generic/datasetprocesses/{id}/undo")
        _undo(out, (test, production), imported, before)
        out.print("[bold]Both go on running[/]")
        out.print(by_hand(home, second, code), markup=False)


def _undo(
    out: Console,
    environments: tuple[Environment, Environment],
    imported: Mapping[str, Any],
    before: list[TableComparison],
) -> None:
    """Takes an import back, if it changed anything. Raises DemoFailed."""
    test, production = environments
    if not _changes(_counts(imported)):
        out.print("   nothing to undo: PRODUCTION had all of it before; make clean forgets both\n")
        return
    path = f"/generic/datasetprocesses/{imported['id']}/undo"
    undone = production.finished(production.call("POST", path, {}), _told(out))
    _print_outcome(out, undone)
    if _compare(out, test, production) != before:
        raise DemoFailed("PRODUCTION is not as it was before the import")
    out.print("   PRODUCTION is as it was\n")


def _list_available(out: Console, production: Environment, version: str) -> None:
    path = f"/dataexchange/datasets/fetchavailabledatasets/{DEFINITION}/{version}"
    for source in production.call("GET", path).json()["dataSetMetaDataResponse"]:
        about = source["dataSetMetaData"]
        out.print(f"   {about['hostName']}: {about.get('httpResponse') or about['errorDetails']}")
        there = source.get("dataSetMetaDataRestEntities", [])
        there.sort(key=lambda found: str(found["lastPayloadBuiltDateTime"]["value"]), reverse=True)
        for found in there[:_SHOWN]:
            built = found["lastPayloadBuiltDateTime"]["value"]
            out.print(f"      {found['code']}, {found['numberOfItems']} items, built {built}")
        if there[_SHOWN:]:
            out.print(f"      and {len(there[_SHOWN:])} that were built before")


def _compare(out: Console, test: Environment, production: Environment) -> list[TableComparison]:
    """What both databases have, table by table."""
    tables = test.compared(production, DEFINITION)
    out.print(f"   {'by SQL':<26}{'same':>6}{'differ':>8}{'TEST only':>11}{'PRODUCTION only':>17}")
    for one in tables:
        out.print(
            f"   {one.name:<26}{one.same:>6}{one.different:>8}{one.only_first:>11}"
            f"{one.only_second:>17}"
        )
    return tables


def _print_outcome(out: Console, process: Mapping[str, Any]) -> None:
    counts = _counts(process)
    numbers = [f"{name} {value}" for name, value in counts.items() if isinstance(value, int)]
    out.print(f"   {', '.join(numbers)}")


def _counts(process: Mapping[str, Any]) -> Mapping[str, Any]:
    told: Mapping[str, Any] = process["outcome"].get("counts", process["outcome"])
    return told


def _changes(counts: Mapping[str, Any]) -> int:
    """How many records an import wrote or deleted."""
    return sum(counts.get(name, 0) for name in ("added", "changed", "deleted"))


def _reason(reply: httpx.Response) -> str:
    """The sentence of a problem document, or what was answered in its place."""
    try:
        problem = reply.json()
        return f"{problem['code']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return reply.text


def _print_difference(out: Console, production: Environment, process_id: str) -> None:
    """A few records of each kind of change."""
    path = f"/generic/datasetprocesses/{process_id}/difference"
    told: Counter[str] = Counter()
    for line in production.call("GET", path, follow_redirects=True).text.splitlines():
        record = json.loads(line)
        change = record["change"]
        told[change] += 1
        if told[change] > _SHOWN:
            continue
        shown = f"   {change:<8} {record['item']}: {record['table']}"
        if change == "changed":
            values = record["values"].items()
            shown += ", " + "; ".join(
                f"{column}: {_short(value['old'])} -> {_short(value['new'])}"
                for column, value in values
            )
        out.print(shown, markup=False)
    more = sum(told.values()) - sum(min(count, _SHOWN) for count in told.values())
    if more:
        out.print(f"   and {more} more of such; headrace dataset diff {process_id} has them all")


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:38]}…"


def _announce(out: Console, number: int, name: str, call: str) -> None:
    out.print(f"\n[bold]{number}. {name}[/]  [dim]{call}[/]", soft_wrap=True)


def _told(out: Console) -> Callable[[str], None]:
    return lambda text: out.print(f"   {text}", markup=False)


def by_hand(home: Home, second: Home, code: str) -> str:
    """What to do with the two environments, for a shell in the checkout."""

    def of(home: Home) -> str:
        return f"--profile-file {shlex.quote(str(home.outputs))} --client {CLIENT}"

    return f"""
  .venv/bin/headrace dataset build {DEFINITION} MINE --full {of(home)}
  .venv/bin/headrace dataset available {DEFINITION} {of(second)}
  .venv/bin/headrace dataset import --from TEST {DEFINITION} {code} --dry-run {of(second)}

  {home.make("down")}     stop both
  {home.make("clean")}    forget both
  {second.make("down")}     stop PRODUCTION alone
"""
