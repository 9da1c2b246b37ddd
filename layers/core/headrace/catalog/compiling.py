"""From declarations to a catalog that can be published: against the sources and the applications'
databases as they are now."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headrace.catalog.application_compiling import ApplicationCompiler
from headrace.catalog.declarations import (
    CatalogText,
    Declarations,
    read_declarations,
)
from headrace.catalog.declared import Declared
from headrace.catalog.marked import Path
from headrace.catalog.model import (
    Catalog,
    CatalogRefused,
    Client,
    Problem,
    Region,
    Service,
    Tenant,
)
from headrace.catalog.ports import ApplicationSchemas, SourceSchemas
from headrace.catalog.schema import (
    AccessEntry,
    ClientEntry,
    ConfigurationEntry,
    RowsEntry,
    ServiceEntry,
    TableEntry,
)
from headrace.catalog.source_tables import Opened, SourceTables, fits
from headrace.catalog.suggestions import did_you_mean, some_of
from headrace.catalog.template_compiling import TemplateCompiler
from headrace.exports.model import Compression, FileFormat, OperationKind
from headrace.exports.schedules import Schedule
from headrace.exports.sources import (
    AccountColumn,
    Column,
    ColumnType,
    Configuration,
    Resync,
    RowFilter,
    SnapshotScope,
    Table,
)
from headrace.exports.warehouses import SourceColumn
from headrace.exports.webhooks import Endpoint
from headrace.templates.definitions import ApplicationVersion

FILTERABLE = frozenset(
    {
        ColumnType.STRING,
        ColumnType.INTEGER,
        ColumnType.BIGINT,
        ColumnType.BOOLEAN,
        ColumnType.UUID,
        ColumnType.DATE,
    }
)
"""Types whose equality means the same in every source."""

TELL_ACCOUNTS = frozenset(
    {ColumnType.STRING, ColumnType.UUID, ColumnType.INTEGER, ColumnType.BIGINT}
)
"""Types of which each value has one text, the same in every source."""


def compile_catalog(
    texts: Iterable[CatalogText],
    variables: Mapping[str, str],
    schemas: SourceSchemas,
    databases: ApplicationSchemas,
    *,
    local: bool = False,
) -> Catalog:
    """The catalog that the files declare, with types and row estimates from the sources.

    ``databases`` are those of applications.

    ``local``: it is for a platform on this machine (``read_declarations``).

    Raises CatalogRefused with all that is wrong, in the files and against the sources.
    """
    declared = read_declarations(texts, variables, local=local)
    tables = SourceTables(declared.sources, schemas)
    compiler = _Compiler(declared, tables, tables.problems)
    configurations = tuple(compiler.configurations())
    template_compiler = TemplateCompiler(tables, [one.entry.id for one in declared.tenants])
    templates = [template_compiler(one) for one in declared.templates]
    application_compiler = ApplicationCompiler(databases)
    applications = [application_compiler(one) for one in declared.applications]
    problems = [*declared.problems, *tables.problems, *application_compiler.problems]
    if problems:
        raise CatalogRefused(problems)
    return Catalog(
        tenants=tuple(
            Tenant(
                tenant_id=t.entry.id,
                name=t.entry.name,
                time_zone=t.entry.time_zone,
                kms_key=t.entry.kms_key,
                application_version=_version(t.entry.application_version),
                organisation_id=t.entry.organization_id,
                region=t.entry.region,
                profile_url=t.entry.profile_url,
            )
            for t in declared.tenants
        ),
        clients=tuple(
            Client(
                client_id=c.entry.id,
                name=c.entry.name,
                tenants=tuple(c.entry.tenants),
                scopes=tuple(c.entry.scopes),
                daily_quota=c.entry.daily_quota,
                allowed_networks=tuple(c.entry.allowed_networks),
                trusted_issuers=tuple(c.entry.trusted_issuers),
                webhooks=tuple(Endpoint(w.name, w.url, w.default) for w in c.entry.webhooks),
                dpop_required=c.entry.dpop == "required",
                jwks=None if c.entry.jwks is None else json.dumps(c.entry.jwks, sort_keys=True),
                jwks_uri=c.entry.jwks_uri,
                service=None if c.entry.service is None else Service(c.entry.service.kind),
                tls_client_auth_subject_dn=c.entry.tls_client_auth_subject_dn,
                certificate_bound=c.entry.certificate_bound == "required",
                profile_groups=_tuple_of(c.entry.profile_groups),
            )
            for c in declared.clients
        ),
        sources=tuple(tables.sources.values()),
        configurations=compiler.counted(configurations),
        schedules=tuple(_schedules(declared)),
        applications=tuple(one for one in applications if one is not None),
        regions=tuple(Region(r.entry.id, r.entry.base_url) for r in declared.regions),
        templates=tuple(one for one in templates if one is not None),
    )


def _version(text: str | None) -> ApplicationVersion | None:
    return None if text is None else ApplicationVersion.of(text)


def _tuple_of(names: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


def _schedules(declared: Declarations) -> Iterator[Schedule]:
    zones = {tenant.entry.id: tenant.entry.time_zone for tenant in declared.tenants}
    for item in declared.schedules:
        entry = item.entry
        yield Schedule(
            name=entry.name,
            tenant=entry.tenant,
            client_id=entry.client,
            configuration_id=entry.configuration,
            cron=entry.cron,
            time_zone=entry.time_zone or zones[entry.tenant],
            kind=OperationKind(entry.kind),
            file_format=FileFormat(entry.file_format),
            compression=Compression(entry.compression),
            entity=entry.entity,
            enabled=entry.enabled,
            webhook=entry.webhook,
        )


@dataclass
class _Compiler:
    declared: Declarations
    tables: SourceTables
    problems: list[Problem]

    def configurations(self) -> Iterator[Configuration]:
        """Those that are right; what is wrong with the others is among ``problems``.

        Row estimates are still zero.
        """
        services = {
            client.entry.id: client
            for client in self.declared.clients
            if client.entry.service is not None
        }
        self._check_access(services)
        for configuration in self.declared.configurations:
            entry = configuration.entry
            opened = self.tables.open(entry.source)
            if opened is None:
                continue
            client = services.get(entry.client)
            tables = [
                self._table(configuration, opened, index, table, client)
                for index, table in enumerate(entry.tables)
            ]
            if client is not None and opened.source.unloads:
                self.problems.append(
                    configuration.problem(
                        ("source",),
                        f'"{entry.client}" is a service, whose rows are chosen by account, which '
                        f"an {opened.source.kind} source cannot; have another kind hold them",
                    )
                )
            yield Configuration(
                entry.id,
                entry.tenant,
                entry.client,
                entry.default,
                entry.source,
                tuple(table for table in tables if table is not None),
                SnapshotScope(entry.snapshot),
                Resync(entry.resync),
                by_consent=client is not None,
            )

    def _check_access(self, services: Mapping[str, Declared[ClientEntry]]) -> None:
        """That access filters name tables that there are."""
        for client in services.values():
            granted = {
                table.name
                for configuration in self.declared.configurations
                if configuration.entry.client == client.entry.id
                for table in configuration.entry.tables
            }
            for index, access in enumerate(_access_of(client) or ()):
                if access.table not in granted:
                    hint = did_you_mean(access.table, granted) or (
                        f"; they have {some_of(sorted(granted))}" if granted else ""
                    )
                    self.problems.append(
                        client.problem(
                            ("service", "access", index, "table"),
                            f'no configuration of the client grants a table "{access.table}"{hint}',
                        )
                    )

    def _table(
        self,
        configuration: Declared[ConfigurationEntry],
        opened: Opened,
        index: int,
        entry: TableEntry,
        service: Declared[ClientEntry] | None,
    ) -> Table | None:
        """None if something is wrong with it, or if the service's access filter leaves it out."""
        path: Path = ("tables", index)
        before = len(self.problems)
        source_table = self.tables.find(configuration, (*path, "source"), opened, entry.source)
        if source_table is None:
            return None
        of_source = {column.name: column for column in opened.tables[source_table]}
        columns = self.tables.columns(configuration, path, source_table, entry.columns, of_source)
        self.tables.check_key(
            configuration,
            (*path, "primary_key"),
            source_table,
            entry.primary_key,
            columns,
            of_source,
        )
        filters = self._filters(configuration, path, entry, source_table, of_source)
        account = self._account(
            configuration, path, entry, source_table, of_source, of_service=service is not None
        )
        access = _access_of(service) if service is not None else None
        if service is not None and access is not None:
            named = {one.table: (number, one) for number, one in enumerate(access)}
            if entry.name not in named:
                return None
            number, narrowed = named[entry.name]
            where = ("service", "access", number)
            columns = self._narrowed(service, where, narrowed, entry, columns)
            filters += self._rows(service, where, narrowed.rows, source_table, of_source)
        if len(self.problems) > before:
            return None
        return Table(
            name=entry.name,
            source=source_table,
            columns=tuple(columns),
            primary_key=tuple(entry.primary_key),
            filters=filters,
            escape_formulas=configuration.entry.escape_formulas,
            ordered=entry.ordered,
            account=account,
        )

    def _filters(
        self,
        configuration: Declared[ConfigurationEntry],
        path: Path,
        entry: TableEntry,
        source_table: str,
        of_source: Mapping[str, SourceColumn],
    ) -> tuple[RowFilter, ...]:
        filters = []
        if entry.tenant_column is not None:
            where: Path = (*path, "tenant_column")
            column = self.tables.column(
                configuration, where, source_table, of_source, entry.tenant_column
            )
            tenant = configuration.entry.tenant
            textual = column is not None and column.type in (ColumnType.STRING, ColumnType.UUID)
            if column is not None and column.type and textual and fits(tenant, column.type):
                filters.append(RowFilter(column.name, (tenant,), column.type))
            elif column is not None:
                self.problems.append(
                    configuration.problem(
                        where,
                        f'"{column.name}" of {source_table} is {column.engine_type}, and tenant '
                        "ids are texts: use rows, with the id that the source knows the tenant by",
                    )
                )
        filters += self._rows(configuration, path, entry.rows, source_table, of_source)
        return tuple(filters)

    def _rows(
        self,
        declared: Declared[Any],
        path: Path,
        chosen: Sequence[RowsEntry],
        source_table: str,
        of_source: Mapping[str, SourceColumn],
    ) -> tuple[RowFilter, ...]:
        filters: list[RowFilter] = []
        for index, rows in enumerate(chosen):
            where = (*path, "rows", index)
            column = self.tables.column(
                declared, (*where, "column"), source_table, of_source, rows.column
            )
            if column is not None:
                filters += self._filter(declared, where, source_table, column, rows)
        return tuple(filters)

    def _account(
        self,
        configuration: Declared[ConfigurationEntry],
        path: Path,
        entry: TableEntry,
        source_table: str,
        of_source: Mapping[str, SourceColumn],
        *,
        of_service: bool,
    ) -> AccountColumn | None:
        """What tells whose a row is, for a service; other clients get all rows."""
        if entry.account_column is None:
            if of_service and not entry.public:
                self.problems.append(
                    configuration.problem(
                        path,
                        f'"{configuration.entry.client}" is a service, and nothing says whose rows '
                        "these are: add account_column, or public: true if they are about no "
                        "account",
                    )
                )
            return None
        where: Path = (*path, "account_column")
        column = self.tables.column(
            configuration, where, source_table, of_source, entry.account_column
        )
        if column is None:
            return None
        if column.type not in TELL_ACCOUNTS or column.text_of is not None:
            self.problems.append(
                configuration.problem(
                    where,
                    f'"{column.name}" of {source_table} is {column.engine_type}; accounts are told '
                    "by a text, a UUID or a whole number",
                )
            )
            return None
        if not of_service:
            return None
        public = entry.rows_without_account == "public"
        return AccountColumn(column.name, column.type, with_public=public)

    def _narrowed(
        self,
        service: Declared[ClientEntry],
        where: Path,
        access: AccessEntry,
        entry: TableEntry,
        columns: Sequence[Column],
    ) -> list[Column]:
        """Those of the granted columns that the access filter leaves."""
        granted = {column.public_name for column in entry.columns}
        for index, name in enumerate(access.columns):
            if name not in granted:
                hint = did_you_mean(name, granted) or f"; it grants {some_of(sorted(granted))}"
                self.problems.append(
                    service.problem(
                        (*where, "columns", index),
                        f'a configuration grants no column "{name}" of "{entry.name}", and an '
                        f"access filter can but narrow{hint}",
                    )
                )
        missing = [key for key in entry.primary_key if access.columns and key not in access.columns]
        if missing:
            self.problems.append(
                service.problem(
                    (*where, "columns"),
                    f'lacks "{missing[0]}", which is of the primary key of "{entry.name}"; add it',
                )
            )
        return [one for one in columns if not access.columns or one.name in access.columns]

    def _filter(
        self,
        configuration: Declared[Any],
        where: Path,
        source_table: str,
        column: SourceColumn,
        rows: RowsEntry,
    ) -> Iterator[RowFilter]:
        if column.type is None or column.type not in FILTERABLE:
            self.problems.append(
                configuration.problem(
                    (*where, "column"),
                    f'rows cannot be chosen by "{column.name}" of {source_table}, as it is '
                    f"{column.engine_type}; choose by a text, whole number, boolean, date or UUID",
                )
            )
            return
        fit = True
        for index, value in enumerate(rows.values):
            if not fits(value, column.type):
                fit = False
                shown = f'"{value}"' if isinstance(value, str) else str(value).lower()
                self.problems.append(
                    configuration.problem(
                        (*where, "values", index),
                        f'{shown} is no {column.type} value, as "{column.name}" of '
                        f"{source_table} holds",
                    )
                )
        if fit:
            yield RowFilter(column.name, tuple(rows.values), column.type)

    def counted(self, configurations: Sequence[Configuration]) -> tuple[Configuration, ...]:
        """The same with row estimates; tables with the same rows are counted once.

        Of a table that is told by account, only what is everybody's: who shares is not known yet.
        """
        estimates: dict[tuple[object, ...], int] = {}
        for name, opened in self.tables.opened.items():
            tables = {
                (name, table.source, table.filters, table.account): table
                for configuration in configurations
                for table in configuration.tables
                if configuration.source == name
            }
            if opened is not None and tables:
                counts = self.tables.schemas.counts(
                    opened.source, opened.version, list(tables.values())
                )
                estimates |= dict(zip(tables, counts, strict=True))
        return tuple(
            replace(
                configuration,
                tables=tuple(
                    replace(
                        table,
                        row_estimate=estimates[
                            configuration.source, table.source, table.filters, table.account
                        ],
                    )
                    for table in configuration.tables
                ),
            )
            for configuration in configurations
        )


def _access_of(client: Declared[ClientEntry]) -> Sequence[AccessEntry] | None:
    service: ServiceEntry | None = client.entry.service
    return service.access if service is not None else None
