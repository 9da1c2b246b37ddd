"""`make logs`: the functions' logs, as they come, until Ctrl-C."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local.deployment import STACK, client
from local.home import Home
from local.platform import PlatformFailed, running_port

_GROUP = "/aws/lambda/"
_PERIOD_SECONDS = 0.5
_FRAME = ("START RequestId:", "END RequestId:", "INIT_START ")
_KNOWN = {"level", "location", "message", "timestamp", "service", "function_name", "xray_trace_id"}
_KNOWN |= {"cold_start", "function_memory_size", "function_arn", "function_request_id"}


@dataclass
class Group:
    """One function's log group, read from where the last look ended."""

    name: str
    function: str
    since: int
    seen: set[str] = field(default_factory=set)

    def news(self, logs: Any) -> list[dict[str, Any]]:
        """The events since the last look, oldest first.

        The emulator writes one stream for each invocation, at once, and gives events no id.
        """
        found: list[dict[str, Any]] = []
        for page in logs.get_paginator("filter_log_events").paginate(
            logGroupName=self.name, startTime=self.since
        ):
            found += [event for event in page["events"] if event["logStreamName"] not in self.seen]
        if found:
            newest = max(event["timestamp"] for event in found)
            if newest > self.since:
                self.since, self.seen = newest, set()
            self.seen |= {event["logStreamName"] for event in found if event["timestamp"] == newest}
        return found


def pretty(function: str, event: dict[str, Any]) -> str | None:
    """One line (or a few) for an event; None for the frame that Lambda puts around each call."""
    message = event["message"].rstrip()
    if message.startswith(_FRAME):
        return None
    stamp = datetime.fromtimestamp(event["timestamp"] / 1000).astimezone()
    text = message
    if message.startswith("REPORT RequestId:"):
        text = "– " + message.split("\t")[1]
    elif message.startswith("{"):
        try:
            text = _structured(json.loads(message))
        except ValueError:
            text = message
    return f"{stamp:%H:%M:%S}.{stamp.microsecond // 1000:03d}  {function:<24} {text}"


def _structured(record: dict[str, Any]) -> str:
    """A Powertools record: level, message, then what else it carries."""
    if "_aws" in record:
        names = [m["Name"] for group in record["_aws"]["CloudWatchMetrics"] for m in group["Metrics"]]
        return "metrics " + " ".join(f"{name}={record.get(name)}" for name in names)
    rest = {name: value for name, value in record.items() if name not in _KNOWN}
    trace = rest.pop("exception", "")
    extra = " ".join(f"{name}={value}" for name, value in rest.items())
    line = f"{record.get('level', ''):<7} {record.get('message', '')}"
    return "\n".join(part for part in (f"{line}  {extra}".rstrip(), str(trace)) if part)


def functions(cloudformation: Any) -> dict[str, str]:
    """The names that the template gives the functions, by the names that they got."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=STACK)
    return {
        resource["PhysicalResourceId"]: resource["LogicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == "AWS::Lambda::Function"
    }


def _groups(logs: Any, names: dict[str, str], wanted: str) -> Iterator[tuple[str, str]]:
    for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=_GROUP):
        for group in page["logGroups"]:
            name = group["logGroupName"]
            function = names.get(name.removeprefix(_GROUP), name.removeprefix(_GROUP))
            if wanted.lower() in function.lower():
                yield name, function


def follow(home: Home, wanted: str) -> None:
    """Print the logs of the functions whose name contains `wanted`, from now on, for ever."""
    port = running_port(home)
    if port is None:
        raise PlatformFailed("the platform does not run: make up")
    logs = client("logs", port)
    names = functions(client("cloudformation", port))
    start = int(time.time() * 1000)
    groups: dict[str, Group] = {}
    print(f"following {wanted or 'all functions'}; Ctrl-C ends", flush=True)
    while True:
        for name, function in _groups(logs, names, wanted):
            groups.setdefault(name, Group(name, function, start))
        news = [
            (event["timestamp"], position, line)
            for position, group in enumerate(groups.values())
            for event in group.news(logs)
            if (line := pretty(group.function, event)) is not None
        ]
        for _, _, line in sorted(news, key=lambda item: item[:2]):
            print(line, flush=True)
        time.sleep(_PERIOD_SECONDS)
