"""Which records a data set is to hold, worked out record by record: the plain way to say it."""

from dataclasses import dataclass, field

from headrace.datasets.definitions import Definition, Table
from headrace.datasets.model import Exclusion, Options
from tests.component.datasets.products import Rows

Key = tuple[int, int]
"""A record: the number of its table, and its id."""


@dataclass
class Expected:
    """Follows each item alone, then puts together what was found."""

    rows: Rows
    definition: Definition
    options: Options
    found: set[Key] = field(default_factory=set)

    def follow(self, start: Key) -> None:
        """Adds all that goes along with an item that was asked for."""
        self._record(start, start[0], set())

    def _record(self, key: Key, start: int, seen: set[Key]) -> None:
        table = self.definition.table(key[0])
        if key in seen or not self._recent(table, key):
            return
        seen.add(key)
        self.found.add(key)
        row = self.rows.by_table[key[0]][key[1]]
        for reference in table.references:
            referred = (reference.table_id, row[reference.column])
            if (
                referred[1] is not None
                and referred[0] in self.definition.reference_data
                and not self._excluded(start, referred[0])
                and not self._excluded(self.top(key)[0], referred[0])
            ):
                self._record(referred, start, seen)
        for owned in self.definition.tables:
            if owned.owner is None or owned.owner.table_id != key[0]:
                continue
            if self._excluded(start, owned.table_id) or self._excluded(
                self.top(key)[0], owned.table_id
            ):
                continue
            for number, other in self.rows.by_table[owned.table_id].items():
                if other[owned.owner.column] == key[1]:
                    self._record((owned.table_id, number), start, seen)

    def _excluded(self, top: int, dependent: int) -> bool:
        return Exclusion(top, dependent) in self.options.exclusions

    def _recent(self, table: Table, key: Key) -> bool:
        if self.options.inclusion_date is None or table.inclusion_date_column is None:
            return True
        day = self.rows.by_table[key[0]][key[1]][table.inclusion_date_column]
        return day is None or day >= self.options.inclusion_date

    def top(self, key: Key) -> Key:
        """The item that a record belongs to."""
        table = self.definition.table(key[0])
        if table.owner is None:
            return key
        parent = self.rows.by_table[key[0]][key[1]][table.owner.column]
        return self.top((table.owner.table_id, parent))

    def items(self) -> set[Key]:
        """The items of all that was found."""
        return {self.top(key) for key in self.found}
