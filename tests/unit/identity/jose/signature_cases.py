"""Signatures that are nearly right, and those that only look wrong."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512

from tests.unit.identity.jose.cases import Case
from tests.unit.identity.jose.statements import (
    ALGORITHMS,
    Kind,
    N,
    elliptic,
    key_for,
    pair,
    rsa_key,
    side_by_side,
    signed_by,
)


def signature_cases() -> Iterator[Case]:
    """All of them."""
    yield from _any_signatures()
    yield from _elliptic_signatures()
    yield from _rsa_signatures()


def _signature(
    name: str,
    rule: str,
    sign: Callable[[bytes], bytes],
    algorithm: str = "ES256",
    *,
    taken: bool = False,
) -> Case:
    return Case(name, rule, lambda kind: kind.text(algorithm, sign=sign), taken=taken)


def _any_signatures() -> Iterator[Case]:
    rule = "RFC 7515 section 5.2"
    for algorithm in ALGORITHMS:
        key, other, length = (
            key_for(algorithm),
            key_for(algorithm, 1),
            64 if algorithm == "ES256" else 256,
        )

        def good(octets: bytes, key: Any = key, algorithm: str = algorithm) -> bytes:
            return signed_by(key, algorithm, octets)

        changes: dict[str, Callable[[bytes], bytes]] = {
            "empty": lambda m: b"",
            "one octet": lambda m: b"\0",
            "zeros": lambda m, length=length: bytes(length),  # type: ignore[misc]
            "ones": lambda m, length=length: b"\xff" * length,  # type: ignore[misc]
            "without its last octet": lambda m, good=good: good(m)[:-1],  # type: ignore[misc]
            "without its first octet": lambda m, good=good: good(m)[1:],  # type: ignore[misc]
            "with a zero behind": lambda m, good=good: good(m) + b"\0",  # type: ignore[misc]
            "with a zero in front": lambda m, good=good: b"\0" + good(m),  # type: ignore[misc]
            "twice": lambda m, good=good: good(m) * 2,  # type: ignore[misc]
            "in hexadecimal": lambda m, good=good: good(m).hex().encode(),  # type: ignore[misc]
            "of another payload": lambda m, good=good: good(m + b"A"),  # type: ignore[misc]
            "of the payload alone": lambda m, good=good: good(m.split(b".")[1]),  # type: ignore[misc]
            "with its first bit turned": lambda m, good=good: _turned(good(m), 0),  # type: ignore[misc]
            "with its last bit turned": lambda m, good=good: _turned(good(m), -1),  # type: ignore[misc]
            "of another key": lambda m, other=other, algorithm=algorithm: signed_by(  # type: ignore[misc]
                other, algorithm, m
            ),
        }
        for what, sign in changes.items():
            yield _signature(f"{algorithm} signature {what}", rule, sign, algorithm)
    for part, place in (("header", 0), ("payload", 1)):
        yield Case(
            f"{part} of another statement that the key signed",
            rule,
            lambda kind, place=place: _exchanged(kind, place),  # type: ignore[misc]
        )


def _turned(octets: bytes, place: int) -> bytes:
    changed = bytearray(octets)
    changed[place] ^= 1
    return bytes(changed)


def _exchanged(kind: Kind, place: int) -> str:
    first = kind.text().split(".")
    first[place] = kind.text(header={"cty": "x"}, claims={"note": 1}).split(".")[place]
    return ".".join(first)


def _elliptic_signatures() -> Iterator[Case]:
    rule = "RFC 7518 section 3.4"
    key = elliptic()
    yield _signature("ES256 in DER", rule, lambda m: encode_dss_signature(*pair(key, m)))
    yield _signature(
        "ES256 in DER, filled up to 64 octets",
        rule,
        lambda m: _short_der(key, m),
    )
    yield _signature("ES256 over SHA-384", rule, lambda m: side_by_side(*pair(key, m, SHA384())))
    yield _signature("ES256, s before r", rule, lambda m: side_by_side(*reversed(pair(key, m))))
    yield _signature(
        "ES256, little endian",
        rule,
        lambda m: b"".join(one.to_bytes(32, "little") for one in pair(key, m)),
    )
    yield _signature(
        "ES256, each number of 33 octets", rule, lambda m: side_by_side(*pair(key, m), octets=33)
    )
    yield _signature(
        "ES256, each number of 48 octets", rule, lambda m: side_by_side(*pair(key, m), octets=48)
    )
    yield _signature(
        "ES256, r with an octet of zeros in front", rule, lambda m: _short(key, m), taken=True
    )
    yield _signature("ES256, s with a zero more in front", rule, lambda m: _spread(*pair(key, m)))
    yield _signature(
        "ES256, without the zeros in front of s", rule, lambda m: _narrow(_short(key, m, 32))
    )
    yield _signature("ES256, without the zeros in front of r", rule, lambda m: _short(key, m)[1:])
    yield _signature(
        "ES256, n - s for s",
        "FIPS 186-5 section 6.4.2",
        lambda m: _other_half(*pair(key, m)),
        taken=True,
    )
    edges = {"0": 0, "1": 1, "n - 1": N - 1, "n": N, "n + 1": N + 1, "2^256 - 1": 2**256 - 1}
    for r_is, r in edges.items():
        for s_is, s in edges.items():
            yield _signature(
                f"ES256, r = {r_is}, s = {s_is}",
                "FIPS 186-5 section 6.4.2",
                lambda _, r=r, s=s: side_by_side(r, s),  # type: ignore[misc]
            )
    for what, change in {
        "r = 0": lambda r, s: (0, s),
        "s = 0": lambda r, s: (r, 0),
        "s = n": lambda r, s: (r, N),
        "r = n": lambda r, s: (N, s),
        "n - r for r": lambda r, s: (N - r, s),
    }.items():
        yield _signature(
            f"ES256, the rest right, {what}",
            "FIPS 186-5 section 6.4.2",
            lambda m, change=change: side_by_side(*change(*pair(key, m))),  # type: ignore[misc]
        )


def _short(key: ec.EllipticCurvePrivateKey, message: bytes, place: int = 0) -> bytes:
    """A good signature with a zero there, where r or s begins, as one of 256 has it."""
    return next(
        octets for _ in count() if (octets := side_by_side(*pair(key, message)))[place] == 0
    )


def _narrow(octets: bytes) -> bytes:
    """Without the first octet of s."""
    return octets[:32] + octets[33:]


def _spread(r: int, s: int) -> bytes:
    """With s an octet wider."""
    return r.to_bytes(32) + s.to_bytes(33)


def _other_half(r: int, s: int) -> bytes:
    """The second signature that whoever has one can reckon without the key."""
    return side_by_side(r, N - s)


def _short_der(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """DER is 70 octets or more; cut to the length that JWS has."""
    return encode_dss_signature(*pair(key, message))[:64]


def _rsa_signatures() -> Iterator[Case]:
    key = rsa_key()
    modulus = key.public_key().public_numbers().n
    for bits, digest in ((1, SHA1()), (384, SHA384()), (512, SHA512())):
        yield _signature(
            f"RS256 over SHA-{bits}",
            "RFC 7518 section 3.3",
            lambda m, digest=digest: key.sign(m, padding.PKCS1v15(), digest),  # type: ignore[misc]
            "RS256",
        )
    mask = padding.MGF1(SHA256())
    for salt in (0, 20, 31, 33, 222):
        yield _signature(
            f"PS256 with {salt} octets of salt",
            "RFC 7518 section 3.5",
            lambda m, salt=salt: key.sign(m, padding.PSS(mask, salt), SHA256()),  # type: ignore[misc]
            "PS256",
        )
    yield _signature(
        "PS256 with a mask of SHA-1",
        "RFC 7518 section 3.5",
        lambda m: key.sign(m, padding.PSS(padding.MGF1(SHA1()), 32), SHA256()),
        "PS256",
    )
    yield _signature(
        "PS256 over SHA-384",
        "RFC 7518 section 3.5",
        lambda m: key.sign(m, padding.PSS(padding.MGF1(SHA384()), 32), SHA384()),
        "PS256",
    )
    for algorithm in ("RS256", "PS256"):
        for name, value in {"1": 1, "n - 1": modulus - 1, "n": modulus}.items():
            yield _signature(
                f"{algorithm} signature of the number {name}",
                "RFC 8017 section 5.2.2",
                lambda _, value=value: value.to_bytes(256),  # type: ignore[misc]
                algorithm,
            )
        yield _signature(
            f"{algorithm} signature plus n",
            "RFC 8017 section 5.2.2",
            lambda m, algorithm=algorithm: (  # type: ignore[misc]
                int.from_bytes(signed_by(key, algorithm, m)) + modulus
            ).to_bytes(257),
            algorithm,
        )
    bare = {
        "with nothing said of the digest": b"",
        "with a digest of another name": bytes.fromhex("3021300906052b0e03021a05000420"),
        "without the digest's parameters": bytes.fromhex("302f300b0609608648016503040201 0420"),
    }
    for what, prefix in bare.items():
        yield _signature(
            f"RS256 padded {what}",
            "RFC 8017 section 9.2",
            lambda m, prefix=prefix: _raw(padded(m, prefix)),  # type: ignore[misc]
            "RS256",
        )
    whole = bytes.fromhex("3031300d060960864801650304020105000420")
    yield _signature(
        "RS256 padded by hand, and rightly",
        "RFC 8017 section 9.2",
        lambda m: _raw(padded(m, whole)),
        "RS256",
        taken=True,
    )
    yield _signature(
        "RS256 padded with eight octets, and the rest behind",
        "RFC 8017 section 9.2 (Bleichenbacher 2006)",
        lambda m: _raw(b"\0\1" + b"\xff" * 8 + b"\0" + whole + _digest(m) + bytes(194)),
        "RS256",
    )
    yield _signature(
        "RS256 padded as for encryption",
        "RFC 8017 section 9.2",
        lambda m: _raw(b"\0\2" + padded(m, whole)[2:]),
        "RS256",
    )


def _digest(message: bytes) -> bytes:
    from hashlib import sha256

    return sha256(message).digest()


def padded(message: bytes, prefix: bytes, octets: int = 256) -> bytes:
    """EMSA-PKCS1-v1_5 of RFC 8017 section 9.2, with what is given before the digest."""
    end = b"\0" + prefix + _digest(message)
    return b"\0\1" + b"\xff" * (octets - 2 - len(end)) + end


def _raw(octets: bytes) -> bytes:
    """RSA with the private key, and nothing else (RFC 8017 section 5.2.1)."""
    held = rsa_key().private_numbers()
    return pow(int.from_bytes(octets), held.d, held.public_numbers.n).to_bytes(256)
