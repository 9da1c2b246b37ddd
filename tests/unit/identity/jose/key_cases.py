"""Public keys as JWK, each with one thing about it, and whether they may be used.

A case that has its private half is put to all who read keys: a provider's published set, a
client's set in the catalog, and the proof that holds its key, with a signature that the key bears
out. Otherwise the key has no private half that anyone could sign by, and is read alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from tests.unit.identity.jose.signature_cases import padded
from tests.unit.identity.jose.statements import (
    Json,
    P,
    Private,
    elliptic,
    jwk_of,
    number,
    rsa_key,
    side_by_side,
    signed_by,
    with_a_short_coordinate,
)

type Signs = Callable[[bytes], bytes]


@dataclass(frozen=True)
class KeyCase:
    """One JWK, without its ``kid``."""

    name: str
    rule: str
    jwk: Json
    sign: Signs | None = None
    """What the key, read leniently, would bear out."""
    algorithm: str = "ES256"
    used: bool = False


def key_cases() -> Iterator[KeyCase]:
    """All of them."""
    yield from _elliptic()
    yield from _rsa()
    yield from _of_either()


def _by(key: Private, algorithm: str) -> Signs:
    return lambda message: signed_by(key, algorithm, message)


def _elliptic() -> Iterator[KeyCase]:
    key, short = elliptic(), with_a_short_coordinate()
    good, narrow = jwk_of(key), jwk_of(short)
    point, short_point = key.public_key().public_numbers(), short.public_key().public_numbers()
    rule, by = "RFC 7518 section 6.2.1.2", _by(key, "ES256")
    yield KeyCase("P-256", "RFC 7518 section 6.2.1", good, by, used=True)
    yield KeyCase("x with a zero in front", rule, narrow, _by(short, "ES256"), used=True)
    yield KeyCase(
        "x without the zero in front",
        rule,
        {**narrow, "x": number(short_point.x)},
        _by(short, "ES256"),
    )
    for name, value in (("x", point.x), ("y", point.y)):
        yield KeyCase(f"{name} of 33 octets", rule, {**good, name: number(value, 33)}, by)
        yield KeyCase(f"{name} of 64 octets", rule, {**good, name: number(value, 64)}, by)
        yield KeyCase(f"{name} padded", "RFC 7515 section 2", {**good, name: good[name] + "="}, by)
        yield KeyCase(
            f"{name} with stray bits",
            "RFC 4648 section 3.5",
            {**good, name: _stray(good[name])},
            by,
        )
        yield KeyCase(f"{name} broken", "RFC 7515 section 2", {**good, name: good[name] + "\n"}, by)
        yield KeyCase(f"{name} as a number", rule, {**good, name: value}, by)
        yield KeyCase(f"{name} in decimal digits", rule, {**good, name: str(value)}, by)
        yield KeyCase(f"{name} empty", rule, {**good, name: ""})
        yield KeyCase(f"{name} null", rule, {**good, name: None})
        yield KeyCase(f"{name} left out", rule, {k: v for k, v in good.items() if k != name})
    compressed = {k: v for k, v in good.items() if k != "y"}
    yield KeyCase("a compressed point", rule, {**compressed, "x": number(2 << 256 | point.x)}, by)
    on_curve = "RFC 8725 section 3.4 (SP 800-186, appendix D.1.1.1)"
    for what, x, y in (
        ("the origin", 0, 0),
        ("a point beside the curve", point.x, point.y ^ 1),
        ("x and y exchanged", point.y, point.x),
        ("x as large as the field", P, point.y),
        ("x over the field", 2**256 - 1, point.y),
        ("y as large as the field", point.x, P),
        ("x over y of zero", point.x, 0),
    ):
        yield KeyCase(what, on_curve, {**good, "x": number(x, 32), "y": number(y, 32)})
    other = ec.generate_private_key(ec.SECP384R1())
    wide = other.public_key().public_numbers()
    yield KeyCase(
        "P-384",
        "RFC 8725 section 3.1",
        {"kty": "EC", "crv": "P-384", "x": number(wide.x, 48), "y": number(wide.y, 48)},
        lambda message: side_by_side(
            *decode_dss_signature(other.sign(message, ec.ECDSA(SHA256()))), octets=48
        ),
    )
    for what, curve in {
        "in small letters": "p-256",
        "by another name": "secp256r1",
        "of Bitcoin": "secp256k1",
        "of 521 bits": "P-521",
        "null": None,
        "in a list": ["P-256"],
        "empty": "",
    }.items():
        yield KeyCase(f"curve {what}", "RFC 7518 section 6.2.1.1", {**good, "crv": curve}, by)
    for member in ("d", "k"):
        private = number(key.private_numbers().private_value, 32)
        yield KeyCase(
            f"with its private half as {member}",
            "RFC 7518 section 6.2.2, RFC 9449 section 4.3",
            {**good, member: private},
            by,
        )
    yield KeyCase(
        "with a private half that is empty", "RFC 7518 section 6.2.2", {**good, "d": ""}, by
    )
    yield KeyCase(
        "Ed25519, which is not supported",
        "RFC 8037 section 2",
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    )


def _stray(text: str) -> str:
    """32 octets leave two bits over in the last character."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + letters[letters.index(text[-1]) + 1]


def _rsa() -> Iterator[KeyCase]:
    key = rsa_key()
    good = jwk_of(key)
    told = key.public_key().public_numbers()
    for algorithm in ("RS256", "PS256"):
        by = _by(key, algorithm)
        yield KeyCase(
            f"RSA of 2048 bits, {algorithm}", "RFC 7518 section 6.3.1", good, by, algorithm, True
        )
        least = "RFC 7518 section 6.3.1.1 and section 2 (Base64urlUInt)"
        yield KeyCase(
            f"n with a zero in front, {algorithm}",
            least,
            {**good, "n": number(told.n, 257)},
            by,
            algorithm,
        )
        yield KeyCase(
            f"e with a zero in front, {algorithm}",
            least,
            {**good, "e": number(told.e, 4)},
            by,
            algorithm,
        )
    by = _by(key, "RS256")
    for bits, used in ((1024, False), (2040, False), (2049, True), (3072, True)):
        other = rsa_key(0, bits)
        yield KeyCase(
            f"RSA of {bits} bits",
            "RFC 7518 section 3.3",
            jwk_of(other),
            _by(other, "RS256"),
            "RS256",
            used,
        )
    of_three = rsa_key(0, 2048, 3)
    yield KeyCase(
        "e of 3", "RFC 8017 section 3.1", jwk_of(of_three), _by(of_three, "RS256"), "RS256", True
    )
    yield KeyCase(
        "e of 1, by which the padded digest signs itself",
        "RFC 8017 section 3.1",
        {**good, "e": number(1)},
        lambda message: padded(message, bytes.fromhex("3031300d060960864801650304020105000420")),
        "RS256",
    )
    held = key.private_numbers()
    inverse = (held.p - 1) * (held.q - 1)
    long = pow(65537, -1, inverse)
    yield KeyCase(
        "e as long as n",
        "RFC 8725 section 3.11",
        {**good, "e": number(held.d)},
        lambda message: _raised(message, 65537, told.n),
        "RS256",
    )
    assert long.bit_length() > 2000
    rule = "RFC 8017 section 3.1"
    for what, members in {
        "e of 0": {"e": number(0)},
        "e of 2": {"e": number(2)},
        "an even e": {"e": number(65538)},
        "e as large as n": {"e": good["n"]},
        "an even n": {"n": number(told.n - 1)},
        "n of 8200 bits": {"n": number((1 << 8199) | 1)},
        "n of 0": {"n": number(0)},
        "n as a number": {"n": told.n},
        "n padded": {"n": good["n"] + "=="},
        "n empty": {"n": ""},
        "n null": {"n": None},
        "n negative": {"n": "-" + good["n"]},
        "e as a number": {"e": 65537},
        "e in a list": {"e": [good["e"]]},
        "e empty": {"e": ""},
        "e null": {"e": None},
    }.items():
        yield KeyCase(what, rule, {**good, **members}, None, "RS256")
    for name in ("n", "e"):
        yield KeyCase(
            f"{name} left out", rule, {k: v for k, v in good.items() if k != name}, None, "RS256"
        )
    private = {
        "d": held.d,
        "p": held.p,
        "q": held.q,
        "dp": held.dmp1,
        "dq": held.dmq1,
        "qi": held.iqmp,
    }
    section = "RFC 7518 section 6.3.2, RFC 9449 section 4.3"
    for name, value in private.items():
        yield KeyCase(f"with its {name}", section, {**good, name: number(value)}, by, "RS256")
    yield KeyCase("with further primes", section, {**good, "oth": []}, by, "RS256")
    yield KeyCase(
        "wholly private",
        section,
        {**good, **{name: number(value) for name, value in private.items()}},
        by,
        "RS256",
    )


def _raised(message: bytes, exponent: int, modulus: int) -> bytes:
    """The signature that a key whose halves were exchanged would give."""
    whole = padded(message, bytes.fromhex("3031300d060960864801650304020105000420"))
    return pow(int.from_bytes(whole), exponent, modulus).to_bytes(256)


def _of_either() -> Iterator[KeyCase]:
    good, by = jwk_of(elliptic()), _by(elliptic(), "ES256")
    yield KeyCase(
        "with members nobody knows",
        "RFC 7517 section 4",
        {**good, "x-a": {"b": [1]}},
        by,
        used=True,
    )
    yield KeyCase("a symmetric key", "RFC 8725 section 2.1", {"kty": "oct", "k": good["x"]})
    kinds = {
        "in small letters": "ec",
        "null": None,
        "a list": ["EC"],
        "of symmetric keys": "oct",
        "of RSA": "RSA",
        "nobody's": "ECC",
        "empty": "",
    }
    for what, kty in kinds.items():
        yield KeyCase(f"type {what}", "RFC 7517 section 4.1", {**good, "kty": kty}, by)
    yield KeyCase(
        "type left out", "RFC 7517 section 4.1", {k: v for k, v in good.items() if k != "kty"}, by
    )
    for what, use, used in (
        ("to sign", "sig", True),
        ("to encrypt", "enc", False),
        ("in capitals", "SIG", False),
        ("null", None, False),
        ("in a list", ["sig"], False),
        ("empty", "", False),
        ("nobody's", "verify", False),
    ):
        yield KeyCase(f"use {what}", "RFC 7517 section 4.2", {**good, "use": use}, by, used=used)
    for what, operations, used in (
        ("to verify", ["verify"], True),
        ("to sign and verify", ["sign", "verify"], True),
        ("to sign only", ["sign"], False),
        ("to derive", ["deriveKey", "deriveBits"], False),
        ("none", [], False),
        ("null", None, False),
        ("a text", "verify", False),
        ("an object", {"verify": True}, False),
        ("twice one", ["verify", "verify"], False),
        ("a number among them", ["verify", 1], False),
        ("a list among them", ["verify", ["sign"]], False),
        ("in capitals", ["VERIFY"], False),
    ):
        yield KeyCase(
            f"operations: {what}",
            "RFC 7517 section 4.3",
            {**good, "key_ops": operations},
            by,
            used=used,
        )
    yield KeyCase(
        "to verify by its operations, to encrypt by its use",
        "RFC 7517 section 4.3",
        {**good, "use": "enc", "key_ops": ["verify"]},
        by,
    )
    for what, algorithm, used in (
        ("its own", "ES256", True),
        ("of RSA", "RS256", False),
        ("of agreement", "ECDH-ES", False),
        ("none", "none", False),
        ("of secrets", "HS256", False),
        ("in small letters", "es256", False),
        ("null", None, False),
        ("in a list", ["ES256"], False),
        ("empty", "", False),
    ):
        yield KeyCase(
            f"algorithm {what}", "RFC 7517 section 4.4", {**good, "alg": algorithm}, by, used=used
        )
    for own, other in (("RS256", "PS256"), ("PS256", "RS256")):
        rsa_jwk = jwk_of(rsa_key())
        yield KeyCase(
            f"for {own}, signed by {other}",
            "RFC 8725 section 3.1",
            {**rsa_jwk, "alg": own},
            _by(rsa_key(), other),
            other,
        )
        yield KeyCase(
            f"for {own}, signed so", "RFC 7517 section 4.4", {**rsa_jwk, "alg": own},
            _by(rsa_key(), own), own, True,
        )  # fmt: skip
