"""Profiles in a file: NDJSON, or CSV with the members' names in its first line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headrace_client.errors import SetupError
from headrace_client.workspace import local_errors

_FLAGS = frozenset(
    {"isCreatedByUserOver18YearsOld", "isGuardianConsentGiven", "isPhotoVideoConsentGiven"}
)
_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def profiles_in(file: Path, tenant_id: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each profile with the number of its line; of `tenant_id` where it names none.

    Raises SetupError for a line that is no profile, LocalFileError.
    """
    read = _of_csv if file.suffix.lower() == ".csv" else _of_lines
    with local_errors(file):
        for number, profile in read(file):
            if tenant_id is not None:
                profile.setdefault("tenantId", tenant_id)
            yield number, profile


def _of_lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                profile = json.loads(line)
            except ValueError:
                profile = None
            if not isinstance(profile, dict):
                raise SetupError(f"{file}:{number}: is no JSON object.")
            yield number, {_small(name): value for name, value in profile.items()}


def _of_csv(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """A cell that is empty is not given."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines)
        for row in rows:
            if None in row:
                raise SetupError(f"{file}:{rows.line_num}: has more cells than columns.")
            given = ((_small(name), cell) for name, cell in row.items() if cell)
            yield rows.line_num, {name: _value(name, cell) for name, cell in given}


def _value(name: str, cell: str) -> str | bool:
    return _TRUTHS.get(cell.strip().lower(), cell) if name in _FLAGS else cell


def _small(name: str) -> str:
    return name[:1].lower() + name[1:]
