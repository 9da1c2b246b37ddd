"""``python -m local.sample build|load [HOME]``: make the sample warehouse, or load a month."""

import argparse
import os
from pathlib import Path

from local.sample.warehouse import build, load_more


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m local.sample", description=__doc__)
    parser.add_argument("action", choices=["build", "load"])
    parser.add_argument("home", nargs="?", default=os.environ.get("HEADRACE_HOME") or ".local")
    chosen = parser.parse_args()
    if chosen.action == "build":
        print(build(Path(chosen.home)))
    else:
        print(load_more(Path(chosen.home)))


main()
