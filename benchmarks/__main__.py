"""`make bench`: every benchmark once. docs/benchmarks.md says what the figures mean.

    python -m benchmarks [PART …] [-n ROUNDS] [--rows ROWS] [--only TEXT] [--write]

It fails on wrong values only: a ratio is printed, not asserted.
"""

import argparse
import sys

from benchmarks import changes, cold_start, engine, report
from benchmarks.contestants import PARTS
from benchmarks.data import Data, named
from local.home import LocalFailure

ROWS = 2_500_000

ALL = (*PARTS, "changes", "cold_start")


def main() -> None:
    """Runs the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(ALL)}")
    parser.add_argument("-n", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"rows (default {ROWS:,})")
    parser.add_argument("--only", help="contestants whose name has this text")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(ALL):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    wrong = []
    for part in arguments.parts or ALL:
        text, right = _run(part, named(arguments.rows), arguments.n, arguments.only)
        print(f"\n## {part}\n\n{text}", flush=True)
        if arguments.write:
            report.write(part, text)
        if not right:
            wrong.append(part)
    if wrong:
        raise SystemExit(f"wrong values: {', '.join(wrong)}")


def _run(part: str, data: Data, rounds: int, only: str | None) -> tuple[str, bool]:
    """The part's report, and whether all values of ours are right."""
    if part == "cold_start":
        return cold_start.measure(rounds), True
    if part == "changes":
        return changes.measure(data.rows, 10, rounds)
    started = data.server.start()
    try:
        data.build()
        return engine.measure(part, data, rounds, only)
    finally:
        if started:
            data.server.stop()


if __name__ == "__main__":
    try:
        main()
    except LocalFailure as failure:
        sys.exit(str(failure))
