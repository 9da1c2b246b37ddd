"""Tables and columns that entries name, in the sources as they are now."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from headrace.catalog.declared import Declared
from headrace.catalog.marked import Path
from headrace.catalog.model import Problem
from headrace.catalog.ports import SourceSchemas
from headrace.catalog.schema import ColumnEntry, SourceEntry
from headrace.catalog.suggestions import did_you_mean, some_of
from headrace.exports.sources import Column, ColumnType, Source
from headrace.exports.warehouses import SourceColumn
from headrace.kernel.errors import HeadraceError


@dataclass
class Opened:
    """A source that could be read: its version, and its tables with their columns."""

    source: Source
    version: str
    tables: Mapping[str, tuple[SourceColumn, ...]]


@dataclass
class SourceTables:
    """The sources, each opened once when it is first needed; what is wrong is in ``problems``."""

    declared: Sequence[Declared[SourceEntry]]
    schemas: SourceSchemas
    problems: list[Problem] = field(default_factory=list)
    sources: dict[str, Source] = field(init=False)
    opened: dict[str, Opened | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        entries = [item.entry for item in self.declared]
        self.sources = {
            one.name: Source(one.name, one.kind, dict(one.options), one.expected_within)
            for one in entries
        }

    def open(self, name: str) -> Opened | None:
        """The source; None if it is not declared or cannot be read, which is said once."""
        if name not in self.opened:
            self.opened[name] = None
            for item in self.declared:
                if item.entry.name == name:
                    try:
                        source = self.sources[name]
                        self.opened[name] = Opened(
                            source,
                            self.schemas.current_version(source),
                            self.schemas.schema(source),
                        )
                    except HeadraceError as error:
                        message = f'the source "{name}" cannot be read: {error.detail}'
                        self.problems.append(item.problem((), message))
                    break
        return self.opened[name]

    def find(self, item: Declared[Any], path: Path, opened: Opened, written: str) -> str | None:
        """The table that is meant, ``schema.table``; None if there is none."""
        if written in opened.tables:
            return written
        meant = [name for name in opened.tables if name.split(".", 1)[-1] == written]
        if len(meant) == 1:
            return meant[0]
        if meant:
            message = f'"{written}" may be {" or ".join(meant)}; write which'
        elif not opened.tables:
            message = f'the source "{opened.source.name}" shows no table at all'
            if opened.source.kind == "postgresql":
                message += "; its role sees what it may SELECT: GRANT it that"
        else:
            short = {name.split(".", 1)[-1] for name in opened.tables}
            hint = (
                did_you_mean(written, opened.tables)
                or did_you_mean(written, short)
                or f"; it has {some_of(opened.tables)}"
            )
            message = f'the source "{opened.source.name}" has no table "{written}"{hint}'
            if opened.source.kind == "postgresql":
                message += " (its role sees what it may SELECT)"
        self.problems.append(item.problem(path, message))
        return None

    def column(
        self,
        item: Declared[Any],
        where: Path,
        table: str,
        of_source: Mapping[str, SourceColumn],
        name: str,
    ) -> SourceColumn | None:
        """The column of this name; None if there is none."""
        if name in of_source:
            return of_source[name]
        hint = did_you_mean(name, of_source) or f"; it has {some_of(of_source)}"
        message = f'{table} has no column "{name}"{hint}'
        self.problems.append(item.problem(where, message))
        return None

    def columns(
        self,
        item: Declared[Any],
        path: Path,
        table: str,
        chosen: Sequence[ColumnEntry],
        of_source: Mapping[str, SourceColumn],
    ) -> list[Column]:
        """The chosen columns, those that can be carried exactly."""
        columns = []
        for number, one in enumerate(chosen):
            where = (*path, "columns", number)
            column = self.column(item, where, table, of_source, one.source)
            if column is not None and column.type is not None:
                columns.append(
                    Column(
                        name=one.public_name,
                        source=column.name,
                        type=column.type,
                        nullable=column.nullable,
                        precision=column.precision,
                        scale=column.scale,
                        text_of=column.text_of,
                    )
                )
            elif column is not None:
                reason = f": {column.reason}" if column.reason else ""
                self.problems.append(
                    item.problem(
                        where,
                        f'"{column.name}" of {table} is {column.engine_type}, which cannot '
                        f"be carried exactly{reason}; leave it out, or have the source hold it "
                        "as another type",
                    )
                )
        return columns

    def check_key(
        self,
        item: Declared[Any],
        path: Path,
        table: str,
        key: Sequence[str],
        columns: Sequence[Column],
        of_source: Mapping[str, SourceColumn],
    ) -> None:
        """That no column of a key, public names, may be NULL as far as the source can promise."""
        nullable = {
            column.name: column.source
            for column in columns
            if column.nullable and of_source[column.source].promised
        }
        for index, name in enumerate(key):
            if name in nullable:
                self.problems.append(
                    item.problem(
                        (*path, index),
                        f'"{nullable[name]}" of {table} may be NULL, so it cannot be part '
                        f"of a key; in the source: ALTER TABLE {table} ALTER COLUMN "
                        f'"{nullable[name]}" SET NOT NULL, or leave it out of the key',
                    )
                )


def fits(value: str | int | bool, column_type: ColumnType) -> bool:
    """Does the column's type hold the value, so that it is written as the source has it."""
    match column_type:
        case ColumnType.BOOLEAN:
            return isinstance(value, bool)
        case ColumnType.INTEGER | ColumnType.BIGINT:
            return isinstance(value, int) and not isinstance(value, bool)
        case ColumnType.STRING:
            return isinstance(value, str)
        case ColumnType.UUID:
            return isinstance(value, str) and _parses(UUID, value)
        case ColumnType.DATE:
            iso = isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value)
            return bool(iso) and _parses(date.fromisoformat, str(value))
    return False


def _parses(parse: object, text: str) -> bool:
    try:
        parse(text)  # type: ignore[operator]
    except ValueError:
        return False
    return True
