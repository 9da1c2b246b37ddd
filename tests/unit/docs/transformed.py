"""Prints what CloudFormation gets to see, which is what SAM makes of the template.

The resource types, one a line; or, given a logical id, that resource's properties as JSON.

Run by the platform's own Python (``make install``), as the SAM transform has a pydantic of its own.
"""

import json
import sys
from pathlib import Path
from typing import Any

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

PACKAGED = ("CodeUri", "ContentUri", "DefinitionUri")


class _NoManagedPolicies:
    """The template names its policies by reference; none is looked up by name."""

    def load(self) -> dict[str, str]:
        """Nothing."""
        return {}


def packaged(template: dict[str, Any]) -> dict[str, Any]:
    """As ``sam package`` hands it over: what is local lies in a bucket."""
    places = [template["Globals"]["Function"]]
    places += [resource.get("Properties", {}) for resource in template["Resources"].values()]
    for properties in places:
        for name in PACKAGED:
            if name in properties:
                properties[name] = "s3://bucket/key"
    return template


def main(path: str, logical_id: str | None = None) -> None:
    """Prints each type once, sorted; or the resource."""
    template = packaged(yaml_parse(Path(path).read_text()))
    parameters = {name: one["Default"] for name, one in template["Parameters"].items()}
    resources = transform(template, parameters, _NoManagedPolicies())["Resources"]
    if logical_id is not None:
        print(json.dumps(resources[logical_id]["Properties"]))  # noqa: T201
        return
    for kind in sorted({resource["Type"] for resource in resources.values()}):
        print(kind)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
