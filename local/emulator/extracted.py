"""Unpacked code and layers of the functions, one folder for each content, kept between starts."""

import hashlib
import io
import os
import shutil
import threading
import zipfile
from functools import lru_cache
from pathlib import Path

KEPT = 12
"""How many folders survive a start; a deployment has two layers and one code package."""

_making = threading.Lock()


def folder() -> Path:
    """Where the folders are."""
    return Path(os.environ["HEADRACE_EXTRACTED"])


@lru_cache(maxsize=16)  # bytes keep their hash, so a lookup costs nothing
def digest(package: bytes) -> str:
    """The name of a package's folder."""
    return hashlib.sha256(package).hexdigest()


def extracted(package: bytes) -> str:
    """The folder with a zip file's content; unpacked now if it never was.

    Functions share it (AWS mounts it read-only), so what Python compiles in one process serves
    the next. A half-made folder never bears the name.
    """
    target = folder() / digest(package)
    with _making:
        if not target.is_dir():
            part = target.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            with zipfile.ZipFile(io.BytesIO(package)) as archive:
                archive.extractall(part)
            part.rename(target)
        os.utime(target)
    return str(target)


def tidy() -> None:
    """Forget the folders that were not used for longest. Only while no function runs."""
    folders = sorted(folder().iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in folders[KEPT:]:
        shutil.rmtree(path, ignore_errors=True)
