"""Every function of the template with its event, and what it has to reply.

The events hold placeholders, and an operation that is nobody's. Here they get what the local
platform has: a client's secret, a token, a person's password, and an operation that was begun in a
container and has succeeded. What an event names besides is nobody's, and is told so.
"""

import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx

from headrace.exports.model import Status
from local.home import CHECKOUT
from tests.containers.judging import is_of_the_api
from tests.containers.sam import SamFailed

EVENTS = CHECKOUT / "events"
NOBODYS = "01kaqb7m3y6c9r2t5v8x1z4d7h"
"""The operation that the events name."""

BUREAU = "payroll-bureau"
"""The client that they come from."""

OF_THE_OPERATION = ("get_export_status", "get_manifest", "download_job")
"""Those that are asked of an operation that has succeeded."""

LAST = ("cancel_export", "retry_export", "delete_export")
"""Those that change it, in this order."""

NEEDED_FOR: Mapping[str, tuple[str, ...]] = {
    "issue_token": ("authorize", "start_full_export", *OF_THE_OPERATION, *LAST),
    "start_full_export": (*OF_THE_OPERATION, *LAST),
}
"""Which need the reply of which."""

FIRST = tuple(NEEDED_FOR)

VOID: Mapping[str, str] = {"outcome": "void"}
DONE: Mapping[str, str] = {"outcome": "done"}

NOT_AN_ENDPOINT: Mapping[str, Any] = {
    "authorize": {
        "principalId": BUREAU,
        "policyDocument": {"Version": "2012-10-17"},
        "context": {"tenant": "northwind-care", "client_id": BUREAU},
    },
    # Of a process that is nobody's nothing was paused, so all is as if it had been resumed.
    "resume_task_processing": DONE,
    "run_schedules": {"missed": 0},
    # The sources lie on the machine, where no container sees them.
    "watch_sources": {"behind": 0},
    "sweep": {"failed": 0},
    "sweep_data_sets": {"failed": 0},
}
"""What the functions that are no endpoints reply; a task of nobody's operation: that it is void."""

ABSENT = (
    "add_profile_groups",
    "certify_key",
    "create_and_build",
    "create_data_set",
    "create_key",
    "delete_group",
    "find_redirect_target",
    "get_data_set_process",
    "get_difference",
    "get_managers",
    "get_payload",
    "get_profile",
    "get_statistics",
    "import_file",
    "list_data_set_messages",
    "list_errors",
    "list_group_profiles",
    "list_keys",
    "merge_profiles",
    "read_template",
    "rebuild_data_set",
    "remove_group_profiles",
    "remove_profile_groups",
    "replace_group_profiles",
    "replace_profile_groups",
    "revoke_key",
    "search_audit_trail",
    "search_consents",
    "set_managers",
    "start_build",
    "start_undo",
    "subscribe",
    "unsubscribe",
)
"""Endpoints whose event names what is nobody's: a service, a group, a process, a definition."""

OUT_OF_REACH = ("control_task_processing", "get_sync_version", "get_task_processing")
"""Endpoints that ask a source which is a file or a socket of this machine."""

STATUSES: Mapping[str, int] = {
    **dict.fromkeys(ABSENT, 404),
    **dict.fromkeys(OUT_OF_REACH, 503),
    "delete_export": 204,
    "download_job": 303,
    "exchange_refresh_token": 400,
    "import_from_environment": 422,
    "import_profile": 204,
    "prepare_upload": 201,
    "refuse_route": 405,
    "retry_export": 409,
    "set_credential": 204,
    "set_property": 201,
    "show_credential": 410,
    "start_full_export": 202,
    "start_incremental_export": 422,
    "take_credential": 410,
}
"""What the endpoints reply, if it is not 200."""


def snake_case(logical_id: str) -> str:
    """``StartFullExport`` → ``start_full_export``: the name of its event, and of its operation."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", logical_id).lower()


@dataclass(frozen=True)
class Trial:
    """One call of one function."""

    logical_id: str
    event: dict[str, Any]
    expected: Any
    """The status of an endpoint, else the reply."""

    @property
    def name(self) -> str:
        """Its event's name."""
        return snake_case(self.logical_id)


@dataclass
class Trials:
    """The calls, with what the platform has in the events' placeholders."""

    about: Mapping[str, Any]
    """headrace.json."""
    token: str = ""
    operation_id: str = ""
    job_id: str = ""
    key: str = field(default_factory=lambda: secrets.token_hex(8))

    def of(self, logical_id: str) -> Trial:
        """The call of a function."""
        name = snake_case(logical_id)
        event = json.loads(self._filled(name, (EVENTS / f"{name}.json").read_text()))
        if name == "start_full_export":
            body = json.loads(event["body"])
            event["body"] = json.dumps({**body, "entity": "departments"})
            # With the event's own key, a second run would get the operation of the first.
            event["headers"]["Idempotency-Key"] = self.key
            event["multiValueHeaders"]["Idempotency-Key"] = [self.key]
        if is_of_the_api(event):
            return Trial(logical_id, event, STATUSES.get(name, 200))
        return Trial(logical_id, event, NOT_AN_ENDPOINT.get(name, VOID))

    def take(self, name: str, body: Mapping[str, Any]) -> None:
        """Has the later events hold what the reply of one of ``FIRST`` gives."""
        if name == "issue_token":
            self.token = body["access_token"]
        else:
            self.operation_id = body["operationId"]
            self.job_id = succeeded(
                self.about["api_url"], f"Bearer {self.token}", body["operationId"]
            )

    def _filled(self, name: str, text: str) -> str:
        text = text.replace("ACCESS_TOKEN", self.token).replace("CLIENT_SECRET", self._secret)
        if name == "log_in":
            text = text.replace("integrator@emailaddress.com", self._person["username"])
            text = text.replace("PASSWORD", self._person["password"])
        if name in (*OF_THE_OPERATION, *LAST):
            text = text.replace(f"{NOBODYS}-0001", self.job_id).replace(NOBODYS, self.operation_id)
        return text

    @cached_property
    def _secret(self) -> str:
        clients = self.about["clients"]
        return str(next(one["client_secret"] for one in clients if one["client_id"] == BUREAU))

    @property
    def _person(self) -> dict[str, str]:
        person: dict[str, str] = self.about["users"][0]
        return person


def succeeded(api_url: str, authorization: str, operation_id: str) -> str:
    """Waits until the operation has; the id of its only job. Raises SamFailed.

    The deployment's own functions do the work: the state machine knows no containers.
    """
    path = f"{api_url}/data/v1/fulldata/{operation_id}/status"
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        reply = httpx.get(
            path, headers={"Authorization": authorization}, trust_env=False, timeout=60
        )
        status = reply.json()
        if not Status(status["status"]).active:
            break
        time.sleep(float(reply.headers.get("Retry-After", "1")))
    if status.get("status") != "succeeded":
        raise SamFailed(f"the operation that was begun in a container: {reply.text}")
    [job] = status["jobs"]
    return str(job["jobId"])
