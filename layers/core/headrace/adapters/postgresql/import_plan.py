"""What an import has to do: found by SQL over whole tables, in temporary ones.

Of each table of the definition there are, in this order::

    staged   item, uuid, vals, refs            the payload's records
    ref_K    ref, id, on_item, fresh           what its K-th reference refers to, each once
    linked   item, uuid, new, owner, refs      the records with the ids that they refer to
    ids      item, uuid, id, matched           the id of each, in the target or to be
    plan     item, uuid, id, matched, new, old what is to be changed or added, as images
    gone     item, id, old                     what is to be deleted by omission

and of all tables together ``problems`` (why an item is refused), ``deps`` (items that refer to
what another one adds), ``failed`` (items that are refused) and ``todo`` (the others that have
something to do, in batches).

A record is matched by its UUID, else by its functional key, that of a dependent among the others
of its parent. Ids are made when the plan is, so that records can refer to each other whatever the
order they are written in; a dry run makes none.
"""

# ruff: noqa: S608  All pieces of SQL are ours: names quoted, texts as literals, numbers of ours.

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from headrace.adapters.postgresql.copying import CopyOut
from headrace.adapters.postgresql.import_difference import Telling
from headrace.adapters.postgresql.session import Connection
from headrace.adapters.postgresql.target_tables import TargetTable
from headrace.adapters.sql_text import literal
from headrace.datasets.definitions import Definition, Reference
from headrace.datasets.model import Counts
from headrace.kernel.errors import PayloadIncompatible

RECORDS_IN_A_BATCH = 2000
"""Records that one transaction writes, unless a single item has more."""

FAILED = "pg_temp.headrace_failed"
PROBLEMS = "pg_temp.headrace_problems"
DEPENDENCIES = "pg_temp.headrace_deps"
TODO = "pg_temp.headrace_todo"

_CHUNK = 1 << 18


@dataclass(frozen=True)
class ImportPlan:
    """Makes the plan on a connection, whose temporary tables it fills.

    ``covered``: the tables of which a record that the set has not is deleted with its parent's
    item. ``dry``: nothing is going to be written, so no ids are made.
    """

    connection: Connection
    definition: Definition
    targets: dict[int, TargetTable]
    covered: frozenset[int]
    dry: bool

    @property
    def tables(self) -> Sequence[TargetTable]:
        """Those of the definition, in its order."""
        return [self.targets[table.table_id] for table in self.definition.tables]

    def run(self, *statements: str) -> None:
        """Runs statements."""
        for statement in statements:
            self.connection.execute(statement.encode())

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What a query answers."""
        return self.connection.execute(statement.encode()).fetchall()

    # --- staging ----------------------------------------------------------------------------

    def begin(self) -> None:
        """Makes the tables that are about all others."""
        self.run(
            f"CREATE TEMPORARY TABLE {PROBLEMS} (item int, code text, table_id int, col text, "
            "target int, ref jsonb)",
            f"CREATE TEMPORARY TABLE {DEPENDENCIES} (item int, on_item int, table_id int, "
            "col text, target int, ref jsonb)",
            f"CREATE TEMPORARY TABLE {FAILED} (item int PRIMARY KEY, again boolean)",
        )

    def stage(self, target: TargetTable, lines: Iterable[bytes]) -> Iterator[int]:
        """Copies the records of a table; yields now and then how many there were so far."""
        raw, staged = target.temporary("raw"), target.temporary("staged")
        self.run(f"CREATE TEMPORARY TABLE {raw} (line jsonb)")
        records = 0
        try:
            for records in copied(self.connection, raw, lines):
                yield records
        except psycopg.DataError:
            # jsonb takes neither U+0000 nor half of a surrogate pair, and no text does.
            raise PayloadIncompatible(
                f"A record of {target.table.name} has a character that no text here can have."
            ) from None
        uuid = "(line->>'uuid')"
        self.run(
            f"CREATE TEMPORARY TABLE {staged} AS SELECT (line->>'item')::int AS item, "
            f"coalesce(({target.uuid.typed_or_null(uuid)})::text, {uuid}) AS uuid, "
            f"line->'values' AS vals, line->'references' AS refs FROM {raw}",
            f"DROP TABLE {raw}",
            f"CREATE INDEX ON {staged} (uuid)",
            f"ANALYZE {staged} (item, uuid)",
            f"INSERT INTO {PROBLEMS} SELECT item, 'twice', {target.table.table_id} FROM "
            f"(SELECT item, count(*) OVER (PARTITION BY uuid) AS times FROM {staged}) s "
            "WHERE times > 1",
        )
        yield records

    # --- planning ---------------------------------------------------------------------------

    def make(self, keep_going: Callable[[], None]) -> None:
        """Finds all there is to do. To be called in one transaction, after all is staged."""
        for target in self.tables:
            self._link(target)
            self._match(target)
            self._link_to_itself(target)
            self._compare(target)
            keep_going()
        self._omit()
        keep_going()
        self._refuse()
        self._list()

    def _references(self, target: TargetTable, *, to_itself: bool) -> list[tuple[int, Reference]]:
        return [
            (number, reference)
            for number, reference in enumerate(target.table.all_references)
            if (reference.table_id == target.table.table_id) is to_itself
        ]

    def _link(self, target: TargetTable) -> None:
        references = self._references(target, to_itself=False)
        for number, reference in references:
            self._resolve(target, number, reference)
        pairs = [f"{literal(target.table.uuid_column)}, s.uuid"]
        pairs += (f"{literal(reference.column)}, r{n}.id" for n, reference in references)
        joins = "".join(
            f" LEFT JOIN {target.temporary(f'ref_{n}')} r{n} ON r{n}.ref = {_held(reference)}"
            for n, reference in references
        )
        new = " || ".join(["s.vals", *(f"jsonb_build_object({pair})" for pair in pairs)])
        owner = "CASE WHEN NOT r0.fresh THEN r0.id END" if target.table.owner else "NULL::text"
        refs = "s.refs" if self._references(target, to_itself=True) else "NULL::jsonb"
        linked = target.temporary("linked")
        self.run(
            f"CREATE TEMPORARY TABLE {linked} AS "
            f"SELECT s.item, s.uuid, {new} AS new, {owner} AS owner, {refs} AS refs "
            f"FROM {target.temporary('staged')} s{joins}",
            f"ANALYZE {linked} (item, uuid, owner)",
        )

    def _resolve(self, target: TargetTable, number: int, reference: Reference) -> None:
        """Finds what the values of a reference refer to, by UUID, then by functional key."""
        referred = self.targets[reference.table_id]
        table, staged = target.temporary(f"ref_{number}"), target.temporary("staged")
        carried = referred.table in self.definition.tables
        uuid = "(ref->>'uuid')"
        typed = referred.uuid.typed_or_null(uuid)
        in_set = f" LEFT JOIN {referred.temporary('ids')} i ON i.uuid = w.uuid" if carried else ""
        not_in_set = "i.id IS NULL AND " if carried else ""
        columns = (
            "coalesce(i.id, t.id) AS id, i.item AS on_item, coalesce(NOT i.matched, false) AS fresh"
            if carried
            else "t.id, NULL::int AS on_item, false AS fresh"
        )
        self.run(
            f"CREATE TEMPORARY TABLE {table} AS SELECT w.ref, {columns} FROM ("
            f"SELECT ref, {typed} AS typed, coalesce(({typed})::text, {uuid}) AS uuid FROM "
            f"(SELECT DISTINCT {_held(reference)} AS ref FROM {staged} s "
            f"WHERE jsonb_typeof({_held(reference)}) = 'object') d) w{in_set} "
            f"LEFT JOIN (SELECT {referred.id.sql}::text AS id, {referred.uuid.sql} AS uuid "
            f"FROM {referred.sql}) t ON {not_in_set}t.uuid = w.typed",
            f"ANALYZE {table}",
        )
        key = referred.table.functional_key
        # The key of a dependent tells it apart only from the others of its parent, and a key that
        # holds an id means nothing elsewhere.
        if key and not referred.table.owner and set(key) <= set(referred.table.columns):
            self._resolve_by_key(table, referred, carried=carried)
        about = f"{target.table.table_id}, {literal(reference.column)}, {reference.table_id}"
        join = f"{staged} s JOIN {table} r ON r.ref = {_held(reference)}"
        self.run(
            f"INSERT INTO {PROBLEMS} SELECT s.item, 'missing', {about}, r.ref FROM {join} "
            "WHERE r.id IS NULL",
            f"INSERT INTO {DEPENDENCIES} SELECT DISTINCT s.item, r.on_item, {about}, r.ref "
            f"FROM {join} WHERE r.fresh AND r.on_item <> s.item",
        )

    def _resolve_by_key(self, table: str, referred: TargetTable, *, carried: bool) -> None:
        key = [referred.columns[name] for name in referred.table.functional_key]
        if carried:
            same = " AND ".join(
                f"s.vals->>{literal(column.name)} = r.ref->'key'->>{place}"
                for place, column in enumerate(key)
            )
            self.run(
                f"UPDATE {table} r SET id = f.id, on_item = f.item, fresh = f.fresh FROM ("
                "SELECT r.ref, min(i.id) AS id, min(i.item) AS item, "
                f"bool_or(NOT i.matched) AS fresh FROM {table} r "
                f"JOIN {referred.temporary('staged')} s ON {same} "
                f"JOIN {referred.temporary('ids')} i ON i.uuid = s.uuid "
                "WHERE r.id IS NULL GROUP BY r.ref HAVING count(*) = 1) f WHERE f.ref = r.ref"
            )
        same = " AND ".join(
            f"t.{column.sql} = {column.typed_or_null(f"(r.ref->'key'->>{place})")}"
            for place, column in enumerate(key)
        )
        self.run(
            f"UPDATE {table} r SET id = f.id FROM ("
            f"SELECT r.ref, min(t.{referred.id.sql}::text) AS id FROM {table} r "
            f"JOIN {referred.sql} t ON {same} WHERE r.id IS NULL "
            "GROUP BY r.ref HAVING count(*) = 1) f WHERE f.ref = r.ref"
        )

    def _match(self, target: TargetTable) -> None:
        ids, linked = target.temporary("ids"), target.temporary("linked")
        row_id = f"t.{target.id.sql}::text"
        self.run(
            f"CREATE TEMPORARY TABLE {ids} AS "
            f"SELECT l.item, l.uuid, {row_id} AS id, true AS matched FROM {linked} l "
            f"JOIN {target.sql} t ON t.{target.uuid.sql} = {target.uuid.typed_or_null('l.uuid')}",
            f"CREATE INDEX ON {ids} (uuid)",
            f"CREATE INDEX ON {ids} (id)",
            f"ANALYZE {ids}",
        )
        if target.table.functional_key:
            self._match_by_key(target)
        made = (
            "'new:' || l.uuid"
            if self.dry
            else f"({target.id.default})::{target.id.whole_kind}::text"
        )
        added = target.temporary("added")
        self.run(
            # Apart, and not at once into the table that it asks: that would grow under its feet.
            f"CREATE TEMPORARY TABLE {added} AS SELECT l.item, l.uuid, {made} AS id, "
            f"false AS matched FROM {linked} l "
            f"WHERE NOT EXISTS (SELECT FROM {ids} i WHERE i.uuid = l.uuid)",
            f"INSERT INTO {ids} SELECT * FROM {added}",
            f"DROP TABLE {added}",
            f"ANALYZE {ids}",
        )

    def _match_by_key(self, target: TargetTable) -> None:
        ids, found = target.temporary("ids"), target.temporary("found")
        key = [target.columns[name] for name in target.table.functional_key]
        same = [
            f"t.{column.sql} = {column.typed_or_null(f'(l.new->>{literal(column.name)})')}"
            for column in key
        ]
        if target.table.owner:
            owner = target.columns[target.table.owner.column]
            same.append(f"t.{owner.sql} = {owner.typed('l.owner')}")
        row_id = f"t.{target.id.sql}::text"
        self.run(
            f"CREATE TEMPORARY TABLE {found} AS SELECT l.item, l.uuid, {row_id} AS id, "
            f"row_number() OVER (PARTITION BY {row_id} ORDER BY l.item, l.uuid) AS nth, "
            "count(*) OVER (PARTITION BY l.uuid) AS times "
            f"FROM {target.temporary('linked')} l JOIN {target.sql} t ON {' AND '.join(same)} "
            f"WHERE NOT EXISTS (SELECT FROM {ids} i WHERE i.uuid = l.uuid) "
            f"AND NOT EXISTS (SELECT FROM {ids} i WHERE i.id = {row_id})",
            f"INSERT INTO {ids} SELECT item, uuid, id, true FROM {found} "
            "WHERE nth = 1 AND times = 1",
            f"INSERT INTO {PROBLEMS} SELECT DISTINCT item, 'ambiguous', {target.table.table_id} "
            f"FROM {found} WHERE times > 1",
            f"DROP TABLE {found}",
            f"ANALYZE {ids}",
        )

    def _link_to_itself(self, target: TargetTable) -> None:
        """References within a table: when they are looked up all its records have to have ids."""
        linked, linking = target.temporary("linked"), target.temporary("linking")
        for number, reference in self._references(target, to_itself=True):
            self._resolve(target, number, reference)
            column = literal(reference.column)
            self.run(
                f"ALTER TABLE {linked} RENAME TO {linking.removeprefix('pg_temp.')}",
                # Of what is joined nothing is estimated too low: else each record would be held
                # against each that is referred to.
                f"CREATE TEMPORARY TABLE {linked} AS SELECT l.item, l.uuid, "
                f"l.new || jsonb_build_object({column}, r.id) AS new, l.owner, l.refs "
                f"FROM {linking} l LEFT JOIN {target.temporary(f'ref_{number}')} r "
                f"ON r.ref = (l.refs->{column})",
                f"DROP TABLE {linking}",
                f"ANALYZE {linked} (item, uuid, owner)",
            )

    def _compare(self, target: TargetTable) -> None:
        plan, linked = target.temporary("plan"), target.temporary("linked")
        table_id = target.table.table_id
        typed_id = target.id.typed("i.id")
        self.run(
            f"CREATE TEMPORARY TABLE {plan} AS SELECT item, uuid, id, matched, new, old FROM ("
            "SELECT i.item, i.uuid, i.id, i.matched, l.new, "
            f"CASE WHEN i.matched THEN {target.image()} END AS old "
            f"FROM {linked} l JOIN {target.temporary('ids')} i USING (item, uuid) "
            f"LEFT JOIN {target.sql} t ON t.{target.id.sql} = "
            f"CASE WHEN i.matched THEN {typed_id} END OFFSET 0) p "
            f"WHERE NOT matched OR (old <> new AND old <> {target.normal('new')})",
            f"DROP TABLE {linked}",
            f"CREATE INDEX ON {plan} (item)",
            f"ANALYZE {plan} (item, matched)",
        )
        tests = [
            f"({literal(column.name)}, {test})"
            for column in target.carried
            if column.name in (target.table.uuid_column, *target.table.columns)
            and (test := column.fits(f"(new->>{literal(column.name)})")) is not None
        ]
        if tests:
            self.run(
                f"INSERT INTO {PROBLEMS} SELECT item, 'value', {table_id}, v.col FROM {plan}, "
                f"LATERAL (VALUES {', '.join(tests)}) v (col, fits) WHERE NOT v.fits"
            )

    # --- deleting by omission -----------------------------------------------------------------

    def _omit(self) -> None:
        """Dependents of records in the set that are not in it themselves, and what they own."""
        for target in self.tables:
            gone = target.temporary("gone")
            self.run(f"CREATE TEMPORARY TABLE {gone} (item int, id text, old jsonb)")
            owner = target.table.owner
            if owner and target.table.table_id in self.covered:
                parent = self.targets[owner.table_id]
                held = f"t.{target.columns[owner.column].sql}::text"
                row_id = f"t.{target.id.sql}::text"
                ids = target.temporary("ids")
                for known, only in (("ids", "AND p.matched "), ("gone", "")):
                    self.run(
                        f"INSERT INTO {gone} SELECT p.item, {row_id}, {target.image()} "
                        f"FROM {target.sql} t JOIN {parent.temporary(known)} p ON p.id = {held} "
                        f"WHERE NOT EXISTS (SELECT FROM {ids} i WHERE i.id = {row_id}) {only}"
                    )
            self.run(f"CREATE INDEX ON {gone} (id)", f"ANALYZE {gone}")
        self._keep_what_owns_others()
        for target in self.tables:
            self.run(f"CREATE INDEX ON {target.temporary('gone')} (item)")

    def _keep_what_owns_others(self) -> None:
        """What owns records that stay has to stay too, as they would go with it."""
        owned = [(target, target.table.owner) for target in self.tables if target.table.owner]
        for target, owner in reversed(owned):
            kept = self.targets[owner.table_id].temporary("gone")
            held = f"t.{target.columns[owner.column].sql}::text"
            row_id = f"t.{target.id.sql}::text"
            self.run(
                f"DELETE FROM {kept} g USING {target.sql} t WHERE {held} = g.id "
                f"AND NOT EXISTS (SELECT FROM {target.temporary('gone')} c WHERE c.id = {row_id}) "
                # One that the same item moves to another parent does so in the same transaction.
                f"AND NOT EXISTS (SELECT FROM {target.temporary('ids')} i "
                f"WHERE i.id = {row_id} AND i.item = g.item)"
            )
        for target, owner in owned:
            parent = self.targets[owner.table_id]
            held = f"(g.old->>{literal(owner.column)})"
            self.run(
                f"DELETE FROM {target.temporary('gone')} g WHERE NOT EXISTS "
                f"(SELECT FROM {parent.temporary('gone')} p WHERE p.id = {held}) AND NOT EXISTS "
                f"(SELECT FROM {parent.temporary('ids')} p WHERE p.id = {held} AND p.matched)"
            )

    # --- what is refused, and what is left to do ------------------------------------------------

    def _refuse(self) -> None:
        self.run(
            f"INSERT INTO {PROBLEMS} SELECT item, 'later', table_id, col, target, ref "
            f"FROM {DEPENDENCIES} WHERE on_item > item",
            f"CREATE INDEX ON {DEPENDENCIES} (on_item)",
            f"CREATE INDEX ON {PROBLEMS} (item)",
            f"INSERT INTO {FAILED} SELECT DISTINCT item, false FROM {PROBLEMS}",
            f"ANALYZE {DEPENDENCIES}",
        )
        self.refuse_dependents("true")

    def refuse_dependents(self, of_items: str) -> None:
        """Refuses the items that refer to what failed ones were to add, and so on.

        ``of_items``: a condition on ``f``, the failed ones to begin with.
        """
        self.run(
            f"WITH RECURSIVE refused AS (SELECT item FROM {FAILED} f WHERE {of_items} "
            f"UNION SELECT d.item FROM {DEPENDENCIES} d JOIN refused r ON r.item = d.on_item), "
            f"added AS (INSERT INTO {FAILED} SELECT item, true FROM refused "
            "ON CONFLICT DO NOTHING RETURNING item) "
            f"INSERT INTO {PROBLEMS} SELECT DISTINCT ON (d.item) d.item, 'depends', d.table_id, "
            f"d.col, d.target, d.ref FROM {DEPENDENCIES} d JOIN added USING (item) "
            "JOIN refused r ON r.item = d.on_item"
        )

    def _list(self) -> None:
        both = " UNION ALL ".join(
            f"SELECT item FROM {target.temporary(kind)}"
            for target in self.tables
            for kind in ("plan", "gone")
        )
        self.run(
            f"CREATE TEMPORARY TABLE {TODO} AS SELECT item, records::int, ((sum(records) OVER "
            f"(ORDER BY item) - records) / {RECORDS_IN_A_BATCH})::int AS batch FROM ("
            f"SELECT item, count(*) AS records FROM ({both}) b WHERE NOT EXISTS "
            f"(SELECT FROM {FAILED} f WHERE f.item = b.item) GROUP BY item) c",
            f"ALTER TABLE {TODO} ADD PRIMARY KEY (item)",
            f"ANALYZE {TODO}",
        )

    # --- what there is to say -------------------------------------------------------------------

    def counts(self) -> Counts:
        """Of the items that are not refused; and how many are."""
        added = changed = deleted = known = 0
        whole = f"NOT EXISTS (SELECT FROM {FAILED} f WHERE f.item = x.item)"
        for target in self.tables:
            ((here, there),) = self.rows(
                "SELECT count(*) FILTER (WHERE NOT matched), count(*) FILTER (WHERE matched) "
                f"FROM {target.temporary('plan')} x WHERE {whole}"
            )
            ((gone,),) = self.rows(
                f"SELECT count(*) FROM {target.temporary('gone')} x WHERE {whole}"
            )
            ((all_of_them,),) = self.rows(
                f"SELECT count(*) FROM {target.temporary('ids')} x WHERE {whole}"
            )
            added, changed, deleted = added + here, changed + there, deleted + gone
            known += all_of_them
        ((failed,),) = self.rows(f"SELECT count(*) FROM {FAILED}")
        return Counts(added, changed, deleted, known - added - changed, failed)

    def documents(self, select: str) -> Iterator[bytes]:
        """The JSON objects that a query answers, as lines, in chunks."""
        for chunk in CopyOut(self.connection, select, "FORMAT text", header=False):
            # JSON has no control characters of its own; so of what COPY escapes there are only
            # backslashes.
            yield chunk.replace(b"\\\\", b"\\")

    def labels(self, among: str) -> str:
        """A query of items' names, which are their table's and their functional key or UUID.

        ``among``: the temporary table of the items to name.
        """
        tops = [target for target in self.tables if target.table.owner is None]
        return " UNION ALL ".join(
            f"SELECT s.item, {target.label('s.vals', 's.uuid')} AS label "
            f"FROM {target.temporary('staged')} s JOIN {among} USING (item)"
            for target in tops
        )

    def difference(self) -> Iterator[bytes]:
        """What is going to be done, as a document for people and programs (docs/datasets.md)."""
        for target in self.tables:
            for query in Telling(target, self.targets, TODO, self.labels(TODO)).queries():
                yield from self.documents(query)

    def undo_set(self) -> Iterator[bytes]:
        """Each record that is going to be changed, with all that it is now (``undoing``)."""
        for target in self.tables:
            table_id, typed_id = target.table.table_id, target.id.typed("x.id")
            yield from self.documents(
                f"SELECT json_build_object('table', {table_id}, 'item', x.item, 'id', x.id, "
                f"'before', CASE WHEN x.matched THEN {target.row()} END, 'after', x.new) "
                f"FROM {target.temporary('plan')} x JOIN {TODO} USING (item) "
                f"LEFT JOIN {target.sql} t ON t.{target.id.sql} = "
                f"CASE WHEN x.matched THEN {typed_id} END"
            )
            yield from self.documents(
                f"SELECT json_build_object('table', {table_id}, 'item', x.item, 'id', x.id, "
                f"'before', {target.row()}, 'after', NULL) "
                f"FROM {target.temporary('gone')} x JOIN {TODO} USING (item) "
                f"JOIN {target.sql} t ON t.{target.id.sql} = {typed_id}"
            )


def _held(reference: Reference) -> str:
    """SQL of what a staged record says of a reference."""
    return f"(s.refs->{literal(reference.column)})"


def copied(connection: Connection, table: str, lines: Iterable[bytes]) -> Iterator[int]:
    """Copies lines of JSON into a table of one ``jsonb`` column; yields how many so far."""
    records = 0
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
        for chunk in _chunks(lines):
            copy.write(b"".join(chunk).replace(b"\\", b"\\\\"))
            records += len(chunk)
            yield records


def _chunks(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    gathered: list[bytes] = []
    size = 0
    for line in lines:
        gathered.append(line)
        size += len(line)
        if size >= _CHUNK:
            yield gathered
            gathered, size = [], 0
    yield gathered
