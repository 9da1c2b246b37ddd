"""What belongs to a data set, worked out within the application's database in one snapshot.

The ids of all that goes along are kept in temporary tables, which a read-only transaction may
fill though not make; so a set of any size takes no memory of ours. A table that is carried has one
(``headrace_of_NUMBER``: id, class, round, and the id of the top-level record that owns it), and
each kind of top-level item another, for the items' numbers.

Records are found in rounds: those that were asked for, then their dependents and the reference
data that they refer to, then those of these, until a round finds nothing new. What is excluded
depends on the table of the item that brings a record along, so items are followed in *classes*,
one for all tables that exclude the same.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from headrace.adapters.postgresql.session import Connection
from headrace.adapters.sql_text import identifier, literal, split_name
from headrace.datasets.checking import UUID_LENGTH
from headrace.datasets.definitions import Definition, Reference, Table
from headrace.datasets.model import Exclusion, Item, Options
from headrace.kernel.errors import ValidationFailed

_ANALYZED_FROM = 1000
"""Rows that a temporary table got at once; the server plans badly for what it thinks is empty."""


def relation_sql(table: Table) -> str:
    """The table's quoted name."""
    schema, name = split_name(table.relation)
    return f"{identifier(schema)}.{identifier(name)}"


def _column(alias: str, name: str) -> str:
    return f"{alias}.{identifier(name)}"


def id_sql(table: Table, alias: str = "t") -> str:
    """SQL of the id of the table's record ``alias``."""
    return _column(alias, table.id_column)


def uuid_sql(table: Table, alias: str = "t") -> str:
    """SQL of the text of its UUID, compared by its bytes whatever the database's language is."""
    return f'{_column(alias, table.uuid_column)}::text COLLATE "C"'


def _uuid_json(table: Table, alias: str) -> str:
    """SQL of the JSON of a record's UUID; NULL if it has none, or what no reader takes for one."""
    text = f"{_column(alias, table.uuid_column)}::text"
    return f"CASE WHEN length({text}) BETWEEN 1 AND {UUID_LENGTH} THEN to_json({text})::text END"


@dataclass(frozen=True)
class Plan:
    """Which tables a definition carries, and what the options of a data set leave out of them."""

    definition: Definition
    options: Options

    def __post_init__(self) -> None:
        """Raises ValidationFailed: an option names a table that the definition has not."""
        for exclusion in self.options.exclusions:
            self.definition.table(exclusion.top)
            self.definition.table(exclusion.dependent)
        for included in self.options.global_includes:
            if self.definition.top_of(included) != included:
                raise ValidationFailed(
                    f"The table {included} cannot be included as a whole: it is neither of "
                    "top-level items nor of reference data."
                )

    @cached_property
    def carried(self) -> tuple[Table, ...]:
        """All tables with records that may go along; parents before children."""
        return tuple(
            table
            for table in self.definition.tables
            if self.definition.top_of(table.table_id) is not None
        )

    @cached_property
    def tops(self) -> tuple[Table, ...]:
        """The tables that items are of."""
        return tuple(table for table in self.carried if table.owner is None)

    def top_of(self, table: Table) -> Table:
        """The table of the items that the table's records belong to."""
        top = self.definition.top_of(table.table_id)
        if top is None:
            raise ValueError(f"The table {table.table_id} is not carried.")
        return self.definition.table(top)

    def is_carried(self, table_id: int) -> bool:
        """Whether records of the table may go along."""
        return any(table.table_id == table_id for table in self.carried)

    @cached_property
    def classes(self) -> Mapping[int, int]:
        """The class of each table that items may be asked for, by its number."""
        sets = {top.table_id: self._excluded_by(top.table_id) for top in self.tops}
        numbers = {one: number for number, one in enumerate(dict.fromkeys(sets.values()))}
        return {table_id: numbers[one] for table_id, one in sets.items()}

    def _excluded_by(self, top: int) -> frozenset[int]:
        return frozenset(one.dependent for one in self.options.exclusions if one.top == top)

    def excluded_in(self, table: Table) -> tuple[int, ...]:
        """The classes in which the table's records do not go along."""
        return tuple(
            sorted(
                {
                    number
                    for top, number in self.classes.items()
                    if table.table_id in self._excluded_by(top)
                }
            )
        )

    def excludes(self, top: Table, dependent: Table) -> bool:
        """Whether items of a table bring no records of another one along themselves."""
        return Exclusion(top.table_id, dependent.table_id) in self.options.exclusions

    def is_complete(self, table: Table) -> bool:
        """Whether all records that the items own in the table go along.

        Not so if any were left out of it by date or exclusion, or might have been along with their
        parents.
        """
        if self._is_dated(table):
            return False
        if table.owner is None:
            return True
        if any(one.dependent == table.table_id for one in self.options.exclusions):
            return False
        parent = self.definition.table(table.owner.table_id)
        return parent.owner is None or self.is_complete(parent)

    def _is_dated(self, table: Table) -> bool:
        return self.options.inclusion_date is not None and table.inclusion_date_column is not None

    def condition(self, table: Table, alias: str) -> str:
        """SQL of whether a record is recent enough; one without a date is."""
        if self.options.inclusion_date is None or table.inclusion_date_column is None:
            return "true"
        column = _column(alias, table.inclusion_date_column)
        return f"({column} IS NULL OR {column} >= {literal(self.options.inclusion_date)}::date)"

    def brings(self, table: Table) -> Iterator[tuple[Reference, Table]]:
        """The references of a table that bring reference data along, and their tables."""
        for reference in table.references:
            if reference.table_id in self.definition.reference_data:
                referred = self.definition.table(reference.table_id)
                if not self.excludes(self.top_of(table), referred):
                    yield reference, referred


# --- the temporary tables -----------------------------------------------------------------------


def _found(table: Table) -> str:
    return f"pg_temp.headrace_of_{table.table_id}"


def _numbers(top: Table) -> str:
    return f"pg_temp.headrace_numbers_{top.table_id}"


_ITEMS = "pg_temp.headrace_items"
_ORDER = "pg_temp.headrace_order"
_EDGES = "pg_temp.headrace_edges"


def prepare(connection: Connection, plan: Plan, items: Iterator[Item]) -> None:
    """Makes the temporary tables, and loads the items that were asked for.

    A table of the database of the same name is none of ours: ours are in ``pg_temp``.
    """
    statements = [
        f"CREATE TABLE {_ITEMS} (table_id bigint, record_id bigint, uuid text)",
        f"CREATE TABLE {_ORDER} (table_id bigint, id bigint, uuid text, level bigint, "
        "waits bigint, PRIMARY KEY (table_id, id))",
        f"CREATE INDEX ON {_ORDER} (level)",
        f"CREATE TABLE {_EDGES} (from_table bigint, from_id bigint, to_table bigint, "
        "to_id bigint, PRIMARY KEY (to_table, to_id, from_table, from_id))",
        *(
            f"CREATE TABLE {_found(table)} (id bigint, class int, round int, top bigint"
            # A record has one owner, so dependents are never found twice in a class.
            f"{', PRIMARY KEY (id, class)' if table.owner is None else ''})"
            for table in plan.carried
        ),
        *(f"CREATE TABLE {_numbers(top)} (id bigint PRIMARY KEY, number bigint)"
          for top in plan.tops),
    ]  # fmt: skip
    for statement in statements:
        connection.execute(statement.encode())
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {_ITEMS} (table_id, record_id, uuid) FROM STDIN".encode()) as copy,
    ):
        for item in items:
            copy.write_row((item.table_id, item.record_id, item.uuid))
    connection.execute(f"ANALYZE {_ITEMS}".encode())


@dataclass(frozen=True)
class Gatherer:
    """Fills the temporary tables within the transaction, then says what is to be read."""

    connection: Connection
    plan: Plan

    def __call__(self) -> None:
        """Finds all records and numbers the items."""
        self._begin()
        number = 0
        while self._dependents(number) + self._referred(number):
            number += 1
        self._number()

    def _run(self, statement: str) -> int:
        return max(self.connection.execute(statement.encode()).rowcount, 0)

    def _value(self, query: str) -> int:
        row = self.connection.execute(query.encode()).fetchone()
        return int(row[0]) if row else 0

    def _insert(self, into: str, select: str) -> int:
        added = self._run(f"INSERT INTO {into} {select} ON CONFLICT DO NOTHING")
        if added >= _ANALYZED_FROM:
            self._run(f"ANALYZE {into}")
        return added

    # --- which records ----------------------------------------------------------------------

    def _begin(self) -> None:
        """Round 0: the items that are still there, and all of the tables included as a whole."""
        for table in self.plan.tops:
            chosen = (
                f"SELECT {id_sql(table)}, {self.plan.classes[table.table_id]}, 0, {id_sql(table)}"
            )
            recent = self.plan.condition(table, "t")
            if table.table_id in self.plan.definition.top_level:
                # By both: a record could have got the id of one that was deleted.
                self._insert(
                    _found(table),
                    f"{chosen} FROM {relation_sql(table)} t JOIN {_ITEMS} i "
                    f"ON i.record_id = {id_sql(table)} AND i.uuid = {uuid_sql(table)} "
                    f"WHERE i.table_id = {table.table_id} AND {recent}",
                )
            if table.table_id in self.plan.options.global_includes:
                self._insert(
                    _found(table),
                    f"{chosen} FROM {relation_sql(table)} t WHERE {recent}",
                )

    def _dependents(self, number: int) -> int:
        """Those of the records that the round found; parents before children."""
        added = 0
        for table in self.plan.carried:
            if table.owner is None or self.plan.excludes(self.plan.top_of(table), table):
                continue
            parent = self.plan.definition.table(table.owner.table_id)
            added += self._insert(
                _found(table),
                f"SELECT {id_sql(table)}, p.class, {number}, p.top "  # noqa: S608
                f"FROM {relation_sql(table)} t JOIN {_found(parent)} p "
                f"ON p.id = {_column('t', table.owner.column)} "
                f"WHERE p.round = {number} AND {self._allowed('p', table)} "
                f"AND {self.plan.condition(table, 't')}",
            )
        return added

    def _referred(self, number: int) -> int:
        """The reference data that the round's records refer to: the next round."""
        added = 0
        for table in self.plan.carried:
            for reference, referred in self.plan.brings(table):
                added += self._insert(
                    _found(referred),
                    f"SELECT DISTINCT {id_sql(referred, 'x')}, f.class, {number + 1}, "  # noqa: S608
                    f"{id_sql(referred, 'x')} FROM {relation_sql(table)} t "
                    f"JOIN {_found(table)} f ON f.id = {id_sql(table)} "
                    f"JOIN {relation_sql(referred)} x "
                    f"ON {id_sql(referred, 'x')} = {_column('t', reference.column)} "
                    f"WHERE f.round = {number} AND {self._allowed('f', referred)} "
                    f"AND {self.plan.condition(referred, 'x')}",
                )
        return added

    def _allowed(self, alias: str, table: Table) -> str:
        excluded = self.plan.excluded_in(table)
        if not excluded:
            return "true"
        return f"{alias}.class NOT IN ({', '.join(map(str, excluded))})"

    def _records(self, table: Table) -> str:
        """What stands behind FROM: the table's records that go along, each once, as ``t``."""
        return f"{relation_sql(table)} t JOIN {self._distinct(table)} f ON f.id = {id_sql(table)}"

    def _distinct(self, table: Table) -> str:
        # The record's owner, and so its item, is the same in all classes.
        if len(set(self.plan.classes.values())) < 2:
            return _found(table)
        return f"(SELECT DISTINCT id, top FROM {_found(table)})"  # noqa: S608

    # --- the items' order -------------------------------------------------------------------

    def _number(self) -> None:
        start = 0
        for group in ordered(self.plan):
            if len(group.tops) == 1 and not group.refers_to_itself:
                (top,) = group.tops
                start += self._insert(
                    _numbers(top),
                    f"SELECT f.id, {start - 1} + row_number() OVER (ORDER BY {uuid_sql(top)}) "  # noqa: S608
                    f"FROM {self._records(top)}",
                )
            else:
                start += self._number_by_depth(group, start)

    def _number_by_depth(self, group: "Group", start: int) -> int:
        """Numbers items that may refer to one another, what is referred to first.

        Level after level: the items that refer to none, then those that refer to these only. Items
        in a circle have no such order; they come last.
        """
        self._run(f"DELETE FROM {_ORDER}")  # noqa: S608
        self._run(f"DELETE FROM {_EDGES}")  # noqa: S608
        for table, reference in group.references:
            self._insert(_EDGES, self._edges(table, reference))
        freed = 0
        for top in group.tops:
            waits = (
                f"SELECT from_id, count(*) AS n FROM {_EDGES} "  # noqa: S608
                f"WHERE from_table = {top.table_id} GROUP BY 1"
            )
            freed += self._insert(
                _ORDER,
                f"SELECT {top.table_id}, f.id, {uuid_sql(top)}, "  # noqa: S608
                f"CASE WHEN w.n IS NULL THEN 0 END, w.n FROM {self._records(top)} "
                f"LEFT JOIN ({waits}) w ON w.from_id = f.id",
            )
        level = 0
        while freed:
            level += 1
            freed = self._run(
                f"WITH freed AS (SELECT e.from_table, e.from_id, count(*) AS n "  # noqa: S608
                f"FROM {_ORDER} o JOIN {_EDGES} e ON e.to_table = o.table_id AND e.to_id = o.id "
                f"WHERE o.level = {level - 1} GROUP BY 1, 2), done AS ("
                f"UPDATE {_ORDER} o SET waits = o.waits - f.n, "
                f"level = CASE WHEN o.waits = f.n THEN {level} END FROM freed f "
                "WHERE f.from_table = o.table_id AND f.from_id = o.id RETURNING 1) "
                "SELECT 1 FROM done"
            )
        places = ", ".join(f"({top.table_id}, {n})" for n, top in enumerate(group.tops))
        count = 0
        for top in group.tops:
            count += self._insert(
                _numbers(top),
                f"SELECT id, number FROM (SELECT o.table_id, o.id, {start - 1} + row_number() "  # noqa: S608
                'OVER (ORDER BY o.level NULLS LAST, p.place, o.uuid COLLATE "C") AS number '
                f"FROM {_ORDER} o JOIN (VALUES {places}) p(table_id, place) USING (table_id)) n "
                f"WHERE table_id = {top.table_id}",
            )
        return count

    def _edges(self, table: Table, reference: Reference) -> str:
        """Which item refers to which other one by this column, both being in the set."""
        referred = self.plan.definition.table(reference.table_id)
        mine, theirs = self.plan.top_of(table).table_id, self.plan.top_of(referred).table_id
        other = "f.top <> x.top AND " if mine == theirs else ""
        return (
            f"SELECT DISTINCT {mine}, f.top, {theirs}, x.top FROM {self._records(table)} "  # noqa: S608
            f"JOIN {self._distinct(referred)} x ON x.id = {_column('t', reference.column)} "
            f"WHERE {other}true"
        )

    # --- what cannot be carried -------------------------------------------------------------

    def reason(self, table: Table) -> str:
        """Why a record of the table has no line: it has no UUID, or what it refers to has none.

        To look for that beforehand would be to read each table once more for each reference.
        """
        for reference in table.all_references:
            referred = self.plan.definition.table(reference.table_id)
            if self._value(
                f"SELECT count(*) FROM {self._records(table)} "  # noqa: S608
                f"LEFT JOIN {relation_sql(referred)} x "
                f"ON {id_sql(referred, 'x')} = {_column('t', reference.column)} "
                f"WHERE {_column('t', reference.column)} IS NOT NULL "
                f"AND {_uuid_json(referred, 'x')} IS NULL"
            ):
                return (
                    f"A record of the table {table.name} refers by {reference.column} to a record "
                    f"of {referred.name} that is not there, or has no UUID."
                )
        return f"A record of the table {table.name} has no UUID."

    # --- what is read -----------------------------------------------------------------------

    def count(self, table: Table) -> int:
        """Records of the table that go along."""
        return self._value(f"SELECT count(*) FROM {self._distinct(table)} f")  # noqa: S608

    def select(self, table: Table) -> str:
        """The SELECT of the table's lines, as ``Record.line`` has them but for the line feed.

        The server makes them: no value becomes an object of ours. The line of a record that cannot
        be carried is NULL, as the text of something that is missing makes it so; see ``reason``.
        """
        top = self.plan.top_of(table)
        joins, references = [], []
        for number, reference in enumerate(table.all_references):
            referred, alias = self.plan.definition.table(reference.table_id), f"x{number}"
            joins.append(
                f" LEFT JOIN {relation_sql(referred)} {alias} "
                f"ON {id_sql(referred, alias)} = {_column('t', reference.column)}"
            )
            text = _referred_sql(referred, alias)
            references.append(
                (
                    reference.column,
                    f"CASE WHEN {_column('t', reference.column)} IS NULL THEN 'null' "
                    f"ELSE {text} END",
                )
            )
        values = [(name, _json_text(_column("t", name))) for name in table.columns]
        return (
            f"""SELECT '{{"item":' || n.number || ',"uuid":' || """  # noqa: S608
            f"""{_uuid_json(table, "t")} || ',"values":' || """
            f"""{_json_object(values)} || ',"references":' || {_json_object(references)} || '}}' """
            f"FROM {self._records(table)} JOIN {_numbers(top)} n ON n.id = f.top{''.join(joins)} "
            f"ORDER BY n.number, {uuid_sql(table)}"
        )


def _json_text(source: str) -> str:
    return f"coalesce(to_json({source}::text)::text, 'null')"


def _json_object(members: Sequence[tuple[str, str]]) -> str:
    """SQL of a JSON object without spaces; the names are known, the values SQL of JSON."""
    parts = [
        f"{literal(('{' if first else ',') + json_name(name) + ':')} || {value}"
        for first, (name, value) in zip([True] + [False] * len(members), members, strict=False)
    ]
    return " || ".join([*parts, "'}'"]) if parts else "'{}'"


def json_name(name: str) -> str:
    """A name as a JSON text."""
    return json.dumps(name, ensure_ascii=False)


def _referred_sql(referred: Table, alias: str) -> str:
    key = " || ',' || ".join(_json_text(_column(alias, name)) for name in referred.functional_key)
    return (
        f"""'{{"table":{referred.table_id},"uuid":' || {_uuid_json(referred, alias)} """
        f"""|| ',"key":['{f" || {key}" if key else ""} || ']}}'"""
    )


# --- which kinds of items come first ------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """Tables whose items may refer to one another, in both directions; mostly one alone."""

    tops: tuple[Table, ...]
    references: tuple[tuple[Table, Reference], ...]
    """Those that lead from an item of the group to one of the group."""

    @property
    def refers_to_itself(self) -> bool:
        """Whether the order within needs a look at the records."""
        return bool(self.references)


def ordered(plan: Plan) -> tuple[Group, ...]:
    """The tables of items in groups, each after those that it refers to, else as the definition's.

    That the definition's tables are in order does not say so: a table's *dependents* may refer to
    a table that comes behind it.
    """
    edges: dict[int, set[int]] = {top.table_id: set() for top in plan.tops}
    crossing: list[tuple[int, int, Table, Reference]] = []
    for table in plan.carried:
        for reference in table.references:
            if plan.is_carried(reference.table_id):
                mine = plan.top_of(table).table_id
                theirs = plan.top_of(plan.definition.table(reference.table_id)).table_id
                edges[mine].add(theirs)
                crossing.append((mine, theirs, table, reference))
    reached = {top: _reached(edges, top) for top in edges}
    groups: dict[int, list[int]] = {}
    for top in edges:
        first = next((one for one in groups if one in reached[top] and top in reached[one]), top)
        groups.setdefault(first, []).append(top)
    of = {top: first for first, members in groups.items() for top in members}
    needs = {
        first: {of[other] for top in members for other in edges[top]} - {first}
        for first, members in groups.items()
    }
    return tuple(
        Group(
            tuple(top for top in plan.tops if of[top.table_id] == first),
            tuple((t, r) for mine, theirs, t, r in crossing if of[mine] == of[theirs] == first),
        )
        for first in _sorted(needs)
    )


def _sorted(needs: Mapping[int, set[int]]) -> Iterator[int]:
    """Each after those it needs, the first that may come first."""
    left = dict(needs)
    while left:
        first = next(one for one in left if not left[one] & left.keys())
        del left[first]
        yield first


def _reached(edges: Mapping[int, set[int]], start: int) -> set[int]:
    found: set[int] = set()
    ahead = [start]
    while ahead:
        for other in edges[ahead.pop()] - found:
            found.add(other)
            ahead.append(other)
    return found
