"""Private keys of the integrator's, which sign statements (JWTs) and are never sent.

They need the packages of `pip install 'headrace-client[keys]'`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from headrace_client.errors import SetupError
from headrace_client.workspace import local_errors, sync_directory

PASSPHRASE = "HEADRACE_KEY_PASSPHRASE"  # noqa: S105  the variable's name
_LEAST_RSA_BITS = 2048


@dataclass(frozen=True)
class SigningKey:
    """A private key, and what others know it by.

    `jwk` is its public half (RFC 7517), `thumbprint` that one's name (RFC 7638). `algorithm` is
    one of those that the service takes: ES256 for P-256, RS256 for RSA.
    """

    algorithm: Literal["ES256", "RS256"]
    jwk: Mapping[str, str]
    _private: Any = field(repr=False, compare=False)

    @property
    def thumbprint(self) -> str:
        """The SHA-256 of the public key's canonical JSON, in base64url."""
        needed = {
            name: self.jwk[name] for name in ("crv", "e", "kty", "n", "x", "y") if name in self.jwk
        }
        text = json.dumps(needed, sort_keys=True, separators=(",", ":"))
        return base64url(hashlib.sha256(text.encode()).digest())

    def sign(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        """A JWT (RFC 7519), signed."""
        import jwt  # noqa: PLC0415  an optional package; `read` has seen that it is there

        return jwt.encode(dict(claims), self._private, self.algorithm, dict(header))


def signing_key(path: Path, passphrase: str | None = None) -> SigningKey:
    """The key in a file: PEM (PKCS #8, or of one kind), P-256 or RSA of 2048 bits and more.

    Raises SetupError, which says what is wrong with the file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SetupError(f"The key file {path} cannot be read: {error.strerror}.") from None
    return _read(content, passphrase, path)


def own_signing_key(path: Path) -> SigningKey:
    """The key in a file of the client's own, made when it is first asked for (P-256, mode 0600).

    Several processes that come together get the same one. Raises SetupError, LocalFileError.
    """
    _demand_packages()
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  optional
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    if not path.exists():
        made = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        _create_once(path, made)
    demand_private(path)
    return signing_key(path)


def demand_private(path: Path) -> None:
    """SetupError when others may read a file of ours that holds a secret."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise SetupError(
            f"{path} holds a secret and others may read it (mode {mode:04o}): "
            f"run chmod 600 {path}, and think of renewing the secret."
        )


def base64url(content: bytes) -> str:
    """Without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


def _create_once(path: Path, content: bytes) -> None:
    """Write the file whole, unless somebody was faster."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    with local_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(fresh, path)
            except FileExistsError:
                return
            sync_directory(path.parent)
        finally:
            fresh.unlink(missing_ok=True)


def _read(content: bytes, passphrase: str | None, path: Path) -> SigningKey:
    _demand_packages()
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415  optional
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415
    from jwt.algorithms import ECAlgorithm, RSAAlgorithm  # noqa: PLC0415

    try:
        secret = passphrase.encode() if passphrase else None
        private = serialization.load_pem_private_key(content, secret)
    except TypeError:
        if passphrase:  # given for a key that needs none
            return _read(content, None, path)
        raise SetupError(
            f"The key in {path} is encrypted: give its passphrase in {PASSPHRASE}."
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise SetupError(
            f"{path} holds no private key in PEM, or {PASSPHRASE} is not its passphrase."
        ) from None
    if isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, ec.SECP256R1):
        return SigningKey("ES256", _public(ECAlgorithm.to_jwk(private.public_key())), private)
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size >= _LEAST_RSA_BITS:
        return SigningKey("RS256", _public(RSAAlgorithm.to_jwk(private.public_key())), private)
    raise SetupError(
        f"The key in {path} is of a kind that the service does not take: make a P-256 key, or an "
        f"RSA key of {_LEAST_RSA_BITS} bits or more."
    )


def _public(jwk: str) -> Mapping[str, str]:
    held = json.loads(jwk)
    return {name: held[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in held}


def _demand_packages() -> None:
    try:
        import cryptography  # noqa: F401, PLC0415
        import jwt  # noqa: F401, PLC0415
    except ImportError:
        raise SetupError("Keys that sign need: pip install 'headrace-client[keys]'.") from None
