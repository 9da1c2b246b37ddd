"""The base image's name says what is in it."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

from tests.containers.image import Files

PLACE = PurePosixPath("var/lang/bin/python3.13")


def some_files(folder: Path, text: str = "an interpreter") -> Files:
    """An image of one file of this text."""
    path = folder / "python"
    path.write_text(text)
    return Files({PLACE: path}, {PurePosixPath("var/runtime/bootstrap"): "#!/bin/sh"})


def test_the_same_contents_have_the_same_digest_wherever_they_come_from(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    here, there = some_files(tmp_path), some_files(tmp_path / "elsewhere")
    assert here.digest() == there.digest()


def test_another_content_place_or_text_is_another_image(tmp_path: Path) -> None:
    files = some_files(tmp_path)
    before = files.digest()
    moved = replace(files, files={PurePosixPath("bin/python"): files.files[PLACE]})
    begun_otherwise = replace(files, texts={PurePosixPath("var/runtime/bootstrap"): "#!/bin/bash"})
    changed = some_files(tmp_path, "a later interpreter")
    digests = {before, moved.digest(), begun_otherwise.digest(), changed.digest()}
    assert len(digests) == 4
