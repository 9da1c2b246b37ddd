"""What the claims say."""

import json
from collections.abc import Iterator

from tests.unit.identity.jose.cases import TOLD_TIMES, Case, having, table
from tests.unit.identity.jose.statements import (
    ACCESS_TOKEN,
    ASSERTION,
    KINDS,
    LEFT_OUT,
    NOW_SECONDS,
    PROOF,
    Kind,
    elliptic,
    jwk_of,
)
from tests.unit.identity.proofs_made import URL
from tests.unit.identity.tokens_made import AUDIENCE, ISSUER


def claim_cases() -> Iterator[Case]:
    """All of them."""
    yield from _payloads()
    yield from _times()
    yield from _texts_of_claims()
    yield from _access_tokens()
    yield from _assertions()
    yield from _proofs()


def _payloads() -> Iterator[Case]:
    yield Case(
        "a good statement as payload of another",
        "RFC 8725 section 2.8",
        lambda kind: kind.text(header={"cty": "JWT"}, claims=kind.text().encode()),
    )
    for kind in KINDS:
        for name in kind.claims():
            needed = name in _NEEDED[kind.name]
            for what, value in table({"left out": LEFT_OUT, "null": None}):
                if needed or (value is None and name not in {"scope", "jti"}):
                    yield having(
                        f"{name} {what}", _NEEDED_BY[kind.name], claims={name: value}, kinds=(kind,)
                    )


_NEEDED = {
    ACCESS_TOKEN.name: {"iss", "sub", "aud", "client_id", "tenant_id", "iat", "exp"},
    ASSERTION.name: {"iss", "sub", "aud", "iat", "exp", "jti"},
    PROOF.name: {"jti", "iat", "htm", "htu"},
}
_NEEDED_BY = {
    ACCESS_TOKEN.name: "RFC 9068 section 2.2",
    ASSERTION.name: "RFC 7523 section 3",
    PROOF.name: "RFC 9449 section 4.2",
}


def _times() -> Iterator[Case]:
    rule = "RFC 7519 section 2 (NumericDate)"
    numbers: dict[str, str] = {
        "a text": f'"{NOW_SECONDS}"',
        "true": "true",
        "a list": f"[{NOW_SECONDS}]",
        "an object": "{}",
        "a date": '"2026-11-20T12:00:00Z"',
        "NaN": "NaN",
        "Infinity": "Infinity",
        "minus Infinity": "-Infinity",
        "beyond a double": "1e999",
        "as large as a double is": "1.7e308",
        "beyond all years": "1" + "0" * 30,
        "of 4,000 digits": "9" * 4000,
        "in hexadecimal": "0x6920",
        "with a zero in front": f"0{NOW_SECONDS}",
        "with a plus": f"+{NOW_SECONDS}",
        "in milliseconds": f"{NOW_SECONDS}000000",
    }
    for kind in KINDS:
        for claim in ("iat", "exp", "nbf"):
            if claim != "iat" and kind not in TOLD_TIMES:
                continue
            for what, text in numbers.items():
                if kind is ACCESS_TOKEN and claim == "exp" and what == "in milliseconds":
                    text = "1" + "0" * 16  # noqa: PLW2901 — far, and still a year
                yield Case(
                    f"{claim} {what}",
                    rule,
                    lambda kind, claim=claim, text=text: kind.text(  # type: ignore[misc]
                        claims=_raw_value(kind, claim, text)
                    ),
                    (kind,),
                )
    fraction = {"a fraction": f"{NOW_SECONDS}.25", "in powers of ten": f"{NOW_SECONDS}e0"}
    for what, text in fraction.items():
        for claim in ("iat", "nbf"):
            yield Case(
                f"{claim} {what}",
                rule,
                lambda kind, claim=claim, text=text: kind.text(  # type: ignore[misc]
                    claims=_raw_value(kind, claim, text)
                ),
                taken=True,
            )
    section = "RFC 7519 section 4.1.4 to 4.1.6"
    late: dict[str, tuple[dict[str, int], tuple[Kind, ...], bool]] = {
        "ended an hour ago": ({"exp": -3600}, TOLD_TIMES, False),
        "ended when the world began": ({"exp": -NOW_SECONDS}, TOLD_TIMES, False),
        "ends before 1970": ({"exp": -2 * NOW_SECONDS}, TOLD_TIMES, False),
        "not before tomorrow": ({"nbf": 86400}, TOLD_TIMES, False),
        "made tomorrow": ({"iat": 86400}, KINDS, False),
        "made eleven seconds from now": ({"iat": 11}, KINDS, False),
        "made nine seconds from now": ({"iat": 9}, KINDS, True),
        "not before eleven seconds from now": ({"nbf": 11}, TOLD_TIMES, False),
        "not before an hour ago": ({"nbf": -3600}, TOLD_TIMES, True),
    }
    for what, (moments, kinds, taken) in late.items():
        told = {claim: NOW_SECONDS + moment for claim, moment in moments.items()}
        yield having(what, section, claims=told, kinds=kinds, taken=taken)
    yield having(
        "made 61 seconds ago",
        "RFC 9449 section 11.1",
        claims={"iat": NOW_SECONDS - 61},
        kinds=(PROOF,),
    )
    yield having(
        "ends in an hour",
        "RFC 7523 section 3",
        claims={"exp": NOW_SECONDS + 3600},
        kinds=(ASSERTION,),
    )


def _raw_value(kind: Kind, claim: str, text: str) -> bytes:
    """The claims with a value as it is written here."""
    told = {name: value for name, value in kind.claims().items() if name != claim}
    return json.dumps(told)[:-1].encode() + f',"{claim}":{text}}}'.encode()


def _texts_of_claims() -> Iterator[Case]:
    """StringOrURI, and the like of it."""
    rule = "RFC 7519 section 2 (StringOrURI)"
    for kind in KINDS:
        for name, value in kind.claims().items():
            if not isinstance(value, str) or (kind is ACCESS_TOKEN and name in {"jti", "scope"}):
                continue
            for what, other in {
                "a number": 7,
                "true": True,
                "an object": {"value": value},
                "empty": "",
                "in a list": [value],
            }.items():
                if what == "in a list" and name == "aud":
                    continue
                yield having(f"{name} {what}", rule, claims={name: other}, kinds=(kind,))
            if name not in {"jti", "sub"} or (kind is ASSERTION and name == "sub"):
                for what, other in {
                    "with a blank behind": f"{value} ",
                    "with a NUL behind": f"{value}\0",
                    "with a line break behind": f"{value}\n",
                    "with a soft hyphen behind": f"{value}\u00ad",
                    "in other letters": value.swapcase(),
                }.items():
                    if name == "htu" and what == "in other letters":
                        continue  # scheme and host have no case (RFC 3986 section 6.2.2.1)
                    yield having(f"{name} {what}", rule, claims={name: other}, kinds=(kind,))
    yield having(
        "audience in a list",
        "RFC 7519 section 4.1.3",
        claims={"aud": [AUDIENCE]},
        kinds=(ACCESS_TOKEN,),
        taken=True,
    )


def _access_tokens() -> Iterator[Case]:
    alone = (ACCESS_TOKEN,)
    rule = "RFC 7519 section 4.1.3"
    yield having("us among others", rule, claims={"aud": ["x", AUDIENCE]}, kinds=alone, taken=True)
    for what, value in table(
        {
            "an empty list": [],
            "a list of others": ["x", "y"],
            "a list in a list": [[AUDIENCE]],
            "us beside a number": [AUDIENCE, 7],
            "us beside null": [None, AUDIENCE],
            "an object with our name": {AUDIENCE: True},
            "our name within another": f"x{AUDIENCE}x",
            "two names in one text": f"x {AUDIENCE}",
        }
    ):
        yield having(f"audience {what}", rule, claims={"aud": value}, kinds=alone)
    for what, value in table(
        {
            "with a slash": "https://login.partner.example/",
            "by http": "http://login.partner.example",
            "with a port": "https://login.partner.example:443",
            "ourselves": ISSUER,
        }
    ):
        yield having(f"issuer {what}", "RFC 7519 section 4.1.1", claims={"iss": value}, kinds=alone)
    for what, value in table(
        {
            "null": None,
            "a list": [],
            "a text": "x",
            "of nothing": {},
            "of a key that is null": {"jkt": None},
            "of a key that is a number": {"jkt": 7},
            "of a key that is empty": {"jkt": ""},
            "of a certificate that is null": {"x5t#S256": None},
            "of a whole key": {"jwk": jwk_of(elliptic())},
            "of a key's id": {"kid": "x"},
            "of an encrypted key": {"jwe": "x"},
            "of a key's address": {"jku": "https://login.partner.example/x"},
            "of what nobody knows": {"x": 1},
        }
    ):
        yield having(
            f"confirmation {what}",
            "RFC 7800 section 3.1, RFC 9449 section 6.1",
            claims={"cnf": value},
            kinds=alone,
        )


def _assertions() -> Iterator[Case]:
    alone = (ASSERTION,)
    rule = "RFC 7523 section 3"
    endpoint = f"{ISSUER}/connect/token"
    for what, value in table({"the token endpoint": endpoint, "us in a list": [ISSUER]}):
        yield having(f"audience {what}", rule, claims={"aud": value}, kinds=alone, taken=True)
    for what, value in table(
        {
            "an empty list": [],
            "us and another": [ISSUER, "https://other.example"],
            "us twice": [ISSUER, ISSUER],
            "a list in a list": [[ISSUER]],
            "an object": {ISSUER: 1},
            "with a slash": f"{ISSUER}/",
            "another endpoint of ours": f"{ISSUER}/data/v1/fulldata",
            "the token endpoint with a query": f"{endpoint}?x",
            "the API that tokens are for": AUDIENCE,
            "the client": "acme-hr",
        }
    ):
        yield having(f"audience {what}", rule, claims={"aud": value}, kinds=alone)
    for what, told in table(
        {
            "of another client": {"iss": "other", "sub": "other"},
            "made by somebody else": {"iss": "https://login.partner.example"},
            "about somebody else": {"sub": "other"},
            "of a client with a path for a name": {"iss": "../acme-hr", "sub": "../acme-hr"},
            "with an id of 257 characters": {"jti": "x" * 257},
            "with half a surrogate pair as id": {"jti": "\ud800"},
        }
    ):
        yield having(what, rule, claims=told, kinds=alone)


def _proofs() -> Iterator[Case]:
    alone = (PROOF,)
    rule = "RFC 9449 section 4.3"
    host = "https://api.example.com"
    for what, url in {
        "with the port that is meant": f"{host}:443/v1/data/v1/fulldata",
        "with the host in capitals": "HTTPS://API.EXAMPLE.COM/v1/data/v1/fulldata",
        "with an escape of a letter": f"{host}/v1/d%61ta/v1/fulldata",
        "with steps up": f"{host}/v1/x/../data/v1/fulldata",
        "with a query": f"{URL}?a=b",
        "with a fragment": f"{URL}#a",
    }.items():
        yield having(f"URL {what}", rule, claims={"htu": url}, kinds=alone, taken=True)
    for what, url in {
        "relative": "/v1/data/v1/fulldata",
        "without a scheme": "//api.example.com/v1/data/v1/fulldata",
        "with another port": f"{host}:8443/v1/data/v1/fulldata",
        "with a user": "https://x@api.example.com/v1/data/v1/fulldata",
        "with a user that looks like us": f"{host}@evil.example/v1/data/v1/fulldata",
        "of a longer host": f"{host}.evil.example/v1/data/v1/fulldata",
        "with a slash behind": f"{URL}/",
        "with two slashes": f"{host}//v1/data/v1/fulldata",
        "with a slash escaped": f"{host}/v1%2Fdata/v1/fulldata",
        "with a backslash": f"{host}\\v1/data/v1/fulldata",
        "with the path in capitals": f"{host}/V1/DATA/V1/FULLDATA",
        "with a parameter of the path": f"{URL};x=y",
        "with a tab": f"{host}/v1/da\tta/v1/fulldata",
        "with a line break": f"{host}/v1/da\r\nta/v1/fulldata",
        "with a blank in front": f" {URL}",
        "with a control character in front": f"\x01{URL}",
        "with a line break in the scheme": f"ht\ntps{URL[5:]}",
        "with letters of another script": URL.replace("example", "ex\u0430mple"),
        "with digits of another script": f"{host}:\u0664\u0664\u0663/v1/data/v1/fulldata",
        "with a letter that is folded into ours": URL.replace("api", "\uff41pi"),
        "with half a surrogate pair": f"{URL}\ud800",
    }.items():
        yield having(f"URL {what}", rule, claims={"htu": url}, kinds=alone)
    for what, value in table(
        {
            "in small letters": "post",
            "another": "GET",
            "two of them": "POST, GET",
            "any": "*",
        }
    ):
        yield having(f"method {what}", rule, claims={"htm": value}, kinds=alone)
    for what, told in table(
        {
            "an id of 257 characters": {"jti": "x" * 257},
            "half a surrogate pair as id": {"jti": "\ud800"},
            "half a surrogate pair as hash": {"ath": "\udfff"},
            "half a surrogate pair as nonce": {"nonce": "\udfff"},
            "a hash that is a number": {"ath": 7},
            "a hash that is null": {"ath": None},
            "a nonce that is a number": {"nonce": 7},
        }
    ):
        yield having(what, "RFC 9449 section 4.2", claims=told, kinds=alone)
    for what, value in table(
        {
            "left out": LEFT_OUT,
            "null": None,
            "a list": [],
            "a text": json.dumps(jwk_of(elliptic())),
            "empty": {},
            "a set of keys": {"keys": [jwk_of(elliptic())]},
            "another's": jwk_of(elliptic(1)),
            "only named": {"kid": "the EC key"},
        }
    ):
        yield having(f"key {what}", "RFC 9449 section 4.2", header={"jwk": value}, kinds=alone)
    yield Case(
        "two proofs in one header",
        "RFC 9449 section 4.3",
        lambda kind: f"{kind.text()},{kind.text()}",
        alone,
    )
