"""What the benchmarks read: ``employments`` in PostgreSQL, and the same rows in a DuckLake.

Both are kept in a folder of the platform's home, and made when they are not there.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from headrace.adapters.postgresql.connection import connection_parameters
from headrace.adapters.sql_text import literal
from headrace.adapters.warehouse import engine
from headrace.exports.sources import Column, ColumnType, RowFilter, Source, Table
from local.home import Home
from local.postgresql import Server
from local.sample.warehouse import ROW_GROUP, attached

GENERATOR = 1
"""Rises with every change of the values: what an older one made is made anew."""

DATABASE = "bench"
TENANT = "northwind"

EXPORTED = (
    *("id", "person", "number", "full_name", "job_title", "salary"),
    *("allowance", "started_on", "active", "changed_at", "remarks", "attributes"),
)
"""The twelve columns of the twenty that are exported."""

IN_LAKE = {"allowance": "allowance::numeric(18,4)"}
"""What the columns are in the lake that it cannot have as the server does: it has no numbers
without a scale."""

WHERE = f"tenant = '{TENANT}'"


@dataclass(frozen=True)
class Data:
    """Where the rows lie. ``rows`` are those of the one tenant: half of the table's."""

    folder: Path
    rows: int

    @property
    def server(self) -> Server:
        """The PostgreSQL."""
        return Server(self.folder / "postgresql")

    @property
    def lake(self) -> Path:
        """The DuckLake's folder."""
        return self.folder / "lake"

    @property
    def postgresql(self) -> Source:
        """The database as a source, while the server runs."""
        place = {"host": str(self.server.socket_folder), "database": DATABASE, "user": "postgres"}
        return Source("bench", "postgresql", place)

    @property
    def ducklake(self) -> Source:
        """The lake as a source."""
        options = {
            "catalog": f"sqlite:{self.lake}/catalog.sqlite",
            "data_path": f"{self.lake}/data",
        }
        return Source("bench", "ducklake", options)

    def id_of_row(self, number: int) -> int:
        """The id of that row of the tenant's, counted from 1 in the order of ids."""
        found = self.server.run(
            f"SELECT id FROM employments WHERE {WHERE} ORDER BY id OFFSET {number - 1} LIMIT 1",
            DATABASE,
        )
        return int(found)

    def build(self) -> None:
        """Starts the server and makes what is not there."""
        self.server.start()
        if not self._is_made():
            print(f"making {2 * self.rows:,} rows in PostgreSQL …", flush=True)
            if not self.server.has_database(DATABASE):
                self.server.run(f"CREATE DATABASE {DATABASE}", "postgres")
            statements = (Path(__file__).parent / "employments.sql").read_text(encoding="utf-8")
            figures = {"rows": str(2 * self.rows), "generator": str(GENERATOR)}
            self.server.run(statements, DATABASE, **figures)
            shutil.rmtree(self.lake, ignore_errors=True)
        if not self._mark.exists():
            print("copying them to a DuckLake …", flush=True)
            self._fill_lake()

    @property
    def _mark(self) -> Path:
        return self.lake / "made"

    def _is_made(self) -> bool:
        if not self.server.has_database(DATABASE):
            return False
        made = "SELECT count(*) FROM pg_tables WHERE schemaname = 'bench' AND tablename = 'made'"
        if self.server.run(made, DATABASE).strip() != "1":
            return False
        found = self.server.run("SELECT generator, rows FROM bench.made", DATABASE).strip()
        return found == f"{GENERATOR}|{2 * self.rows}"

    def _fill_lake(self) -> None:
        shutil.rmtree(self.lake, ignore_errors=True)
        (self.lake / "data").mkdir(parents=True)
        # The engine reads JSON as text.
        on_the_server = {**IN_LAKE, "attributes": "attributes::text"}
        columns = ", ".join(on_the_server.get(name, name) for name in ("tenant", *EXPORTED))
        with attached(self.lake, read_only=False) as connection:
            engine.load_extension(connection, "postgres_scanner")
            connection.execute(f"CALL lake.set_option('parquet_row_group_size', {ROW_GROUP})")
            connection.execute("CALL lake.set_option('parquet_compression', 'zstd')")
            rest = engine.keep_secret(connection, connection_parameters(self.postgresql))
            attach = f"ATTACH {literal(rest)} AS server (TYPE postgres, READ_ONLY)"
            connection.execute(f"{attach}; SET threads = 1; CREATE SCHEMA lake.hr")
            connection.execute(
                "CREATE TABLE lake.hr.employments AS SELECT * REPLACE (attributes::JSON AS "
                f"attributes) FROM postgres_query('server', 'SELECT {columns} FROM employments "
                "ORDER BY id')"
            )
        self._mark.touch()


def named(rows: int) -> Data:
    """The data of the platform's home with so many rows of the one tenant."""
    return Data(Home.of(os.environ).root / "bench" / str(rows), rows)


def table(columns: tuple[Column, ...], source: str) -> Table:
    """The exported table, as a catalog that was published describes it."""
    return Table(
        name="employments",
        source=source,
        columns=columns,
        primary_key=("id",),
        filters=(RowFilter("tenant", (TENANT,), ColumnType.STRING),),
        row_estimate=0,
    )
