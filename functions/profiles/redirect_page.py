"""The page behind the button of another system: one text, the same for every link.

Nothing of a request is in it. Its script and its style are in it, and the policy allows these two
and no others, by their digests.
"""

import base64
import hashlib
from functools import cache
from pathlib import Path
from string import Template

_PAGES = Path(__file__).with_name("pages")


def _text(name: str) -> str:
    return (_PAGES / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def page() -> str:
    """The page."""
    return Template(_text("redirect.html")).substitute(
        style=_text("redirect.css"), script=_text("redirect.js")
    )


@cache
def policy() -> str:
    """What the page may do: run its own script, and call this API."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'sha256-{_digest(_text('redirect.js'))}'",
            f"style-src 'sha256-{_digest(_text('redirect.css'))}'",
            "img-src data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
