"""Who takes part, and how each is run: one process a turn, one document a turn."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.data import DATABASE, EXPORTED, WHERE, Data
from benchmarks.goals import Goal, Run
from benchmarks.measuring import processor_seconds, run
from benchmarks.turn import STAGES, Turn
from local.home import CHECKOUT, LocalFailure
from local.postgresql import psql

PEER_ROWS = 500_000
"""Rows that peers are measured on: at the full size a round of them takes twelve minutes."""

PEERS = CHECKOUT / ".tools" / "bench"


@dataclass(frozen=True)
class Arena:
    """Where a turn runs: the rows, a sink's port, a folder for files, sling's way to the server."""

    data: Data
    port: int
    folder: Path
    relay: int
    keeps: bool = False
    """Does the sink keep what it gets, as files in ``folder``."""

    @property
    def peer_limit(self) -> int:
        """The id up to which the tenant has ``PEER_ROWS`` rows (all, if it has fewer)."""
        return self.data.id_of_row(min(PEER_ROWS, self.data.rows))


@dataclass(frozen=True)
class Contestant:
    """One of those who take part. ``few``: on ``PEER_ROWS`` rows only."""

    name: str
    file_format: str
    few: bool = False

    is_ours = False

    def file(self, arena: Arena) -> Path:
        """Where its document is after a turn."""
        return arena.folder / "document"

    def command(self, arena: Arena) -> list[str]:
        """What is run."""
        raise NotImplementedError

    def environment(self, arena: Arena) -> Mapping[str, str]:
        """What is set beside what is."""
        return {}

    def turn(self, arena: Arena) -> Run:
        """Runs it once. Raises ContestantFailed."""
        with suppress(FileNotFoundError):
            self.file(arena).unlink()
        server = arena.data.server.process()
        assert server is not None
        before = processor_seconds(server)
        ended = run(self.command(arena), self.environment(arena))
        served = processor_seconds(server) - before
        said = ended.printed.strip().splitlines()
        figures = json.loads(said[-1]) if said and said[-1].startswith("{") else {}
        size = figures["size"] if "size" in figures else self.file(arena).stat().st_size
        return Run(
            wall=figures.get("wall", ended.wall),
            cpu=figures.get("cpu", ended.cpu),
            server=served,
            peak=figures.get("peak", ended.peak),
            size=size,
        )

    def query(self, arena: Arena, columns: str = ", ".join(EXPORTED)) -> str:
        """The rows as anyone asks for them."""
        limit = f" AND id <= {arena.peer_limit}" if self.few else ""
        return f"SELECT {columns} FROM employments WHERE {WHERE}{limit}"


@dataclass(frozen=True)
class Ours(Contestant):
    """A worker, or two; ``source``, ``stage`` and what follows it as in ``Turn``."""

    source: str = "postgresql"
    compression: str = "none"
    workers: int = 1
    stage: str = STAGES[-1]
    place: str = ""
    bucket: str = "bench"
    key: str = "key"

    is_ours = True

    def file(self, arena: Arena) -> Path:
        suffix = {"none": "", "gzip": ".gz", "zstd": ".zst"}[self.compression]
        return arena.folder / f"employments.{self.file_format}{suffix}"

    def command(self, arena: Arena) -> list[str]:
        turn = Turn(
            arena.data.rows,
            self.source,
            self.file_format,
            self.compression,
            self.workers,
            arena.port,
            arena.peer_limit if self.few else None,
            self.stage,
            self.bucket,
            self.key,
            self.place,
        )
        return [sys.executable, "-m", "benchmarks.turn", json.dumps(asdict(turn))]


@dataclass(frozen=True)
class Psql(Contestant):
    """``\\copy`` to a file: of the columns, or of the JSON that the server makes of a row."""

    as_json: bool = False

    def command(self, arena: Arena) -> list[str]:
        place = ["-h", str(arena.data.server.socket_folder), "-U", "postgres", "-d", DATABASE]
        query, options = self.query(arena), "FORMAT csv, HEADER"
        if self.as_json:
            query = f"SELECT row_to_json(r) FROM ({query}) r"
            # So that no character of a line is escaped.
            options = "FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02'"
        copy = f"\\copy ({query}) TO '{self.file(arena)}' ({options})"
        return [str(psql()), "-X", "-q", *place, "-c", copy]


@dataclass(frozen=True)
class RawDuckdb(Contestant):
    """DuckDB's own COPY, one thread."""

    def command(self, arena: Arena) -> list[str]:
        rest = [str(arena.data.rows), self.file_format, str(self.file(arena))]
        return [sys.executable, "-m", "benchmarks.raw_duckdb", *rest]


@dataclass(frozen=True)
class Peer(Contestant):
    """One of ``benchmarks/peers.py``."""

    peer: str = ""

    def command(self, arena: Arena) -> list[str]:
        place, script = str(arena.data.server.socket_folder), CHECKOUT / "benchmarks" / "peers.py"
        rest = [self.peer, self.file_format, place, self.query(arena), str(self.file(arena))]
        return [str(PEERS / "bin" / "python"), str(script), *rest]


@dataclass(frozen=True)
class Sling(Contestant):
    """sling's own program, which reaches no Unix socket: a relay carries its bytes there."""

    def command(self, arena: Arena) -> list[str]:
        found = list(PEERS.glob("lib/python*/site-packages/sling_linux_amd64/bin/sling-*"))
        if not found:
            raise LocalFailure("The program sling is missing: make bench installs it")
        kind = "jsonlines" if self.file_format == "ndjson" else self.file_format
        target = ["--tgt-object", self.file(arena).as_uri(), "--tgt-options"]
        stream = ["--src-conn", "SOURCE", "--src-stream", self.query(arena)]
        return [str(found[0]), "run", *stream, *target, f'{{"format": "{kind}"}}']

    def environment(self, arena: Arena) -> Mapping[str, str]:
        home = str(arena.folder / "sling")
        url = f"postgresql://postgres@127.0.0.1:{arena.relay}/{DATABASE}?sslmode=disable"
        quiet = {"SLING_DISABLE_TELEMETRY": "true", "SLING_HOME_DIR": home, "HOME": home}
        return {"SOURCE": url, **quiet}


@dataclass(frozen=True)
class Part:
    """A part of the benchmark: who takes part in it, and what is to be reached."""

    title: str
    contestants: tuple[Contestant, ...]
    goals: tuple[Goal, ...] = field(default=())
    proven: bool = True
    """Are documents made whose values are held against the truth."""


POSTGRESQL = Part(
    "PostgreSQL",
    (
        Psql("psql CSV", "csv"),
        Ours("CSV", "csv"),
        Ours("CSV, two workers", "csv", workers=2),
        Ours("CSV, gzip", "csv", compression="gzip"),
        Ours("CSV, zstd", "csv", compression="zstd"),
        Psql("psql row_to_json", "ndjson", as_json=True),
        Ours("NDJSON", "ndjson"),
        Ours("Parquet", "parquet"),
    ),
    (
        Goal("CSV", "psql CSV", 1.05),
        Goal("CSV", "psql CSV", 2.5, "cpu"),
        Goal("CSV, two workers", "psql CSV", 0.7),
        Goal("CSV, gzip", "CSV", 1.1),
        Goal("CSV, zstd", "CSV", 1.1),
        Goal("NDJSON", "psql row_to_json", 0.7),
        Goal("Parquet", "psql CSV", 0.85),
    ),
)

_FORMATS = {"csv": "CSV", "json": "JSON", "ndjson": "NDJSON", "parquet": "Parquet"}

DUCKLAKE = Part(
    "DuckLake",
    tuple(
        contestant
        for kind, name in _FORMATS.items()
        for contestant in (
            RawDuckdb(f"COPY {name}", kind),
            Ours(name, kind, source="ducklake"),
        )
    ),
    tuple(Goal(name, f"COPY {name}", 1.15) for name in _FORMATS.values()),
)

PEER = Part(
    "Peers",
    (
        Ours("CSV", "csv", few=True),
        Peer("connectorx CSV", "csv", few=True, peer="connectorx"),
        Sling("sling CSV", "csv", few=True),
        Peer("fetchmany CSV", "csv", few=True, peer="fetchmany"),
        Peer("dlt CSV", "csv", few=True, peer="dlt"),
        Ours("NDJSON", "ndjson", few=True),
        Sling("sling NDJSON", "ndjson", few=True),
        Peer("fetchmany NDJSON", "ndjson", few=True, peer="fetchmany"),
        Peer("dlt NDJSON", "ndjson", few=True, peer="dlt"),
        Ours("Parquet", "parquet", few=True),
        Peer("connectorx Parquet", "parquet", few=True, peer="connectorx"),
        Peer("dlt Parquet", "parquet", few=True, peer="dlt"),
    ),
    tuple(
        Goal(name, f"{peer} {name}", bound, faster=True)
        for peer, bound, formats in (
            ("dlt", 10, ("CSV", "NDJSON", "Parquet")),
            ("sling", 4, ("CSV", "NDJSON")),
            ("fetchmany", 6, ("CSV",)),
            ("connectorx", 1.2, ("CSV", "Parquet")),
        )
        for name in formats
    ),
)

PROFILED = tuple(
    (f"{source_name} {name}{packed and ', '}{packed}", source, kind, packed or "none")
    for source, source_name in (("postgresql", "PostgreSQL"), ("ducklake", "DuckLake"))
    for kind, name, packed in (
        ("csv", "CSV", ""),
        ("csv", "CSV", "gzip"),
        ("csv", "CSV", "zstd"),
        ("ndjson", "NDJSON", ""),
        ("parquet", "Parquet", ""),
    )
)
"""Title, source, format and compression of what is looked at stage by stage."""

PROFILE = Part(
    "Profile",
    tuple(
        Ours(f"{title}: {stage}", kind, source=source, compression=compression, stage=stage)
        for title, source, kind, compression in PROFILED
        for stage in STAGES
        if stage != "compress" or compression != "none"
    ),
    proven=False,
)

PARTS = {"postgresql": POSTGRESQL, "ducklake": DUCKLAKE, "peers": PEER, "profile": PROFILE}


@contextmanager
def a_sink(keep: Path | None = None) -> Iterator[int]:
    """A sink of its own process; yields its port."""
    command = [sys.executable, "-m", "benchmarks.sink", *(["--keep", str(keep)] if keep else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


@contextmanager
def a_relay(folder: Path) -> Iterator[int]:
    """A port of loopback whose bytes go to the server's Unix socket in the folder, and back."""
    listener = socket.create_server(("127.0.0.1", 0))

    def carry(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 18):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(str(folder / ".s.PGSQL.5432"))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=carry, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
