"""Writes the description of the API, and what is made of it.

python -m openapi.generate           write the files
python -m openapi.generate --check   compare; say what differs and end with 1 if anything does
"""

import argparse
import difflib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from openapi.document import build
from openapi.guide import with_table
from openapi.postman import collection
from openapi.routes import ROOT

DOCUMENT = Path("openapi/openapi.yaml")
SERVED = Path("functions/reference/openapi.json")
POSTMAN = Path("docs/postman_collection.json")
GUIDE = Path("docs/api-guide.md")


class _Dumper(yaml.SafeDumper):
    """YAML as people write it: no anchors, and texts of several lines in blocks."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(document: Mapping[str, Any]) -> str:
    """The document for people."""
    head = "# Made by `python -m openapi.generate` from the routes under functions/: edit those.\n"
    return head + yaml.dump(
        dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )


def files(root: Path) -> dict[Path, str]:
    """What each of the files should hold."""
    document = build()
    guide = (root / GUIDE).read_text(encoding="utf-8")
    return {
        DOCUMENT: as_yaml(document),
        SERVED: json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n",
        POSTMAN: json.dumps(collection(document), ensure_ascii=False, indent=2) + "\n",
        GUIDE: with_table(guide),
    }


def differences(root: Path) -> Iterable[str]:
    """The lines that differ, as a unified diff; of the compact file, only that it does."""
    for path, wanted in files(root).items():
        file = root / path
        found = file.read_text(encoding="utf-8") if file.exists() else ""
        if found == wanted:
            continue
        if path == SERVED:
            yield f"{path} differs"
            continue
        yield from difflib.unified_diff(
            found.splitlines(), wanted.splitlines(), str(path), f"{path} as made", lineterm=""
        )


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Runs the command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m openapi.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    if parser.parse_args(arguments).check:
        differing = list(differences(root))
        if differing:
            differing.append("\nThe routes have changed: run `python -m openapi.generate`.")
            sys.stderr.write("\n".join(differing) + "\n")
        return 1 if differing else 0
    for path, text in files(root).items():
        (root / path).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
