"""The routes: every module under functions/ that declares one."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

from headrace.runtime.api import Endpoint, Route
from openapi import FUNCTIONS

ROOT = FUNCTIONS.parent


@dataclass(frozen=True)
class Declared:
    """A route, and where it is declared. ``name`` is the module's: the operation's id."""

    product: str
    name: str
    endpoint: Endpoint

    @property
    def route(self) -> Route:
        """The route."""
        return self.endpoint.route

    @property
    def logical_id(self) -> str:
        """The function's name in template.yaml: ``start_full_export`` → ``StartFullExport``."""
        return "".join(word.capitalize() for word in self.name.split("_"))

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that it answers, its own first."""
        return (self.route.path, *self.route.aliases, *self.route.others)

    def name_at(self, path: str) -> str:
        """The operation's id at one of its paths."""
        if path in self.route.aliases:
            return f"{self.name}_by_its_other_path"
        return self.route.others.get(path, self.name)


def declared() -> Iterator[Declared]:
    """Every route, by product and name."""
    for file in sorted(FUNCTIONS.glob("*/*.py")):
        if file.stem == "__init__":
            continue
        module = import_module(f"{file.parent.name}.{file.stem}")
        if isinstance(handler := getattr(module, "handler", None), Endpoint):
            yield Declared(file.parent.name, file.stem, handler)


def served() -> tuple[Declared, ...]:
    """The routes that answer; the one that refuses everything else is none of them."""
    return tuple(one for one in declared() if one.route.method != "ANY")
