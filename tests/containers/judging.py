"""What a function's reply has to be: as the API's description says, or as its caller needs it."""

import json
from collections.abc import Mapping
from functools import cache
from json import JSONDecodeError
from typing import Any

import httpx
import yaml
from jsonschema import Draft202012Validator, ValidationError

from local.home import CHECKOUT

DESCRIPTION = CHECKOUT / "openapi" / "openapi.yaml"

OUTSIDE: Mapping[str, str] = {"refuse_route": "Problem"}
"""Endpoints that the description does not list, with the schema of what they answer."""


class Wrong(Exception):
    """A reply is not what it has to be; the message says how."""


def is_of_the_api(event: Mapping[str, Any]) -> bool:
    """Whether API Gateway sends it to an endpoint (and not to the authorizer)."""
    return "httpMethod" in event and "methodArn" not in event


def judge(name: str, event: Mapping[str, Any], reply: Any, expected: Any) -> str:
    """What the reply is, in a few words. Raises Wrong.

    ``expected``: the status of an endpoint, or the whole reply of another function, of which a
    part that is a dict may have more than is named.
    """
    if not is_of_the_api(event):
        _contains(reply, expected)
        return json.dumps(expected)
    if not isinstance(reply, dict) or reply.get("statusCode") != expected:
        raise Wrong(f"expected status {expected}: {_short(reply)}")
    headers = {key.lower(): value for key, value in reply.get("headers", {}).items()}
    if headers.get("x-correlation-id") != event["requestContext"]["requestId"]:
        raise Wrong(f"X-Correlation-Id is not that of the request: {headers}")
    media_type = headers.get("content-type", "").partition(";")[0]
    try:
        _described(name, expected, media_type, reply)
    except ValidationError as error:
        raise Wrong(f"{expected}, but {error.json_path} {error.message[:300]}") from error
    except JSONDecodeError as error:
        raise Wrong(f"{expected}, but its body is no JSON: {_short(reply)}") from error
    return f"{expected} {media_type}".strip()


def judge_http(name: str, status: int, reply: httpx.Response) -> None:
    """An endpoint's answer that came by HTTP. Raises Wrong."""
    if reply.status_code != status:
        raise Wrong(f"expected status {status}: {reply.status_code} {reply.text[:300]}")
    media_type = reply.headers.get("content-type", "").partition(";")[0]
    answer = {"headers": dict(reply.headers), "body": reply.text}
    try:
        _described(name, status, media_type, answer)
    except ValidationError as error:
        raise Wrong(f"{status}, but {error.json_path} {error.message[:300]}") from error


def _described(name: str, status: int, media_type: str, reply: Mapping[str, Any]) -> None:
    """Raises Wrong or ValidationError unless the description has just such an answer."""
    if name in OUTSIDE:
        _validate({"$ref": f"#/components/schemas/{OUTSIDE[name]}"}, json.loads(reply["body"]))
        return
    responses = _operations()[name]["responses"]
    if str(status) not in responses:
        raise Wrong(f"{status} is not among the answers that the description has of {name}")
    described = _resolved(responses[str(status)])
    for header, one in described.get("headers", {}).items():
        needed = _resolved(one).get("required", False)
        if needed and header.lower() not in {key.lower() for key in reply["headers"]}:
            raise Wrong(f"{status} without the header {header}")
    content = {of.partition(";")[0]: one for of, one in described.get("content", {}).items()}
    if not content:
        if reply.get("body"):
            raise Wrong(f"{status} has a body, and is described without one")
        return
    any_such = f"{media_type.partition('/')[0]}/*"
    if not {media_type, any_such} & set(content):
        raise Wrong(f"{status} is {media_type!r}, and is described as {sorted(content)}")
    schema = content.get(media_type, {}).get("schema")
    if schema is not None and media_type.endswith(("/json", "+json")):
        _validate(schema, json.loads(reply["body"]))


def _validate(schema: Mapping[str, Any], value: Any) -> None:
    whole = {**schema, "components": _description()["components"]}
    Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)


def _contains(reply: Any, expected: Any) -> None:
    """Raises Wrong unless the reply has all that is expected."""
    if isinstance(expected, dict) and isinstance(reply, dict):
        for key, value in expected.items():
            if key not in reply:
                raise Wrong(f"no {key!r} in {_short(reply)}")
            _contains(reply[key], value)
    elif reply != expected:
        raise Wrong(f"expected {_short(expected)}: {_short(reply)}")


def _short(value: Any) -> str:
    return json.dumps(value)[:400]


@cache
def _description() -> dict[str, Any]:
    """The API's description."""
    loaded: dict[str, Any] = yaml.load(DESCRIPTION.read_text(), yaml.CSafeLoader)
    return loaded


@cache
def _operations() -> dict[str, dict[str, Any]]:
    """Its operations by their ids."""
    return {
        operation["operationId"]: operation
        for path in _description()["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict) and "operationId" in operation
    }


def _resolved(part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        found: Any = _description()
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        part = found
    return part
