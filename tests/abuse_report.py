"""docs/security.md: every bad call on the list, the answer it must get, the tests that show it.

    python -m tests.abuse_report [--check]

A test says which case it shows by ``@pytest.mark.abuse(NUMBER)``. Numbers to 199 are those of the
list that the project began with (some were never given); what was thought of since has 201 on.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parent
PAGE = TESTS.parent / "docs" / "security.md"

GROUPS: tuple[tuple[str, str, dict[int, str]], ...] = (
    (
        "Access tokens",
        "401 `invalid_token`, unless another answer is named",
        {
            1: "signed by nobody (`alg: none`)",
            2: "HS256 with the public key's PEM as secret",
            3: "HS256 with the public key's JWK as secret",
            5: "`jku`, `x5u` and `jwk` in the header: ignored",
            6: "an unknown `crit`",
            7: "no `exp`",
            8: "`exp` as a text",
            9: "`nbf` in the future",
            10: "another issuer",
            11: "another audience",
            12: "an ID token or a DPoP proof as access token",
            13: "an RSA key of 1024 bits",
            15: "a claim given twice",
            17: "a scope is missing: 403 `insufficient_scope`",
            18: "a scope that is nearly the right one: 403",
            19: "no credentials: 401 with a bare challenge",
            20: "the token in the query: 401",
        },
    ),
    (
        "Token endpoint",
        "as RFC 6749 section 5.2 has it",
        {
            21: "a wrong secret: 401 `invalid_client`",
            22: "an unknown grant: 400 `unsupported_grant_type`",
            23: "more scope than granted: 400 `invalid_scope`",
            25: "a JSON body: 400",
            26: "login: unknown user and wrong password get the same answer in the same time",
            27: "login: the 11th try, 429",
            29: "login: a user who is no integrator, 403",
            30: "a credential's link used twice, or after 7 days: 410",
        },
    ),
    (
        "Introspection and revocation",
        "as RFC 7662 and RFC 7009 have it",
        {
            225: "a token or key of somebody else: `active: false`, and not ended",
            226: "a token that its client ended: 401 with the next call",
        },
    ),
    (
        "Clients that prove themselves by a key",
        "401 `invalid_client`, unless another answer is named",
        {
            221: "an assertion used twice",
            222: "an assertion of another client, for another place, or of another time",
            223: "an assertion that the client did not sign, or that is another kind of token",
            224: "an assertion and a secret at once: 400 `invalid_request`",
        },
    ),
    (
        "Signed statements and keys, section by section",
        "401 `invalid_token`, 401 `invalid_client` or 401 `invalid_dpop_proof`",
        {
            231: "an access token, assertion or proof that breaks a rule of RFC 7515, 7518, 7519, "
            "7523, 8725 or 9449 in one place (1,400 cases)",
            232: "a statement signed by a key that RFC 7517 or 7518 would not have used so "
            "(360 cases)",
            233: "such a key in a published set, or in the catalog: left out, and refused",
            234: "a used assertion or proof with another signature of the same key",
        },
    ),
    (
        "DPoP",
        "401 `invalid_dpop_proof`",
        {
            31: "two DPoP headers",
            32: "another `typ`",
            33: "a symmetric algorithm",
            34: "a private key in `jwk`",
            35: "another `htm`",
            36: "another host or path in `htu`",
            38: "another query in `htu`: 200",
            39: "`iat` 61 s ago, or 61 s ahead",
            40: "`iat` 10 s ahead: 200",
            41: "a proof used again, or by twenty calls at once: one is answered",
            44: "no `ath`",
            45: "another `ath`",
            46: "another key: 401 `invalid_token`",
            47: "a bound token as Bearer: 401 `invalid_token`",
            48: "no nonce, or an old one, where they are needed: `use_dpop_nonce`",
            49: "a refresh token with another key: 400",
        },
    ),
    (
        "Client certificates",
        "401",
        dict.fromkeys((50, 51, 53, 54, 55, 56, 58), "mutual TLS"),
    ),
    (
        "Keys and secrets",
        "as named",
        {
            59: "a static key after a year: 401",
            60: "a revoked key: 401 within a second",
            61: "an old refresh token: 400 `invalid_grant`",
            62: "reuse after 10 s ends the family",
            64: "the old access token after rotation: 401",
            65: "a crash after the commit and before the reply: documented recovery",
            66: "a secret is shown once, and kept as a hash",
        },
    ),
    (
        "Whose data",
        "as named",
        {
            67: "another tenant's job: 404, byte for byte that of one that never was",
            68: "consent revoked in the middle: no new rows, download 403",
            69: "a broker without group sees public data only",
            70: "a group without consent: 403",
            72: "a group asked for by no broker: 403",
            73: "another client's configuration: 404",
            74: "a tenant in the body that is not the token's: 403",
            75: "a cursor of another tenant's: 400",
            76: "a column not configured is in neither data nor metadata",
        },
    ),
    (
        "Quotas",
        "as named",
        {
            77: "50 starts at once: one is accepted, 49 get 409",
            78: "the fourth of a day: 429 with Retry-After",
            79: "a 409 costs nothing",
            81: "the same Idempotency-Key: the same operation",
            82: "the key with another body: 422",
            83: "a conflict of transactions is tried again inside, and never a 500",
            84: "what the system failed is refunded exactly once",
        },
    ),
    (
        "Lifecycle",
        "as named",
        {
            85: "cancel against completion: one terminal state, late writers fenced",
            86: "retry while it runs: 409",
            87: "retry of what succeeded: 409",
            88: "a retry runs failed jobs only",
            89: "delete while it runs: 409",
            90: "delete against download: 200 whole, or 404",
            91: "cancelling twice is cancelling once",
            92: "a task run twice: one file",
            93: "a stale attempt's commit is rejected",
            94: "a job that always fails: failed after N tries, lock freed",
            96: "data sets: build and import at once, 409 GEN-MIGR-008 and 009",
            97: "data sets: an empty set, GEN-MIGR-010",
            98: "data sets: GET before build, 204",
        },
    ),
    (
        "Storage",
        "as named",
        {
            99: "a truncated part never becomes a file",
            100: "a checksum that does not match fails the job",
            102: "an object without KMS is denied",
            103: "a range past the end: 416",
            104: "a disabled key: 503, not 200",
        },
    ),
    (
        "Archives",
        "400 or 422",
        dict.fromkeys((105, 106, 107, *range(109, 116), 118, 119), "uploaded ZIP and XML"),
    ),
    (
        "Calls to the outside, redirects",
        "refused",
        {
            120: "127.0.0.1, 169.254.*, ::ffff: and their like",
            123: "DNS that answers anew: the address is pinned",
            124: "a redirect to the inside is not followed",
            125: "localhost and file:",
            126: "user info, line breaks",
            127: "slow and endless bodies are capped",
            128: "a source's credential never goes to another host, nor over http",
            129: "webhooks are signed, at least once, and can be told apart",
            130: "`next=//evil` and its like: 400",
        },
    ),
    (
        "Input and output",
        "as named",
        {
            131: "an identifier that is SQL: 422, or data like any other",
            132: "an identifier over 63 bytes",
            133: "cells that begin with = + - @",
            135: "types are strict: 422",
            136: "query and body of a GET contradict each other: 400",
            137: "a wrong method: 405 with Allow",
            138: "a body over 1 MB: 413",
            140: "the body of a 500 has a correlation id only",
            141: "403 and 404 never echo what was sent",
        },
    ),
    (
        "Found since the list was made",
        "as named",
        {
            201: "a token used from a network that is not the client's: 403 `network_not_allowed`",
            202: "a client, scope or network taken away in the catalog: at once, for tokens too",
            203: "a table no longer granted: its documents are as ones that never were, 404",
            204: "a link altered, used to write, without signature, or too old: 403",
            205: "rows lie in documents only: not in logs, tables, temporary files",
            206: "no secret and no token is logged or kept",
            207: "a worker killed at any step: done again, every row once, nothing left",
            208: "a workflow stopped from outside: failed in time, lock freed, refunded",
            209: "a start cut off between its two steps: begun by the sweeper",
            210: "a body nested 100,000 deep, a field given twice, NaN: 400",
            211: "a loader that writes meanwhile: every table of an export shows one state",
            212: "documents that have expired: 410, and gone from storage",
        },
    ),
)

LATER = {
    "data sets": (96, 97, 98, 105, 106, 107, *range(109, 116), 118, 119),
    "sources over HTTP, webhooks, redirect pages, templates": (128, 129, 130, 136),
}
"""What no part that is there can be asked for yet."""

_NOTES = {
    74: "no call that is there takes a tenant in its body, so there it is an unknown field: 422",
    102: "without a header S3 itself encrypts with the bucket's key, on AWS",
    201: "the token endpoint says `unauthorized_client`, as RFC 6749 has no other word",
}


def marked() -> Iterator[tuple[int, str, str]]:
    """Each mark: the case, the file, and the test's name as a sentence."""
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef):
                continue
            for call in node.decorator_list:
                match call:
                    case ast.Call(
                        func=ast.Attribute(attr="abuse"), args=[ast.Constant(value=int(number))]
                    ):
                        sentence = node.name.removeprefix("test_").replace("_", " ")
                        yield number, path.relative_to(TESTS.parent).as_posix(), sentence


def page() -> str:
    """The page's text. Raises SystemExit for a mark that is on no list."""
    shown: dict[int, list[str]] = {}
    for number, path, sentence in marked():
        shown.setdefault(number, []).append(f"{sentence} ([{Path(path).stem}](../{path}))")
    known = {number for _, _, cases in GROUPS for number in cases}
    if unknown := sorted(shown.keys() - known):
        raise SystemExit(f"tests are marked with cases that the list does not have: {unknown}")
    later = {number: part for part, numbers in LATER.items() for number in numbers}
    lines = [
        "# Security: bad calls, and the answers they get",
        "",
        "Written by `python -m tests.abuse_report` from the marks of the tests, and checked with",
        "them. How tokens, secrets and networks work is in [identity.md](identity.md).",
        "",
        "Tests under `tests/system` call the deployed product over HTTP, on the",
        "[local platform](local-platform.md), which stands in for AWS; that page says where they",
        "differ. The callers' addresses are one such place: here a header makes them, on AWS they",
        "are those that API Gateway saw, and the resource policies of the API and the bucket come",
        "on top.",
    ]
    for title, answer, cases in GROUPS:
        here = {n: text for n, text in cases.items() if n in shown or n not in later}
        if not here:
            continue
        lines += ["", f"## {title}", "", f"Answer: {answer}.", "", "| | case | shown by |"]
        lines.append("| --- | --- | --- |")
        for number, text in here.items():
            tests = "<br>".join(sorted(set(shown.get(number, []))))
            tests = tests or "**no test yet**"
            note = f" ({_NOTES[number]})" if number in _NOTES else ""
            lines.append(f"| {number} | {text}{note} | {tests} |")
    lines += [
        "",
        "## Cases of parts that are not there yet",
        "",
        *(
            f"- {part}: {', '.join(str(n) for n in numbers if n not in shown)}"
            for part, numbers in LATER.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Writes the page, or says whether it is as it would be written."""
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text)
        return 0
    if PAGE.exists() and PAGE.read_text() == text:
        return 0
    print("docs/security.md is not what the tests say; run python -m tests.abuse_report")  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
