"""The change log of a PostgreSQL source: what stands in its schema ``headrace``, as SQL.

Written by statement-level triggers, read by ``changes``. Two tables:

``captured``: a row for each captured table.
``change_log``: a row for each key that a statement touched, partitioned by day (UTC)::

    seq       counts up; of two rows about one key the later one has the higher number
    xid       the writing transaction's top-level id, 64 bits
    relation  the captured table; of a partition, the table that it belongs to
    op        I inserted, U updated, D deleted, T: what happened cannot be told
    nested    the statement ran within a trigger: its rows may stand before those of the outer one
    key       the key's values as texts
    before    what the scope's columns held, as texts; of U and D
    changed   a bit for each captured column: did it change; of U

A transaction's rows become visible with it, so what a version (a snapshot) has not seen is told
exactly, however late a long transaction commits. Ids are ``txid_current()``'s and not of type
``xid8``, which PostgreSQL 12 does not have; the functions are there from 12 to 18.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from headrace.adapters.sql_text import identifier, literal
from headrace.exports.sources import Configuration

SCHEMA = "headrace"
DEFAULT_RETENTION_DAYS = 14
DAYS_AHEAD = 7

TRIGGERS = ("headrace_insert", "headrace_update", "headrace_delete", "headrace_truncate")

_WORD = 32
"""Bits of the mask that are computed at once."""


@dataclass(frozen=True)
class CapturedTable:
    """A table whose changes are to be logged, by names of the source's.

    ``key`` tells rows apart. ``scope``: columns by which any configuration chooses rows, whose
    old values are logged. ``columns``: every column that a change is looked for in.
    """

    name: str
    key: tuple[str, ...]
    scope: tuple[str, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class NotCapturable:
    """A configured table whose changes cannot be logged, and why."""

    name: str
    reason: str


def wanted(
    configurations: Iterable[Configuration], source: str
) -> tuple[tuple[CapturedTable, ...], tuple[NotCapturable, ...]]:
    """What is to be captured of the source, over all configurations; and what cannot be."""
    tables: dict[str, CapturedTable] = {}
    refused: dict[str, NotCapturable] = {}
    for configuration in configurations:
        for table in configuration.tables if configuration.source == source else ():
            by_name = {column.name: column.source for column in table.columns}
            key = tuple(by_name[name] for name in table.primary_key)
            if not key:
                refused.setdefault(
                    table.source, NotCapturable(table.source, "no primary key is configured")
                )
                continue
            scope = {*table.scope_columns}
            columns = {*by_name.values(), *scope}
            known = tables.get(table.source)
            if known is not None and set(known.key) != set(key):
                refused[table.source] = NotCapturable(
                    table.source, "configurations name different primary keys"
                )
                continue
            if known is not None:
                key, scope = known.key, scope | {*known.scope}
                columns |= {*known.columns}
            tables[table.source] = CapturedTable(
                table.source, key, tuple(sorted(scope)), tuple(sorted(columns))
            )
    # A table that one configuration gives a key to, and another does not, is captured for the one.
    told_apart = {
        name: one
        for name, one in refused.items()
        if name not in tables or "different" in one.reason
    }
    return (
        tuple(tables[name] for name in sorted(tables) if name not in told_apart),
        tuple(told_apart[name] for name in sorted(told_apart)),
    )


# --- the schema ---------------------------------------------------------------------------------

_COLUMNS = """(
    seq bigint NOT NULL DEFAULT nextval('headrace.change_seq'),
    xid bigint NOT NULL DEFAULT txid_current(),
    relation oid NOT NULL,
    day date NOT NULL,
    op "char" NOT NULL,
    nested boolean NOT NULL,
    key text[],
    before text[],
    changed bit varying
)"""

SCHEMA_STATEMENTS = (
    "CREATE SCHEMA headrace",
    "REVOKE ALL ON SCHEMA headrace FROM PUBLIC",
    """CREATE TABLE headrace.captured (
    relation oid PRIMARY KEY,
    name text NOT NULL,
    key_columns text[] NOT NULL,
    scope_columns text[] NOT NULL,
    columns text[] NOT NULL,
    layout integer NOT NULL,
    since_xid bigint NOT NULL,
    since timestamptz NOT NULL,
    structure text NOT NULL,
    traces text NOT NULL,
    retention_days integer NOT NULL,
    purged_xid bigint NOT NULL DEFAULT 0,
    purged_before date
)""",
    "CREATE SEQUENCE headrace.change_seq",
    f"CREATE TABLE headrace.change_log {_COLUMNS} PARTITION BY RANGE (day)",
    "CREATE INDEX change_log_span ON headrace.change_log (relation, xid)",
    # A net: no write ever fails for want of a day's partition.
    "CREATE TABLE headrace.change_log_default PARTITION OF headrace.change_log DEFAULT",
    "REVOKE ALL ON ALL TABLES IN SCHEMA headrace FROM PUBLIC",
)

MAINTAIN = f"""CREATE OR REPLACE FUNCTION headrace.maintain() RETURNS json
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET TimeZone = 'UTC'
SET DateStyle = 'ISO, YMD'
SET lock_timeout = '100ms'
AS $headrace$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    kept integer;
    expired date;
    part record;
    made integer := 0;
    dropped integer := 0;
    waiting integer := 0;
    one_day date;
BEGIN
    -- One at a time; who comes second has nothing to do.
    IF NOT pg_try_advisory_xact_lock(hashtext('headrace'), hashtext('maintain')) THEN
        RETURN json_build_object('made', 0, 'dropped', 0, 'waiting', 0, 'busy', true);
    END IF;
    SELECT coalesce(max(retention_days), {DEFAULT_RETENTION_DAYS}) INTO kept FROM headrace.captured;
    -- A day more than is told to callers, so that what runs keeps what it reads.
    expired := today - kept - 1;
    IF EXISTS (
        SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'headrace.change_log'::regclass
          AND c.relname ~ '^change_log_[0-9]{{8}}$' AND right(c.relname, 8)::date < expired
    ) OR EXISTS (SELECT FROM headrace.change_log_default WHERE day < expired) THEN
        BEGIN
            LOCK TABLE headrace.change_log IN ACCESS EXCLUSIVE MODE;
            UPDATE headrace.captured c SET
                purged_before = expired,
                purged_xid = greatest(c.purged_xid, (
                    SELECT max(l.xid) FROM headrace.change_log l
                    WHERE l.relation = c.relation AND l.day < expired));
            FOR part IN
                SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = 'headrace.change_log'::regclass
                  AND c.relname ~ '^change_log_[0-9]{{8}}$' AND right(c.relname, 8)::date < expired
            LOOP
                EXECUTE format('DROP TABLE headrace.%I', part.relname);
                dropped := dropped + 1;
            END LOOP;
            DELETE FROM headrace.change_log_default WHERE day < expired;
        EXCEPTION WHEN lock_not_available THEN
            -- Somebody reads; the next time will do.
            dropped := 0;
            waiting := waiting + 1;
        END;
    END IF;
    FOR ahead IN 0..{DAYS_AHEAD} LOOP
        one_day := today + ahead;
        CONTINUE WHEN to_regclass('headrace.change_log_' || to_char(one_day, 'YYYYMMDD'))
            IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE TABLE headrace.%I (LIKE headrace.change_log INCLUDING DEFAULTS)',
                'change_log_' || to_char(one_day, 'YYYYMMDD'));
            EXECUTE format('ALTER TABLE headrace.change_log ATTACH PARTITION headrace.%I '
                'FOR VALUES FROM (%L) TO (%L)',
                'change_log_' || to_char(one_day, 'YYYYMMDD'), one_day, one_day + 1);
            made := made + 1;
        EXCEPTION WHEN lock_not_available OR check_violation THEN
            -- Somebody reads, or rows of the day are in the default partition, where they stay.
            waiting := waiting + 1;
        END;
    END LOOP;
    RETURN json_build_object('made', made, 'dropped', dropped, 'waiting', waiting, 'busy', false);
END
$headrace$"""  # noqa: S608

MAINTAIN_RIGHTS = "REVOKE ALL ON FUNCTION headrace.maintain() FROM PUBLIC"


def reader_rights(reader: str) -> tuple[str, ...]:
    """What whoever reads changes may do, and no more."""
    role = identifier(reader)
    return (
        f"GRANT USAGE ON SCHEMA headrace TO {role}",
        f"GRANT SELECT ON headrace.captured, headrace.change_log TO {role}",
        f"GRANT EXECUTE ON FUNCTION headrace.maintain() TO {role}",
    )


# --- what tells that a table was altered --------------------------------------------------------

TRACES = """
WITH RECURSIVE tree(oid) AS (
    SELECT {relation}::oid
    UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree t ON i.inhparent = t.oid
), kinds(oid) AS (
    SELECT a.atttypid FROM pg_catalog.pg_attribute a JOIN tree t ON a.attrelid = t.oid
    WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY ({columns})
    UNION SELECT p.oid FROM kinds k JOIN pg_catalog.pg_type y ON y.oid = k.oid
    CROSS JOIN LATERAL (
        SELECT y.typbasetype UNION ALL SELECT y.typelem
        UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = y.oid
        UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = y.typrelid AND a.attnum > 0
    ) AS p(oid) WHERE p.oid <> 0
), traces(fact, xid) AS (
    SELECT 'table ' || oid::text, NULL::text FROM tree
    UNION ALL
    SELECT 'partition ' || concat_ws(' ', i.inhparent, i.inhrelid), i.xmin::text
    FROM pg_catalog.pg_inherits i JOIN tree t ON i.inhrelid = t.oid
    UNION ALL
    SELECT 'column ' || concat_ws(' ', a.attrelid, a.attnum, a.attname), a.xmin::text
    FROM pg_catalog.pg_attribute a JOIN tree t ON a.attrelid = t.oid
    WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY ({columns})
    UNION ALL
    SELECT 'expression ' || concat_ws(' ', d.adrelid, d.adnum), d.xmin::text
    FROM pg_catalog.pg_attrdef d JOIN tree t ON d.adrelid = t.oid
    JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    WHERE a.attgenerated <> '' AND a.attname = ANY ({columns})
    UNION ALL
    -- A label of an enum that is renamed, or a field of a row type that comes or goes, is another
    -- text of values that nobody wrote. No facts: a label that is only added makes no other table.
    SELECT NULL, e.xmin::text FROM pg_catalog.pg_enum e JOIN kinds k ON e.enumtypid = k.oid
    UNION ALL
    SELECT NULL, a.xmin::text FROM kinds k JOIN pg_catalog.pg_type y ON y.oid = k.oid
    JOIN pg_catalog.pg_attribute a ON a.attrelid = y.typrelid AND a.attnum > 0
    UNION ALL
    SELECT 'trigger ' || concat_ws(' ', g.oid, g.tgrelid, g.tgname, g.tgenabled), g.xmin::text
    FROM pg_catalog.pg_trigger g JOIN tree t ON g.tgrelid = t.oid
    WHERE g.tgname = ANY ('{{{triggers}}}')
    UNION ALL
    SELECT 'function ' || concat_ws(' ', g.oid, p.oid), p.xmin::text
    FROM pg_catalog.pg_trigger g JOIN tree t ON g.tgrelid = t.oid
    JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid
    WHERE g.tgname = ANY ('{{{triggers}}}')
    UNION ALL
    SELECT 'subscription ' || s.srrelid::text, NULL
    FROM pg_catalog.pg_subscription_rel s JOIN tree t ON s.srrelid = t.oid
    UNION ALL
    -- After a failover or a recovery the newest transactions may be gone, ids and all. How its
    -- recovery ended a server says at once, and by its checkpoint minutes later.
    SELECT 'timeline ' || greatest(c.timeline_id, r.min_recovery_end_timeline), NULL
    FROM pg_catalog.pg_control_checkpoint() c, pg_catalog.pg_control_recovery() r
)
SELECT md5(string_agg(fact, ',' ORDER BY fact)) AS structure,
       md5(string_agg(concat_ws(' ', fact, xid), ',' ORDER BY fact, xid)) AS traces,
       array_agg(DISTINCT xid) FILTER (WHERE xid IS NOT NULL) AS xids
FROM traces
"""


def traces_sql(relation: str, columns: str) -> str:
    """The query for what DDL leaves behind: a hash of what there is, one with who made it, and who.

    ``relation`` and ``columns`` (text[], three times) are SQL. Who: the 32 bits of transactions'
    ids that the rows of the server's catalog keep.
    """
    return TRACES.format(relation=relation, columns=columns, triggers=",".join(TRIGGERS))


# --- the triggers of a table --------------------------------------------------------------------

_COMPARABLE = frozenset(
    {"bool", "int2", "int4", "int8", "text", "varchar", "date", "time", "timestamp", "timestamptz"}
    | {"uuid", "bytea", "char", "name", "oid"}
)
"""Types whose values are equal only if they are written alike. Numerics are not: 1.0 = 1.00."""


_WRITTEN_OTHERWISE = frozenset({"interval", "jsonb"})
"""Types of which values are equal that are written otherwise, and which documents have as texts."""


@dataclass(frozen=True)
class ColumnFacts:
    """What the server's catalog says of a column that matters to its capture."""

    name: str
    type_oid: int
    type_name: str
    is_builtin: bool
    is_enum: bool
    is_deterministic: bool
    is_virtual: bool

    def same(self) -> str:
        """SQL: does the column hold the same in ``o`` and ``n``, to the last digit."""
        name = identifier(self.name)
        if self.is_virtual:
            return "false"  # it is not among a trigger's rows
        exact = self.is_builtin and self.type_name in _COMPARABLE and self.is_deterministic
        if exact or self.is_enum:
            return f"o.{name} IS NOT DISTINCT FROM n.{name}"
        return f"record_image_eq(ROW(o.{name}), ROW(n.{name}))"

    def joined(self) -> str:
        """SQL: do ``o`` and ``n`` have the same key in it; of types of others, the same text."""
        name = identifier(self.name)
        is_own = self.is_builtin and self.type_name not in _WRITTEN_OTHERWISE
        if (is_own or self.is_enum) and self.is_deterministic:
            return f"o.{name} = n.{name}"
        if not self.is_deterministic:
            return f'o.{name}::text COLLATE "C" = n.{name}::text COLLATE "C"'
        return f"o.{name}::text = n.{name}::text"


@dataclass(frozen=True)
class TableFacts:
    """A table as the server has it. ``tree``: itself and its partitions, as SQL names.

    ``deferrable``: its key may be doubled for a while within a transaction.
    """

    oid: int
    tree: tuple[tuple[int, str], ...]
    columns: Mapping[str, ColumnFacts]
    deferrable: bool


def _texts(row: str, columns: Sequence[str]) -> str:
    listed = ", ".join(f"{row}.{identifier(name)}::text" for name in columns)
    return f"ARRAY[{listed}]::text[]"


def mask_of(columns: Sequence[str], chosen: Iterable[str]) -> str:
    """The bits of ``chosen`` as an SQL literal, in a mask over ``columns``."""
    wanted_columns = set(chosen)
    bits = ["1" if name in wanted_columns else "0" for name in columns]
    return "B" + literal("".join(bits).ljust(-(-len(bits) // _WORD) * _WORD, "0"))


def _mask(table: CapturedTable, facts: TableFacts) -> str:
    """SQL of the mask: words of bits, the first column the leftmost bit."""
    words = []
    for start in range(0, len(table.columns), _WORD):
        bits = [
            f"CASE WHEN {facts.columns[name].same()} THEN 0 ELSE {1 << (_WORD - 1 - place)} END"
            for place, name in enumerate(table.columns[start : start + _WORD])
        ]
        words.append("(" + "\n                | ".join(bits) + ")::bigint::bit(32)")
    return "\n                || ".join(words)


def _signature(table: CapturedTable, facts: TableFacts) -> str:
    """What the captured columns are, as the function looks them up itself."""
    listed = sorted(table.columns, key=str.encode)
    return ",".join(f"{name} {facts.columns[name].type_oid}" for name in listed)


def capture_function(table: CapturedTable, facts: TableFacts) -> str:
    """The trigger function of the table and its partitions."""
    names = f"{_array(table.columns)}::name[]"
    key, first = table.key, identifier(table.key[0])
    joined = " AND ".join(facts.columns[name].joined() for name in key)
    doubled = _doubled(table, facts, joined) if facts.deferrable else ""
    body = f"""
#variable_conflict use_variable
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    within boolean := pg_trigger_depth() > 1;
    doubled boolean;
BEGIN
    -- A column that is gone or of another type must not make the writer fail.
    IF TG_OP = 'TRUNCATE' OR {literal(_signature(table, facts))} IS DISTINCT FROM (
        SELECT string_agg(a.attname || ' ' || a.atttypid, ',' ORDER BY a.attname COLLATE "C")
        FROM pg_attribute a WHERE a.attrelid = TG_RELID AND NOT a.attisdropped
          AND a.attname = ANY ({names})
    ) THEN
        INSERT INTO headrace.change_log (relation, day, op, nested)
        VALUES ({facts.oid}, today, 'T', within);
        RETURN NULL;
    END IF;{doubled}
    IF TG_OP = 'INSERT' THEN
        INSERT INTO headrace.change_log (relation, day, op, nested, key)
        SELECT {facts.oid}, today, 'I', within, {_texts("n", key)}
        FROM new_rows n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO headrace.change_log (relation, day, op, nested, key, before)
        SELECT {facts.oid}, today, 'D', within, {_texts("o", key)}, {_texts("o", table.scope)}
        FROM old_rows o;
    ELSE
        INSERT INTO headrace.change_log (relation, day, op, nested, key, before, changed)
        SELECT {facts.oid}, today, x.op::"char", within, x.key, x.before, x.changed
        FROM (
            SELECT CASE WHEN n.{first} IS NULL THEN 'D' WHEN o.{first} IS NULL THEN 'I'
                ELSE 'U' END AS op,
            CASE WHEN n.{first} IS NULL THEN {_texts("o", key)}
                ELSE {_texts("n", key)} END AS key,
            CASE WHEN o.{first} IS NOT NULL THEN {_texts("o", table.scope)} END AS before,
            CASE WHEN o.{first} IS NOT NULL AND n.{first} IS NOT NULL THEN
                {_mask(table, facts)} END AS changed
            FROM old_rows o FULL JOIN new_rows n ON {joined}
            OFFSET 0
        ) x
        WHERE x.changed IS NULL OR x.changed <> {mask_of(table.columns, ())};
    END IF;
    RETURN NULL;
END
"""  # noqa: S608
    quoted = literal(body) if "$headrace$" in body else f"$headrace${body}$headrace$"
    return f"""CREATE OR REPLACE FUNCTION headrace.{function_name(facts.oid)}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
{_pinned(table, facts)}AS {quoted}"""


_PINS = {
    "TimeZone": ("UTC", ("timestamptz", "timetz")),
    "DateStyle": ("ISO, YMD", ("timestamptz", "timestamp", "date")),
    "IntervalStyle": ("iso_8601", ("interval",)),
    "extra_float_digits": ("1", ("float4", "float8")),
    "bytea_output": ("hex", ("bytea",)),
    "lc_monetary": ("C", ("money",)),
}
"""What the texts of values depend on, and of which types. To set one costs a writer 3 µs."""

_PLAIN = frozenset(
    {"bool", "int2", "int4", "int8", "numeric", "text", "varchar", "bpchar", "name", "uuid"}
    | {"char", "oid", "date", "time", "timestamp", "timestamptz", "interval", "float4", "float8"}
    | {"bytea", "money", "inet", "cidr"}
)
"""Types whose texts depend on nothing but what ``_PINS`` says of them."""


def _pinned(table: CapturedTable, facts: TableFacts) -> str:
    """The settings that the texts of the key and the scope depend on."""
    columns = [facts.columns[name] for name in {*table.key, *table.scope}]
    kinds = {column.type_name for column in columns if column.is_builtin}
    known = all(
        column.is_enum or (column.is_builtin and column.type_name in _PLAIN) for column in columns
    )
    return "".join(
        f"SET {name} = {literal(value)}\n"
        for name, (value, types) in _PINS.items()
        if not known or kinds.intersection(types)
    )


def _doubled(table: CapturedTable, facts: TableFacts, joined: str) -> str:
    """What the function does where the key's uniqueness may be deferred.

    While a key is doubled, nobody can tell which of the rows a later statement touches. By the
    table's oid, as its name may change.
    """
    distinct = ", ".join(f"n.{identifier(name)}" for name in table.key)
    select = literal(
        "SELECT EXISTS (SELECT FROM %s n JOIN (SELECT DISTINCT "  # noqa: S608
        + f"{distinct} FROM new_rows n) o ON {joined} GROUP BY {distinct}".replace("%", "%%")
        + " HAVING count(*) > 1)"
    )
    return f"""
    IF TG_OP <> 'DELETE' THEN
        EXECUTE format({select}, TG_RELID::regclass) INTO doubled;
        IF doubled THEN
            INSERT INTO headrace.change_log (relation, day, op, nested)
            VALUES ({facts.oid}, today, 'T', within);
        END IF;
    END IF;"""  # noqa: S608


def function_name(oid: int) -> str:
    """The trigger function of the table with this oid."""
    return f"capture_{oid}"


def trigger_statements(relation: str, oid: int) -> tuple[str, ...]:
    """Puts the triggers on a table or partition; ``oid`` is the captured table's."""
    rows = {
        "INSERT": "REFERENCING NEW TABLE AS new_rows ",
        "UPDATE": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows ",
        "DELETE": "REFERENCING OLD TABLE AS old_rows ",
        "TRUNCATE": "",
    }
    made = [
        f"CREATE TRIGGER {trigger} AFTER {event} ON {relation} {rows[event]}"
        f"FOR EACH STATEMENT EXECUTE FUNCTION headrace.{function_name(oid)}()"
        for trigger, event in zip(TRIGGERS, rows, strict=True)
    ]
    # Also where session_replication_role is replica, as of loaders that want no triggers.
    always = ", ".join(f"ENABLE ALWAYS TRIGGER {trigger}" for trigger in TRIGGERS)
    return (*made, f"ALTER TABLE {relation} {always}")


def drop_triggers(relation: str) -> tuple[str, ...]:
    """Takes the triggers off a table or partition."""
    return tuple(f"DROP TRIGGER IF EXISTS {trigger} ON {relation}" for trigger in TRIGGERS)


def table_statements(
    table: CapturedTable, facts: TableFacts, retention_days: int
) -> tuple[str, ...]:
    """What captures the table from here on, in one transaction."""
    (_, whole), *_ = facts.tree
    statements = [
        # Whoever writes has ended by now, and whoever comes writes the log.
        f"LOCK TABLE {whole} IN SHARE ROW EXCLUSIVE MODE",
        capture_function(table, facts),
        f"REVOKE ALL ON FUNCTION headrace.{function_name(facts.oid)}() FROM PUBLIC",
    ]
    for _, relation in facts.tree:
        statements += [*drop_triggers(relation), *trigger_statements(relation, facts.oid)]
    # No row is touched. A trigger that cannot run fails here, and not in somebody's write.
    statements += [
        f"UPDATE {whole} SET {identifier(table.key[0])} = DEFAULT WHERE false",  # noqa: S608
        f"DELETE FROM {whole} WHERE false",  # noqa: S608
    ]
    columns = _array(table.columns)
    statements.append(
        "INSERT INTO headrace.captured (relation, name, key_columns, scope_columns, columns, "
        "layout, since_xid, since, structure, traces, retention_days)\n"
        f"SELECT {facts.oid}, {literal(table.name)}, {_array(table.key)}, {_array(table.scope)}, "
        f"{columns}, 1, txid_current(), now(), t.structure, t.traces, "
        f"{retention_days}\nFROM ({traces_sql(str(facts.oid), columns)}) t\n"
        "ON CONFLICT (relation) DO UPDATE SET name = excluded.name, "
        "key_columns = excluded.key_columns, scope_columns = excluded.scope_columns, "
        "columns = excluded.columns, layout = headrace.captured.layout + 1, "
        "since_xid = excluded.since_xid, since = excluded.since, "
        "structure = excluded.structure, traces = excluded.traces, "
        "retention_days = excluded.retention_days"
    )
    return tuple(statements)


def _array(texts: Iterable[str]) -> str:
    return f"ARRAY[{', '.join(map(literal, texts))}]::text[]"
