"""What the tests of the docs read: the checkout itself."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

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


class _Template(yaml.SafeLoader):
    """Reads template.yaml: ``!Ref Thing`` becomes ``{"Ref": "Thing"}``, and so on."""


def _function(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}  # type: ignore[arg-type]


_Template.add_multi_constructor("!", _function)


@cache
def template() -> dict[str, Any]:
    """template.yaml."""
    text = (ROOT / "template.yaml").read_text()
    parsed: dict[str, Any] = yaml.load(text, _Template)
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
