"""The description of the API, as ``python -m openapi.generate`` wrote it beside this module."""

import json
from functools import cache
from pathlib import Path
from typing import Any

EXAMPLE_URL = "https://example.execute-api.eu-west-1.amazonaws.com/v1"
"""The deployment that the committed description speaks of."""

EXAMPLE_SCOPE_PREFIX = "youforce-data-api"
"""What its scopes begin with."""

_METHODS = ("get", "post", "put", "patch", "delete")


@cache
def text() -> str:
    """The description as it is committed: compact JSON."""
    return Path(__file__).with_name("openapi.json").read_text(encoding="utf-8")


def text_for(base_url: str, scope_prefix: str) -> str:
    """The description of this deployment: its URLs and its scopes instead of the example's."""
    return (
        text()
        .replace(EXAMPLE_URL, _escaped(base_url))
        .replace(f"{EXAMPLE_SCOPE_PREFIX}:", _escaped(f"{scope_prefix}:"))
    )


def _escaped(value: str) -> str:
    return json.dumps(value)[1:-1]


@cache
def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = json.loads(text())["paths"]
    return paths


def methods_of(path: str) -> tuple[str, ...]:
    """The methods that a request's path answers; none of a path that there is not.

    A path that is there word for word is not also one with a parameter (API Gateway's rule).
    """
    wanted = path.strip("/").split("/")
    found: set[str] = set()
    for template, item in _paths().items():
        steps = template.strip("/").split("/")
        if steps == wanted:
            found = set(item)
            break
        if len(steps) == len(wanted) and all(
            step == given or (step.startswith("{") and given)
            for step, given in zip(steps, wanted, strict=True)
        ):
            found |= item.keys()
    return tuple(method.upper() for method in _METHODS if method in found)
