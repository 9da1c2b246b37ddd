"""The sample warehouse: the same values each time, every awkward one in it, writable while read."""

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from local.sample import awkward, warehouse
from local.sample.warehouse import TENANTS, attached, build, load_more

CONTENT = {
    "absences": (120_000, "7700b336b7042904429f5ee80f8ecff6"),
    "contracts": (14_055, "0dd257407e7338fd1e839206c93a07e0"),
    "cost_centres": (240, "e4c4c6d063fcca611cfc59bbe44f7213"),
    "departments": (160, "cdfca08160cefb1358843a4fc90e2bbd"),
    "employees": (10_000, "8c69771c0d3f027198ebba6ac2c20a9b"),
    "employments": (14_055, "703e649c45cafbacb0bea6c07f0770aa"),
    "expense_claims": (500, "788ba4c0a429726bb5d21702726a31d9"),
    "payroll_runs": (120, "a8b4a3a0aca48c542094d3b08875570d"),
    "payslips": (600_000, "6a01a641cc0cb18fede32b60f0922d75"),
    "positions": (600, "18b134f9c6f6729e983f50e7adc793cd"),
    "shifts": (50_000, "913a931de8ca88d79e9509486c6e05ac"),
}
MEMBERS = {"persons": (30_000, "de6a63493f3163534077496da19f0316")}
"""Rows and digest of generator 2. If they change, so must ``warehouse.GENERATOR``."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home with 'quote")
    build(home)
    return home


@pytest.fixture
def lake(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with attached(home / "warehouse") as connection:
        yield connection


def values(lake: duckdb.DuckDBPyConnection, query: str, *parameters: object) -> set[object]:
    return {row[0] for row in lake.execute(query, list(parameters)).fetchall()}


def test_holds_the_same_values_on_every_machine(lake: duckdb.DuckDBPyConnection) -> None:
    for schema, content in (("hr", CONTENT), ("members", MEMBERS)):
        tables = values(
            lake, "SELECT table_name FROM duckdb_tables() WHERE schema_name = ?", schema
        )
        found = {
            table: lake.execute(
                "SELECT count(*), md5(string_agg(md5(t::VARCHAR), '' ORDER BY id)) "
                f"FROM lake.{schema}.{table} t"
            ).fetchone()
            for table in tables
        }
        assert found == content
    assert warehouse.GENERATOR == 2


@pytest.mark.parametrize("tenant", TENANTS)
def test_each_tenant_has_every_awkward_value(lake: duckdb.DuckDBPyConnection, tenant: str) -> None:
    def column(name: str, table: str) -> set[object]:
        return values(lake, f"SELECT {name} FROM lake.hr.{table} WHERE tenant_id = ?", tenant)

    for table, name in (("employees", "notes"), ("absences", "remark"), ("payslips", "remark")):
        assert column(name, table) >= {*awkward.TEXTS, None, ""}
    assert column("legacy_number", "employees") >= set(awkward.INTEGERS)
    assert column("birth_date::VARCHAR", "employees") >= set(awkward.DATES)
    assert column("hourly_rate::VARCHAR", "contracts") >= set(awkward.DECIMALS)
    assert column("address::VARCHAR", "employees") >= {*awkward.DOCUMENTS, None}
    assert column("signature", "contracts") >= set(awkward.BINARIES)
    assert column("starts_at::VARCHAR", "shifts") >= set(awkward.TIMES)
    doubles = column("format('{}', bonus_share)", "contracts")
    assert {repr(value) for value in awkward.DOUBLES} <= {
        repr(float(str(value))) for value in doubles if value is not None
    }
    assert column("signed_local::VARCHAR", "contracts") >= {*awkward.TIMESTAMPS, None}
    assert column("signed_at::VARCHAR", "contracts") >= {f"{t}+00" for t in awkward.TIMESTAMPS}
    assert column("active", "employees") == {True, False, None}


def test_rows_lie_in_the_order_of_their_keys(lake: duckdb.DuckDBPyConnection) -> None:
    """So that a range of row ids is a range of keys, and touches few row groups."""
    for table in CONTENT:
        assert lake.execute(
            f"SELECT count(*) FROM (SELECT id < lag(id) OVER (ORDER BY rowid) AS back "
            f"FROM lake.hr.{table}) WHERE back"
        ).fetchone() == (0,)
        assert lake.execute(f"SELECT min(rowid), max(rowid) FROM lake.hr.{table}").fetchone() == (
            0,
            CONTENT[table][0] - 1,
        )


def test_references_stay_within_a_tenant(lake: duckdb.DuckDBPyConnection) -> None:
    for table, key, target in (
        ("employments", "employee_id", "employees"),
        ("employments", "department_id", "departments"),
        ("employments", "position_id", "positions"),
        ("contracts", "employment_id", "employments"),
        ("departments", "cost_centre_id", "cost_centres"),
        ("absences", "employee_id", "employees"),
        ("payslips", "employee_id", "employees"),
        ("payslips", "payroll_run_id", "payroll_runs"),
    ):
        assert lake.execute(
            f"SELECT count(*) FROM lake.hr.{table} a ANTI JOIN lake.hr.{target} b "
            f"ON a.{key} = b.id AND a.tenant_id = b.tenant_id"
        ).fetchone() == (0,), f"{table}.{key}"


def test_building_again_changes_nothing(home: Path) -> None:
    before = (home / "warehouse").stat()
    assert build(home) == home / "warehouse"
    after = (home / "warehouse").stat()
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


def test_a_warehouse_that_was_copied_reads_its_own_files(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "warehouse", tmp_path / "copy" / "warehouse")
    warehouse = build(tmp_path / "copy")
    with attached(warehouse) as connection:
        (count,) = connection.execute("SELECT count(*) FROM lake.hr.departments").fetchone() or ()
        read = connection.execute(
            "SELECT data_file FROM ducklake_list_files('lake', 'departments', schema => 'hr')"
        ).fetchall()
    assert count > 0
    assert [Path(file).is_relative_to(warehouse) for (file,) in read] == [True] * len(read) != []


def test_a_warehouse_of_another_generator_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "warehouse"
    old.mkdir()
    (old / "sample.json").write_text(json.dumps({"generator": 0}))
    (old / "leftover").touch()

    def fails(half_made: Path) -> None:
        half_made.mkdir()
        raise RuntimeError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr(warehouse, "_generate", fails)
        with pytest.raises(RuntimeError):
            build(tmp_path)
    assert (old / "leftover").exists(), "the old one stays until the new one is whole"
    build(tmp_path)
    assert not (old / "leftover").exists()
    with attached(old) as lake:
        assert lake.execute("SELECT count(*) FROM lake.hr.employees").fetchone() == (10_000,)
    shutil.rmtree(old)


def test_the_loader_writes_while_exports_read(tmp_path: Path) -> None:
    build(tmp_path)
    place = tmp_path / "warehouse"
    loads: list[warehouse.Load] = []

    def load() -> None:
        loads.extend(load_more(tmp_path) for _ in range(3))

    with attached(place) as reader:
        version = reader.execute("SELECT max(snapshot_id) FROM lake.snapshots()").fetchone()
        assert version is not None
        totals = f"""
            SELECT count(*), sum(gross), min(id), max(id), count(remark)
            FROM lake.hr.payslips AT (VERSION => {version[0]})
        """
        before = reader.execute(totals).fetchone()
        loader = threading.Thread(target=load)
        loader.start()
        reads = 0
        while loader.is_alive() or reads == 0:
            assert reader.execute(totals).fetchone() == before
            reads += 1
        loader.join()
        assert [(load.inserted, load.updated, load.deleted) for load in loads] == [
            (1000, 501, 250)
        ] * 3
        assert loads[0].before == version[0]
        assert loads[-1].after == version[0] + 3
        assert reader.execute("SELECT count(*), max(id) FROM lake.hr.payslips").fetchone() == (
            603_000,
            1_603_000,
        )
        assert reader.execute("SELECT count(*) FROM lake.hr.absences").fetchone() == (119_250,)


@pytest.mark.parametrize("tenant", TENANTS)
def test_nothing_that_names_a_person_is_left_of_an_anonymised_one(
    lake: duckdb.DuckDBPyConnection, tenant: str
) -> None:
    chosen = "FROM lake.members.persons WHERE anonymised AND tenant_id = ?"
    assert values(lake, f"SELECT last_name {chosen}", tenant) == {"Anonymised"}
    for name in ("first_name", "birth_date", "email", "phone", "street"):
        assert values(lake, f"SELECT {name} {chosen}", tenant) == {None}
