"""A browser for tests of pages: a Chromium of this machine, else one from npm.

That from npm is installed at the version of ``reference/browser/``'s lock file (70 MB, unpacked
280 MB), and said to be: a machine that can have no browser at all cannot show that a page works, so
the tests fail there, and say so.
"""

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from local.home import CHECKOUT
from tests.system import npm

SOURCES = Path(__file__).parent / "reference" / "browser"
INSTALLED = CHECKOUT / ".tools" / "browser"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
# It asks no host of its maker's for anything.
_QUIET = ("--disable-background-networking", "--disable-component-update", "--no-first-run")


def executable() -> str:
    """Where a Chromium is."""
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    warnings.warn(f"no {', '.join(_NAMES)} on PATH: pages are tested in npm's", stacklevel=2)
    path: str = npm.run(npm.installed(SOURCES, INSTALLED), "path.mjs")["path"]
    return path


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser that has been nowhere yet."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable(), args=list(_QUIET))
        yield started
        started.close()
