"""From declared applications to those that are published: against their databases as they are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from headrace.catalog.application_entries import ApplicationEntry, ApplicationTableEntry
from headrace.catalog.applications import check_application, in_order, referred_to
from headrace.catalog.declared import Declared
from headrace.catalog.marked import Path
from headrace.catalog.model import Problem
from headrace.catalog.ports import ApplicationDatabase, ApplicationSchemas, DatabaseTable, Kind
from headrace.catalog.suggestions import did_you_mean, some_of
from headrace.datasets.definitions import (
    Application,
    Definition,
    OutputFormat,
    Reference,
    Table,
)
from headrace.exports.sources import Source
from headrace.kernel.errors import HeadraceError


@dataclass
class ApplicationCompiler:
    """Makes applications of what is declared; what is wrong is among ``problems``."""

    schemas: ApplicationSchemas
    problems: list[Problem] = field(default_factory=list)

    def __call__(self, declared: Declared[ApplicationEntry]) -> Application | None:
        """None if anything is wrong with it."""
        entry = declared.entry
        source = Source(entry.id, "postgresql", dict(entry.database))
        try:
            database = self.schemas.describe(source)
        except HeadraceError as error:
            message = f"its database cannot be read: {error.detail}"
            self.problems.append(declared.problem(("database",), message))
            return None
        found = [
            problem
            for index, table in enumerate(entry.tables)
            for problem in _TableCheck(declared, database, ("tables", index), table).problems()
        ]
        found += _check_functions(declared, database)
        self.problems += found
        if found or any(check_application(declared)):
            return None
        return _application(declared, database)


def _application(
    declared: Declared[ApplicationEntry], database: ApplicationDatabase
) -> Application:
    entry = declared.entry
    by_name = {table.name: table for table in entry.tables}
    tables = {
        table.name: _table(table, database.tables[table.relation], by_name)
        for table in entry.tables
    }
    definitions = []
    for one in entry.definitions:
        carried = in_order(one, by_name)
        definitions.append(
            Definition(
                code=one.code,
                description=one.description,
                output=OutputFormat(one.output),
                tables=tuple(tables[name] for name in carried),
                top_level=tuple(by_name[name].id for name in one.top_level),
                reference_data=tuple(by_name[name].id for name in one.reference_data),
                sources_property=one.sources,
                others=tuple(tables[name] for name in referred_to(carried, by_name)),
            )
        )
    processing = entry.task_processing
    return Application(
        application_id=entry.id,
        tenant=entry.tenant,
        name=entry.name,
        identifier=entry.environment,
        version=entry.version,
        options=dict(entry.database),
        definitions=tuple(definitions),
        task_processing=processing.model_dump() if processing else {},
    )


def _table(
    entry: ApplicationTableEntry,
    found: DatabaseTable,
    by_name: Mapping[str, ApplicationTableEntry],
) -> Table:
    owner = entry.owner
    return Table(
        table_id=entry.id,
        name=entry.name,
        relation=entry.relation,
        columns=_carried(entry, found),
        id_column=entry.id_column,
        uuid_column=entry.uuid_column,
        functional_key=tuple(entry.functional_key),
        references=tuple(Reference(one.column, by_name[one.table].id) for one in entry.references),
        owner=Reference(owner.column, by_name[owner.table].id) if owner else None,
        inclusion_date_column=entry.inclusion_date,
    )


def _carried(entry: ApplicationTableEntry, found: DatabaseTable) -> tuple[str, ...]:
    """The columns whose values are carried: those that are named, or all but the others."""
    if entry.columns:
        return tuple(entry.columns)
    others = _told_otherwise(entry)
    return tuple(
        name
        for name, column in found.columns.items()
        if name not in others and name not in entry.leave_out and not column.computed
    )


def _told_otherwise(entry: ApplicationTableEntry) -> set[str]:
    return {
        entry.id_column,
        entry.uuid_column,
        *(reference.column for reference in entry.all_references),
    }


def _check_functions(
    declared: Declared[ApplicationEntry], database: ApplicationDatabase
) -> Iterator[Problem]:
    processing = declared.entry.task_processing
    for what, name in (processing.model_dump() if processing else {}).items():
        if name not in database.functions:
            hint = did_you_mean(name, database.functions) or ""
            yield declared.problem(
                ("task_processing", what),
                f'the database has no function "{name}" without arguments that its role may '
                f"run{hint}",
            )


@dataclass(frozen=True)
class _TableCheck:
    """A table that is declared, against the database."""

    declared: Declared[ApplicationEntry]
    database: ApplicationDatabase
    path: Path
    entry: ApplicationTableEntry

    def problems(self) -> Iterator[Problem]:
        """All that is wrong with it."""
        found = self.database.tables.get(self.entry.relation)
        if found is None:
            known = self.database.tables
            hint = did_you_mean(self.entry.relation, known) or f"; it has {some_of(sorted(known))}"
            yield self._problem(
                ("relation",), f'the database has no table "{self.entry.relation}"{hint}'
            )
            return
        yield from self._of_the_whole(found)
        yield from self._of_the_id(found)
        yield from self._of_the_uuid(found)
        yield from self._of_the_key(found)
        yield from self._of_references(found)
        yield from self._of_values(found)

    def _problem(self, below: Path, message: str) -> Problem:
        return self.declared.problem((*self.path, *below), message)

    def _missing(self, found: DatabaseTable, below: Path, column: str) -> Iterator[Problem]:
        if column not in found.columns:
            hint = did_you_mean(column, found.columns) or f"; it has {some_of(found.columns)}"
            yield self._problem(below, f'{self.entry.relation} has no column "{column}"{hint}')

    def _of_the_whole(self, found: DatabaseTable) -> Iterator[Problem]:
        relation = self.entry.relation
        if not found.is_table:
            yield self._problem(
                ("relation",), f"{relation} is no table, but a view or the like; name its table"
            )
        if not found.readable:
            yield self._problem(
                ("relation",),
                f"the database's role may not read {relation}: GRANT SELECT ON {relation} to it",
            )
        if found.rows_hidden:
            yield self._problem(
                ("relation",),
                f"policies of row-level security hide rows of {relation} from the database's "
                "role, so what is missing could not be told from what was deleted; give the role "
                "BYPASSRLS",
            )

    def _of_the_id(self, found: DatabaseTable) -> Iterator[Problem]:
        name = self.entry.id_column
        yield from self._missing(found, ("id_column",), name)
        column = found.columns.get(name)
        if column is None:
            return
        if column.kind is not Kind.NUMBER:
            yield self._problem(
                ("id_column",),
                f'"{name}" of {self.entry.relation} is {column.written}; ids are whole numbers',
            )
        elif not column.counted:
            yield self._problem(
                ("id_column",),
                f'"{name}" of {self.entry.relation} is no identity column and has no sequence for '
                "its default, so a record that comes from elsewhere would get no id",
            )
        if not any(index.columns == {name} for index in found.unique):
            yield self._problem(
                ("id_column",), f'no unique index is over "{name}" of {self.entry.relation}'
            )

    def _of_the_uuid(self, found: DatabaseTable) -> Iterator[Problem]:
        name = self.entry.uuid_column
        yield from self._missing(found, ("uuid_column",), name)
        column = found.columns.get(name)
        if column is None:
            return
        if column.kind is not Kind.UUID:
            yield self._problem(
                ("uuid_column",),
                f'"{name}" of {self.entry.relation} is {column.written}; it must be uuid',
            )
        if column.nullable:
            yield self._problem(
                ("uuid_column",),
                f'"{name}" of {self.entry.relation} may be NULL; ALTER TABLE '
                f'{self.entry.relation} ALTER COLUMN "{name}" SET NOT NULL',
            )
        if column.computed:
            yield self._problem(
                ("uuid_column",),
                f'"{name}" of {self.entry.relation} is computed by the database; a record that '
                "comes from elsewhere brings its own",
            )
        if not any(index.columns == {name} for index in found.unique):
            yield self._problem(
                ("uuid_column",),
                f'no unique index is over "{name}" of {self.entry.relation}; CREATE UNIQUE INDEX '
                f'ON {self.entry.relation} ("{name}")',
            )

    def _of_the_key(self, found: DatabaseTable) -> Iterator[Problem]:
        key, owner = self.entry.functional_key, self.entry.owner
        for index, name in enumerate(key):
            yield from self._missing(found, ("functional_key", index), name)
        if not key or not found.columns.keys() >= set(key):
            return
        telling = {*key, owner.column} if owner else {*key}
        having = [index for index in found.unique if index.columns <= telling]
        if not having:
            columns = ", ".join(f'"{name}"' for name in sorted(telling))
            yield self._problem(
                ("functional_key",),
                f"no unique index is over {columns} of {self.entry.relation}; CREATE UNIQUE INDEX "
                f"ON {self.entry.relation} ({columns})",
            )
            return
        for number, name in enumerate(key):
            if found.columns[name].nullable and not any(
                index.nulls_alike or name not in index.columns for index in having
            ):
                yield self._problem(
                    ("functional_key", number),
                    f'"{name}" of {self.entry.relation} may be NULL, and to its unique index two '
                    "NULLs are not the same: set it NOT NULL, or make the index NULLS NOT DISTINCT",
                )

    def _of_references(self, found: DatabaseTable) -> Iterator[Problem]:
        relations = {table.name: table for table in self.declared.entry.tables}
        keys = {key.column: key for key in found.foreign_keys}
        below: list[Path] = [("references", number) for number in range(len(self.entry.references))]
        if self.entry.owner:
            below.insert(0, ("owner",))
        for where, reference in zip(below, self.entry.all_references, strict=True):
            yield from self._missing(found, (*where, "column"), reference.column)
            column = found.columns.get(reference.column)
            target = relations.get(reference.table)
            if column is None or target is None:
                continue
            if column.kind is not Kind.NUMBER:
                yield self._problem(
                    (*where, "column"),
                    f'"{reference.column}" of {self.entry.relation} is {column.written}; ids are '
                    "whole numbers",
                )
            if where == ("owner",) and column.nullable:
                yield self._problem(
                    (*where, "column"),
                    f'"{reference.column}" of {self.entry.relation} may be NULL, and a record '
                    "without an owner belongs to no item; set it NOT NULL",
                )
            key = keys.get(reference.column)
            if key and (key.relation, key.to_column) != (target.relation, target.id_column):
                yield self._problem(
                    (*where, "table"),
                    f'"{reference.column}" of {self.entry.relation} refers to '
                    f"{key.relation}.{key.to_column} in the database, and not to the ids of "
                    f'"{target.name}"',
                )

    def _of_values(self, found: DatabaseTable) -> Iterator[Problem]:
        entry = self.entry
        for index, name in enumerate(entry.columns):
            yield from self._missing(found, ("columns", index), name)
        for index, name in enumerate(entry.leave_out):
            yield from self._missing(found, ("leave_out", index), name)
        carried = _carried(entry, found)
        places: dict[str, Path] = {
            name: ("columns", index) for index, name in enumerate(entry.columns)
        }
        keys = {key.column: key for key in found.foreign_keys}
        for name in carried:
            column = found.columns.get(name)
            if column is None:
                continue
            where = places.get(name, ())
            if column.computed:
                yield self._problem(
                    where,
                    f'"{name}" of {entry.relation} is set by the database alone; take it out',
                )
            if column.no_text:
                yield self._problem(
                    where,
                    f'"{name}" of {entry.relation} is {column.written}, which has no text that '
                    f"means the same elsewhere: {column.no_text}; leave it out",
                )
            key = keys.get(name)
            if key and self._is_an_id(key.relation, key.to_column):
                yield self._problem(
                    where,
                    f'"{name}" of {entry.relation} refers to {key.relation}, whose ids are '
                    "other ones in each environment; add it to the references, or leave it out",
                )
        yield from self._of_required(found, carried)
        inclusion = entry.inclusion_date
        if inclusion is not None:
            yield from self._missing(found, ("inclusion_date",), inclusion)
            column = found.columns.get(inclusion)
            if column and column.kind is not Kind.TIME:
                yield self._problem(
                    ("inclusion_date",),
                    f'"{inclusion}" of {entry.relation} is {column.written}; it must be a date or '
                    "a timestamp",
                )

    def _is_an_id(self, relation: str, column: str) -> bool:
        if any(
            (table.relation, table.id_column) == (relation, column)
            for table in self.declared.entry.tables
        ):
            return True
        table = self.database.tables.get(relation)
        found = table.columns.get(column) if table else None
        return found is not None and found.kind is Kind.NUMBER and found.counted

    def _of_required(self, found: DatabaseTable, carried: tuple[str, ...]) -> Iterator[Problem]:
        """Without a value for these, no record could be added in the target."""
        given = {*carried, *_told_otherwise(self.entry)}
        for name, column in found.columns.items():
            if name not in given and not (column.nullable or column.default or column.computed):
                key = "leave_out" if name in self.entry.leave_out else "columns"
                yield self._problem(
                    (key,) if getattr(self.entry, key) else (),
                    f'"{name}" of {self.entry.relation} is NOT NULL without a default, and is not '
                    "carried, so no record could be added; carry it, or give it a default",
                )
