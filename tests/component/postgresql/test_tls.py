"""A server is read only if it proves to be the one meant; by psycopg's libpq and by DuckDB's."""

import ssl
from pathlib import Path

import pytest

from headrace.exports.model import FileFormat
from headrace.exports.sources import Source, Table
from headrace.kernel.errors import SourceUnavailable
from tests.component.postgresql.certificates import Authority, an_authority
from tests.component.postgresql.proxy import a_proxy
from tests.component.postgresql.server import Server
from tests.component.warehouse.places import WAREHOUSE, a_table_of, document
from tests.component.warehouse.test_postgresql_catalogs import a_loaded_lake, lake_in

BOTH_WAYS = pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.NDJSON])
"""The server's own COPY, and DuckDB's reading."""


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return an_authority(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return an_authority(tmp_path_factory.mktemp("foreign"), "foreign")


@pytest.fixture(scope="module")
def direct(postgresql: Server) -> Source:
    """The database by its Unix socket."""
    database = postgresql.new_database()
    postgresql.run(
        "CREATE TABLE t AS SELECT i, md5(i::text) AS v FROM generate_series(1, 30000) i", database
    )
    return postgresql.source(database)


@pytest.fixture(scope="module")
def table(direct: Source) -> Table:
    return a_table_of(direct, "public.t")


@BOTH_WAYS
@pytest.mark.parametrize("tls", ["", "verify-full", "verify-ca", "require"])
def test_a_server_that_proves_to_be_the_one_meant_is_read(
    direct: Source, table: Table, ours: Authority, file_format: FileFormat, tls: str
) -> None:
    context = ours.server("localhost")
    with a_proxy(direct, tls=lambda _: context) as proxy:
        source = proxy.through(direct, host="localhost", tls=tls, tls_ca=str(ours.file))
        made = document(source, table, file_format)
    assert made.stored == document(direct, table, file_format).stored
    assert made.rows == 30_000
    # A session of DuckDB's own is one more.
    assert proxy.connections >= (1 if file_format is FileFormat.CSV else 2)


IMPOSTORS = {
    "another host's certificate": ("ours", "elsewhere.example", "verify-full"),
    "a foreign authority's": ("foreign", "localhost", "verify-full"),
    "a foreign authority's, names aside": ("foreign", "localhost", "verify-ca"),
}


@BOTH_WAYS
@pytest.mark.parametrize("impostor", list(IMPOSTORS))
def test_a_server_that_does_not_is_not_read(
    direct: Source,
    table: Table,
    ours: Authority,
    foreign: Authority,
    file_format: FileFormat,
    impostor: str,
) -> None:
    authority, host, tls = IMPOSTORS[impostor]
    context = {"ours": ours, "foreign": foreign}[authority].server(host)
    with a_proxy(direct, tls=lambda _: context) as proxy:
        source = proxy.through(direct, host="localhost", tls=tls, tls_ca=str(ours.file))
        with pytest.raises(SourceUnavailable, match="does not prove to be the one meant"):
            document(source, table, file_format, version="")


@pytest.mark.parametrize("wrong_in", ["host", "authority"])
def test_duckdb_asks_a_server_for_its_proof_by_itself(
    direct: Source, table: Table, ours: Authority, foreign: Authority, wrong_in: str
) -> None:
    right = ours.server("localhost")
    wrong = ours.server("elsewhere") if wrong_in == "host" else foreign.server("localhost")
    proofs = {"tls": "verify-full", "tls_ca": str(ours.file)}

    def told(number: int) -> ssl.SSLContext:
        # The first session is psycopg's, which looks at the table; the second is the engine's.
        return wrong if number == 2 else right

    with a_proxy(direct, tls=told) as proxy:
        source = proxy.through(direct, host="localhost", **proofs)
        with pytest.raises(SourceUnavailable, match="does not prove to be the one meant"):
            document(source, table, FileFormat.NDJSON, version="")
        assert proxy.connections >= 2


@BOTH_WAYS
def test_verify_ca_does_not_ask_for_the_hosts_name(
    direct: Source, table: Table, ours: Authority, file_format: FileFormat
) -> None:
    context = ours.server("elsewhere.example")
    with a_proxy(direct, tls=lambda _: context) as proxy:
        source = proxy.through(direct, host="localhost", tls="verify-ca", tls_ca=str(ours.file))
        assert document(source, table, file_format).rows == 30_000


@BOTH_WAYS
@pytest.mark.parametrize("tls", ["verify-full", "verify-ca", "require"])
def test_a_server_without_tls_is_not_read_where_it_is_asked_for(
    direct: Source, table: Table, ours: Authority, file_format: FileFormat, tls: str
) -> None:
    with a_proxy(direct, tls=lambda _: None) as proxy:
        source = proxy.through(direct, host="localhost", tls=tls, tls_ca=str(ours.file))
        with pytest.raises(SourceUnavailable, match="does not prove to be the one meant"):
            document(source, table, file_format, version="")


def test_the_catalog_of_a_ducklake_proves_to_be_the_one_meant_too(
    postgresql: Server, tmp_path: Path, ours: Authority, foreign: Authority
) -> None:
    database = a_loaded_lake(postgresql, f"{tmp_path}/data/", rows=100)
    lake = lake_in(postgresql, database, None, user="postgres")
    shown = ours.server("localhost")
    with a_proxy(lake, tls=lambda _: shown) as proxy:
        source = proxy.through(lake, host="localhost", tls="verify-full", tls_ca=str(ours.file))
        assert WAREHOUSE.tables(source) == ("main.t",)
        shown = ours.server("elsewhere.example")
        with pytest.raises(SourceUnavailable, match="does not prove to be the one meant"):
            WAREHOUSE.tables(source)
        shown = foreign.server("localhost")
        with pytest.raises(SourceUnavailable, match="does not prove to be the one meant"):
            WAREHOUSE.tables(source)
