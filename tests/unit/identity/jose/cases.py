"""What a case is: one statement, and whether it may be taken.

Written from the RFCs, in the manner of Project Wycheproof: a case has a name, the section that
decides it, and a text. But for what the name says the text is good, and its signature is right
unless the signature is what the case is about; so a reader who overlooks that one thing takes it.
"""

from collections.abc import Callable, ItemsView, Mapping
from dataclasses import dataclass
from typing import Any

from tests.unit.identity.jose.statements import ACCESS_TOKEN, ASSERTION, KINDS, Kind

BY_KEY_ID = (ACCESS_TOKEN, ASSERTION)
TOLD_TIMES = (ACCESS_TOKEN, ASSERTION)
"""Those that say themselves when they end."""


@dataclass(frozen=True)
class Case:
    """One statement."""

    name: str
    rule: str
    """What decides it."""
    make: Callable[[Kind], str]
    kinds: tuple[Kind, ...] = KINDS
    taken: bool = False


def having(
    name: str,
    rule: str,
    *,
    header: Mapping[str, Any] | None = None,
    claims: Mapping[str, Any] | None = None,
    kinds: tuple[Kind, ...] = KINDS,
    taken: bool = False,
) -> Case:
    """A case that differs in members of the header or claims."""
    return Case(name, rule, lambda kind: kind.text(header=header, claims=claims), kinds, taken)


def table(values: Mapping[str, Any]) -> ItemsView[str, Any]:
    """What is said of values, and the values."""
    return values.items()
