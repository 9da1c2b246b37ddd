"""The engine beside others: contestants take turns, their values are proven, ratios are judged."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from benchmarks import report
from benchmarks.contestants import PARTS, PEER_ROWS, Arena, Contestant, Part, a_relay, a_sink
from benchmarks.data import DATABASE, EXPORTED, Data
from benchmarks.goals import Result, Run
from benchmarks.values import TRUTH_SQL, Deviation, deviations, read_truth
from local.postgresql import psql

_SHARED_MEMORY = Path("/dev/shm")


def measure(name: str, data: Data, rounds: int, only: str | None) -> tuple[str, bool]:
    """Runs a part; its report, and whether all values of ours are right."""
    part = PARTS[name]
    chosen = [c for c in part.contestants if only is None or only.lower() in c.name.lower()]
    place = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="headrace-bench-", dir=place) as folder,
        a_relay(data.server.socket_folder) as relay,
    ):
        with a_sink(Path(folder)) as keeping:
            found = _verify(Arena(data, keeping, Path(folder), relay, keeps=True), chosen)
        runs: dict[str, list[Run]] = {contestant.name: [] for contestant in chosen}
        with a_sink() as port:
            arena = Arena(data, port, Path(folder), relay)
            for turn in range(rounds):
                for contestant in chosen:
                    runs[contestant.name].append(contestant.turn(arena))
                    _say(f"round {turn + 1}: {contestant.name}", runs[contestant.name][-1])
    results = {name: Result.of(taken) for name, taken in runs.items()}
    right = all(not found[c.name] for c in chosen if c.is_ours)
    rows = min(data.rows, _rows_of(part, data))
    return _text(name, part, results, found, rows, rounds), right


def _rows_of(part: Part, data: Data) -> int:

    return PEER_ROWS if part.contestants[0].few else data.rows


def _say(what: str, run: Run) -> None:
    print(f"  {what:32} {run.wall:7.2f} s, CPU {run.cpu:6.2f} s", file=sys.stderr, flush=True)


def _verify(arena: Arena, chosen: Sequence[Contestant]) -> dict[str, tuple[Deviation, ...]]:
    """One turn of each that is not counted, and what is wrong with its values."""
    found = {}
    truth = arena.folder / "truth.csv"
    columns = ", ".join(f"{TRUTH_SQL.get(name, name)} AS {name}" for name in EXPORTED)
    read: bool | None = None
    with duckdb.connect() as connection:
        for contestant in chosen:
            if read is not contestant.few:
                query = contestant.query(arena, columns)
                _copy_by_psql(arena, query, truth)
                read_truth(connection, truth)
                truth.unlink()
                read = contestant.few
            contestant.turn(arena)
            found[contestant.name] = deviations(
                connection,
                contestant.file(arena),
                contestant.file_format,
                canonical=contestant.is_ours,
            )
            for deviation in found[contestant.name]:
                print(f"  {contestant.name}: {deviation}", file=sys.stderr, flush=True)
            contestant.file(arena).unlink()
            shutil.rmtree(f"{contestant.file(arena)}.dlt", ignore_errors=True)
    return found


def _copy_by_psql(arena: Arena, query: str, target: Path) -> None:
    place = ["-h", str(arena.data.server.socket_folder), "-U", "postgres", "-d", DATABASE]
    copy = f"\\copy ({query}) TO '{target}' (FORMAT csv, HEADER, FORCE_QUOTE *)"
    subprocess.run([str(psql()), "-X", "-q", *place, "-c", copy], check=True)


def _text(
    name: str,
    part: Part,
    results: dict[str, Result],
    found: dict[str, tuple[Deviation, ...]],
    rows: int,
    rounds: int,
) -> str:
    day = datetime.now(UTC).date().isoformat()
    head = (
        f"`python -m benchmarks {name} -n {rounds}` on {day}: {rows:,} rows, "
        f"{report.machine()}; medians of {rounds}."
    )
    pieces = [head, report.results_table(results)]
    goals = report.goals_table(part.goals, results)
    if "reached" in goals:
        pieces.append(goals)
    pieces.append(report.values_list(found, rows=rows))
    return "\n\n".join(pieces)
