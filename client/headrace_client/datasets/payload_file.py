"""Payloads of data sets as files: what they are of, and whether they are whole."""

from __future__ import annotations

import hashlib
import html
import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

from headrace_client.errors import SetupError, VerificationError
from headrace_client.workspace import local_errors

_MANIFEST = "manifest.json"
_MANIFEST_AT_MOST = 1024 * 1024
_IN_XML = re.compile(rb"<manifest>(.*?)</manifest>", re.S)
_XML_END = b"</dataSetPayload>\n"
_BLOCK = 1024 * 1024
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def size_of(file: Path) -> int:
    """Its bytes. Raises LocalFileError: there is no such file."""
    with local_errors(file):
        return file.stat().st_size


def definition_of(file: Path) -> str:
    """The code of the definition that a payload names. Raises SetupError, LocalFileError."""
    found = _manifest(file).get("definition")
    if not isinstance(found, str) or not found:
        raise SetupError(
            f"{file} does not say which data set definition it is of, so it is no payload as "
            "`headrace dataset download` leaves it. If it is one all the same, name the "
            "definition before the file."
        )
    return found


def verify(file: Path, suffix: str) -> None:
    """Compare a payload with the digests in it. Raises VerificationError."""
    if suffix == "xml":
        with local_errors(file), file.open("rb") as opened:
            opened.seek(max(0, size_of(file) - len(_XML_END)))
            if opened.read() != _XML_END:
                raise VerificationError("The payload that came is not whole.")
        return
    try:
        with local_errors(file), zipfile.ZipFile(file) as archive:
            tables = json.loads(archive.read(_MANIFEST))["tables"]
            for table in tables:
                digest = hashlib.sha256()
                with archive.open(table["document"]) as document:
                    while block := document.read(_BLOCK):
                        digest.update(block)
                if digest.hexdigest() != table["sha256"]:
                    raise VerificationError(
                        "The payload that came does not have the digests that it names."
                    )
    except (*_DAMAGED, ValueError, KeyError, TypeError):
        raise VerificationError("The payload that came is no whole archive.") from None


def _manifest(file: Path) -> dict[str, Any]:
    """What a payload says of itself; empty if it says nothing."""
    try:
        with local_errors(file):
            if zipfile.is_zipfile(file):
                with zipfile.ZipFile(file) as archive, archive.open(_MANIFEST) as opened:
                    text: bytes | str = opened.read(_MANIFEST_AT_MOST)
            else:
                with file.open("rb") as opened_file:
                    found = _IN_XML.search(opened_file.read(2 * _MANIFEST_AT_MOST))
                text = html.unescape(found[1].decode()) if found else ""
        held = json.loads(text)
    except (*_DAMAGED, ValueError, KeyError):
        return {}
    return held if isinstance(held, dict) else {}
