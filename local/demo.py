"""`make demo`: what an integrator does, against the platform that `make up` started."""

import shlex
import time
from itertools import islice
from pathlib import Path

from rich.console import Console

from headrace_client import (
    Download,
    FileFormat,
    HeadraceClientError,
    Metadata,
    Pull,
    Wanted,
)
from headrace_client.command.access import Access
from headrace_client.command.outcome import Common
from headrace_client.command.progress import display
from local.home import Home, LocalFailure
from local.sample.caller import sample_client

CLIENT = "demo-integrator"
_SHOWN_LINES = 3
"""Of a file that arrived: its heading and two rows."""


class DemoFailed(LocalFailure):
    """The demo did not end well; the message says why."""


def run(home: Home) -> None:
    """Token, metadata, start, status, download, verify; then how to do it by hand."""
    out = Console(highlight=False, soft_wrap=True)
    profile = sample_client(home, CLIENT)
    directory = home.root / "demo"
    begun = time.monotonic()
    out.print(f"\n[bold]{profile.client_id}[/] of tenant {profile.tenant}, at {profile.api_url}")
    try:
        with Access(profile, {}).client() as client:
            _announce(out, 1, "token", "POST /connect/token")
            client.check_credentials()
            out.print("   accepted; the token is good for an hour")

            _announce(out, 2, "metadata", "GET /data/v1/metadata")
            _describe(out, client.metadata())

            _announce(
                out,
                3,
                "start, status, download, verify",
                "POST /data/v1/fulldata, GET …/status, GET /data/v1/jobs/{jobId}",
            )
            with display(Common(), out) as shown:
                pulled = Pull(client, directory, listener=shown)(Wanted(file_format=FileFormat.CSV))
    except HeadraceClientError as error:
        raise DemoFailed(f"{error.detail}\n(make logs shows what the functions say)") from error
    _announce(out, 4, "what arrived", str(directory))
    _list(out, pulled.download)
    _look_into(out, pulled.download)
    out.print(f"   every byte verified, {time.monotonic() - begun:.1f} s from the token to here\n")
    out.print("[bold]The same by hand[/]")
    out.print(by_hand(home, directory), markup=False)
    out.print("[bold]Go on[/]")
    out.print(going_on(home, profile.api_url), markup=False)


def _announce(out: Console, number: int, name: str, call: str) -> None:
    out.print(f"\n[bold]{number}. {name}[/]  [dim]{call}[/]")


def _describe(out: Console, metadata: Metadata) -> None:
    for table in metadata.tables:
        key = ", ".join(table.primary_key)
        out.print(
            f"   {table.name:<18} {len(table.fields):>3} fields, key {key}, "
            f"about {table.row_estimate:,} rows"
        )


def _list(out: Console, download: Download) -> None:
    for file in download.files:
        out.print(
            f"   {file.path.name:<24} {file.rows:>9,} rows {file.bytes:>13,} bytes  "
            f"sha256 {file.sha256}"
        )
    out.print(f"   {'together':<24} {download.rows:>9,} rows {download.bytes:>13,} bytes")


def _look_into(out: Console, download: Download) -> None:
    """The first lines of the smallest file that has rows."""
    smallest = min((file for file in download.files if file.rows), key=lambda file: file.bytes)
    out.print(f"\n   {smallest.path.name} begins")
    with smallest.path.open(encoding="utf-8") as lines:
        for line in islice(lines, _SHOWN_LINES):
            out.print(f"      {line.rstrip()}", markup=False)
    out.print()


def going_on(home: Home, api_url: str) -> str:
    """What there is to do next, and how it is ended."""
    return f"""
  {api_url}/docs   every call, to try in a browser
  docs/your-own-data.md   tables of your own, for a client of your own
  README.md               all that there is to read

The platform goes on running; what clients need to know of it is in {home.outputs}.
make down stops it and keeps its state, make clean forgets it.
"""


def by_hand(home: Home, directory: Path) -> str:
    """The commands that repeat the demo, for a shell in the checkout."""
    profile, files = shlex.quote(str(home.outputs)), shlex.quote(str(directory))
    read = f'python3 -c "import json; held = json.load(open({str(home.outputs)!r})); '
    return f"""
with the command of the client package:

  .venv/bin/headrace metadata --profile-file {profile}
  .venv/bin/headrace pull     --profile-file {profile} --out {files}

with curl:

  API=$({read}print(held['api_url'])")
  KEY=$({read}one = held['clients'][0]; print(one['client_id'] + ':' + one['client_secret'])")
  MEMBER() {{ python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }}
  CALL() {{ curl -sS --fail-with-body -H "Authorization: Bearer $TOKEN" "$@"; }}
  TOKEN=$(curl -sS --fail-with-body -u "$KEY" -d grant_type=client_credentials $API/connect/token \\
      | MEMBER "['access_token']")
  CALL $API/data/v1/metadata
  OPERATION=$(CALL -H 'Content-Type: application/json' \\
      -d '{{"fileFormat": "csv"}}' $API/data/v1/fulldata | MEMBER "['operationId']")
  STATUS() {{ CALL $API/data/v1/fulldata/$OPERATION/status; }}
  while STATUS | MEMBER "['status']" | grep -E 'scheduled|running'; do sleep 1; done
  STATUS | MEMBER "['status']"   # succeeded; if it is another, STATUS alone says why
  CALL $API/data/v1/operations/$OPERATION/manifest
  JOB=$(STATUS | MEMBER "['jobs'][0]['jobId']")   # the first table's; each has its own
  LINK=$(CALL -o /dev/null -w '%{{redirect_url}}' $API/data/v1/jobs/$JOB)
  curl -sS --fail-with-body -OJ "$LINK"
"""
