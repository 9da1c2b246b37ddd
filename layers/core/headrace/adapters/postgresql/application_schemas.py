"""What an application's database has, for the check of a catalog before it is published."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from headrace.adapters.postgresql.session import Connection, session
from headrace.catalog.ports import (
    ApplicationDatabase,
    DatabaseColumn,
    DatabaseTable,
    ForeignKey,
    Kind,
    UniqueIndex,
)
from headrace.exports.sources import Source
from headrace.kernel.errors import SourceUnavailable

_TABLES = """
SELECT c.oid, n.nspname || '.' || c.relname, c.relkind IN ('r', 'p'),
       has_table_privilege(c.oid, 'SELECT'), row_security_active(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname !~ '^pg_|^information_schema$' AND has_schema_privilege(n.oid, 'USAGE')
ORDER BY 2
"""

_COLUMNS = """
SELECT a.attrelid, a.attname, a.atttypid, format_type(a.atttypid, a.atttypmod),
       NOT (a.attnotnull OR t.typnotnull), a.atthasdef OR a.attidentity <> '' OR
       t.typdefault IS NOT NULL, a.attidentity <> '' OR coalesce(
           pg_get_expr(d.adbin, d.adrelid) LIKE '%nextval(%', false),
       a.attgenerated <> '' OR a.attidentity = 'a'
FROM pg_attribute a
JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname !~ '^pg_|^information_schema$'
ORDER BY a.attrelid, a.attnum
"""

_UNIQUE = """
SELECT i.indrelid, array_agg(a.attname::text),
       coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false)
FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = i.indrelid
  AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
  AND n.nspname !~ '^pg_|^information_schema$'
GROUP BY i.indexrelid, i.indrelid, 3
"""

_FOREIGN_KEYS = """
SELECT k.conrelid, a.attname, fn.nspname || '.' || f.relname, fa.attname
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class f ON f.oid = k.confrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace
CROSS JOIN LATERAL unnest(k.conkey, k.confkey) AS u (ours, theirs)
JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.ours
JOIN pg_attribute fa ON fa.attrelid = k.confrelid AND fa.attnum = u.theirs
WHERE k.contype = 'f' AND k.conparentid = 0
  AND n.nspname !~ '^pg_|^information_schema$'
"""

_FUNCTIONS = """
SELECT n.nspname || '.' || p.proname
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.prokind = 'f' AND p.pronargs = p.pronargdefaults
  AND n.nspname !~ '^pg_|^information_schema$'
  AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')
"""

_TYPES = """
SELECT t.oid, t.typname, t.typtype::text, t.typbasetype, t.typelem, t.typcategory = 'A',
       coalesce(r.rngsubtype, m.rngsubtype, 0),
       array(SELECT a.atttypid FROM pg_attribute a
             WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0
               AND NOT a.attisdropped)
FROM pg_type t
LEFT JOIN pg_range r ON r.rngtypid = t.oid LEFT JOIN pg_range m ON m.rngmultitypid = t.oid
"""

_OF_THIS_DATABASE = "it names something of this database or server alone"
_NO_TEXT = {
    "money": "what its text says depends on the server's lc_monetary",
    **dict.fromkeys(
        (
            *("oid", "tid", "xid", "xid8", "cid", "pg_lsn", "pg_snapshot", "txid_snapshot"),
            *("regclass", "regcollation", "regconfig", "regdictionary", "regnamespace"),
            *("regoper", "regoperator", "regproc", "regprocedure", "regrole", "regtype"),
            "aclitem",
        ),
        _OF_THIS_DATABASE,
    ),
    **dict.fromkeys(
        (
            *("pg_node_tree", "pg_ndistinct", "pg_dependencies", "pg_mcv_list"),
            *("pg_brin_bloom_summary", "pg_brin_minmax_multi_summary"),
        ),
        "the server takes no text for it",
    ),
}
"""Types whose texts do not read back to the same value in another database."""

_KINDS = {
    **dict.fromkeys(("int2", "int4", "int8"), Kind.NUMBER),
    **dict.fromkeys(("date", "timestamp", "timestamptz"), Kind.TIME),
    "uuid": Kind.UUID,
}


@dataclass(frozen=True)
class _Type:
    name: str
    kind: str
    base: int
    element: int
    is_array: bool
    of_range: int
    members: list[int]

    def made_of(self) -> Iterator[int]:
        """The types whose texts its own text is made of."""
        if self.kind == "d":
            yield self.base
        elif self.is_array:
            yield self.element
        elif self.kind in ("r", "m"):
            yield self.of_range
        yield from self.members


@dataclass(frozen=True)
class PostgresqlApplicationSchemas:
    """The ``ApplicationSchemas`` port."""

    def describe(self, database: Source) -> ApplicationDatabase:
        """All of it that its role knows of. Raises SourceUnavailable."""
        with session(database) as connection:
            encoding = connection.execute("SHOW server_encoding").fetchone()
            if encoding == ("SQL_ASCII",):
                raise SourceUnavailable(
                    "Its encoding is SQL_ASCII, so nobody knows what its texts say."
                )
            return ApplicationDatabase(
                _tables(connection),
                frozenset(str(name) for (name,) in connection.execute(_FUNCTIONS)),
            )


def _tables(connection: Connection) -> dict[str, DatabaseTable]:
    types = {row[0]: _Type(*row[1:]) for row in connection.execute(_TYPES)}
    columns: dict[int, dict[str, DatabaseColumn]] = {}
    for table, name, type_oid, written, nullable, default, counted, computed in connection.execute(
        _COLUMNS
    ):
        columns.setdefault(table, {})[name] = DatabaseColumn(
            name,
            written,
            _kind(type_oid, types),
            nullable=nullable,
            default=default,
            counted=counted,
            computed=computed,
            no_text=_no_text(type_oid, types),
        )
    unique = _by_table(
        (table, UniqueIndex(frozenset(names), nulls_alike=alike))
        for table, names, alike in connection.execute(_UNIQUE)
    )
    foreign_keys = _by_table(
        (table, ForeignKey(column, relation, other))
        for table, column, relation, other in connection.execute(_FOREIGN_KEYS)
    )
    return {
        relation: DatabaseTable(
            columns.get(oid, {}),
            tuple(unique.get(oid, ())),
            tuple(foreign_keys.get(oid, ())),
            is_table=is_table,
            readable=readable,
            rows_hidden=hidden,
        )
        for oid, relation, is_table, readable, hidden in connection.execute(_TABLES)
    }


def _by_table[T](found: Iterable[tuple[int, T]]) -> dict[int, list[T]]:
    by_table: dict[int, list[T]] = {}
    for table, one in found:
        by_table.setdefault(table, []).append(one)
    return by_table


def _kind(oid: int, types: Mapping[int, _Type]) -> Kind:
    while types[oid].kind == "d":
        oid = types[oid].base
    return _KINDS.get(types[oid].name, Kind.OTHER)


def _no_text(oid: int, types: Mapping[int, _Type]) -> str | None:
    """Why, if anything that the type is made of has no text of its own."""
    open_types, seen = [oid], set()
    while open_types:
        number = open_types.pop()
        if number in seen or number not in types:
            continue
        seen.add(number)
        if types[number].name in _NO_TEXT:
            return _NO_TEXT[types[number].name]
        open_types += types[number].made_of()
    return None
