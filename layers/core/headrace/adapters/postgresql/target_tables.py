"""The tables that an import writes to: what the server says of them, and the SQL that reads them.

A record's *image* is a ``jsonb`` object of texts: its UUID, its carried columns, and the ids that
its references hold, all as ``session.SETTINGS`` write them. Two records are alike if their images
are.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from headrace.adapters.postgresql.session import Connection
from headrace.adapters.sql_text import identifier, literal, split_name
from headrace.datasets.definitions import Definition, Table
from headrace.datasets.messages import INCOMPATIBLE, UNKNOWN_TABLE, Message

_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, -1), format_type(a.atttypid, a.atttypmod),
       a.attgenerated <> '',
       CASE WHEN a.attidentity <> ''
            THEN format('nextval(%%L::regclass)',
                        pg_get_serial_sequence(format('%%I.%%I', n.nspname, c.relname), a.attname))
            WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid)
       END
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p') AND n.nspname = %(schema)s AND c.relname = %(name)s
ORDER BY a.attnum
"""

_PAIRS = 40
"""Columns in one call of ``jsonb_build_object``, which takes no more than 100 arguments."""

_ANY_TEXT = frozenset({"text", "character varying", "bpchar"})
"""Types that any text is read as; but for its length, if they have one."""


@dataclass(frozen=True)
class Column:
    """A column. ``kind``: its type without a length or scale, ``whole_kind``: with it.

    Texts are cast to the former and then assigned: a cast to the latter would cut off what is too
    long.
    """

    name: str
    kind: str
    whole_kind: str
    generated: bool
    default: str | None

    @property
    def sql(self) -> str:
        """Its quoted name."""
        return identifier(self.name)

    def typed(self, text: str) -> str:
        """SQL of a text as a value. It fails where the text is none of this type."""
        return f"({text})::{self.kind}"

    def typed_or_null(self, text: str) -> str:
        """SQL of a text as a value; NULL where it is none of this type."""
        if self.kind in _ANY_TEXT:
            return self.typed(text)
        kind = literal(self.kind)
        return f"CASE WHEN pg_input_is_valid({text}, {kind}) THEN {self.typed(text)} END"

    def normal(self, text: str) -> str:
        """SQL of a text as the column would show it once it is there; itself where it cannot be."""
        if self.whole_kind in _ANY_TEXT:
            return text
        kind = self.whole_kind
        return (
            f"CASE WHEN pg_input_is_valid({text}, {literal(kind)}) "
            f"THEN ({text})::{kind}::text ELSE {text} END"
        )

    def fits(self, text: str) -> str | None:
        """SQL that is false of a text that is no value of the column; None if there is none."""
        if self.whole_kind in _ANY_TEXT:
            return None
        valid = f"pg_input_is_valid({text}, {literal(self.whole_kind)})"
        if self.kind != "numeric" or self.whole_kind == self.kind:
            return valid
        # A column rounds what has more digits than its scale, and says nothing.
        value, rounded = f"({text})::numeric", f"({text})::{self.whole_kind}"
        return f"CASE WHEN {valid} THEN {value} = {rounded} WHEN {text} IS NOT NULL THEN false END"


@dataclass(frozen=True)
class TargetTable:
    """A table of the application as it is in the database; ``columns`` are all it has."""

    table: Table
    columns: Mapping[str, Column]

    @property
    def sql(self) -> str:
        """Its quoted name."""
        schema, name = split_name(self.table.relation)
        return f"{identifier(schema)}.{identifier(name)}"

    @property
    def id(self) -> Column:
        """The column of the record's id."""
        return self.columns[self.table.id_column]

    @property
    def uuid(self) -> Column:
        """The column of the record's UUID."""
        return self.columns[self.table.uuid_column]

    @property
    def carried(self) -> Sequence[Column]:
        """The columns of an image: the UUID's, the carried ones, the references'."""
        references = (reference.column for reference in self.table.all_references)
        names = (self.table.uuid_column, *self.table.columns, *references)
        return [self.columns[name] for name in dict.fromkeys(names)]

    @property
    def written(self) -> Sequence[Column]:
        """All columns that can be written."""
        return [column for column in self.columns.values() if not column.generated]

    def temporary(self, kind: str) -> str:
        """The name of a temporary table about this one."""
        return f"pg_temp.headrace_{kind}_{self.table.table_id}"

    def image(self, alias: str = "t") -> str:
        """SQL of a row's image."""
        return object_of((column.name, f"{alias}.{column.sql}::text") for column in self.carried)

    def image_of(self, row: str) -> str:
        """SQL of the image of an object as ``row`` makes it."""
        return object_of(
            (column.name, f"({row}->>{literal(column.name)})") for column in self.carried
        )

    def assignments(self, image: str) -> str:
        """What stands behind SET, for a record to be as an image says."""
        return ", ".join(
            f"{column.sql} = {column.typed(f'({image}->>{literal(column.name)})')}"
            for column in self.carried
        )

    def label(self, texts: str, uuid: str | None = None) -> str:
        """SQL of what people call a record: its table's name, and its functional key or UUID.

        ``texts``: SQL of an object that has the texts of its columns; ``uuid``: of its UUID, if
        that is not in it.
        """
        uuid = uuid or f"({texts}->>{literal(self.table.uuid_column)})"
        key = ", ".join(f"({texts}->>{literal(name)})" for name in self.table.functional_key)
        told = f"coalesce(nullif(concat_ws(' / ', {key}), ''), {uuid})" if key else uuid
        return f"{literal(self.table.name + ' ')} || {told}"

    def row(self, alias: str = "t") -> str:
        """SQL of an object of all columns of a row, as texts."""
        return object_of((column.name, f"{alias}.{column.sql}::text") for column in self.written)

    def normal(self, image: str) -> str:
        """SQL of an image with each text as the column would show it."""
        return object_of(
            (column.name, column.normal(f"({image}->>{literal(column.name)})"))
            for column in self.carried
        )


def object_of(pairs: Iterable[tuple[str, str]]) -> str:
    """SQL of a ``jsonb`` object, of names and the SQL of their values."""
    listed = [f"{literal(name)}, {text}" for name, text in pairs]
    chunks = (listed[start : start + _PAIRS] for start in range(0, len(listed), _PAIRS))
    return "(" + " || ".join(f"jsonb_build_object({', '.join(chunk)})" for chunk in chunks) + ")"


def target_tables(
    connection: Connection, definition: Definition
) -> tuple[dict[int, TargetTable], list[Message]]:
    """The definition's tables by their numbers, and what is wrong with those that do not do.

    Of those that are only referred to no more is asked than what tells their records.
    """
    found: dict[int, TargetTable] = {}
    wrong: list[Message] = []
    only_referred = (
        replace(
            table,
            columns=tuple(name for name in table.functional_key if name in table.columns),
            references=(),
        )
        for table in definition.others
    )
    for table in (*only_referred, *definition.tables):
        schema, name = split_name(table.relation)
        rows = connection.execute(_COLUMNS, {"schema": schema, "name": name}).fetchall()
        if not rows:
            wrong.append(UNKNOWN_TABLE(table.name, table=table.name))
            continue
        target = TargetTable(table, {row[0]: Column(*row) for row in rows})
        reasons = list(_reasons_against(target, written=table in definition.tables))
        wrong += (INCOMPATIBLE(table.name, reason=reason) for reason in reasons)
        if not reasons:
            found[table.table_id] = target
    return found, wrong


def _reasons_against(target: TargetTable, *, written: bool) -> Iterator[str]:
    table = target.table
    references = (reference.column for reference in table.all_references)
    names = (table.id_column, table.uuid_column, *table.columns, *references, *table.functional_key)
    for name in dict.fromkeys(names):
        if name not in target.columns:
            yield f"it has no column {name}"
        elif target.columns[name].generated:
            yield f"its column {name} is generated"
    if written and table.id_column in target.columns and target.id.default is None:
        yield f"the database makes no values of its column {table.id_column}"
