"""``headrace-admin source``: the change log of a PostgreSQL source, for the catalog's tables."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace_admin.main import app
from tests.component.postgresql.captured import READER, Database, a_database
from tests.component.postgresql.server import Server

CATALOG = """\
tenants: [{{id: northwind, name: Northwind}}]
clients: [{{id: integrator, name: I, tenants: [northwind]}}]
sources:
  - name: books
    kind: postgresql
    options: {{host: "{host}", database: {database}, user: {user}, change_retention_days: "30"}}
  - {{name: file, kind: duckdb, options: {{path: /nowhere.duckdb}}}}
configurations:
  - id: full
    client: integrator
    tenant: northwind
    default: true
    source: books
    tables:
      - {{name: people, source: people, columns: [id, name], primary_key: [id], tenant_column: t}}
      - {{name: keyless, source: keyless, columns: [name], all_rows: true}}
      - {{name: seen, source: seen, columns: [id], primary_key: [id], all_rows: true}}
"""

TABLES = """
CREATE TABLE people (id int PRIMARY KEY, t text, name text, other text);
CREATE TABLE keyless (name text);
CREATE VIEW seen AS SELECT id FROM people;
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def database(postgresql: Server) -> Database:
    return a_database(postgresql, TABLES)


@pytest.fixture
def run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    database: Database,
) -> Run:
    for name in ("HEADRACE_SOURCE_DSN", "HEADRACE_STACK", "HEADRACE_HOME", "PGPASSWORD", "PGUSER"):
        monkeypatch.delenv(name, raising=False)
    text = CATALOG.format(host=database.server.folder, database=database.name, user=READER)
    (tmp_path / "catalog.yaml").write_text(text)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = app(["source", *arguments, "--catalog", str(tmp_path / "catalog.yaml")])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


OWNER = ("--dsn", "user=postgres")


def captured(database: Database) -> str:
    return database.run("SELECT to_regclass('headrace.captured') IS NOT NULL").strip()


def found(said: tuple[int, str, str]) -> Any:
    code, out, _ = said
    assert code == 0, out
    return json.loads(out)


def test_a_dry_run_says_in_sql_what_would_be_done_and_does_nothing(
    run: Run, database: Database
) -> None:
    code, out, err = run("install", "books", *OWNER, "--dry-run")
    assert code == 0
    assert "CREATE TRIGGER headrace_update AFTER UPDATE ON" in out
    assert f'GRANT SELECT ON headrace.captured, headrace.change_log TO "{READER}"' in out
    assert "public.keyless: no primary key is configured" in err
    assert "public.seen: it is no table" in err
    assert captured(database) == "f"
    database.run(out)
    assert found(run("install", "books", *OWNER, "--json"))["steps"] == []


def test_the_log_is_installed_watched_maintained_and_removed(run: Run, database: Database) -> None:
    done = found(run("install", "books", *OWNER, "--json"))
    assert [one["table"] for one in done["notCaptured"]] == ["public.keyless", "public.seen"]
    assert not done["dryRun"]
    columns = "SELECT columns, scope_columns, retention_days FROM headrace.captured"
    assert database.run(columns).strip() == "{id,name,t}|{t}|30"
    database.run("INSERT INTO people VALUES (1, 'northwind', 'a')")
    stands = found(run("status", "books", *OWNER, "--json"))
    assert stands["installed"]
    assert stands["rows"] == 1
    assert stands["sizeBytes"] > 0
    assert {one["table"]: one["trouble"] for one in stands["tables"]} == {
        "public.people": None,
        "public.keyless": "no primary key is configured",
        "public.seen": "it is no table, and only tables have triggers",
    }
    code, out, _ = run("status", "books", *OWNER)
    assert code == 0
    assert "change log: 1 rows" in out
    # The source's own user may do this much.
    done = found(run("maintain", "books", "--json"))
    assert done == {"dryRun": False, "made": 0, "dropped": 0, "waiting": 0, "busy": False}
    assert run("maintain", "books", "--dry-run")[1] == "SELECT headrace.maintain();\n"
    _, out, _ = run("uninstall", "books", *OWNER, "--dry-run")
    assert "DROP TABLE headrace.change_log;" in out
    assert captured(database) == "t"
    assert run("uninstall", "books", *OWNER)[0] == 0
    assert captured(database) == "f"
    assert run("uninstall", "books", *OWNER)[1] == "nothing to do\n"


def test_who_connects_may_come_from_the_environment(
    run: Run, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGUSER", "postgres")
    assert run("install", "books", "--dsn", "")[0] == 0
    assert captured(database) == "t"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("install", "nowhere"), 3, "no source nowhere"),
        (("install", "file"), 2, "only PostgreSQL needs a change log"),
        (("install", "books"), 5, "owns the tables"),
        (("install", "books", "--dsn", "user='p4ssw0rd"), 2, "connection string"),
        (("install", "books", "--dsn", "user=nobody_of_ours"), 5, "accept a connection"),
        (("maintain", "books", *OWNER), 4, "install it first"),
    ],
)
def test_what_cannot_be_done_is_said(
    run: Run, arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    code, _, err = run(*arguments)
    assert code == exit_code
    assert said in err
    assert "p4ssw0rd" not in err
