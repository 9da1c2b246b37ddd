"""DuckDB as a sync uses it: it reads documents in Parquet, and nothing from the network."""

# ruff: noqa: S608  names are quoted as identifiers, and values as literals or bound

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from headrace_client.errors import DestinationError, DestinationInUse
from headrace_client.sync.destination import CHANGE, DELETED, INSERTED, UPDATED, Document

_INCOMING = "headrace_incoming"
_GLOB = re.compile(r"[*?\[]")


@contextmanager
def opened(database: str, spill: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection; what DuckDB refuses becomes a sentence. It spills into `spill`."""
    try:
        connection = duckdb.connect(
            database,
            config={
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "temp_directory": str(spill),
            },
        )
        try:
            yield connection
        finally:
            connection.close()
    except duckdb.IOException as error:
        if "lock" in str(error).lower():
            raise DestinationInUse(
                f"Another program holds {database} open. Close it, and run the same command "
                "again: what was downloaded is kept."
            ) from None
        raise DestinationError(_said(error)) from error
    except duckdb.Error as error:
        raise DestinationError(_said(error)) from error


def _said(error: Exception) -> str:
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return f"DuckDB refuses: {first}. Nothing was applied."


def quoted(name: str) -> str:
    """A name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text as a literal of SQL."""
    return "'" + value.replace("'", "''") + "'"


def parquet(path: Path) -> str:
    """The rows of this very file, however its name looks to a glob or to Hive."""
    literal = _GLOB.sub(lambda mark: f"[{mark[0]}]", str(path))
    return f"read_parquet({text(literal)}, hive_partitioning = false)"


def columns(names: Sequence[str]) -> str:
    """Names as a list of SQL."""
    return ", ".join(map(quoted, names))


def demand_full(connection: duckdb.DuckDBPyConnection, document: Document) -> None:
    """VerificationError unless a full document is what its manifest says."""
    rows = parquet(document.path)
    document.demand_columns(_described(connection, f"SELECT * FROM {rows}"))
    document.demand_rows(_number(connection, f"SELECT count(*) FROM {rows}"))


def changes(connection: duckdb.DuckDBPyConnection, document: Document) -> tuple[str, int, int, int]:
    """Load a document of changes: the name of its rows, and how many are of which kind.

    Raises VerificationError unless it is what its manifest says.
    """
    rows = parquet(document.path)
    document.demand_columns(_described(connection, f"SELECT * FROM {rows}"))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {_INCOMING} AS SELECT * FROM {rows}")
    found = connection.execute(f"SELECT {CHANGE}, count(*) FROM {_INCOMING} GROUP BY ALL")
    counts = dict(found.fetchall())
    document.demand_rows(sum(counts.values()))
    key = columns(document.table.primary_key)
    distinct = f"SELECT count(*) FROM (SELECT DISTINCT {key} FROM {_INCOMING})"
    document.demand_changes(counts, _number(connection, distinct) if key else 0)
    return (
        f"temp.{_INCOMING}",
        counts.get(INSERTED, 0),
        counts.get(UPDATED, 0),
        counts.get(DELETED, 0),
    )


def same_key(document: Document, one: str, other: str) -> str:
    """That rows of two relations have the same key; keys of lakes may be NULL."""
    return " AND ".join(
        f"{one}.{quoted(name)} IS NOT DISTINCT FROM {other}.{quoted(name)}"
        for name in document.table.primary_key
    )


def number(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    """How many rows a relation has."""
    return _number(connection, f"SELECT count(*) FROM {relation}")


def _number(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    ((count,),) = connection.execute(query).fetchall()
    return int(count)


def _described(connection: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    return [str(row[0]) for row in connection.execute(f"DESCRIBE {query}").fetchall()]
