"""What templates are: which columns and rows of a source a partner may read once one is activated.

A *standard* template is there for every tenant whose application is of the minimum version or a
later one; a *custom* one for the tenants that it names. Either is inactive until the operator
activates it for a tenant, which no integrator can do (seed 003).
"""

import re
from dataclasses import dataclass

from headrace.kernel.errors import InvalidRequest

_VERSION = re.compile(r"(\d{4})\.(\d{1,6})", re.ASCII)


@dataclass(frozen=True, order=True)
class ApplicationVersion:
    """The version of the tenant's application, ``2019.2603``: its parts compare as numbers."""

    year: int
    build: int

    @classmethod
    def of(cls, text: str) -> "ApplicationVersion":
        """From its text. Raises InvalidRequest."""
        found = _VERSION.fullmatch(text)
        if found is None:
            raise InvalidRequest("An application's version is a year and a number: 2019.2603.")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.year}.{self.build}"


@dataclass(frozen=True)
class Template:
    """A template as it was published. ``columns`` are public names, in the order of the rows.

    ``tenants``: those that a custom one is for; None of a standard one. Its source, and what is
    read there, are the catalog's (``catalog.model.PublishedTemplate``): callers are told neither.
    """

    template_id: str
    name: str
    columns: tuple[str, ...]
    has_date: bool = False
    """Has it a column of dates, by which ``date`` chooses rows."""
    has_anonymised: bool = False
    """Has it a column that marks anonymised persons, whose rows are left out by default."""
    minimum_version: ApplicationVersion | None = None
    tenants: frozenset[str] | None = None

    @property
    def is_standard(self) -> bool:
        """Is it there for every tenant."""
        return self.tenants is None

    def exists_for(self, tenant: str, version: ApplicationVersion | None) -> bool:
        """Whether this tenant, whose application is of this version, has it at all."""
        if self.tenants is not None and tenant not in self.tenants:
            return False
        return self.minimum_version is None or (
            version is not None and version >= self.minimum_version
        )
