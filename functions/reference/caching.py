"""Replies that a browser may keep (RFC 9111), known again by a digest of their text."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from headrace.runtime.api import Call, Reply

REVALIDATED: Mapping[str, str] = {
    "ETag": "Send it as If-None-Match to be answered 304 while nothing has changed",
    "Cache-Control": "How long the reply may be kept",
}


def digest(text: str) -> str:
    """A name that changes whenever the text does."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def unless_unchanged(call: Call, reply: Reply) -> Reply:
    """The reply, whose body is a text, with its entity tag; 304 if the caller has it already."""
    tag = f'"{digest(reply.body)}"'
    headers = {**reply.headers, "ETag": tag}
    known = {
        given.strip().removeprefix("W/")
        for given in call.headers.get("if-none-match", "").split(",")
    }
    if known & {tag, "*"}:
        return Reply(304, None, headers)
    return replace(reply, headers=headers)
