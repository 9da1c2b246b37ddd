"""DuckDB's own files."""

from pathlib import Path

from headrace.adapters.sql_text import literal
from headrace.adapters.warehouse import engine
from headrace.adapters.warehouse.attached import AttachedTables
from headrace.adapters.warehouse.engine import Connection
from headrace.adapters.warehouse.fingerprints import check_unchanged, fingerprint, size_and_time
from headrace.adapters.warehouse.open_source import OpenSource, option
from headrace.exports.sources import Source
from headrace.kernel.errors import SourceUnavailable


def open_duckdb(
    connection: Connection, source: Source, version: str | None, files: tuple[str, ...]
) -> OpenSource:
    """Attaches the file read-only; it must not change while it is read."""
    path = Path(option(source, "path"))
    unchanged = check_unchanged(lambda: fingerprint(database_files(path)), version)
    unchanged()
    connection.execute(f"ATTACH {literal(str(path))} AS source (READ_ONLY)")
    engine.lock_down(connection, [], files)
    return AttachedTables(connection, unchanged)


def database_files(path: Path) -> dict[str, tuple[int, int]]:
    """The file and what lies beside it, with their sizes and times of change (ns)."""
    # What was committed last may still be in the log beside the file.
    found = {}
    for file in (path, path.with_name(path.name + ".wal")):
        if file.exists():
            found[file.name] = size_and_time(file)
    if path.name not in found:
        raise SourceUnavailable("The DuckDB file of the source is not there.")
    return found
