"""placed.py ENVIRONMENT...: environments that were moved with their checkout name the new place.

The scripts of a virtual environment, and what makes our packages importable, name the folder where
it was made. Its Python goes on working elsewhere, and is what runs this, with nothing but its
library. One that is linked to, or reached by another name, is where it was made.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

_MADE = re.compile(r"^command = .* -m venv (?:--\S+ )*(/.+)$", re.MULTILINE)
"""What pyvenv.cfg has of how an environment was made: the folder comes last."""

_LONGEST = 127
"""Bytes of the first line of a script that Linux up to 5.0 reads (execve(2))."""


def made_in(environment: Path) -> Path | None:
    """The folder that it was made in, as it says itself."""
    found = _MADE.search((environment / "pyvenv.cfg").read_text())
    return None if found is None else Path(found[1])


def naming(environment: Path) -> Iterator[Path]:
    """The files of an environment that name its folder, or the checkout's."""
    yield from environment.glob("bin/*")
    for packages in environment.glob("lib/python*/site-packages"):
        for pattern in ("*.pth", "__editable__*.py", "*.dist-info/direct_url.json"):
            yield from packages.glob(pattern)
    yield environment / "pyvenv.cfg"  # last: until then it is known to be unfinished


def place(environment: Path, old: Path, new: Path) -> None:
    """Write the checkout's new place for its old one."""
    for file in naming(environment):
        if file.is_symlink() or not file.is_file():
            continue
        text = file.read_bytes()
        changed = text.replace(os.fsencode(old) + b"/", os.fsencode(new) + b"/")
        if changed != text and b"\0" not in text:
            part = file.with_name(f"{file.name}.part")
            part.write_bytes(changed)
            part.chmod(file.stat().st_mode)
            part.replace(file)


def main() -> None:
    """Put right those of the environments that were made in another folder."""
    for environment in map(Path, sys.argv[1:]):
        if not (environment / ".installed").exists():
            continue
        made, depth = made_in(environment), len(environment.parts)
        if made is None or made.parts[-depth:] != environment.parts:
            continue
        if made.exists() and made.samefile(environment):
            continue
        old, new = made.parents[depth - 1], environment.resolve().parents[depth - 1]
        if re.search(r"\s", str(new)) or len(f"#!{new / environment}/bin/python3.13") > _LONGEST:
            sys.exit(
                f"{environment} was made in {old}, and its scripts cannot name {new}: that has "
                "spaces, or is too long. Remove .venv and .tools, and run the same command again."
            )
        place(environment, old, new)
        sys.stdout.write(f"{environment} was made in {old}, which it named; it names {new} now\n")


main()
