"""The client reads the payloads that the product writes: what they are of, and whether they are
whole."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace_client import SetupError, VerificationError
from headrace_client.datasets.payload_file import definition_of, verify
from tests.component.datasets.payloads import as_xml, zipped
from tests.component.datasets.products import DEFINITION


@pytest.mark.parametrize(("made", "suffix"), [(zipped, "zip"), (as_xml, "xml")], ids=["zip", "xml"])
def test_a_payload_names_its_definition_and_is_whole_or_refused(
    made: Callable[[], bytes], suffix: str, tmp_path: Path
) -> None:
    file, content = tmp_path / "payload", made()
    file.write_bytes(content)
    assert definition_of(file) == DEFINITION.code
    verify(file, suffix)

    for kept in (0, 1, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:kept])
        with pytest.raises(VerificationError):
            verify(file, suffix)


def test_an_archive_with_other_lines_than_its_manifest_says_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "payload.zip"
    with (
        zipfile.ZipFile(io.BytesIO(zipped())) as before,
        zipfile.ZipFile(file, "w") as after,
    ):
        for entry in before.infolist():
            content = before.read(entry)
            after.writestr(
                entry.filename, content if entry.filename == "manifest.json" else content[1:]
            )
    with pytest.raises(VerificationError, match="does not have the digests"):
        verify(file, "zip")


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"<manifest>{}</manifest>", b"<manifest>[1]</manifest>", b"\xff" * 100],
    ids=["empty", "no-archive", "no-definition", "no-object", "no-text"],
)
def test_what_is_no_payload_is_said_to_be_none(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "payload.zip"
    file.write_bytes(content)
    with pytest.raises(SetupError, match="does not say which data set definition"):
        definition_of(file)
