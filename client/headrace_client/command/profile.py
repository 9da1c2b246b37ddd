"""Where the command finds the service's address, and what proves who calls.

In this order: `--profile-file` (or HEADRACE_PROFILE_FILE) with `--client`; the environment; what
`headrace login` stored in `$XDG_CONFIG_HOME/headrace/config.json` (mode 0600). Each names settings
of `SETTINGS`: a profile file by the names of JSON members, the environment by those of variables.

A profile file is JSON: `api_url`, and `clients`, a list of objects with settings, as `make up`
writes it for the local platform.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from headrace_client.credentials import LOGIN_PREFIX, REFRESH_PREFIX, key_id_of
from headrace_client.errors import SetupError
from headrace_client.keys import demand_private
from headrace_client.workspace import local_errors, write_atomically

API_URL = "HEADRACE_API_URL"
API_KEY = "HEADRACE_API_KEY"
CLIENT_ID = "HEADRACE_CLIENT_ID"
CLIENT_SECRET = "HEADRACE_CLIENT_SECRET"  # noqa: S105  the variable's name
TENANT = "HEADRACE_TENANT"
PRIVATE_KEY_FILE = "HEADRACE_PRIVATE_KEY_FILE"
PRIVATE_KEY_ID = "HEADRACE_PRIVATE_KEY_ID"
CERTIFICATE_FILE = "HEADRACE_CERTIFICATE_FILE"
CERTIFICATE_KEY_FILE = "HEADRACE_CERTIFICATE_KEY_FILE"
DPOP = "HEADRACE_DPOP"
DPOP_KEY_FILE = "HEADRACE_DPOP_KEY_FILE"
SERVICE = "HEADRACE_SERVICE"
ON_BEHALF = "HEADRACE_ON_BEHALF"
PUBLIC_URL = "HEADRACE_PUBLIC_URL"
USERNAME = "HEADRACE_USERNAME"
PASSWORD = "HEADRACE_PASSWORD"  # noqa: S105  the variable's name; for `headrace login` only
PROFILE_FILE = "HEADRACE_PROFILE_FILE"
ALLOW_HTTP = "HEADRACE_ALLOW_HTTP"

SETTINGS: Mapping[str, str] = {
    "api_url": API_URL,
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
    "tenant": TENANT,
    "api_key": API_KEY,
    "service": SERVICE,
    "private_key_file": PRIVATE_KEY_FILE,
    "private_key_id": PRIVATE_KEY_ID,
    "certificate_file": CERTIFICATE_FILE,
    "certificate_key_file": CERTIFICATE_KEY_FILE,
    "dpop": DPOP,
    "dpop_key_file": DPOP_KEY_FILE,
    "on_behalf": ON_BEHALF,
    "public_url": PUBLIC_URL,
}
ENVIRONMENT = "the environment"
_PROVING = ("client_id", "client_secret", "api_key", "private_key_file", "certificate_file")
_FILES = ("private_key_file", "certificate_file", "certificate_key_file", "dpop_key_file")


class Way(StrEnum):
    """The ways to prove who calls."""

    SECRET = "client_secret"  # noqa: S105  a name
    PRIVATE_KEY = "private_key_jwt"
    TLS_CLIENT = "tls_client_auth"
    STATIC_KEY = "static_key"
    REFRESH_KEY = "refresh_key"
    CERTIFICATE = "client_certificate"
    LOGIN = "login"


@dataclass(frozen=True)
class Profile:
    """An address with what proves who calls; `source` says where they come from.

    `refresh_token_id` names the file of a refresh token that `headrace login` stored. `service`
    says of which service an API key is, as a name for what is begun with it.
    """

    api_url: str
    source: str
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    tenant: str | None = None
    api_key: str | None = field(default=None, repr=False)
    service: str | None = None
    refresh_token_id: str | None = None
    username: str | None = None
    private_key_file: str | None = None
    private_key_id: str | None = None
    certificate_file: str | None = None
    certificate_key_file: str | None = None
    dpop: str | None = None
    dpop_key_file: str | None = None
    on_behalf: str | None = None
    public_url: str | None = None

    @property
    def way(self) -> Way:
        """Which way it is. Raises SetupError: several at once, or a key that is none."""
        proofs = {
            "a client secret": self.client_secret,
            "a private key": self.private_key_file,
            "an API key": self.api_key,
            "a refresh token": self.refresh_token_id,
        }
        given = [name for name, value in proofs.items() if value]
        if len(given) > 1:
            raise SetupError(f"{' and '.join(given)} of {self.source}: leave one way to prove you.")
        if self.client_secret:
            return Way.SECRET
        if self.private_key_file:
            return Way.PRIVATE_KEY
        if self.refresh_token_id:
            return Way.LOGIN if self.username else Way.REFRESH_KEY
        if self.api_key:
            return self._way_of_key(self.api_key)
        return Way.TLS_CLIENT if self.client_id else Way.CERTIFICATE

    @property
    def binds(self) -> bool:
        """Whether tokens are to be bound to a key."""
        return bool(self.dpop_key_file) or self.dpop in ("1", "true")

    @staticmethod
    def _way_of_key(key: str) -> Way:
        key_id_of(key)
        if key.startswith(LOGIN_PREFIX):
            raise SetupError("This is the refresh token of a login: use `headrace login` for it.")
        return Way.REFRESH_KEY if key.startswith(REFRESH_PREFIX) else Way.STATIC_KEY


def config_path(environment: Mapping[str, str]) -> Path:
    """The file that `headrace login` writes (XDG base directories)."""
    return _base(environment, "XDG_CONFIG_HOME", ".config") / "config.json"


def state_path(environment: Mapping[str, str]) -> Path:
    """Where refresh tokens and the client's own key lie (XDG base directories)."""
    return _base(environment, "XDG_STATE_HOME", ".local/state")


def find_profile(
    profile_file: Path | None, client: str | None, environment: Mapping[str, str]
) -> Profile:
    """The profile to use; SetupError says how to give one."""
    named = profile_file or (
        Path(environment[PROFILE_FILE]) if environment.get(PROFILE_FILE) else None
    )
    if named is not None:
        return profile_in(named, client)
    if client is not None:
        raise SetupError("--client chooses from a profile file: name that with --profile-file.")
    if any(environment.get(SETTINGS[name]) for name in _PROVING):
        return _profile_of(environment)
    stored = stored_profile(environment)
    if stored is None:
        raise SetupError(
            "Not logged in. Use `headrace login`, set HEADRACE_API_URL with HEADRACE_CLIENT_ID and "
            "HEADRACE_CLIENT_SECRET, or with HEADRACE_API_KEY, or name a --profile-file "
            "(of the local platform: --profile-file .local/headrace.json)."
        )
    return stored


def _profile_of(environment: Mapping[str, str]) -> Profile:
    """What the variables say."""
    given = {name: environment.get(variable) for name, variable in SETTINGS.items()}
    lacking = [] if given["api_url"] else [API_URL]
    profile = _profile(ENVIRONMENT, given)
    missing = _missing(profile)
    if missing is not None or lacking:
        said = " and ".join([*lacking, *([] if missing is None else [missing])])
        raise SetupError(f"The environment lacks {said}.")
    return profile


def profile_in(path: Path, client: str | None) -> Profile:
    """The client that `client` names by id or by number (from 1; None: the first).

    Files that it names are looked for beside it.
    """
    held = _read(path)
    clients = held.get("clients")
    if not isinstance(clients, list) or not clients:
        raise SetupError(f"{path} lists no clients.")
    chosen = _chosen(path, [entry for entry in clients if isinstance(entry, dict)], client)
    if not held.get("api_url") and not chosen.get("api_url"):
        raise SetupError(f"{path} has no 'api_url'.")
    given = {name: _text(path, {**held, **chosen}, name) for name in SETTINGS}
    for name in _FILES:
        if given[name]:
            given[name] = str(path.parent / str(given[name]))
    profile = _profile(str(path), given)
    missing = _missing(profile)
    if missing is not None:
        raise SetupError(f"{path} has no {missing}.")
    return profile


def _profile(source: str, given: Mapping[str, str | None]) -> Profile:
    """With these settings; empty ones are none."""
    others = {name: value or None for name, value in given.items() if name != "api_url"}
    return Profile(given["api_url"] or "", source, **others)


def _text(path: Path, held: Mapping[str, Any], name: str) -> str | None:
    value = held.get(name)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else None
    raise SetupError(f"In {path} {name!r} is no text.")


def _chosen(path: Path, clients: list[dict[str, Any]], wanted: str | None) -> dict[str, Any]:
    if wanted is None:
        wanted = "1"
    for entry in clients:
        if wanted in (entry.get("client_id"), entry.get("service")):
            return entry
    if wanted.isascii() and wanted.isdigit() and 1 <= int(wanted) <= len(clients):
        return clients[int(wanted) - 1]
    known = ", ".join(
        f"{number} ({entry.get('client_id') or entry.get('service') or 'without a name'})"
        for number, entry in enumerate(clients, 1)
    )
    raise SetupError(f"{path} has no client {wanted!r}; it has {known}.")


def stored_profile(environment: Mapping[str, str], *, private: bool = True) -> Profile | None:
    """What `headrace login` stored, or None. `private`: only if nobody else may read it."""
    path = config_path(environment)
    if not path.exists():
        return None
    if private:
        demand_private(path)
    held = _read(path)
    known = {entry.name for entry in fields(Profile)} - {"source"}
    given = {name: _text(path, held, name) for name in known}
    if not given["api_url"]:
        raise SetupError(f"{path} has no 'api_url'; log in again.")
    profile = _profile(str(path), given)
    missing = _missing(profile)
    if missing is not None:
        raise SetupError(f"{path} has no {missing}; log in again.")
    return profile


def store_profile(profile: Profile, environment: Mapping[str, str]) -> Path:
    """Store for later commands, readable by the user alone."""
    path = config_path(environment)
    with local_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    held = {name: value for name, value in asdict(profile).items() if value is not None}
    del held["source"]
    for name in _FILES:
        if name in held:
            held[name] = str(Path(held[name]).absolute())
    write_atomically(path, held, mode=0o600)
    return path


def forget_profile(environment: Mapping[str, str]) -> Path | None:
    """Delete what was stored; returns its path, or None where there was nothing."""
    path = config_path(environment)
    with local_errors(path):
        try:
            path.unlink()
        except FileNotFoundError:
            return None
    return path


def _missing(profile: Profile) -> str | None:
    """What the profile lacks to prove who calls, by the name that its source has for it."""
    named: Callable[[str], str] = repr
    if profile.source == ENVIRONMENT:
        named = SETTINGS.__getitem__
    proofs = (
        profile.client_secret,
        profile.api_key,
        profile.private_key_file,
        profile.certificate_file,
        profile.refresh_token_id,
    )
    if not any(proofs):
        others = [named(name) for name in ("private_key_file", "certificate_file", "api_key")]
        said = f"{named('client_secret')} (or {', '.join(others[:-1])} or {others[-1]})"
        return said if profile.client_id else f"{named('client_id')} and {said}"
    if (profile.client_secret or profile.private_key_file) and not profile.client_id:
        return named("client_id")
    if profile.certificate_key_file and not profile.certificate_file:
        return named("certificate_file")
    return None


def _base(environment: Mapping[str, str], variable: str, otherwise: str) -> Path:
    base = environment.get(variable, "")
    root = Path(base) if base.startswith("/") else Path.home() / otherwise
    return root / "headrace"


def _read(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SetupError(f"There is no {path}.") from None
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise SetupError(f"{path} is not JSON.") from None
    if not isinstance(held, dict):
        raise SetupError(f"{path} is not a JSON object.")
    return held


def environment() -> Mapping[str, str]:
    """The process's environment."""
    return os.environ
