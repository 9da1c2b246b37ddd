"""How many examples the property tests try that take seconds for a few."""

import os


def examples(number: int) -> int:
    """``number`` in `make explore` and with ``HYPOTHESIS_PROFILE=all``; half of it otherwise, as in
    `make test`, which then takes a minute less."""
    return number if os.environ.get("HYPOTHESIS_PROFILE") in ("all", "explore") else -(-number // 2)
