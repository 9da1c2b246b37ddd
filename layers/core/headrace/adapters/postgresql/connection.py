"""How a source's PostgreSQL database is reached: its options and its secret, as libpq's parameters.

A secret in Secrets Manager is a JSON object as RDS makes it: ``username``, ``password``, and
perhaps ``host``, ``port``, ``dbname``. What the source's own options say comes before it. The
catalog holds the secret's name only, and no error here holds anything of what is in it.
"""

import json
import re
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.exports.sources import Source
from headrace.kernel.errors import SourceUnavailable

APPLICATION_NAME = "headrace"
"""What the server's own lists of sessions show."""

CONNECT_TIMEOUT_S = 10

_KEEPALIVES = {
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""A way to the server that is dead is noticed within half a minute (seconds, a number, and
milliseconds): also one that died while something was under way, when no keepalives are sent."""

TLS_MODES = ("verify-full", "verify-ca", "require", "disable")
"""How the server is told from an impostor; the first is the default."""

UNPROVEN = (
    "The source's server does not prove to be the one meant, or has no TLS: see the source's "
    "options tls and tls_ca, and the server's certificate."
)

_LIBPQ_ON_TLS = (
    "certificate verify failed",
    "does not match host name",
    "server does not support SSL",
)

SECRET_KEPT_S = 300.0
"""A secret that was rotated is read again after so long, or at once after a refusal."""

_SYSTEM_CERTIFICATES = ("/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt")
"""Amazon Linux, which Lambda runs on, and Debian."""

_SECRET_ARN = re.compile(r"arn:[^:]+:secretsmanager:([^:]+):.+")


def connection_parameters(source: Source) -> dict[str, str]:
    """libpq's parameters by keyword, for a connection that reads the source.

    Where there is a ``replica_host``, it is that one's. Raises SourceUnavailable: an option is
    wrong, or the secret cannot be read.
    """
    options = source.options
    secret = _secret_of(source)
    host = options.get("replica_host") or options.get("host") or secret.get("host", "")
    if not host:
        raise SourceUnavailable(f"Neither the source {source.name} nor its secret names a host.")
    database = options.get("database") or secret.get("dbname", "")
    if not database:
        raise SourceUnavailable(
            f"Neither the source {source.name} nor its secret names a database."
        )
    parameters = {
        "host": host,
        "port": options.get("port") or secret.get("port") or "5432",
        "dbname": database,
        "application_name": APPLICATION_NAME,
        "connect_timeout": str(CONNECT_TIMEOUT_S),
        # libpq's default is the database's own encoding, which the engine takes for UTF-8.
        "client_encoding": "UTF8",
        **_KEEPALIVES,
        **_tls(source, host),
    }
    if not parameters["port"].isascii() or not parameters["port"].isdecimal():
        raise SourceUnavailable(f"The port of the source {source.name} is no number.")
    user = secret.get("username") or options.get("user", "")
    if user:
        parameters["user"] = user
    if "password" in secret:
        parameters["password"] = secret["password"]
    limits = [
        f"-c {name}={_milliseconds(source, name)}"
        for name in ("statement_timeout", "lock_timeout")
        if options.get(name)
    ]
    # Left out where there are none: connection poolers refuse the parameter.
    if limits:
        parameters["options"] = " ".join(limits)
    return parameters


def secret_was_renewed(source: Source) -> bool:
    """After the server refused the password: is there another one, so that a try is worth it.

    Raises SourceUnavailable if the secret cannot be read.
    """
    name = source.options.get("secret")
    if not name:
        return False
    with _reading:
        before = _secrets.pop(name, None)
    now = _secret_of(source)
    return before is None or now != before.values


def is_unproven(text: str) -> bool:
    """By what libpq says, in psycopg or in the engine: is ``UNPROVEN`` why there is no connection.

    (Its codes are for what the server says; what the client refuses has none.)
    """
    return any(words in text for words in _LIBPQ_ON_TLS)


def _tls(source: Source, host: str) -> dict[str, str]:
    if host.startswith("/"):  # a folder: the server's Unix socket, which knows no TLS
        return {"sslmode": "disable"}
    mode = source.options.get("tls") or TLS_MODES[0]
    if mode not in TLS_MODES:
        raise SourceUnavailable(
            f"The source {source.name} has tls: {mode}; it is one of {', '.join(TLS_MODES)}."
        )
    if not mode.startswith("verify"):
        return {"sslmode": mode}
    certificates = source.options.get("tls_ca") or _system_certificates()
    # libpq has no such thing as the system's certificates before version 16, and what it was
    # built with may not know where this system keeps them.
    if certificates is None or not Path(certificates).is_file():
        raise SourceUnavailable(
            f"The certificates that the server of the source {source.name} is verified by are not "
            "there: its option tls_ca names a file of this worker's."
        )
    return {"sslmode": mode, "sslrootcert": certificates}


def _system_certificates() -> str | None:
    known = (ssl.get_default_verify_paths().cafile, *_SYSTEM_CERTIFICATES)
    return next((file for file in known if file and Path(file).is_file()), None)


def _milliseconds(source: Source, name: str) -> int:
    try:
        seconds = float(source.options[name])
        if not 0 < seconds < 2**31 / 1000:
            raise ValueError
    except ValueError:
        raise SourceUnavailable(
            f"The source {source.name} has a {name} that is no number of seconds."
        ) from None
    return max(1, round(seconds * 1000))


# --- the secret ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Kept:
    """A secret as it was read, and when by the monotonic clock."""

    values: Mapping[str, str]
    read_at: float


_secrets: dict[str, _Kept] = {}
_reading = threading.Lock()


def _secret_of(source: Source) -> Mapping[str, str]:
    """The texts in the source's secret; empty without one."""
    name = source.options.get("secret")
    if not name:
        return {}
    with _reading:
        kept = _secrets.get(name)
        if kept is None or time.monotonic() - kept.read_at > SECRET_KEPT_S:
            kept = _secrets[name] = _Kept(_parsed(source, _read(source, name)), time.monotonic())
    return kept.values


def _read(source: Source, name: str) -> str:
    import boto3  # noqa: PLC0415  only sources with a secret need it, and it takes half a second
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    arn = _SECRET_ARN.fullmatch(name)
    try:
        client = boto3.client("secretsmanager", region_name=arn.group(1) if arn else None)
        reply = client.get_secret_value(SecretId=name)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        # From None: the error's text names the secret and who asked for it.
        raise SourceUnavailable(_REFUSALS.get(code, _BUSY).format(source.name)) from None
    except BotoCoreError:
        raise SourceUnavailable(_BUSY.format(source.name), retry_after=5) from None
    return str(reply.get("SecretString", ""))


_BUSY = "The secret of the source {} cannot be read now."
_DENIED = (
    "The secret of the source {} may not be read by this worker: the deployment's parameter "
    "SourceSecrets lists the secrets that may, and SourceSecretsKey the key that encrypts them."
)
_REFUSALS = {
    "AccessDeniedException": _DENIED,
    "DecryptionFailure": _DENIED,
    "ResourceNotFoundException": "The secret that the source {} names is not there.",
    "InvalidRequestException": "The secret that the source {} names is about to be deleted.",
}


def _parsed(source: Source, text: str) -> Mapping[str, str]:
    try:
        document: Any = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict) or not {"username", "password"} <= document.keys():
        raise SourceUnavailable(
            f"The secret of the source {source.name} is not of the form that RDS gives them: "
            "a JSON object with username and password."
        )
    return {
        key: str(value)
        for key, value in document.items()
        if isinstance(value, str | int) and not isinstance(value, bool)
    }
