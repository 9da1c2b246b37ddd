"""Profiles in a file: NDJSON, or CSV with the members' names in its first line."""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from headrace_client.errors import SetupError, printable
from headrace_client.workspace import local_errors

_FLAGS = frozenset(
    {"isCreatedByUserOver18YearsOld", "isGuardianConsentGiven", "isPhotoVideoConsentGiven"}
)
_MEMBERS = (
    "syncId",
    "givenName",
    "familyName",
    "dateOfBirth",
    "sex",
    "email",
    "externalId",
    "tenantId",
    *sorted(_FLAGS),
)
_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def profiles_in(file: Path, tenant_id: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each profile with the number of its line; of `tenant_id` where it names none.

    Raises SetupError for a line that is no profile, LocalFileError.
    """
    read = _of_csv if file.suffix.lower() == ".csv" else _of_lines
    try:
        with local_errors(file):
            for number, profile in read(file):
                if tenant_id is not None:
                    profile.setdefault("tenantId", tenant_id)
                yield number, profile
    except UnicodeDecodeError:
        raise SetupError(
            f"{file} is no text in UTF-8; what writes it has a choice of encodings, or is it "
            "another kind of file?"
        ) from None
    except csv.Error as error:
        raise SetupError(f"{file} is no CSV: {error}.") from None


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
        _check_names(file, rows.fieldnames or ())
        for row in rows:
            if None in row:
                raise SetupError(f"{file}:{rows.line_num}: has more cells than columns.")
            given = ((_small(name), cell) for name, cell in row.items() if cell)
            yield rows.line_num, {name: _value(name, cell) for name, cell in given}


def _check_names(file: Path, names: Sequence[str]) -> None:
    """Raises SetupError: the first line does not name members of a profile."""
    if not names:
        raise SetupError(f"{file} is empty: its first line has the names, such as syncId.")
    known = {name.casefold(): name for name in _MEMBERS}
    for name in names:
        if _small(name) in _MEMBERS:
            continue
        if len(names) == 1 and ";" in name:
            raise SetupError(f"{file}:1: has semicolons between its names, and must have commas.")
        near = difflib.get_close_matches(name.casefold(), known, 1)
        meant = f" Is it {known[near[0]]}?" if near else f" There are {', '.join(_MEMBERS)}."
        raise SetupError(
            printable(f"{file}:1: has the name {name!r}, which no profile has.{meant}")
        )


def _value(name: str, cell: str) -> str | bool:
    return _TRUTHS.get(cell.strip().lower(), cell) if name in _FLAGS else cell


def _small(name: str) -> str:
    return name[:1].lower() + name[1:]
