"""The functions, called one after another in containers, and what came of it."""

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import boto3
import httpx
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.platform import REGION
from tests.containers.engine import Engine
from tests.containers.judging import Wrong, judge, judge_http
from tests.containers.sam import Containers, SamFailed
from tests.containers.trials import (
    BUREAU,
    EVENTS,
    FIRST,
    LAST,
    NEEDED_FOR,
    Trial,
    Trials,
    snake_case,
    succeeded,
)

AT_ONCE = 2
"""Containers at a time; each call is mostly the start of one."""

BY_INVOKE = "GetMetadata"
"""The function that `sam local invoke` runs, as a person would; the others go by `start-lambda`,
which reads the template once and not for each."""


@dataclass(frozen=True)
class Outcome:
    """How one call went."""

    what: str
    """A function's logical id, or a method and a path."""
    said: str
    """What was right, or what was wrong."""
    seconds: float
    wrong: bool = False

    def __str__(self) -> str:
        return (
            f"  {'WRONG ' if self.wrong else ''}{self.what:<26} {self.said}  {self.seconds:.1f} s"
        )


def described(engine: Engine) -> str:
    """Which engine it is, for whoever watches."""
    version = engine.said(["version", "--format", "{{.Server.Version}}"]).strip()
    return f"{version}, {'of our own' if engine.is_ours else 'that runs here'}"


def all_of(containers: Containers, wanted: Sequence[str]) -> list[Outcome]:
    """Calls these functions, or every one, and says how each did."""
    about = json.loads(containers.home.outputs.read_text())
    trials, ids = Trials(about), {snake_case(one): one for one in sorted(containers.functions)}
    unknown = set(wanted) - set(ids.values())
    if unknown:
        raise SamFailed(f"the template has no function {', '.join(sorted(unknown))}")
    chosen = {name for name, one in ids.items() if not wanted or one in wanted}
    outcomes = []
    if BY_INVOKE in ids.values() and snake_case(BY_INVOKE) in chosen:
        trial = trials.of(BY_INVOKE)
        event = EVENTS / f"{trial.name}.json"
        outcomes.append(_tried(trial, lambda: containers.invoke(BY_INVOKE, event)))
        chosen.remove(trial.name)
    with containers.serving("start-lambda") as address:

        def call(name: str, replies: list[Any] | None = None) -> Outcome:
            trial = trials.of(ids[name])
            return _tried(trial, lambda: _invoked(address, trial), replies)

        for name in [one for one in FIRST if chosen & {one, *NEEDED_FOR[one]}]:
            replies: list[Any] = []
            outcomes.append(call(name, replies))
            if not replies:
                return outcomes
            trials.take(name, json.loads(replies[0]["body"]))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            outcomes += pool.map(call, sorted(chosen - {*FIRST, *LAST}))
        outcomes += [call(name) for name in LAST if name in chosen]
    return outcomes


def _tried(trial: Trial, invoke: Callable[[], Any], replies: list[Any] | None = None) -> Outcome:
    """Calls and judges; says it at once. The reply is put into ``replies``."""
    began = time.monotonic()
    try:
        reply = invoke()
        said, wrong = judge(trial.name, trial.event, reply, trial.expected), False
        if replies is not None:
            replies.append(reply)
    except (Wrong, SamFailed, BotoCoreError, ClientError) as error:
        said, wrong = str(error), True
    return _told(Outcome(trial.logical_id, said, time.monotonic() - began, wrong))


def _told(outcome: Outcome) -> Outcome:
    print(outcome, flush=True)
    return outcome


def _invoked(address: str, trial: Trial) -> Any:
    """A function's reply, by `sam local start-lambda`. Raises Wrong for a function's error."""
    connect: Any = boto3.client
    functions = connect(
        "lambda",
        endpoint_url=address,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        # A call is never sent again: a function must do with one.
        config=Config(read_timeout=300, retries={"max_attempts": 0}),
    )
    reply = functions.invoke(FunctionName=trial.logical_id, Payload=json.dumps(trial.event))
    payload = reply["Payload"].read().decode()
    answer = json.loads(payload) if payload else None
    # SAM tells a function's failure by what it says, as its container does.
    if isinstance(answer, dict) and "errorType" in answer:
        raise Wrong(f"the function failed: {payload[:400]}")
    return answer


def over_http(containers: Containers) -> list[Outcome]:
    """An integrator's way by `sam local start-api`: token, metadata, start, status, document."""
    about = json.loads(containers.home.outputs.read_text())
    bureau = next(one for one in about["clients"] if one["client_id"] == BUREAU)
    outcomes: list[Outcome] = []
    # A container is kept for the next call: each call has two, the authorizer's and its own.
    with (
        containers.serving("start-api", "--warm-containers", "LAZY", "--no-watch") as address,
        httpx.Client(base_url=address, timeout=120, trust_env=False) as http,
    ):

        def call(method: str, path: str, name: str, status: int, **sent: Any) -> httpx.Response:
            began = time.monotonic()
            reply = http.request(method, path, **sent)
            try:
                judge_http(name, status, reply)
                said, wrong = f"{status} {reply.headers.get('content-type', '')}".strip(), False
            except Wrong as error:
                said, wrong = str(error), True
            route = f"{method} {path.replace(operation, '{operationId}') if operation else path}"
            outcomes.append(_told(Outcome(route, said, time.monotonic() - began, wrong)))
            if wrong:
                raise _Stopped
            return reply

        operation = ""
        try:
            form = {"grant_type": "client_credentials", "tenant_id": bureau["tenant"]}
            credentials = (bureau["client_id"], bureau["client_secret"])
            token = call("POST", "/connect/token", "issue_token", 200, data=form, auth=credentials)
            http.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
            call("GET", "/data/v1/metadata", "get_metadata", 200)
            asked = {"entity": "departments", "fileFormat": "json"}
            started = call("POST", "/data/v1/fulldata", "start_full_export", 202, json=asked)
            operation = started.json()["operationId"]
            call("GET", f"/data/v1/fulldata/{operation}/status", "get_export_status", 200)
            job = succeeded(about["api_url"], http.headers["Authorization"], operation)
            document = call("GET", f"/data/v1/jobs/{job}", "download_job", 303)
            began = time.monotonic()
            file = httpx.get(document.headers["location"], timeout=60, trust_env=False)
            rows = len(json.loads(file.content)) if file.status_code == 200 else 0
            said = f"{file.status_code}, {rows} rows"
            outcomes.append(
                _told(Outcome("GET the document", said, time.monotonic() - began, rows == 0))
            )
            del http.headers["Authorization"]
            began = time.monotonic()
            # SAM has no gateway responses, and words a denial of the authorizer's by itself.
            denied = http.get("/data/v1/metadata").status_code
            route, taken = "GET /data/v1/metadata, without a token", time.monotonic() - began
            outcomes.append(_told(Outcome(route, f"{denied}", taken, denied != 403)))
        except _Stopped:
            return outcomes
    return outcomes


class _Stopped(Exception):
    """A call went wrong, and the later ones need its answer."""
