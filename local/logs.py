"""`make logs`: the functions' logs, as they come, until Ctrl-C."""

import json
import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local.deployment import STACK, client
from local.home import Home
from local.platform import PlatformFailed, running_port

_STREAM = re.compile(r"\d{4}/\d\d/\d\d/(?P<function>[^\[]*)\[")
_PERIOD_SECONDS = 0.5
_FRAME = ("START RequestId:", "END RequestId:", "INIT_START ")
_KNOWN = {"level", "location", "message", "timestamp", "service", "function_name", "xray_trace_id"}
_KNOWN |= {"cold_start", "function_memory_size", "function_arn", "function_request_id"}


@dataclass
class Group:
    """A log group, read from where the last look ended."""

    name: str
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
        names = [
            m["Name"] for group in record["_aws"]["CloudWatchMetrics"] for m in group["Metrics"]
        ]
        return "metrics " + " ".join(f"{name}={record.get(name)}" for name in names)
    rest = {name: value for name, value in record.items() if name not in _KNOWN}
    trace = rest.pop("exception", "")
    rest.pop("stack_trace", None)
    extra = " ".join(f"{name}={value}" for name, value in rest.items())
    line = f"{record.get('level', ''):<7} {record.get('message', '')}"
    return "\n".join(part for part in (f"{line}  {extra}".rstrip(), str(trace)) if part)


def resources(cloudformation: Any, kind: str) -> dict[str, str]:
    """The names that the template gives resources of a type, by the names that they got."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=STACK)
    return {
        resource["PhysicalResourceId"]: resource["LogicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == kind
    }


def function_of(stream: str, names: dict[str, str]) -> str:
    """The function that wrote a stream, by the template's name for it."""
    match = _STREAM.match(stream)
    name = match["function"] if match else stream
    return names.get(name, name)


def follow(home: Home, wanted: str) -> None:
    """Print the logs of the functions whose name contains `wanted`, from now on, for ever."""
    port = running_port(home)
    if port is None:
        raise PlatformFailed("the platform does not run: make up")
    logs, cloudformation = client("logs", port), client("cloudformation", port)
    names = resources(cloudformation, "AWS::Lambda::Function")
    start = int(time.time() * 1000)
    groups = [Group(name, start) for name in resources(cloudformation, "AWS::Logs::LogGroup")]
    print(f"following {wanted or 'all functions'}; Ctrl-C ends", flush=True)
    while True:
        for group in groups:
            for event in group.news(logs):
                function = function_of(event["logStreamName"], names)
                line = pretty(function, event)
                if line is not None and wanted.lower() in function.lower():
                    print(line, flush=True)
        time.sleep(_PERIOD_SECONDS)
