"""Ids of operations: sortable by time, unguessable, safe in a path, a file name and an ARN."""

import re
import secrets
import uuid
from datetime import datetime
from typing import Protocol

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32, lower case: no i, l, o, u, and it sorts as the number does."""

OPERATION_ID = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")
JOB_ID = re.compile(r"([0-9a-hjkmnp-tv-z]{26})-([0-9]{4})")


class Ids(Protocol):
    """Makes ids."""

    def new(self, moment: datetime) -> str:
        """An id that sorts after those of earlier milliseconds."""
        ...


class RandomIds:
    """26 characters: 48 bits of Unix milliseconds, then 80 random bits (the ULID layout)."""

    def new(self, moment: datetime) -> str:
        """An id that sorts after those of earlier milliseconds."""
        number = (int(moment.timestamp() * 1000) << 80) | secrets.randbits(80)
        return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


class RandomUuids:
    """UUIDs of version 4, where a seed's clients take ids for UUIDs (seed 004)."""

    def new(self, moment: datetime) -> str:
        """An id that says nothing, not even when it was made."""
        return str(uuid.uuid4())
