"""Which destination is meant: a folder, `duckdb:FILE`, or `postgresql:…`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from headrace_client.errors import SetupError
from headrace_client.sync.destination import Destination

DEFAULT_SCHEMA = "headrace"
_DUCKDB = "duckdb:"
_POSTGRESQL = "postgresql:"
_URIS = ("postgresql://", "postgres://")


def destination(
    to: str, schema: str = DEFAULT_SCHEMA, environment: Mapping[str, str] | None = None
) -> Destination:
    """The destination that `to` names. `schema` is for PostgreSQL; `environment` is the process's
    unless given.

    SetupError says what to install where a package is missing.
    """
    if to.startswith((_POSTGRESQL, *_URIS)):
        conninfo = to if to.startswith(_URIS) else to.removeprefix(_POSTGRESQL)
        try:
            from headrace_client.sync.postgresql import PostgresqlSchema  # noqa: PLC0415
        except ImportError:
            raise _missing("PostgreSQL", "postgresql") from None
        return PostgresqlSchema(
            conninfo, schema, _home(os.environ if environment is None else environment)
        )
    path = to.removeprefix(_DUCKDB)
    if not path:
        raise SetupError("The destination is empty: --to DIR, duckdb:FILE or postgresql:DSN.")
    try:
        from headrace_client.sync.duckdb_file import DuckdbFile  # noqa: PLC0415
        from headrace_client.sync.folder import ParquetFolder  # noqa: PLC0415
    except ImportError:
        raise _missing("a folder or a DuckDB file", "duckdb") from None
    if to.startswith(_DUCKDB):
        return DuckdbFile(Path(path))
    return ParquetFolder(Path(path))


def _missing(what: str, extra: str) -> SetupError:
    return SetupError(f"A sync to {what} needs: pip install 'headrace-client[{extra}]'.")


def _home(environment: Mapping[str, str]) -> Path:
    """Where documents for databases wait (XDG base directories)."""
    base = environment.get("XDG_STATE_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    return root / "headrace" / "sync"
