"""A source's columns read as a worker's engine reads them, and dropped: the first stage of all."""

from headrace.adapters.postgresql import warehouse as postgresql
from headrace.adapters.postgresql.reading import reading_engine
from headrace.adapters.postgresql.relations import relation_of
from headrace.adapters.postgresql.session import session
from headrace.adapters.sql_text import identifier
from headrace.adapters.warehouse import duckdb_warehouse as duckdb
from headrace.adapters.warehouse.engine import Limits
from headrace.adapters.warehouse.sources import opened
from headrace.exports.sources import Source, Table


def count_values(source: Source, version: str, table: Table) -> int:
    """Rows of the table, every exported value of which came to the engine and was counted."""
    counts = ", ".join(f"count({identifier(column.source)})" for column in table.columns)
    if source.kind == "postgresql":
        with session(source) as connection:
            relation = relation_of(connection, table)
        inner = postgresql._select(postgresql.engine_list(table, relation), table, relation, None)
        with reading_engine(source, None, Limits(), []) as reading:
            row = reading.connection.execute(
                f"SELECT count(*), {counts} FROM postgres_query('source', ?)", [inner]
            ).fetchone()
    else:
        with opened(source, version, Limits()) as reader:
            columns = duckdb._columns(reader, table)
            scans = reader.scans(table.source, None)
            query = duckdb._query(f"count(*), {counts}", scans, table, columns)
            row = reader.connection.execute(query.text, query.parameters).fetchone()
    return int(row[0]) if row else 0
