"""Catalogs against real sources: the sample's own, a DuckDB file, a folder of Parquet."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import boto3
import duckdb
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from moto import mock_aws

from headrace.adapters.postgresql import capturing, connection
from headrace.adapters.postgresql.application_schemas import PostgresqlApplicationSchemas
from headrace.adapters.postgresql.change_log import DEFAULT_RETENTION_DAYS, wanted
from headrace.adapters.warehouse.by_kind import ChangesByKind, WarehouseByKind
from headrace.catalog.compiling import compile_catalog
from headrace.catalog.declarations import CatalogText, read_folder
from headrace.catalog.model import Catalog, CatalogRefused
from headrace.exports.model import Compression, FileFormat
from headrace.exports.sources import ColumnType, Configuration, Source, VersionPlace
from local.sample.applications import APPLICATIONS
from local.sample.roster import DATABASE, ROLE, Roster
from local.sample.warehouse import build
from tests.component.warehouse.delta_logs import HandWritten, a_column
from tests.component.warehouse.places import ONLY

SAMPLE = Path(__file__).parents[3] / "catalog"

HEAD = """\
tenants: [{id: me, name: Me}]
clients: [{id: me, name: Me, tenants: [me]}]
sources: [{name: mine, kind: KIND, options: {path: "${PLACE}"}}]
configurations:
- id: all
  client: me
  tenant: me
  source: mine
  tables:
"""


def compiled(place: Path, kind: str, tables: str) -> Catalog:
    text = HEAD.replace("KIND", kind) + tables
    return compile_catalog(
        [CatalogText("c.yaml", text)],
        {"PLACE": str(place)},
        WarehouseByKind(),
        PostgresqlApplicationSchemas(),
    )


@pytest.fixture(scope="module")
def roster() -> Iterator[Roster]:
    """The sample's database, and a secret to read it with."""
    # Not under pytest's folders, which are root's alone: a server does not run as root.
    with tempfile.TemporaryDirectory(prefix="headrace-roster-") as folder, mock_aws():
        roster = Roster(Path(folder) / "data")
        connection._secrets.clear()
        try:
            roster.start()
            passwords = {"headrace/roster": (ROLE, roster.build())} | {
                one.secret: (one.role, one.build(roster, "test")) for one in APPLICATIONS
            }
            for name, (role, password) in passwords.items():
                boto3.client("secretsmanager").create_secret(
                    Name=name, SecretString=json.dumps({"username": role, "password": password})
                )
            yield roster
        finally:
            roster.stop()


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory, roster: Roster) -> Catalog:
    places = {
        "HEADRACE_WAREHOUSE": str(build(tmp_path_factory.mktemp("home"))),
        "HEADRACE_ROSTER": str(roster.socket_folder),
        "HEADRACE_APPLICATIONS": str(roster.socket_folder),
        "HEADRACE_ENVIRONMENT": "TEST",
        "HEADRACE_APPLICATION_VERSION": "4.24.1.0.0",
    }
    return compile_catalog(
        read_folder(SAMPLE), places, WarehouseByKind(), PostgresqlApplicationSchemas()
    )


def test_the_sample_catalog_is_right(sample: Catalog) -> None:
    full = next(c for c in sample.configurations if c.client_id == "demo-integrator" and c.default)
    assert len(full.tables) >= 8
    assert full.table("payslips").row_estimate == 480_000
    assert full.table("expense_claims").row_estimate == 0
    assert all(table.primary_key and table.filters for table in full.tables)


def test_the_samples_clients_are_those_that_the_demonstration_needs(sample: Catalog) -> None:
    first, second, third, *_ = sample.clients
    assert (first.daily_quota, second.daily_quota) == (1000, 3)
    assert first.tenants == second.tenants != third.tenants


def test_the_sample_has_every_type_and_hides_what_is_not_configured(sample: Catalog) -> None:
    columns = [
        column
        for configuration in sample.configurations
        for table in configuration.tables
        for column in table.columns
    ]
    assert {column.type for column in columns} == set(ColumnType)
    assert "national_id" not in {column.source for column in columns}


def test_the_samples_templates_are_a_standard_one_and_a_custom_one(sample: Catalog) -> None:
    persons, sessions = sample.templates
    assert (persons.template.is_standard, persons.table.source) == (True, "members.persons")
    versions = {one.tenant_id: one.application_version for one in sample.tenants}
    assert persons.template.exists_for("northwind-care", versions["northwind-care"])
    assert not persons.template.exists_for("harbour-health", versions["harbour-health"])
    assert sessions.template.tenants == frozenset({"northwind-care"})
    assert not sessions.template.has_anonymised
    for source, published in ((one.source, one) for one in sample.templates):
        place = next(one for one in sample.sources if one.name == source)
        table = published.table_for("northwind-care")
        version = WarehouseByKind().current_version(place)
        with WarehouseByKind().stream(
            place, version, table, None, FileFormat.NDJSON, Compression.NONE, ONLY
        ) as stream:
            lines = b"".join(stream).splitlines()
        found = [json.loads(line) for line in lines]
        keys = [tuple(row[name] for name in table.primary_key) for row in found]
        assert keys == sorted(set(keys))
        assert len(keys) == {"persons": 24_000, "training-sessions": 4_800}[table.name]


def capture_changes(roster: Roster, configurations: Iterable[Configuration], source: str) -> None:
    """As ``headrace-admin source install --dsn`` does, of the superuser who made the sample."""
    options = {"host": str(roster.socket_folder), "database": DATABASE, "user": "postgres"}
    tables, _ = wanted(configurations, source)
    with capturing.owner_connection(Source(source, "postgresql", options)) as superusers:
        plan = capturing.installation(
            superusers, tables, reader=ROLE, retention_days=DEFAULT_RETENTION_DAYS
        )
        capturing.run(superusers, plan)


def test_the_rosters_changes_are_captured_and_told(sample: Catalog, roster: Roster) -> None:
    for _ in range(2):
        capture_changes(roster, sample.configurations, "roster")
    source = next(one for one in sample.sources if one.name == "roster")
    granted = next(c for c in sample.configurations if c.source == "roster")
    tables = [table for table in granted.tables if table.name != "nightShifts"]  # a view
    told, since = ChangesByKind(), WarehouseByKind().current_version(source)
    assert told.window(source, tables, since).place is VersionPlace.HELD
    roster.run(
        f"UPDATE wards SET beds = 1 + coalesce(beds, 0) WHERE tenant_id = '{granted.tenant}'; "
        "UPDATE shifts SET note = 'x' WHERE ward_id = 1; DELETE FROM swaps"
    )
    for table in tables:
        before = table.row_estimate
        with told.stream_changes(
            source, since, since, table, FileFormat.PARQUET, Compression.ZSTD
        ) as stream:
            assert b"".join(stream)
            assert 0 < stream.rows <= before


def test_a_duckdb_file(tmp_path: Path) -> None:
    place = tmp_path / "mine.duckdb"
    with duckdb.connect(str(place)) as database:
        database.execute(
            "CREATE TABLE flights (id BIGINT NOT NULL, span INTERVAL, air STRUCT(a INT))"
        )
        database.execute("INSERT INTO flights SELECT n, NULL, NULL FROM range(12) r(n)")
        database.execute("CREATE VIEW seen AS FROM flights")
    table = (
        "  - {name: flights, source: flights, primary_key: [id], all_rows: true, columns: [id]}\n"
    )
    [configuration] = compiled(place, "duckdb", table).configurations
    assert configuration.tables[0].source == "main.flights"
    assert configuration.tables[0].row_estimate == 12
    with pytest.raises(
        CatalogRefused, match=r'c\.yaml:10: .*columns\[1\]: "span" of main\.flights'
    ):
        compiled(place, "duckdb", table.replace("[id]}", "[id, span]}"))
    with pytest.raises(CatalogRefused, match=r'no table "seen"'):
        compiled(place, "duckdb", table.replace("source: flights", "source: seen"))


def test_a_folder_of_parquet(tmp_path: Path) -> None:
    duckdb.sql("SELECT range AS id, 'x' AS t FROM range(5)").write_parquet(
        str(tmp_path / "letters.parquet")
    )
    table = (
        "  - {name: letters, source: letters, primary_key: [id], columns: [id, t],\n"
        "     rows: [{column: id, values: [1, 2, 99]}]}\n"
    )
    [configuration] = compiled(tmp_path, "parquet", table).configurations
    assert configuration.tables[0].row_estimate == 2
    with pytest.raises(CatalogRefused, match=r'did you mean "main\.letters"\?'):
        compiled(tmp_path, "parquet", table.replace("source: letters", "source: leters"))


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    table = "  - {name: x, source: x, all_rows: true, columns: [id]}\n"
    for kind in ("duckdb", "parquet"):
        with pytest.raises(CatalogRefused, match=r"c\.yaml:3: sources\[0\]: .* cannot be read"):
            compiled(tmp_path / "nowhere", kind, table)


def test_a_folder_of_delta_tables(tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "letters"), pa.table({"id": [1, 2, 3], "t": ["x"] * 3}))
    table = (
        "  - {name: letters, source: letters, primary_key: [id], columns: [id, t],\n"
        "     rows: [{column: id, values: [1, 2, 99]}]}\n"
    )
    [configuration] = compiled(tmp_path, "delta", table).configurations
    assert configuration.tables[0].row_estimate == 2
    ahead = HandWritten(tmp_path / "ahead")
    ahead.create(a_column("id"), features=("catalogManaged",))
    ahead.commit(ahead.file("a.parquet", "SELECT 1::BIGINT AS id"))
    assert len(compiled(tmp_path, "delta", table).configurations) == 1
    told = (
        r"cannot be carried exactly: the table uses catalogManaged of Delta, which is not read here"
    )
    with pytest.raises(CatalogRefused, match=told):
        compiled(tmp_path, "delta", "  - {name: a, source: ahead, all_rows: true, columns: [id]}\n")
