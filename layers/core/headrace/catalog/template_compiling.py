"""From declared templates to those that are published: against their sources as they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.catalog.declared import Declared
from headrace.catalog.model import ChoosingColumn, PublishedTemplate, QueryRefused
from headrace.catalog.source_tables import Opened, SourceTables, fits
from headrace.catalog.template_entries import TemplateEntry
from headrace.exports.sources import Column, ColumnType, Table
from headrace.exports.warehouses import SourceColumn
from headrace.templates.definitions import ApplicationVersion, Template

ORDERABLE = frozenset(ColumnType) - {
    ColumnType.DOUBLE,
    ColumnType.BINARY,
    ColumnType.JSON,
    ColumnType.INTERVAL,
}
"""Types that every source orders, and whose equal values are written alike."""

_DATES = frozenset({ColumnType.DATE, ColumnType.TIMESTAMP, ColumnType.TIMESTAMPTZ})
_RUN_QUERIES = ("ducklake", "duckdb", "postgresql")


@dataclass(frozen=True)
class TemplateCompiler:
    """Makes templates of what is declared; what is wrong is among the ``problems`` of ``tables``.

    ``tenants``: the ids of all that are declared.
    """

    tables: SourceTables
    tenants: Sequence[str]

    def __call__(self, declared: Declared[TemplateEntry]) -> PublishedTemplate | None:
        """None if anything is wrong with it."""
        before = len(self.tables.problems)
        opened = self.tables.open(declared.entry.source)
        found = None if opened is None else self._found(declared, opened)
        if opened is None or found is None:
            return None
        entry, (name, of_source) = declared.entry, found
        columns = self.tables.columns(declared, (), name, entry.columns, of_source)
        tenant = self._tenant(declared, name, of_source)
        date = self._choosing(
            declared, "date_column", name, of_source, _DATES, "a date or a time stamp"
        )
        anonymised = self._choosing(
            declared,
            "anonymized_column",
            name,
            of_source,
            frozenset({ColumnType.BOOLEAN}),
            "true or false",
        )
        self._check_order(declared, opened, name, columns, of_source)
        if len(self.tables.problems) > before:
            return None
        return PublishedTemplate(
            template=Template(
                template_id=entry.id,
                name=entry.name,
                columns=tuple(column.name for column in columns),
                has_date=date is not None,
                has_anonymised=anonymised is not None,
                minimum_version=None
                if entry.minimum_version is None
                else ApplicationVersion.of(entry.minimum_version),
                tenants=None if entry.tenants is None else frozenset(entry.tenants),
            ),
            source=entry.source,
            table=Table(
                name=entry.id,
                source="" if entry.table is None else name,
                columns=tuple(columns),
                primary_key=tuple(entry.order),
                ordered=True,
                query=entry.query,
            ),
            tenant_column=tenant,
            date_column=date,
            anonymised_column=anonymised,
        )

    def _found(
        self, declared: Declared[TemplateEntry], opened: Opened
    ) -> tuple[str, Mapping[str, SourceColumn]] | None:
        """What is read, by the name that messages give it, and its columns; None if it is wrong."""
        entry, source = declared.entry, opened.source
        if source.unloads:
            message = f"templates are not read from an {source.kind} source; have another hold it"
            self._problem(declared, "source", message)
            return None
        if entry.query is None:
            name = self.tables.find(declared, ("table",), opened, entry.table or "")
            return None if name is None else (name, _by_name(opened.tables[name]))
        if source.kind not in _RUN_QUERIES:
            message = f"a {source.kind} source runs no queries; {', '.join(_RUN_QUERIES)} do"
            self._problem(declared, "query", message)
            return None
        try:
            columns = self.tables.schemas.describe_query(source, entry.query)
        except QueryRefused as refused:
            self._problem(declared, "query", f"cannot be run: {refused.detail}")
            return None
        return "the query", _by_name(columns)

    def _tenant(
        self, declared: Declared[TemplateEntry], table: str, of_source: Mapping[str, SourceColumn]
    ) -> ChoosingColumn | None:
        column = self._choosing(
            declared,
            "tenant_column",
            table,
            of_source,
            frozenset({ColumnType.STRING, ColumnType.UUID}),
            "a text, as tenants' ids are",
        )
        for tenant in declared.entry.tenants or self.tenants:
            if column is not None and not fits(tenant, column.type):
                self._problem(
                    declared,
                    "tenant_column",
                    f'"{column.name}" of {table} holds UUIDs, and the id of the tenant "{tenant}" '
                    "is none",
                )
                return None
        return column

    def _choosing(
        self,
        declared: Declared[TemplateEntry],
        key: str,
        table: str,
        of_source: Mapping[str, SourceColumn],
        types: frozenset[ColumnType],
        meant: str,
    ) -> ChoosingColumn | None:
        """The column that is named under ``key``, if one is and it is of one of the types."""
        name: str | None = getattr(declared.entry, key)
        if name is None:
            return None
        column = self.tables.column(declared, (key,), table, of_source, name)
        if column is None:
            return None
        if column.type not in types or column.text_of is not None:
            message = f'"{name}" of {table} is {column.engine_type}; it must be {meant}'
            self._problem(declared, key, message)
            return None
        return ChoosingColumn(column.name, column.type)

    def _check_order(
        self,
        declared: Declared[TemplateEntry],
        opened: Opened,
        table: str,
        columns: Sequence[Column],
        of_source: Mapping[str, SourceColumn],
    ) -> None:
        """That rows have an order, and one only."""
        order = declared.entry.order
        self.tables.check_key(declared, ("order",), table, order, columns, of_source)
        by_name = {column.name: column for column in columns}
        for index, name in enumerate(order):
            column = by_name.get(name)
            if column and (column.type not in ORDERABLE or column.text_of is not None):
                written = of_source[column.source].engine_type
                self.tables.problems.append(
                    declared.problem(
                        ("order", index),
                        f'"{column.source}" of {table} is {written}, which rows cannot be ordered '
                        "by; order by texts, whole numbers, decimals, booleans, dates, times or "
                        "UUIDs",
                    )
                )
        if declared.entry.query is not None or not by_name.keys() >= set(order):
            return
        keys = self.tables.schemas.unique_keys(opened.source, table)
        ordered = {by_name[name].source for name in order}
        if keys is not None and not any(key <= ordered for key in keys):
            listed = ", ".join(f'"{by_name[name].source}"' for name in order)
            self._problem(
                declared,
                "order",
                f"no unique index is over {listed} of {table}, so rows may share a place; add "
                "columns that tell them apart, such as those of its primary key",
            )

    def _problem(self, declared: Declared[TemplateEntry], key: str, message: str) -> None:
        self.tables.problems.append(declared.problem((key,), message))


def _by_name(columns: Sequence[SourceColumn]) -> Mapping[str, SourceColumn]:
    return {column.name: column for column in columns}
