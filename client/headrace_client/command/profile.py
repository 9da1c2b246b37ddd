"""Where the command finds the service's address and the client's credentials.

In this order: `--profile-file` (or HEADRACE_PROFILE_FILE) with `--client`; the environment
HEADRACE_API_URL, HEADRACE_CLIENT_ID, HEADRACE_CLIENT_SECRET, HEADRACE_TENANT; what `headrace
login` stored in `$XDG_CONFIG_HOME/headrace/config.json` (mode 0600).

A profile file is JSON: `api_url`, and `clients`, a list of `client_id`, `client_secret`,
`tenant`, as `make up` writes it for the local platform.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headrace_client.errors import SetupError
from headrace_client.workspace import local_errors, write_atomically

API_URL = "HEADRACE_API_URL"
CLIENT_ID = "HEADRACE_CLIENT_ID"
CLIENT_SECRET = "HEADRACE_CLIENT_SECRET"  # noqa: S105  the variable's name
TENANT = "HEADRACE_TENANT"
PROFILE_FILE = "HEADRACE_PROFILE_FILE"
ALLOW_HTTP = "HEADRACE_ALLOW_HTTP"


@dataclass(frozen=True)
class Profile:
    """An address with a client's credentials; `source` says where they come from."""

    api_url: str
    client_id: str
    client_secret: str = field(repr=False)
    tenant: str | None
    source: str


def config_path(environment: Mapping[str, str]) -> Path:
    """The file that `headrace login` writes (XDG base directories)."""
    base = environment.get("XDG_CONFIG_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".config"
    return root / "headrace" / "config.json"


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
    if environment.get(CLIENT_ID) or environment.get(CLIENT_SECRET):
        missing = [
            name for name in (API_URL, CLIENT_ID, CLIENT_SECRET) if not environment.get(name)
        ]
        if missing:
            raise SetupError(f"The environment lacks {' and '.join(missing)}.")
        return Profile(
            environment[API_URL],
            environment[CLIENT_ID],
            environment[CLIENT_SECRET],
            environment.get(TENANT) or None,
            "the environment",
        )
    stored = stored_profile(environment)
    if stored is None:
        raise SetupError(
            "Not logged in. Use `headrace login`, set HEADRACE_API_URL, HEADRACE_CLIENT_ID and "
            "HEADRACE_CLIENT_SECRET, or name a --profile-file."
        )
    return stored


def profile_in(path: Path, client: str | None) -> Profile:
    """The client that `client` names by id or by number (from 1; None: the first)."""
    held = _read(path)
    clients = held.get("clients")
    if not isinstance(clients, list) or not clients:
        raise SetupError(f"{path} lists no clients.")
    chosen = _chosen(path, [entry for entry in clients if isinstance(entry, dict)], client)
    try:
        tenant = chosen.get("tenant")
        return Profile(
            str(held["api_url"]),
            str(chosen["client_id"]),
            str(chosen["client_secret"]),
            None if tenant is None else str(tenant),
            str(path),
        )
    except KeyError as missing:
        raise SetupError(f"{path} has no {missing}.") from None


def _chosen(path: Path, clients: list[dict[str, Any]], wanted: str | None) -> dict[str, Any]:
    if wanted is None:
        wanted = "1"
    for entry in clients:
        if entry.get("client_id") == wanted:
            return entry
    if wanted.isascii() and wanted.isdigit() and 1 <= int(wanted) <= len(clients):
        return clients[int(wanted) - 1]
    known = ", ".join(
        f"{number} ({entry.get('client_id')})" for number, entry in enumerate(clients, 1)
    )
    raise SetupError(f"{path} has no client {wanted!r}; it has {known}.")


def stored_profile(environment: Mapping[str, str]) -> Profile | None:
    """What `headrace login` stored, or None."""
    path = config_path(environment)
    if not path.exists():
        return None
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise SetupError(
            f"{path} holds a secret and others may read it (mode {mode:04o}): "
            f"run chmod 600 {path}, and think of renewing the secret."
        )
    held = _read(path)
    try:
        return Profile(
            str(held["api_url"]),
            str(held["client_id"]),
            str(held["client_secret"]),
            held.get("tenant"),
            str(path),
        )
    except KeyError as missing:
        raise SetupError(f"{path} has no {missing}; log in again.") from None


def store_profile(profile: Profile, environment: Mapping[str, str]) -> Path:
    """Store for later commands, readable by the user alone."""
    path = config_path(environment)
    with local_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(
        path,
        {
            "api_url": profile.api_url,
            "client_id": profile.client_id,
            "client_secret": profile.client_secret,
            "tenant": profile.tenant,
        },
        mode=0o600,
    )
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
