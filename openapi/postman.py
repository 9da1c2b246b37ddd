"""The description as a Postman collection (format 2.1): a folder for each product.

The token request keeps the token, a start keeps the operation's id, and a status the id of its
first job, so the requests run from top to bottom.
"""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"

KEEP_ACCESS = 'pm.collectionVariables.set("access_token", pm.response.json().access_token);'
KEEP_OPERATION = 'pm.collectionVariables.set("operation_id", pm.response.json().operationId);'
KEEP_JOB = """\
const job = pm.response.json().jobs[0];
if (job) pm.collectionVariables.set("job_id", job.jobId);"""

_SCRIPTS: Mapping[str, tuple[int, str]] = {
    "issue_token": (200, KEEP_ACCESS),
    "start_full_export": (202, KEEP_OPERATION),
    "get_export_status": (200, KEEP_JOB),
}

_VALUES: Mapping[str, str] = {
    "operationId": "{{operation_id}}",
    "jobId": "{{job_id}}",
    "client_id": "{{client_id}}",
    "client_secret": "{{client_secret}}",
    "Idempotency-Key": "{{$guid}}",
}
"""What a request sends instead of the description's example."""

_ORDER = (
    "issue_token",
    "get_jwks",
    "get_openid_configuration",
    "get_metadata",
    "start_full_export",
    "get_export_status",
    "get_sync_version",
    "start_incremental_export",
    "list_operations",
    "list_schedules",
    "get_manifest",
    "download_job",
    "cancel_export",
    "retry_export",
    "delete_export",
)
"""As an integrator calls them; what is not here follows in the description's order."""


def collection(document: Mapping[str, Any]) -> dict[str, Any]:
    """The collection of an OpenAPI document."""
    operations = sorted(_operations(document), key=lambda one: _rank(one["operationId"]))
    return {
        "info": {
            "name": document["info"]["title"],
            "description": document["info"]["description"],
            "schema": SCHEMA,
        },
        "auth": {"type": "bearer", "bearer": [_pair("token", "{{access_token}}")]},
        "variable": [
            _pair("api_url", document["servers"][0]["url"]),
            *(
                _pair(name, "")
                for name in ("client_id", "client_secret", "access_token", "operation_id", "job_id")
            ),
        ],
        "item": [
            {
                "name": tag["name"],
                "description": tag["description"],
                "item": [_item(one) for one in operations if tag["name"] in one["tags"]],
            }
            for tag in document["tags"]
        ],
    }


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if not operation.get("deprecated"):
                yield {**operation, "path": path, "method": method.upper()}


def _rank(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


def _pair(key: str, value: str) -> dict[str, str]:
    return {"key": key, "value": value, "type": "string"}


def _item(operation: Mapping[str, Any]) -> dict[str, Any]:
    name = operation["operationId"]
    request: dict[str, Any] = {
        "method": operation["method"],
        "description": operation["description"],
        "header": [],
        "url": _url(operation),
    }
    if not operation["security"]:
        request["auth"] = {"type": "noauth"}
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "header":
            request["header"].append(
                {**_pair(parameter["name"], _value(parameter)), **_described(parameter)}
            )
    contents = operation.get("requestBody", {}).get("content", {})
    for content_type, content in islice(contents.items(), 1):
        request["header"].append(_pair("Content-Type", content_type))
        request["body"] = _body(content_type, content["example"])
    item: dict[str, Any] = {"name": operation["summary"], "request": request, "response": []}
    if name in _SCRIPTS:
        status, script = _SCRIPTS[name]
        lines = [f"if (pm.response.code === {status}) {{", *script.splitlines(), "}"]
        item["event"] = [
            {"listen": "test", "script": {"type": "text/javascript", "exec": lines}},
        ]
    if name == "download_job":
        # The link carries its own permission; the token is not for the storage behind it.
        item["protocolProfileBehavior"] = {"followAuthorizationHeader": False}
    return item


def _url(operation: Mapping[str, Any]) -> dict[str, Any]:
    path = re.sub(r"{(\w+)}", r":\1", operation["path"])
    parameters = operation.get("parameters", ())
    query = [
        {**_pair(one["name"], _value(one)), "disabled": True, **_described(one)}
        for one in parameters
        if one["in"] == "query"
    ]
    url: dict[str, Any] = {
        "raw": "{{api_url}}" + path,
        "host": ["{{api_url}}"],
        "path": path.strip("/").split("/") if path != "/" else [""],
    }
    if query:
        url["query"] = query
    variables = [
        {**_pair(one["name"], _value(one)), **_described(one)}
        for one in parameters
        if one["in"] == "path"
    ]
    if variables:
        url["variable"] = variables
    return url


def _value(parameter: Mapping[str, Any]) -> str:
    example = parameter.get("example", parameter["schema"].get("default", ""))
    return _VALUES.get(parameter["name"], str(example))


def _described(parameter: Mapping[str, Any]) -> dict[str, str]:
    return {"description": parameter["description"]}


def _body(content_type: str, example: Mapping[str, Any]) -> dict[str, Any]:
    if content_type == "application/json":
        text = json.dumps(example, indent=2)
        return {"mode": "raw", "raw": text, "options": {"raw": {"language": "json"}}}
    fields = [_pair(name, _VALUES.get(name, str(value))) for name, value in example.items()]
    return {"mode": "urlencoded", "urlencoded": fields}
