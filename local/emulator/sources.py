"""Change a module's source while it is imported, and refuse when it is not the source we know.

A patch names the very text that it replaces. When the pinned package changes, the text is no
longer there, and the platform does not start: better than a platform that differs silently.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


class PatchDoesNotFit(Exception):
    """The module's source is not the one that the patch was written for."""


@dataclass(frozen=True)
class Patch:
    """One replacement in one module's source."""

    module: str
    reason: str
    old: str
    new: str


def apply(patches: Iterable[Patch], source: str) -> str:
    """The source with the patches applied, in order; each must fit exactly once."""
    for patch in patches:
        found = source.count(patch.old)
        if found != 1:
            raise PatchDoesNotFit(
                f"{patch.module}: the text to replace ({patch.reason}) is there {found} times"
            )
        source = source.replace(patch.old, patch.new)
    return source


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module from its patched source, never from a cache."""

    def __init__(self, name: str, path: str, patches: Sequence[Patch]) -> None:
        super().__init__(name, path)
        self._patches = patches

    def get_code(self, fullname: str) -> types.CodeType:
        path = self.get_filename(fullname)
        source = importlib.util.decode_source(self.get_data(path))
        return compile(apply(self._patches, source), path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, patches: Sequence[Patch]) -> None:
        self._patches = patches

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        wanted = [patch for patch in self._patches if patch.module == fullname]
        if not wanted:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None:
            return None
        spec.loader = _Loader(fullname, spec.origin, wanted)
        return spec


def source_of(module: str) -> Path:
    """The file of a module that is installed, found without importing anything of it."""
    package, *rest = module.split(".")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise PatchDoesNotFit(f"{package} is not installed")
    return Path(spec.origin).parent.joinpath(*rest).with_suffix(".py")


def install(patches: Sequence[Patch]) -> None:
    """Check every patch against the installed source now, and apply it on import."""
    for module in sorted({patch.module for patch in patches}):
        if module in sys.modules:
            raise PatchDoesNotFit(f"{module} is already imported")
        wanted = [patch for patch in patches if patch.module == module]
        apply(wanted, source_of(module).read_text(encoding="utf-8"))
    sys.meta_path.insert(0, _Finder(patches))
