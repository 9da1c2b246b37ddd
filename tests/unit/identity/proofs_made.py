"""Proofs of possession as a client makes them, by PyJWT and not by our own code."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from headrace.identity.keys import thumbprint
from tests.builders import NOON

URL = "https://api.example.com/v1/data/v1/fulldata"


@dataclass
class Uses:
    """Remembers uses, as the store does."""

    seen: set[str] = field(default_factory=set)

    def first(self, use: str, until: datetime) -> bool:
        """See the port."""
        new = use not in self.seen
        self.seen.add(use)
        return new


KEY = ec.generate_private_key(ec.SECP256R1())


def jwk_of(key: Any) -> dict[str, Any]:
    """The public JWK of a private key."""
    algorithm: Any = (
        jwt.algorithms.RSAAlgorithm
        if isinstance(key, rsa.RSAPrivateKey)
        else jwt.algorithms.ECAlgorithm
    )
    found: dict[str, Any] = json.loads(algorithm.to_jwk(key.public_key()))
    return found


def key_name(key: Any) -> str:
    """The thumbprint of its public half."""
    return thumbprint(key.public_key())


def a_proof(
    key: Any = KEY,
    *,
    algorithm: str = "ES256",
    header: dict[str, Any] | None = None,
    drop: tuple[str, ...] = (),
    **claims: Any,
) -> str:
    """A proof for POST of ``URL`` at noon, but for what is given. ``drop``: claims left out."""
    told = {"jti": "one", "htm": "POST", "htu": URL, "iat": NOON.timestamp(), **claims}
    told = {name: value for name, value in told.items() if name not in drop}
    heading = {"typ": "dpop+jwt", "jwk": jwk_of(key), **(header or {})}
    return jwt.encode(told, key, algorithm=algorithm, headers=heading)
