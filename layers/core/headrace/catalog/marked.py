"""YAML whose values know the line they stand on, so that a message can say where to look.

Read as YAML 1.1 with the types of JSON and no others; a key given twice is a mistake here, not a
silent loss. ``${NAME}`` in a text is replaced by a variable, ``$${NAME}`` stands for itself.

Needs PyYAML, which only the operator's command installs: no function of the API imports this.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import yaml

from headrace.catalog.model import Problem

type Path = tuple[str | int, ...]

_VARIABLE = re.compile(r"\$(\$?)\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_VALUES = 1_000_000
"""More than any catalog holds; what a few nested aliases can multiply to has no bound."""


@dataclass
class MarkedFile:
    """What a file says: plain values, and for each path the line (from 1) that it begins on."""

    name: str
    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unset: set[Path] = field(default_factory=set)
    """Paths of texts with a variable that is not set."""

    def line(self, path: Path) -> int:
        """The line of the value there, or of the nearest one around it."""
        return next(self.lines[p] for p in _outward(path) if p in self.lines)

    def problem(self, path: Path, message: str) -> Problem:
        """A problem with the value there, or with one that is missing there."""
        return Problem(self.name, self.line(path), spell(path), message)


def spell(path: Path) -> str:
    """``("tables", 0, "columns")`` as ``tables[0].columns``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _outward(path: Path) -> Iterator[Path]:
    for length in range(len(path), -1, -1):
        yield path[:length]


def read(name: str, text: str, variables: Mapping[str, str]) -> MarkedFile:
    """The file; what is wrong with it as YAML is among its ``problems``."""
    file = MarkedFile(name, lines={(): 1})
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        reason = " ".join(part for part in (error.context, error.problem) if part)
        file.problems.append(Problem(name, line, "", f"not valid YAML: {reason}"))
        return file
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        reason = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML"
        file.problems.append(Problem(name, line, "", reason))
        return file
    if node is not None:
        file.data = _Reader(loader, file, variables).value(node, (), ())
    return file


@dataclass
class _Reader:
    loader: yaml.SafeLoader
    file: MarkedFile
    variables: Mapping[str, str]
    count: int = 0

    def value(self, node: yaml.Node, path: Path, around: tuple[int, ...]) -> Any:
        self.count += 1
        if id(node) in around or self.count > _MAX_VALUES:
            if self.count <= _MAX_VALUES + 1:
                self.complain(node, path, "an alias that contains itself, or too many of them")
            self.count = _MAX_VALUES + 1
            return None
        self.file.lines.setdefault(path, node.start_mark.line + 1)
        around = (*around, id(node))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, around)
        if isinstance(node, yaml.SequenceNode):
            return [
                self.value(item, (*path, index), around) for index, item in enumerate(node.value)
            ]
        return self.scalar(node, path)

    def mapping(self, node: yaml.MappingNode, path: Path, around: tuple[int, ...]) -> Any:
        written = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and written.count(key.value) > 1:
                written = [name for name in written if name != key.value]
                self.complain(key, path, f'the key "{key.value}" stands here more than once')
        try:
            self.loader.flatten_mapping(node)
        except yaml.MarkedYAMLError as error:
            self.complain(node, path, f"not valid YAML: {error.problem}")
            return {}
        values: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.complain(key, path, "a key must be a plain text")
                continue
            below = (*path, key.value)
            # A key that comes by a merge (<<) stands elsewhere; its own line is the useful one.
            self.file.lines[below] = key.start_mark.line + 1
            values[key.value] = self.value(value, below, around)
        return values

    def scalar(self, node: yaml.Node, path: Path) -> Any:
        try:
            value = self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            reason = getattr(error, "problem", None) or error
            self.complain(node, path, f"cannot be read: {reason}; put it in quotes")
            return None
        if isinstance(value, str):
            return self.substituted(node, path, value)
        if isinstance(value, date):
            return str(node.value)
        if value is None or isinstance(value, (bool, int, float)):
            return value
        self.complain(node, path, "cannot be read; put it in quotes")
        return None

    def substituted(self, node: yaml.Node, path: Path, text: str) -> str:
        def replaced(match: re.Match[str]) -> str:
            escaped, name = match.groups()
            if escaped:
                return match[0][1:]
            if not _NAME.fullmatch(name):
                self.complain(
                    node, path, f"{match[0]} names no variable; write $${{{name}}} for it"
                )
            elif name not in self.variables:
                self.complain(
                    node, path, f"{match[0]} is not set: export it, or add --set {name}=VALUE"
                )
            else:
                return self.variables[name]
            self.file.unset.add(path)
            return match[0]

        return _VARIABLE.sub(replaced, text)

    def complain(self, node: yaml.Node, path: Path, message: str) -> None:
        line = node.start_mark.line + 1
        self.file.problems.append(Problem(self.file.name, line, spell(path), message))
