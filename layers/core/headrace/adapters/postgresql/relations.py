"""What the server's catalog says of tables, views and foreign tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from headrace.adapters.postgresql.session import Connection
from headrace.adapters.postgresql.types import PgColumn, PgType, column_of
from headrace.adapters.published import as_published
from headrace.adapters.sql_text import identifier, literal, split_name
from headrace.adapters.warehouse.choosing import chosen
from headrace.exports.sources import ColumnType, RowFilter, Table

_TABLES = ("r", "p")
"""``relkind`` of tables and partitioned tables: they can promise that a column is never NULL, and
the server samples them by blocks."""

_TYPES = """
SELECT t.oid, CASE WHEN n.nspname = 'pg_catalog' THEN t.typname::text
       ELSE quote_ident(n.nspname) || '.' || quote_ident(t.typname) END,
       t.typtype::text, t.typbasetype, t.typtypmod, t.typelem, t.typcategory = 'A',
       format_type(t.oid, -1)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
"""
"""A type of somebody else's may be called as one of the server's is: so not by its name alone."""

NEVER_NULL = """(a.attnotnull AND NOT EXISTS (
    WITH RECURSIVE heirs(oid) AS (
        SELECT a.attrelid
        UNION SELECT i.inhrelid FROM pg_inherits i JOIN heirs h ON i.inhparent = h.oid)
    SELECT FROM heirs h
    JOIN pg_attribute b ON b.attrelid = h.oid AND b.attname = a.attname AND b.attnum > 0
    WHERE NOT b.attnotnull OR EXISTS (
        SELECT FROM pg_constraint o WHERE o.conrelid = b.attrelid AND o.contype = 'n'
        AND NOT o.convalidated AND b.attnum = ANY (o.conkey))))"""
"""SQL of whether no row has NULL in the column ``a``. One may be marked so whose constraint was not
held against the rows that there were (NOT VALID, since 18); and tables that inherit it need not
have it."""

_COLUMNS = f"""
SELECT n.nspname || '.' || c.relname, c.oid, c.relkind::text,
       a.attname, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod),
       NOT {NEVER_NULL}, coalesce(l.collisdeterministic, true)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'
  AND position('.' IN n.nspname) = 0
  AND has_schema_privilege(n.oid, 'USAGE')
  AND has_column_privilege(c.oid, a.attnum, 'SELECT')
  AND (%(schema)s::text IS NULL OR (n.nspname = %(schema)s AND c.relname = %(name)s))
ORDER BY 1, a.attnum
"""  # noqa: S608  no value in it


@dataclass(frozen=True)
class Relation:
    """A table, view or foreign table with the columns of it that may be read, in order."""

    name: str
    oid: int
    kind: str
    columns: Mapping[str, PgColumn]
    query: str | None = None
    """The SELECT whose rows it is made of; then it has neither a name nor an oid."""

    @property
    def is_table(self) -> bool:
        """Not a view, a materialized one, or a foreign table."""
        return self.kind in _TABLES

    @property
    def sql(self) -> str:
        """What stands behind FROM: its quoted name, and ``t`` for short.

        Behind ORDER BY a bare name would mean a column of the result first, and so its text.
        """
        if self.query is not None:
            return f"({self.query}\n) AS t"  # it may end in a comment
        schema, name = split_name(self.name)
        return f"{identifier(schema)}.{identifier(name)} AS t"


def relations(connection: Connection, table: str | None = None) -> dict[str, Relation]:
    """All relations by ``schema.table``, or the one of this name if it is there."""
    schema, name = split_name(table) if table is not None else (None, None)
    rows = connection.execute(_COLUMNS, {"schema": schema, "name": name}).fetchall()
    types = {row[0]: PgType(*row) for row in connection.execute(_TYPES)} if rows else {}
    found: dict[str, tuple[int, str, dict[str, PgColumn]]] = {}
    for relation, oid, kind, column, type_oid, modifier, written, nullable, exact in rows:
        columns = found.setdefault(relation, (oid, kind, {}))[2]
        columns[column] = column_of(
            column,
            type_oid,
            modifier,
            written,
            types,
            nullable=nullable,
            promised=kind in _TABLES,
            exact=exact,
        )
    return {relation: Relation(relation, *facts) for relation, facts in found.items()}


def query_relation(connection: Connection, query: str) -> Relation:
    """What a SELECT gives, as if it were a view. The server plans it, and runs it not."""
    nothing = Relation("", 0, "", {}, query)
    # A result in binary takes the protocol that lets no second statement in.
    asked = connection.execute(
        f"SELECT * FROM {nothing.sql} LIMIT 0".encode(),  # noqa: S608
        binary=True,
    )
    if asked.pgresult is None:
        return nothing
    found = [
        (asked.pgresult.ftype(index), asked.pgresult.fmod(index))
        for index in range(asked.pgresult.nfields)
    ]
    names = [column.name for column in asked.description or ()]
    types = {row[0]: PgType(*row) for row in connection.execute(_TYPES)}
    columns = {}
    for name, (type_oid, modifier) in zip(names, found, strict=True):
        row = connection.execute("SELECT format_type(%s, %s)", [type_oid, modifier]).fetchone()
        columns[name] = column_of(
            name,
            type_oid,
            modifier,
            row[0] if row else "",
            types,
            nullable=True,
            promised=False,
            exact=False,  # nobody says by which collation
        )
    return Relation("", 0, "", columns, query)


_UNIQUE = """
SELECT array_agg(a.attname::text)
FROM pg_index i
CROSS JOIN unnest(i.indkey::smallint[]) WITH ORDINALITY AS k(attnum, place)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = %s AND i.indisunique AND i.indisvalid
  AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
GROUP BY i.indexrelid
"""


def unique_keys(connection: Connection, relation: Relation) -> tuple[frozenset[str], ...]:
    """The columns of each unique index over all its rows."""
    return tuple(frozenset(row[0]) for row in connection.execute(_UNIQUE, [relation.oid]))


def relation_of(connection: Connection, table: Table) -> Relation:
    """The table's relation, as it was when the table was published. Raises SchemaChanged."""
    if table.query is not None:
        relation = query_relation(connection, table.query)
    else:
        nothing = Relation(table.source, 0, "", {})
        relation = relations(connection, table.source).get(table.source, nothing)
    as_published((column.described for column in relation.columns.values()), table)
    return relation


def key_columns(table: Table, relation: Relation) -> tuple[PgColumn, ...]:
    """The source's columns of the primary key, in its order; () if the table has none."""
    sources = {column.name: column.source for column in table.columns}
    return tuple(relation.columns[sources[name]] for name in table.primary_key)


def conditions(table: Table, relation: Relation) -> list[str]:
    """The table's filters as SQL. A COPY takes no parameters, so values are literals."""
    found = [
        condition(row_filter, relation, identifier(row_filter.column))
        for row_filter in table.filters
    ]
    if table.account is not None:
        text = account_text(table, relation, identifier(table.account.name))
        texts = account_texts(table, table.whose.accounts, public=True)
        found.append(f"{text} IN (SELECT unnest({texts}))")
    return found + chosen(table.choice)


def condition(row_filter: RowFilter, relation: Relation, source: str) -> str:
    """The filter as SQL of ``source``: the column, or a text that the server wrote of it."""
    if not row_filter.values:
        return "false"
    column = relation.columns[row_filter.column]
    # An enum refuses words that it does not have, where no row is the answer.
    kind = "text" if column.is_carried_as_text else column.compared_as
    typed = f"{source}::{kind}"
    values = ", ".join(_value(value, kind) for value in row_filter.values)
    found = f"{typed} IN ({values})"
    if column.exact or column.described.type is not ColumnType.STRING:
        return found
    # An index serves the first, by the column's own collation, which may have other texts equal.
    texts = ", ".join(_value(value, "text") for value in row_filter.values)
    return f'({found} AND {typed}::text COLLATE "C" IN ({texts}))'


def account_text(table: Table, relation: Relation, source: str) -> str:
    """SQL of the text that ``account_texts`` has of a row's account, or of none if it is public.

    ``source``: SQL of the account column, or of a text that the server wrote of it. What is NULL
    has a text too, as accounts are looked up in a hash, and an OR beside it would have each row
    compared with each of them. (A hash in an expression must fit into work_mem, one of a join need
    not; so nothing is looked up but in joins.)
    """
    if table.account is None:
        raise ValueError("The rows of the table are not told by account.")
    column = relation.columns[table.account.name]
    kind = "text" if column.is_carried_as_text else column.compared_as
    text = f"'=' || {source}::{kind}::text COLLATE \"C\""
    if table.account.with_public:
        return f"CASE WHEN {source} IS NULL THEN '-' ELSE {text} END"
    return f"({text})"


def account_texts(table: Table, accounts: Sequence[str], *, public: bool = False) -> str:
    """The accounts as a literal, and with them what is ``public`` if the table has such rows."""
    texts = [f"={account}" for account in accounts]
    if public and table.account is not None and table.account.with_public:
        texts.append("-")
    return f"{sql.Literal(texts).as_string(None)}::text[]"


def _value(value: str | int | bool, kind: str) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"{literal(text)}::{kind}"


def where(parts: Iterator[str] | list[str]) -> str:
    """The conditions as a WHERE clause; empty without any."""
    listed = list(parts)
    return f" WHERE {' AND '.join(listed)}" if listed else ""
