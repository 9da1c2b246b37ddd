"""What somebody may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(written: str, known: Iterable[str]) -> str:
    """``; did you mean "…"?`` for the nearest known name, or an empty text if none is near."""
    by_folded = {name.casefold(): name for name in known}
    near = get_close_matches(written.casefold(), by_folded, n=1, cutoff=0.6)
    return f'; did you mean "{by_folded[near[0]]}"?' if near else ""


def some_of(names: Iterable[str]) -> str:
    """The names, or the first dozen of them."""
    listed = list(names)
    more = f" and {len(listed) - 12} more" if len(listed) > 12 else ""
    return ", ".join(listed[:12]) + more
