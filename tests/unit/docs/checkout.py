"""What the tests of the docs read: the checkout itself."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[3]

_NOT_OURS = re.compile(r"(^|/)(\.[^/]+|build|dist|node_modules|[^/]+\.egg-info)/")


def markdown() -> Iterator[Path]:
    """Every page of the checkout, in a fixed order."""
    for path in sorted(ROOT.rglob("*.md")):
        if not _NOT_OURS.search(path.relative_to(ROOT).as_posix()):
            yield path


def shown(path: Path) -> str:
    """The path as a message shows it."""
    return path.relative_to(ROOT).as_posix()


@cache
def template() -> dict[str, Any]:
    """template.yaml, its functions as CloudFormation's JSON writes them."""
    parsed: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    return parsed


def functions() -> dict[str, dict[str, Any]]:
    """The properties of every function in the template, by logical id."""
    return {
        name: resource["Properties"]
        for name, resource in template()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def snake_case(name: str) -> str:
    """``StartFullExport`` → ``start_full_export``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
