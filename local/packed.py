"""What a platform has built and packed, for those that start beside it from the same checkout.

`sam build` and the packing of what it built take longer than all else at a first start, and give
the same each time. ``HEADRACE_PACKED`` names a folder for it: who comes first fills it, and whoever
comes meanwhile waits for that. `make test` has one, for its platforms.
"""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.deployment import PACKAGES, Deployment, client, fingerprint
from local.home import Home, write_whole


@dataclass(frozen=True)
class Packed:
    """The folder, and the digest of the checkout whose packages are wanted."""

    folder: Path
    digest: str

    @property
    def template(self) -> Path:
        """The template that names the packages."""
        return self.folder / "template.yaml"

    @property
    def is_there(self) -> bool:
        """Whether somebody has left what is wanted."""
        done = self.folder / "digest"
        return done.exists() and done.read_text() == self.digest

    def keep(self, deployment: Deployment) -> None:
        """Takes what was built and packed from a platform that it was deployed on."""
        home, port, template = deployment.home, deployment.port, deployment.packed_template()
        for old in (self.folder / "built", self.folder / "packages"):
            shutil.rmtree(old, ignore_errors=True)
        (self.folder / "digest").unlink(missing_ok=True)
        shutil.copytree(_built(home), self.folder / "built", copy_function=linked)
        packages = self.folder / "packages"
        packages.mkdir()
        s3 = client("s3", port)
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=PACKAGES):
            for one in page.get("Contents", ()):
                s3.download_file(PACKAGES, one["Key"], str(packages / one["Key"]))
        write_whole(self.template, template)
        write_whole(self.folder / "digest", self.digest)

    def give(self, home: Home, port: int) -> None:
        """Leaves what was built in the home, and what was packed in the platform's storage."""
        shutil.rmtree(_built(home), ignore_errors=True)
        shutil.copytree(self.folder / "built", _built(home), copy_function=linked)
        s3 = client("s3", port)
        for package in sorted((self.folder / "packages").iterdir()):
            s3.upload_file(str(package), PACKAGES, package.name)


def linked(source: str, target: str) -> None:
    """The file under a second name, or its copy where that name is on another file system."""
    try:
        os.link(source, target)
    except OSError as refused:
        if refused.errno != errno.EXDEV:
            raise
        shutil.copy2(source, target)


def _built(home: Home) -> Path:
    return home.built_template.parent


@contextlib.contextmanager
def packed_beside(deployment: Deployment, environ: Mapping[str, str]) -> Iterator[Packed | None]:
    """The folder that the environment names, for nobody else meanwhile; None if it names none."""
    named = environ.get("HEADRACE_PACKED")
    if not named:
        yield None
        return
    folder = Path(named)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Packed(folder, fingerprint(deployment.checkout, public_url=""))
