"""base64url and JSON as tokens use them, read strictly.

The lenient readers of the standard library let one signed token be written in many ways (padding,
stray bits, the same claim twice); whatever has more than one reading is refused here.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
MAX_DEPTH = 32
"""Objects and lists within each other. The reader's own bound depends on who calls it."""


def to_base64url(data: bytes) -> str:
    """``data`` in base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """The inverse of ``to_base64url``, for exactly what that writes.

    Raises ValueError for padding, foreign characters, blanks, and unused bits that are not zero.
    """
    if not _BASE64URL.fullmatch(text):
        raise ValueError("not base64url")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if to_base64url(data) != text:
        raise ValueError("not canonical base64url")
    return data


def to_json(value: Mapping[str, Any]) -> bytes:
    """Compact JSON in UTF-8, keys in the order given."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def object_from_json(data: bytes) -> dict[str, Any]:
    """A JSON object in UTF-8.

    Raises ValueError for anything else: another kind of value, a name twice at any depth, NaN,
    a byte order mark, numbers of thousands of digits, half a surrogate pair (RFC 8259 section 8.2),
    nesting deeper than ``MAX_DEPTH``.
    """
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    _check_within(value)
    return value


def _check_within(value: dict[str, Any]) -> None:
    left: list[tuple[Any, int]] = [(value, 1)]
    while left:
        one, depth = left.pop()
        if isinstance(one, str):
            one.encode()  # raises UnicodeError, a ValueError, for half a surrogate pair
        elif isinstance(one, dict | list):
            if depth > MAX_DEPTH:
                raise ValueError("nested too deeply")
            within = one if isinstance(one, list) else (*one.keys(), *one.values())
            left.extend((each, depth + 1) for each in within)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name stands twice")
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
