"""What an import is going to do, told for people and programs (docs/datasets.md).

A query for each kind of change, as records that are added or deleted as a whole need no comparing.
References are told by what the records that they refer to are called, and not by ids.
"""

# ruff: noqa: S608  All pieces of SQL are ours: names quoted, texts as literals, numbers of ours.

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from headrace.adapters.postgresql.target_tables import Column, TargetTable, object_of
from headrace.adapters.sql_text import literal


@dataclass(frozen=True)
class Telling:
    """Queries of a table's differences. ``targets``: all tables by number. ``todo``: the items that
    are written. ``labels``: a query of their names."""

    target: TargetTable
    targets: Mapping[int, TargetTable]
    todo: str
    labels: str

    def queries(self) -> Iterator[str]:
        """Each answers lines of JSON."""
        yield self._lines("added", f"{self._staged} WHERE NOT x.matched", self._whole("new"))
        yield self._lines(
            "changed", f"{self._staged}{self._referred} WHERE x.matched", self._changes()
        )
        yield self._lines("deleted", self._referred, self._whole("old"))

    def _lines(self, change: str, more: str, values: str) -> str:
        kind, image = ("gone", "old") if change == "deleted" else ("plan", "new")
        table, key = self.target.table, self.target.table.functional_key
        pairs = {
            "change": literal(change),
            "table": literal(table.name),
            "tableId": str(table.table_id),
            "item": "l.label",
            "number": "x.item",
            "uuid": f"x.{image}->>{literal(table.uuid_column)}",
            "key": f"json_build_array({', '.join(f'x.{image}->>{literal(name)}' for name in key)})",
            "values": values,
        }
        listed = ", ".join(f"{literal(name)}, {told}" for name, told in pairs.items())
        return (
            f"SELECT json_build_object({listed}) FROM {self.target.temporary(kind)} x "
            f"JOIN {self.todo} USING (item) LEFT JOIN ({self.labels}) l USING (item){more}"
        )

    @property
    def _staged(self) -> str:
        staged = self.target.temporary("staged")
        return f" JOIN {staged} s ON s.uuid = x.uuid AND s.item = x.item"

    @property
    def _referred(self) -> str:
        """The records that the old references refer to."""
        joins = ""
        for number, reference in enumerate(self.target.table.all_references):
            referred = self.targets[reference.table_id]
            held = referred.id.typed(f"(x.old->>{literal(reference.column)})")
            joins += f" LEFT JOIN {referred.sql} r{number} ON r{number}.{referred.id.sql} = {held}"
        return joins

    def _whole(self, side: str) -> str:
        told = self._new if side == "new" else self._old
        return object_of(
            (column.name, f"jsonb_build_object({literal(side)}, {told(column)})")
            for column in self.target.carried
        )

    def _changes(self) -> str:
        values = []
        for column in self.target.carried:
            name = literal(column.name)
            same = f"(x.old->>{name}) IS NOT DISTINCT FROM {column.normal(f'(x.new->>{name})')}"
            values.append(f"({name}, {self._old(column)}, {self._new(column)}, {same})")
        return (
            "(SELECT json_object_agg(v.col, json_build_object('old', v.old, 'new', v.new)) "
            f"FROM (VALUES {', '.join(values)}) v (col, old, new, same) WHERE NOT v.same)"
        )

    def _new(self, column: Column) -> str:
        if column.name in self._references:
            return f"(nullif(s.refs->{literal(column.name)}, 'null') - 'table')"
        return f"x.new->{literal(column.name)}"

    def _old(self, column: Column) -> str:
        number = self._references.get(column.name)
        if number is None:
            return f"x.old->{literal(column.name)}"
        reference = self.target.table.all_references[number]
        referred, alias = self.targets[reference.table_id], f"r{number}"
        uuid = f"{alias}.{referred.uuid.sql}::text"
        key = ", ".join(
            f"{alias}.{referred.columns[name].sql}::text" for name in referred.table.functional_key
        )
        told = f"jsonb_build_object('uuid', {uuid}, 'key', jsonb_build_array({key}))"
        return f"CASE WHEN {alias}.{referred.id.sql} IS NOT NULL THEN {told} END"

    @property
    def _references(self) -> Mapping[str, int]:
        """The columns that are references, and which one each is."""
        references = self.target.table.all_references
        return {reference.column: number for number, reference in enumerate(references)}
