"""The description of the API, as ``python -m openapi.generate`` wrote it beside this module."""

import json
from functools import cache
from pathlib import Path
from typing import Any

_METHODS = ("get", "put", "post", "delete")


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    text = Path(__file__).with_name("openapi.json").read_text()
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def methods_of(path: str) -> tuple[str, ...]:
    """The methods that a request's path answers; none of a path that there is not."""
    wanted = path.strip("/").split("/")
    for template, item in document()["paths"].items():
        steps = template.strip("/").split("/")
        if len(steps) == len(wanted) and all(
            step == given or (step.startswith("{") and given)
            for step, given in zip(steps, wanted, strict=True)
        ):
            return tuple(method.upper() for method in _METHODS if method in item)
    return ()
