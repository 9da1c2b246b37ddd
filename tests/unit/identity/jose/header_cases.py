"""What a header says: algorithm, keys, type, extensions."""

import json
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.unit.identity.jose.cases import BY_KEY_ID, Case, having, table
from tests.unit.identity.jose.statements import (
    ACCESS_TOKEN,
    ASSERTION,
    KINDS,
    LEFT_OUT,
    PROOF,
    Kind,
    b64,
    elliptic,
    jwk_of,
    key_for,
    pair,
    rsa_key,
    side_by_side,
    signed_by,
)
from tests.unit.identity.tokens_made import hs256


def header_cases() -> Iterator[Case]:
    """All of them."""
    yield from _algorithms()
    yield from _brought_keys()
    yield from _key_ids()
    yield from _types()
    yield from _extensions()


def _algorithms() -> Iterator[Case]:
    for name in ("none", "None", "NONE", "nOnE", ""):
        for how, sign in (("unsigned", lambda _: b""), ("signed all the same", None)):
            yield Case(
                f'algorithm "{name}", {how}',
                "RFC 7518 section 3.6, RFC 8725 section 3.2",
                lambda kind, name=name, sign=sign: kind.text(header={"alg": name}, sign=sign),  # type: ignore[misc]
            )
    for what, value in table(
        {
            "left out": LEFT_OUT,
            "null": None,
            "a number": 256,
            "a list": ["ES256"],
            "an object": {"ES256": True},
            "in small letters": "es256",
            "with a blank": "ES256 ",
            "nobody's": "ES257",
        }
    ):
        yield having(f"algorithm {what}", "RFC 7515 section 4.1.1", header={"alg": value})
    for name, digest in (("ES384", SHA384()), ("ES512", SHA512()), ("ES256K", SHA256())):
        yield Case(
            f"algorithm {name}, signed by it",
            "RFC 8725 section 3.1",
            lambda kind, name=name, digest=digest: kind.text(  # type: ignore[misc]
                header={"alg": name},
                sign=lambda message: side_by_side(*pair(elliptic(), message, digest)),
            ),
        )
    digests: tuple[tuple[str, HashAlgorithm], ...] = (
        ("RS384", SHA384()),
        ("RS512", SHA512()),
        ("RS1", SHA1()),
    )
    for name, rsa_digest in digests:
        yield Case(
            f"algorithm {name}, signed by it",
            "RFC 8725 section 3.1",
            lambda kind, name=name, digest=rsa_digest: kind.text(  # type: ignore[misc]
                "RS256",
                header={"alg": name},
                sign=lambda message: rsa_key().sign(message, padding.PKCS1v15(), digest),
            ),
        )
    for name in ("EdDSA", "Ed25519", "RSA-OAEP", "dir", "A256KW"):
        yield having(f"algorithm {name}", "RFC 8725 section 3.1", header={"alg": name})
    for algorithm in ("ES256", "RS256"):
        for form, secret in _public_secrets(algorithm).items():
            yield Case(
                f"HS256 by the public {algorithm} key: {form}",
                "RFC 8725 section 2.1",
                lambda kind, algorithm=algorithm, secret=secret: kind.text(  # type: ignore[misc]
                    algorithm, header={"alg": "HS256"}, sign=lambda octets: hs256(secret, octets)
                ),
            )
    for said, kept in (("RS256", "PS256"), ("PS256", "RS256")):
        yield Case(
            f"{said} in the header, {kept} as signature",
            "RFC 7515 section 5.2",
            lambda kind, said=said, kept=kept: kind.text(  # type: ignore[misc]
                said, sign=lambda octets: signed_by(rsa_key(), kept, octets)
            ),
        )
    for said in ("RS256", "PS256"):
        yield Case(
            f"{said} in the header, an elliptic key and its signature",
            "RFC 8725 section 3.1",
            lambda kind, said=said: kind.text(header={"alg": said}),  # type: ignore[misc]
        )
    yield Case(
        "ES256 in the header, an RSA key and its signature",
        "RFC 8725 section 3.1",
        lambda kind: kind.text("RS256", header={"alg": "ES256"}),
    )


def _public_secrets(algorithm: str) -> dict[str, bytes]:
    public = key_for(algorithm).public_key()
    jwk = jwk_of(key_for(algorithm))
    info = PublicFormat.SubjectPublicKeyInfo
    forms = {
        "nothing": b"",
        "PEM": public.public_bytes(Encoding.PEM, info),
        "PEM without its last line break": public.public_bytes(Encoding.PEM, info).strip(),
        "DER": public.public_bytes(Encoding.DER, info),
        "JWK": json.dumps(jwk).encode(),
        "JWK without blanks": json.dumps(jwk, separators=(",", ":")).encode(),
        "its first number": str(jwk.get("n") or jwk.get("x")).encode(),
    }
    if isinstance(public, ec.EllipticCurvePublicKey):
        forms["point"] = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return forms


def _brought_keys() -> Iterator[Case]:
    rule = "RFC 8725 section 3.10, RFC 7515 section 4.1.2 to 4.1.8"
    other = elliptic(1)
    brought: dict[str, Any] = {
        "jwk": {**jwk_of(other), "kid": "the EC key"},
        "jku": "https://attacker.example/jwks.json",
        "x5u": "https://attacker.example/certificate.pem",
        "x5c": ["bm8gY2VydGlmaWNhdGU="],
        "x5t": "AAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "x5t#S256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    }
    for name, value in brought.items():
        kinds = BY_KEY_ID if name == "jwk" else KINDS
        yield Case(
            f"signed by another's key, which {name} brings",
            rule,
            lambda kind, name=name, value=value: kind.text(  # type: ignore[misc]
                header={name: value}, sign=lambda octets: signed_by(other, "ES256", octets)
            ),
            kinds,
        )
        yield having(
            f"signed by the right key, beside {name} of another",
            rule,
            header={name: value},
            kinds=kinds,
            taken=True,
        )


def _key_ids() -> Iterator[Case]:
    for what, value in table(
        {
            "left out": LEFT_OUT,
            "null": None,
            "a number": 1,
            "true": True,
            "a list": ["the EC key"],
            "an object": {"the EC key": 1},
            "empty": "",
            "unknown": "the other key",
            "in other letters": "THE EC KEY",
            "with a blank behind": "the EC key ",
            "with a NUL behind": "the EC key\0",
            "a path": "../../../../dev/null",
            "a query": "' OR '1'='1",
            "a URL": "https://attacker.example/key",
            "of 257 characters": "k" * 257,
            "of the other key": "the RSA key",
        }
    ):
        yield having(
            f"key id {what}", "RFC 7515 section 4.1.4", header={"kid": value}, kinds=BY_KEY_ID
        )


def _types() -> Iterator[Case]:
    rule = "RFC 8725 section 3.11, RFC 7515 section 4.1.9"
    for kind in KINDS:
        good, alone = kind.typ, (kind,)
        for what, value in table(
            {
                "in capitals": good.upper(),
                "as a whole media type": f"application/{good}",
                "as a whole media type in capitals": f"APPLICATION/{good.upper()}",
            }
        ):
            yield having(f"type {what}", rule, header={"typ": value}, kinds=alone, taken=True)
        for what, value in table(
            {
                "null": None,
                "a number": 1,
                "a list": [good],
                "empty": "",
                "of another tree": f"text/{good}",
                "twice a media type": f"application/application/{good}",
                "with a parameter": f"{good}; charset=utf-8",
                "with a blank": f"{good} ",
                "of a beginning only": good[:-4],
                "of secrets": "secevent+jwt",
            }
        ):
            yield having(f"type {what}", rule, header={"typ": value}, kinds=alone)
        for other in KINDS:
            if other is not kind:
                yield having(
                    f"type of a {other.name}", rule, header={"typ": other.typ}, kinds=alone
                )
                yield Case(
                    f"a good {other.name} in its place",
                    "RFC 8725 section 2.8",
                    lambda _, other=other: other.text(),  # type: ignore[misc]
                    alone,
                )
    # RFC 7523 knows no type; RFC 9068 section 2.1 and RFC 9449 section 4.2 demand theirs.
    yield having("no type", rule, header={"typ": LEFT_OUT}, kinds=(ACCESS_TOKEN, PROOF))
    yield having("the type of any JWT", rule, header={"typ": "JWT"}, kinds=(ACCESS_TOKEN, PROOF))
    for what, value in table({"no type": LEFT_OUT, "the type of any JWT": "JWT"}):
        yield having(
            what, "RFC 7523 section 3", header={"typ": value}, kinds=(ASSERTION,), taken=True
        )


def _extensions() -> Iterator[Case]:
    for what, value in table(
        {
            "of an extension nobody knows": ["https://example.com/x"],
            "of a member of the standard": ["alg"],
            "of a claim": ["exp"],
            "of what is not there": ["x-left-out"],
            "twice the same": ["b64", "b64"],
            "empty": [],
            "null": None,
            "a text": "exp",
            "an object": {},
        }
    ):
        members = {"crit": value, "https://example.com/x": 1}
        yield having(f"crit {what}", "RFC 7515 section 4.1.11", header=members)
    for value in (True, False):
        yield having(
            f"b64 {value}, not critical".lower(), "RFC 7797 section 6", header={"b64": value}
        )
        yield having(
            f"b64 {value}, critical".lower(),
            "RFC 7797 section 3",
            header={"b64": value, "crit": ["b64"]},
        )
    yield Case("b64 false, and signed so", "RFC 7797 section 3", _signed_unencoded)
    yield having(
        "zip, which JWS does not know", "RFC 7515 section 4", header={"zip": "DEF"}, taken=True
    )


def _signed_unencoded(kind: Kind) -> str:
    """The payload is base64url to the eye, and signed as the octets it stands for."""
    payload = json.dumps(kind.claims()).encode()
    head = b64(json.dumps({**kind.header("ES256"), "b64": False, "crit": ["b64"]}).encode())
    signature = signed_by(elliptic(), "ES256", head.encode() + b"." + payload)
    return f"{head}.{b64(payload)}.{b64(signature)}"
