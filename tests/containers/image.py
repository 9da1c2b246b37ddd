"""The base image of a function's container, made of this machine's Python: no registry is asked.

It has what `sam local` and a function find in AWS's own (`public.ecr.aws/lambda/python:3.13`):
the interpreter under ``/var/lang`` with the runtime interface client and boto3,
``/var/runtime/bootstrap``, the libraries that those and the layers link to, and the few commands
that SAM builds with. What a layer needs and is not named here is not there, as on Lambda.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zoneinfo
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from local.home import CHECKOUT
from tests.containers.engine import Engine

REPOSITORY = "headrace/lambda-python"
RUNTIME = CHECKOUT / ".tools" / "containers"
"""The environment of ``requirements/containers.txt``."""

COMMANDS = ("sh", "mv", "chmod", "cp", "rm")
"""What SAM runs while it puts layers into the image."""

BY_NAME = ("libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1", "libresolv.so.2",
           "libgcc_s.so.1", "libstdc++.so.6")  # fmt: skip
"""Libraries of every glibc system that manylinux wheels may link to (PEP 600), as layers do."""

BOOTSTRAP = """\
#!/bin/sh
export PYTHONPATH=/var/task:/opt/python/lib/python3.13/site-packages:/opt/python
exec /var/lang/bin/python3.13 -m awslambdaric "$_HANDLER"
"""

SETTINGS = (
    "ENV PATH=/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin",
    "ENV LD_LIBRARY_PATH=/var/lang/lib:/var/task:/var/task/lib:/opt/lib",
    "ENV LAMBDA_TASK_ROOT=/var/task",
    "ENV LAMBDA_RUNTIME_DIR=/var/runtime",
    "ENV LANG=en_US.UTF-8",
    "ENV TZ=:UTC",
    "WORKDIR /var/task",
)
"""As Lambda sets them (its documentation: defined runtime environment variables)."""

FOLDERS = ("tmp", "var/task", "opt", "var/rapid", "etc")

_UNWANTED = re.compile(
    r"(^|/)(__pycache__|site-packages|test|tests|idlelib|tkinter|turtledemo|ensurepip|lib2to3)(/|$)"
    r"|/config-3\.13[^/]*/|/_tkinter\.|\.a$"
)
_LINKED = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)


@dataclass(frozen=True)
class Files:
    """What an image is made of: files of this machine by their places in it, and texts."""

    files: dict[PurePosixPath, Path]
    texts: dict[PurePosixPath, str]

    def digest(self) -> str:
        """Names, contents and settings: what makes another image of it."""
        digest = hashlib.sha256(repr((SETTINGS, FOLDERS, sorted(self.texts.items()))).encode())
        for place, path in sorted(self.files.items()):
            digest.update(f"\0{place}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()


def contents() -> Files:
    """The files of the image: this interpreter's installation, and the runtime's environment."""
    lang = PurePosixPath("var/lang")
    prefix = Path(sys.base_prefix)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    python = Path(sys.executable).resolve()
    files: dict[PurePosixPath, Path] = {lang / "bin" / version: python}
    standard = Path(os.__file__).resolve().parent
    for path in _below(standard):
        if not _UNWANTED.search(f"/{path.relative_to(standard).as_posix()}"):
            files[lang / "lib" / version / path.relative_to(standard).as_posix()] = path
    packages = RUNTIME / "lib" / version / "site-packages"
    for path in _below(packages):
        inside = path.relative_to(packages).as_posix()
        if not re.search(r"(^|/)(__pycache__|pip|tests)(/|$)", inside):
            files[lang / "lib" / version / "site-packages" / inside] = path
    commands = {name: Path(_found(name)).resolve() for name in COMMANDS}
    files |= {PurePosixPath("bin") / name: path for name, path in commands.items()}
    # Amazon Linux 2023 has these, and so has Lambda since 2024 (aws/aws-lambda-dotnet, issue 1620).
    zones = next((Path(one) for one in zoneinfo.TZPATH if Path(one).is_dir()), None)
    for path in _below(zones) if zones else ():
        inside = path.relative_to(str(zones)).as_posix()
        if not inside.startswith(("right/", "posix/")):
            files[PurePosixPath("usr/share/zoneinfo") / inside] = path
    linking = [path for path in files.values() if _links(path)]
    for library in _libraries(linking) | set(_named(BY_NAME)):
        # An installation's own libpython lies beside it, not where the system's libraries are.
        mine = library.resolve().is_relative_to(prefix.resolve()) and prefix != Path("/usr")
        place = lang / "lib" / library.name if mine else PurePosixPath(str(library).lstrip("/"))
        files[place] = library.resolve()
    return Files(files, {PurePosixPath("var/runtime/bootstrap"): BOOTSTRAP})


def made(engine: Engine) -> str:
    """The image's name; it is made unless the engine has one of the very same contents."""
    files = contents()
    name = f"{REPOSITORY}:3.13-{files.digest()[:16]}"
    if not engine.has_image(name):
        with TemporaryDirectory(prefix="headrace-image-") as folder:
            archive = Path(folder) / "root.tar"
            _written(files, Path(folder) / "root", archive)
            engine.import_image(archive, name, SETTINGS)
    return name


def _written(files: Files, root: Path, archive: Path) -> None:
    """The image's file system, as an archive."""
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for place, path in files.files.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / place)
    for place, text in files.texts.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text)
        (root / place).chmod(0o755)
    # A container begins from the image each time, so what is not compiled here is in each start.
    lang = root / "var" / "lang" / "lib"
    how = ("-q", "-j", "2", "--invalidation-mode", "unchecked-hash", "-s", str(root), "-p", "/")
    subprocess.run([sys.executable, "-m", "compileall", *how, lang], check=False)
    with tarfile.open(archive, "w") as tar:
        tar.add(root, arcname=".", filter=_owned_by_root)


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    if member.name == "./tmp":
        member.mode = 0o1777
    return member


def _below(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _found(command: str) -> str:
    found = shutil.which(command)
    if found is None:
        raise FileNotFoundError(f"there is no {command} on PATH, which the image needs")
    return found


def _links(path: Path) -> bool:
    """Whether a file is a program or a library that others are linked to."""
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _libraries(linking: Iterable[Path]) -> set[Path]:
    """All that these link to, of this machine."""
    said = subprocess.run(
        ["ldd", *map(str, linking)], capture_output=True, text=True, check=False
    ).stdout
    return {Path(found) for found in _LINKED.findall(said)}


def _named(names: Iterable[str]) -> Iterator[Path]:
    """Where the loader finds libraries of these names."""
    cache = subprocess.run(
        ["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True
    ).stdout
    for name in names:
        found = re.search(
            rf"^\s*{re.escape(name)} \(libc6,x86-64\S*\) => (\S+)$", cache, re.MULTILINE
        )
        if found:
            yield Path(found[1])
