"""The engine beside others: contestants take turns, their values are proven, ratios are judged."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from benchmarks import report
from benchmarks.contestants import (
    PARTS,
    PEER_ROWS,
    PROFILE,
    PROFILED,
    Arena,
    Contestant,
    Part,
    a_relay,
    a_sink,
)
from benchmarks.data import DATABASE, EXPORTED, IN_LAKE, Data
from benchmarks.goals import Result, Run
from benchmarks.kept import Kept
from benchmarks.values import TRUTH_SQL, Deviation, deviations, read_truth
from local.postgresql import psql

_SHARED_MEMORY = Path("/dev/shm")


def measure(
    name: str, data: Data, rounds: int, only: str | None, *, anew: bool = True
) -> tuple[str, bool]:
    """Runs a part; its report, and whether all values of ours are right.

    Unless ``anew``, the turns of an earlier run of the part on these rows count.
    """
    part = PARTS[name]
    chosen = [c for c in part.contestants if only is None or only.lower() in c.name.lower()]
    kept = Kept.of(data.folder / f"{name}.json", anew=anew)
    place = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="headrace-bench-", dir=place) as folder,
        a_relay(data.server.socket_folder) as relay,
    ):
        unproven = [c for c in chosen if part.proven and c.name not in kept.found]
        if unproven:
            with a_sink(Path(folder)) as keeping:
                keeping_arena = Arena(data, keeping, Path(folder), relay, keeps=True)
                _verify(keeping_arena, unproven, kept, IN_LAKE if name == "ducklake" else {})
        with a_sink() as port:
            arena = Arena(data, port, Path(folder), relay)
            for turn in range(1, rounds + 1):
                for contestant in chosen:
                    if len(kept.runs.get(contestant.name, ())) < turn:
                        run = contestant.turn(arena)
                        kept.add_run(contestant.name, run)
                        _say(f"round {turn}: {contestant.name}", run)
    names = [c.name for c in part.contestants if c.name in kept.runs]
    results = {name: Result.of(kept.runs[name]) for name in names}
    found = {name: kept.found[name] for name in names if name in kept.found}
    right = not any(found.get(c.name) for c in part.contestants if c.is_ours)
    rows = min(data.rows, _rows_of(part, data))
    return _text(name, part, results, found, (data.rows, rows), rounds), right


def _rows_of(part: Part, data: Data) -> int:
    return PEER_ROWS if part.contestants[0].few else data.rows


def _say(what: str, run: Run) -> None:
    print(f"  {what:32} {run.wall:7.2f} s, CPU {run.cpu:6.2f} s", file=sys.stderr, flush=True)


def _verify(
    arena: Arena, chosen: Sequence[Contestant], kept: Kept, types: Mapping[str, str]
) -> None:
    """One turn of each that is not counted, to note what is wrong with its values.

    ``types``: what columns are where the contestants read them, if not what they are on the server.
    """
    truth = arena.folder / "truth.csv"
    asked = TRUTH_SQL | {name: f"({value})::text" for name, value in types.items()}
    columns = ", ".join(f"{asked.get(name, name)} AS {name}" for name in EXPORTED)
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
            found = deviations(
                connection,
                contestant.file(arena),
                contestant.file_format,
                canonical=contestant.is_ours,
            )
            kept.add_found(contestant.name, found)
            for deviation in found:
                print(f"  {contestant.name}: {deviation}", file=sys.stderr, flush=True)
            contestant.file(arena).unlink()
            shutil.rmtree(f"{contestant.file(arena)}.dlt", ignore_errors=True)


def _copy_by_psql(arena: Arena, query: str, target: Path) -> None:
    place = ["-h", str(arena.data.server.socket_folder), "-U", "postgres", "-d", DATABASE]
    copy = f"\\copy ({query}) TO '{target}' (FORMAT csv, HEADER, FORCE_QUOTE *)"
    subprocess.run([str(psql()), "-X", "-q", *place, "-c", copy], check=True)


def _text(
    name: str,
    part: Part,
    results: dict[str, Result],
    found: dict[str, tuple[Deviation, ...]],
    asked_and_read: tuple[int, int],
    rounds: int,
) -> str:
    asked, rows = asked_and_read
    day = datetime.now(UTC).date().isoformat()
    head = (
        f"`python -m benchmarks {name} -n {rounds} --rows {asked}` on {day}: {rows:,} rows, "
        f"{report.machine()}; medians of {rounds}."
    )
    if part is PROFILE:
        return f"{head}\n\n{report.profile_table([title for title, *_ in PROFILED], results)}"
    pieces = [head, report.results_table(results)]
    goals = report.goals_table(part.goals, results)
    if "reached" in goals:
        pieces.append(goals)
    pieces.append(report.values_list(found, rows=rows))
    return "\n\n".join(pieces)
