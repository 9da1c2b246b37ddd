"""Makes the sample warehouse: a DuckLake of an HR system and of the persons whom its organisations
look after, two tenants in the same tables.

The catalog is a SQLite file in write-ahead mode, so a loader may write while exports read. Data
files hold rows in the order of their primary keys, in row groups of about 50,000 rows, so that
ranges of row ids touch few of them.

Everything is generated in SQL (hr.sql, members.sql, payslips.sql) from the rows' numbers; two
builds hold the same values.
"""

import fcntl
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb

from local.sample import awkward

GENERATOR = 2
"""Rises with every change of the values: a warehouse of an older one is made anew."""

TENANTS = ("northwind-care", "harbour-health")

ROW_GROUP = 50_000

_MARK = "sample.json"

_FIRST_NAMES = (
    *("Anna", "Bram", "Chloé", "Dörte", "Eoin", "Fatima", "Gökhan", "Hana", "İpek", "Jürgen"),
    *("Kofi", "Léa", "Mårten", "Nguyễn", "Oluwaseun", "Priya", "Quentin", "Renée", "Siobhán"),
    *("Tamás", "Ursula", "Vítězslav", "Wei", "Xóchitl", "Yūki", "Zoë", "محمد", "נועה", "太郎"),
)
_LAST_NAMES = (
    *("Jansen", "de Vries", "van der Berg", "O'Brien", "Núñez", "Müller", "Ångström", "Øvergård"),
    *(
        "Łukasiewicz",
        "D’Angelo",
        "Smith-Jones",
        "Şahin",
        "Δημητρίου",
        "Иванова",
        "田中",
        "김",
        "العلي",
    ),
    *("כהן", "Ó Súilleabháin", "St. John, Jr.", 'Petrov "Petya"', "İnönü", "Brontë", "Nakamura"),
)


@dataclass(frozen=True)
class Load:
    """What one run of the loader changed. ``before`` and ``after`` are snapshot ids."""

    before: int
    after: int
    inserted: int
    updated: int
    deleted: int


def extension(name: str) -> Path:
    """The file of a DuckDB extension in its package ``duckdb-extension-NAME``."""
    folder = Path(str(files(f"duckdb_extension_{name}"))) / "extensions" / f"v{duckdb.__version__}"
    return folder / f"{name}.duckdb_extension"


@contextmanager
def attached(warehouse: Path, *, read_only: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the warehouse attached as ``lake``; times in UTC, nothing is fetched."""
    connection = duckdb.connect(
        config={
            "threads": 2,
            "autoinstall_known_extensions": False,
            # As for the product: a test proves the signatures of the pinned packages, once.
            "allow_unsigned_extensions": True,
        }
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        for name in ("sqlite_scanner", "ducklake"):
            connection.load_extension(str(extension(name)))
        connection.execute(
            f"ATTACH 'ducklake:sqlite:{_text(warehouse / 'catalog.sqlite')}' AS lake "
            # With the rollback journal a reader and the writer would wait for each other.
            "(META_JOURNAL_MODE 'WAL', META_BUSY_TIMEOUT 10000, "
            f"DATA_PATH '{_text(warehouse / 'data')}/'{', READ_ONLY' if read_only else ''})"
        )
        yield connection
    finally:
        connection.close()


def _text(path: Path) -> str:
    return str(path).replace("'", "''")


def build(home: Path) -> Path:
    """Makes ``home/warehouse`` unless this generator's is there already; returns its path.

    It holds ``catalog.sqlite`` and ``data/``. What is there is whole: it is made beside its place
    and then moved, and of two builders at once the second waits and finds it made. One that was
    moved since, or is a copy, has its catalog name the place where it is.
    """
    warehouse = home.resolve() / "warehouse"
    warehouse.parent.mkdir(parents=True, exist_ok=True)
    with (warehouse.parent / ".warehouse.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = _made(warehouse)
        if made.get("generator") == GENERATOR:
            if made.get("place") != str(warehouse):
                _name_place(warehouse, warehouse)
            return warehouse
        half_made = warehouse.with_name(".warehouse.new")
        outdated = warehouse.with_name(".warehouse.old")
        for leftover in (half_made, outdated):
            shutil.rmtree(leftover, ignore_errors=True)
        _generate(half_made)
        _name_place(half_made, warehouse)
        if warehouse.exists():
            warehouse.rename(outdated)
        half_made.rename(warehouse)
        shutil.rmtree(outdated, ignore_errors=True)
    return warehouse


def _made(warehouse: Path) -> dict[str, Any]:
    """By which generator it was made, and for which place; nothing if it is not whole."""
    try:
        noted = json.loads((warehouse / _MARK).read_text())
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _generate(warehouse: Path) -> None:
    (warehouse / "data").mkdir(parents=True)
    with attached(warehouse, read_only=False) as connection:
        connection.execute(f"CALL lake.set_option('parquet_row_group_size', {ROW_GROUP})")
        connection.execute("CALL lake.set_option('parquet_compression', 'zstd')")
        # One thread writes one file per insert, with the rows in their order.
        connection.execute("SET threads = 1")
        _lay_out_values(connection)
        here = files("local.sample")
        for statements in ("hr.sql", "members.sql"):
            connection.execute((here / statements).read_text(encoding="utf-8"))
        year_of_payslips = (here / "payslips.sql").read_text(encoding="utf-8")
        for year in range(5):
            connection.execute(year_of_payslips, {"first_month": 12 * year})


def _lay_out_values(connection: duckdb.DuckDBPyConnection) -> None:
    lists = {
        "texts": awkward.TEXTS,
        "integers": awkward.INTEGERS,
        "doubles": awkward.DOUBLES,
        "decimals": awkward.DECIMALS,
        "dates": awkward.DATES,
        "timestamps": awkward.TIMESTAMPS,
        "times": awkward.TIMES,
        "documents": awkward.DOCUMENTS,
        "binaries": awkward.BINARIES,
    }
    # Text keeps decimals and dates as they are written; the tables' columns give them their type.
    types = {"integers": "BIGINT[]", "doubles": "DOUBLE[]", "decimals": "DECIMAL(38, 10)[]"}
    columns = ", ".join(
        f"${name}::{types.get(name, 'BLOB[]' if name == 'binaries' else 'VARCHAR[]')} AS {name}"
        for name in lists
    )
    connection.execute(
        f"CREATE TEMP TABLE awkward AS SELECT {columns}",
        {name: list(values) for name, values in lists.items()},
    )
    connection.execute(
        "CREATE TEMP TABLE names AS SELECT $first AS first_names, $last AS last_names",
        {"first": list(_FIRST_NAMES), "last": list(_LAST_NAMES)},
    )


def _name_place(warehouse: Path, place: Path) -> None:
    """Makes the catalog name where its files are, or are about to be; with that it is whole."""
    with sqlite3.connect(warehouse / "catalog.sqlite") as catalog:
        catalog.execute(
            "UPDATE ducklake_metadata SET value = ? WHERE key = 'data_path'",
            (f"{place / 'data'}/",),
        )
    catalog.close()
    noted = {"generator": GENERATOR, "engine": duckdb.__version__, "place": str(place)}
    (warehouse / _MARK).write_text(json.dumps(noted) + "\n")


def load_more(home: Path) -> Load:
    """What a nightly loader does, in one transaction: payslips of one more month for a thousand
    people, corrections of old ones, absences withdrawn, and one employee renamed.

    Each call does the next month; exports may read all the while. ``home`` as in ``build``.
    """
    with attached(home.resolve() / "warehouse", read_only=False) as connection:
        before = _snapshot(connection)
        connection.execute("BEGIN")
        inserted = _changed(
            connection,
            """
            INSERT INTO lake.hr.payslips
            SELECT m.last_id + row_number() OVER (ORDER BY p.id), p.tenant_id, p.payroll_run_id,
                   p.employee_id, m.period, p.gross, p.tax, p.net, p.hours, p.account, NULL,
                   'loaded later', p.lines
            FROM lake.hr.payslips p,
                 (SELECT max(id) AS last_id, (max(period) + INTERVAL 1 MONTH)::DATE AS period
                  FROM lake.hr.payslips) m
            WHERE p.id BETWEEN 1000000 AND 1001000
            """,
        )
        updated = _changed(
            connection,
            """
            UPDATE lake.hr.payslips SET gross = gross + 0.01, net = net + 0.01, remark = 'corrected'
            WHERE id BETWEEN 1400000 AND 1400499
            """,
        )
        updated += _changed(
            connection,
            """
            UPDATE lake.hr.employees SET last_name = last_name || '-Smith', updated_at = NULL
            WHERE id = 100000
            """,
        )
        deleted = _changed(
            connection,
            """
            DELETE FROM lake.hr.absences
            WHERE id IN (SELECT id FROM lake.hr.absences ORDER BY id DESC LIMIT 250)
            """,
        )
        connection.execute("COMMIT")
        return Load(before, _snapshot(connection), inserted, updated, deleted)


def _changed(connection: duckdb.DuckDBPyConnection, statement: str) -> int:
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0


def _snapshot(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute("SELECT max(snapshot_id) FROM lake.snapshots()").fetchone()
    assert row is not None
    return int(row[0])
