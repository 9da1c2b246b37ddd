"""What initialising each function costs: the part of a cold start that is ours to keep small.

Each function is imported as Lambda does it, clients and all, in an interpreter of its own; the
figure is CPU time (user and system) beyond that of an interpreter that imports nothing. Runs go
round robin, so that a slow moment of the machine hits all functions alike; the median of ``-n``
rounds is printed.

    python -m benchmarks.cold_start [-n 5]
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def modules() -> list[str]:
    """Every function's module."""
    functions = ROOT / "functions"
    names = [
        ".".join(path.relative_to(functions).with_suffix("").parts)
        for path in sorted(functions.glob("*/*.py"))
        if "handler" in path.read_text()
    ]
    return [name for name in names if not name.endswith("__init__")]


def environment() -> dict[str, str]:
    """What Lambda sets, and the template: names of things that are never connected to."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT / "functions"),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "CATALOG_TABLE": "catalog",
        "OPERATIONS_TABLE": "operations",
        "CREDENTIALS_TABLE": "credentials",
        "FILES_BUCKET": "files",
        "FILES_KEY": "key",
        "SIGNING_KEY_IDS": "key",
        "EXPORT_STATE_MACHINE": "arn:aws:states:eu-west-1:000000000000:stateMachine:export",
    }


def cpu_ms(module: str | None) -> float:
    """CPU milliseconds of an interpreter that imports the module, and ends."""
    statement = f"import {module}" if module else "pass"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], env=environment(), check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def run(rounds: int) -> None:
    """Prints a line per function, the dearest first."""
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
    print(f"initialisation, CPU ms beyond a bare interpreter's {bare:.0f} (median of {rounds})")
    for cost, name in medians:
        print(f"  {name:<40}{cost:8.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=5, help="rounds")
    run(parser.parse_args().n)
