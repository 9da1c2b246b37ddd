"""`make bench`: every benchmark once. docs/benchmarks.md says what the figures mean.

    python -m benchmarks [PART …] [-n ROUNDS] [--rows ROWS] [--only TEXT] [--go-on] [--write]

The part ``data`` only makes the rows. Each turn is kept: ``--go-on`` goes on with a run that was
ended early.

It fails on wrong values only: a ratio is printed, not asserted.
"""

import argparse
import signal
import sys

from benchmarks import (
    capture,
    changes,
    cold_start,
    data_sets,
    engine,
    memory,
    product,
    report,
    template_pages,
)
from benchmarks.contestants import PARTS
from benchmarks.data import Data, named
from local.home import LocalFailure

ROWS = 2_500_000

ALL = (
    *("data", *PARTS, *memory.PARTS, "product", "template_pages"),
    *("capture", "changes", "data_sets", "cold_start"),
)


def main() -> None:
    """Runs the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(ALL)}")
    parser.add_argument("-n", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"rows (default {ROWS:,})")
    parser.add_argument("--only", help="contestants whose name has this text")
    parser.add_argument("--go-on", action="store_true", help="with what was measured before")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(ALL):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    # So that what was started is stopped when this is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    wrong = []
    for part in arguments.parts or ALL:
        rows = min(arguments.rows, memory.BASE_ROWS) if part in memory.PARTS else arguments.rows
        text, right = _run(part, named(rows), arguments)
        print(f"\n## {part}\n\n{text}", flush=True)
        if arguments.write and part != "data":
            report.write(part, text)
        if not right:
            wrong.append(part)
    if wrong:
        raise SystemExit(f"wrong values: {', '.join(wrong)}")


def _run(part: str, data: Data, told: argparse.Namespace) -> tuple[str, bool]:
    """The part's report, and whether all values of ours are right."""
    if part == "cold_start":
        return cold_start.measure(told.n), True
    if part == "data_sets":
        return data_sets.measure(min(data.rows, data_sets.RECORDS), told.n), True
    if part == "changes":
        return changes.measure(data.rows, 10, told.n)
    started = data.server.start()
    try:
        data.build()
        if part == "data":
            return f"{data.rows:,} rows to export are there.", True
        if part in memory.PARTS:
            return memory.measure(memory.PARTS[part], data, anew=not told.go_on), True
        if part == "capture":
            return capture.measure(data, told.n), True
        if part == "product":
            return product.measure(data, told.n), True
        if part == "template_pages":
            return template_pages.measure(data, told.n), True
        return engine.measure(part, data, told.n, told.only, anew=not told.go_on)
    finally:
        if started:
            data.server.stop()


if __name__ == "__main__":
    try:
        main()
    except LocalFailure as failure:
        sys.exit(str(failure))
