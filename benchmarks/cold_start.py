"""What initialising each function costs: the part of a cold start that is ours to keep small.

Each function is imported as Lambda does it, clients and all, in an interpreter of its own; the
figure is CPU time (user and system) beyond that of an interpreter that imports nothing. Runs go
round robin, so that a slow moment of the machine hits all functions alike; the median of ``-n``
rounds is printed.

"""

import os
import re
import resource
import statistics
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from benchmarks import report
from local.home import CHECKOUT as ROOT
from local.home import LocalFailure


def modules() -> list[str]:
    """Every function's module."""
    functions = ROOT / "functions"
    names = [
        ".".join(path.relative_to(functions).with_suffix("").parts)
        for path in sorted(functions.glob("*/*.py"))
        if "handler" in path.read_text()
    ]
    return [name for name in names if not name.endswith("__init__")]


@cache
def environment() -> dict[str, str]:
    """What Lambda sets, and the template: names of things that are never connected to."""
    text = (ROOT / "template.yaml").read_text()
    named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)*_(?:TABLE|BUCKET|KEY|MACHINE)\b", text))
    return {
        **os.environ,
        **{name: name.lower() for name in named},
        "PYTHONPATH": str(ROOT / "functions"),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "SIGNING_KEY_IDS": "key",
        "TEMPLATE_READER": "reader",
    }


def cpu_ms(module: str | None) -> float:
    """CPU milliseconds of an interpreter that imports the module, and ends."""
    statement = f"import {module}" if module else "pass"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], env=environment(), check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


ENGINE = ("duckdb", "psycopg", "isal", "backports.zstd")
"""What only the functions that read a source may import."""


def imported(module: str) -> list[str]:
    """Which of ``ENGINE`` the module imports."""
    statement = f"import sys, {module}; print(*[m for m in {ENGINE!r} if m in sys.modules])"
    command = [sys.executable, "-c", statement]
    done = subprocess.run(
        command, env=environment(), check=True, capture_output=True, text=True, cwd=ROOT
    )
    return done.stdout.split()


@dataclass(frozen=True)
class Function:
    """A function of the template: its module, and the folders that make its package."""

    module: str
    folders: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Bytes of its code and its layers, unpacked: what Lambda bounds by 250 MiB."""
        return sum(
            file.stat().st_size
            for folder in self.folders
            for file in folder.rglob("*")
            if file.is_file()
        )


def built() -> dict[str, Function]:
    """The functions by module, as ``sam build`` leaves them."""
    build = ROOT / ".aws-sam" / "build"
    if not (build / "template.yaml").is_file():
        raise LocalFailure("There is no build to measure: make sam-build")
    template = yaml.load((build / "template.yaml").read_text(), _Tags)
    resources: dict[str, Any] = template["Resources"]
    shared = template["Globals"]["Function"].get("Layers", [])
    found = {}
    for declared in resources.values():
        if declared["Type"] != "AWS::Serverless::Function":
            continue
        properties = declared["Properties"]
        # A reference stands in its short form or, as `sam build` leaves it, in its long one.
        referred = (
            one["Ref"] if isinstance(one, dict) else one
            for one in properties.get("Layers", []) + shared
        )
        content = [resources[name]["Properties"]["ContentUri"] for name in dict.fromkeys(referred)]
        module = properties["Handler"].removesuffix(".handler")
        code = properties["CodeUri"]
        found[module] = Function(module, tuple(build / part for part in (code, *content)))
    return found


class _Tags(yaml.SafeLoader):
    """YAML with CloudFormation's short functions, each read as its argument."""


def _argument(loader: yaml.SafeLoader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node)
    return loader.construct_mapping(node)  # type: ignore[arg-type]


_Tags.add_multi_constructor("!", _argument)


def measure(rounds: int) -> str:
    """A row for each function, the dearest first."""
    packages = built()
    names = modules()
    for name in names:
        cpu_ms(name)  # writes the .pyc files, and warms the cache of the disk
    taken: dict[str | None, list[float]] = {name: [] for name in (None, *names)}
    for _ in range(rounds):
        for module, values in taken.items():
            values.append(cpu_ms(module))
    bare = statistics.median(taken.pop(None))
    medians = sorted(
        ((statistics.median(values) - bare, str(name)) for name, values in taken.items()),
        reverse=True,
    )
    head = (
        f"`python -m benchmarks cold_start -n {rounds}` on {datetime.now(UTC).date()}: CPU "
        f"milliseconds beyond a bare interpreter's {bare:.0f}, medians of {rounds}; the size of "
        "code and layers, unpacked."
    )
    rows = [
        [
            name,
            f"{cost:.0f}",
            f"{packages[name].size / 1e6:.1f}" if name in packages else "–",
            ", ".join(imported(name)) or "–",
        ]
        for cost, name in medians
    ]
    titles = ("function", "import, CPU ms", "package, MB", "of the engine")
    return f"{head}\n\n{report.table(titles, rows)}"
