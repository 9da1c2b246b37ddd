"""How a statement is written: its parts, base64url, JSON."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.unit.identity.jose.cases import Case
from tests.unit.identity.jose.statements import (
    ALGORITHMS,
    Kind,
    b64,
    elliptic,
    signed_by,
)


def writing_cases() -> Iterator[Case]:
    """All of them."""
    yield from _goods()
    yield from _serializations()
    yield from _base64url()
    yield from _json_texts()


def _goods() -> Iterator[Case]:
    for algorithm in ALGORITHMS:
        yield Case(
            f"good, {algorithm}",
            "RFC 7518 section 3.1",
            lambda kind, algorithm=algorithm: kind.text(algorithm),  # type: ignore[misc]
            taken=True,
        )


def _of_parts(name: str, rule: str, change: Callable[[str, str, str], str]) -> Case:
    return Case(name, rule, lambda kind: change(*kind.text().split(".")))


def _serializations() -> Iterator[Case]:
    rule = "RFC 7515 section 7.1"
    yield _of_parts("nothing", rule, lambda h, p, s: "")
    yield _of_parts("a header alone", rule, lambda h, p, s: h)
    yield _of_parts("no signature part", rule, lambda h, p, s: f"{h}.{p}")
    yield _of_parts("a fourth part", rule, lambda h, p, s: f"{h}.{p}.{s}.{s}")
    yield _of_parts("an empty fourth part", rule, lambda h, p, s: f"{h}.{p}.{s}.")
    yield _of_parts("a dot in front", rule, lambda h, p, s: f".{h}.{p}.{s}")
    yield _of_parts("no header", rule, lambda h, p, s: f".{p}.{s}")
    yield _of_parts("no payload (detached)", "RFC 7515 appendix F", lambda h, p, s: f"{h}..{s}")
    yield _of_parts(
        "five parts, as of a JWE", "RFC 7516 section 9", lambda h, p, s: f"{h}..{p}.{s}.{s}"
    )
    yield _of_parts(
        "the flattened JSON serialization",
        "RFC 7515 section 7.2.2",
        lambda h, p, s: json.dumps({"protected": h, "payload": p, "signature": s}),
    )
    yield _of_parts(
        "the general JSON serialization",
        "RFC 7515 section 7.2.1",
        lambda h, p, s: json.dumps(
            {"payload": p, "signatures": [{"protected": h, "signature": s}]}
        ),
    )
    yield Case(
        "of 20,000 characters",
        "RFC 8725 section 3.11",
        lambda kind: kind.text(claims={"note": "x" * 15_000}),
    )


def _base64url() -> Iterator[Case]:
    rule = "RFC 7515 section 2"
    for part, place in (("header", 0), ("payload", 1), ("signature", 2)):

        def changed(
            kind: Kind, change: Callable[[str], str], place: int = place, filled: int = 0
        ) -> str:
            # Blanks are no part of what JSON says, and move where the last octet falls.
            wide = {"claims": _spaced(kind, filled)} if place == 1 else {}
            parts = kind.text(**wide).split(".")  # type: ignore[arg-type]
            parts[place] = change(parts[place])
            if place != 2:  # signed as it is written, so that only the writing is wrong
                message = f"{parts[0]}.{parts[1]}".encode()
                parts[2] = b64(signed_by(elliptic(), "ES256", message))
            return ".".join(parts)

        oddities: dict[str, Callable[[str], str]] = {
            "padded": lambda text: text + "=" * (-len(text) % 4 or 4),
            "ending in a line break": lambda text: text + "\n",
            "broken into lines": lambda text: f"{text[:40]}\r\n{text[40:]}",
            "beginning with a blank": lambda text: f" {text}",
            "with a character of base64": lambda text: f"{text[:8]}+{text[9:]}",
            "with a slash": lambda text: f"{text[:8]}/{text[9:]}",
            "with an escape of URLs": lambda text: f"{text[:8]}%41{text[9:]}",
            "with a character beyond ASCII": lambda text: f"{text[:8]}\u212a{text[9:]}",
            "with a NUL": lambda text: f"{text[:8]}\0{text[9:]}",
            "of a length there is not": lambda text: text + "A" * (1 + -len(text) % 4),
        }
        for what, change in oddities.items():
            yield Case(
                f"{part} {what}",
                rule,
                lambda kind, change=change, changed=changed: changed(kind, change),  # type: ignore[misc]
            )
    for bits, octets in ((2, 2), (4, 1)):
        yield Case(
            f"payload with {bits} stray bits",
            "RFC 4648 section 3.5",
            lambda kind, octets=octets: _stray(kind, octets),  # type: ignore[misc]
        )
    yield Case(
        "signature with stray bits",
        "RFC 4648 section 3.5",
        lambda kind: _next_letter(kind.text()),
    )


def _spaced(kind: Kind, beyond: int) -> bytes:
    """Claims whose length leaves ``beyond`` octets over a multiple of three."""
    told = json.dumps(kind.claims()).encode()
    return told + b" " * ((beyond - len(told)) % 3)


def _stray(kind: Kind, octets: int) -> str:
    head, payload, _ = kind.text(claims=_spaced(kind, octets)).split(".")
    message = _next_letter(f"{head}.{payload}")
    return f"{message}.{b64(signed_by(elliptic(), 'ES256', message.encode()))}"


def _next_letter(text: str) -> str:
    """With the next character for the last one: the same octets to a lenient reader."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + letters[letters.index(text[-1]) + 1]


def _json_texts() -> Iterator[Case]:
    texts: dict[str, tuple[str, Callable[[bytes], bytes], bool]] = {
        "with blanks around": ("RFC 8259 section 2", lambda t: b" \r\n\t" + t + b"\n", True),
        "with a member nobody knows": (
            "RFC 7515 section 4, RFC 7519 section 4",
            lambda t: t[:-1] + b',"https://example.com/x":{"a":[1,null]}}',
            True,
        ),
        "with a name escaped": (
            "RFC 8259 section 8.3",
            lambda t: t.replace(b'"alg"', rb'"\u0061lg"').replace(b'"iat"', rb'"\u0069at"'),
            True,
        ),
        "of nothing": ("RFC 8259 section 2", lambda t: b"", False),
        "cut off": ("RFC 8259 section 2", lambda t: t[:-1], False),
        "with more behind": ("RFC 8259 section 2", lambda t: t + b"{}", False),
        "with a comma too many": ("RFC 8259 section 4", lambda t: t[:-1] + b",}", False),
        "with a comment": ("RFC 8259 section 2", lambda t: b"/**/" + t, False),
        "in single quotes": ("RFC 8259 section 7", lambda t: t.replace(b'"', b"'"), False),
        "with a line break in a text": (
            "RFC 8259 section 7",
            lambda t: t[:-1] + b',"x":"a\nb"}',
            False,
        ),
        "after a byte order mark": ("RFC 8259 section 8.1", lambda t: b"\xef\xbb\xbf" + t, False),
        "in UTF-16": ("RFC 7515 section 5.2", lambda t: t.decode().encode("utf-16"), False),
        "with an octet that is no UTF-8": (
            "RFC 7515 section 5.2",
            lambda t: t[:-1] + b',"x":"\xff"}',
            False,
        ),
        "with an overlong form": (
            "RFC 3629 section 3",
            lambda t: t[:-1] + b',"x":"\xc0\xaf"}',
            False,
        ),
        "with half a surrogate pair": (
            "RFC 8259 section 8.2",
            lambda t: t[:-1] + rb',"x":"\ud800"}',
            False,
        ),
        "with half a surrogate pair as a name": (
            "RFC 8259 section 8.2",
            lambda t: t[:-1] + rb',"\udfff":1}',
            False,
        ),
        "with a whole surrogate pair": (
            "RFC 8259 section 7",
            lambda t: t[:-1] + rb',"x":"\ud83d\ude00"}',
            True,
        ),
        "a list": ("RFC 7519 section 7.2", lambda t: b"[" + t + b"]", False),
        "a text": ("RFC 7519 section 7.2", lambda t: json.dumps(t.decode()).encode(), False),
        "a number": ("RFC 7519 section 7.2", lambda t: b"1", False),
        "null": ("RFC 7519 section 7.2", lambda t: b"null", False),
        "true": ("RFC 7519 section 7.2", lambda t: b"true", False),
        "an empty object": ("RFC 7515 section 4.1.1", lambda t: b"{}", False),
        "with NaN": ("RFC 8259 section 6", lambda t: t[:-1] + b',"x":NaN}', False),
        "with Infinity": ("RFC 8259 section 6", lambda t: t[:-1] + b',"x":-Infinity}', False),
        "with a number of 5,000 digits": (
            "RFC 8725 section 3.11",
            lambda t: t[:-1] + b',"x":' + b"9" * 5000 + b"}",
            False,
        ),
        "with lists 31 deep": ("RFC 8259 section 9", lambda t: _deep(t, 31, b"[", b"]"), True),
        "with lists 32 deep": ("RFC 8259 section 9", lambda t: _deep(t, 32, b"[", b"]"), False),
        "with objects 32 deep": (
            "RFC 8259 section 9",
            lambda t: _deep(t, 32, b'{"a":', b"}"),
            False,
        ),
        "with lists 1,200 deep": (
            "RFC 8259 section 9",
            lambda t: _deep(t, 1200, b"[", b"]"),
            False,
        ),
        "with the first member twice": ("RFC 7515 section 4", _repeating, False),
        "with a member twice, once escaped": (
            "RFC 7515 section 4",
            lambda t: t[:-1] + rb',"x":1,"\u0078":1}',
            False,
        ),
        "with a member twice within another": (
            "RFC 8725 section 2.7",
            lambda t: t[:-1] + b',"x":{"a":[{"b":1,"b":1}]}}',
            False,
        ),
    }
    for what, (rule, change, taken) in texts.items():
        for part in ("header", "claims"):

            def make(kind: Kind, change: Any = change, part: str = part) -> str:
                good = kind.header("ES256") if part == "header" else kind.claims()
                octets = change(json.dumps(good).encode())
                return kind.text(**{part: octets})

            yield Case(f"{part} {what}", rule, make, taken=taken)


def _deep(text: bytes, depth: int, opening: bytes, closing: bytes) -> bytes:
    """With a member more, of things in things."""
    return text[:-1] + b',"x":' + opening * depth + b"1" + closing * depth + b"}"


def _repeating(text: bytes) -> bytes:
    """Every member again, with the value that it has."""
    return text[:-1] + b"," + text[1:]
