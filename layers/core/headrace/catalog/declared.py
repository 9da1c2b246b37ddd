"""An entry of a catalog file that knows where it stands."""

from dataclasses import dataclass

from headrace.catalog.marked import MarkedFile, Path
from headrace.catalog.model import Problem
from headrace.catalog.schema import Entry


@dataclass(frozen=True)
class Declared[E: Entry]:
    """An entry, and where it stands."""

    entry: E
    file: MarkedFile
    path: Path

    def problem(self, below: Path, message: str) -> Problem:
        """A problem with what stands at ``below`` in the entry."""
        return self.file.problem((*self.path, *below), message)

    @property
    def place(self) -> str:
        """``file:line``."""
        return f"{self.file.name}:{self.file.line(self.path)}"
