"""What the commands show: as JSON for scripts, and as tables for people."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table as Grid
from rich.text import Text

from headrace.catalog import document
from headrace.catalog.model import Catalog, Client, Publication
from headrace.exports.model import Configuration, Job, Operation
from headrace.identity.model import StoredSecret
from headrace.kernel.clock import rfc3339

type Json = dict[str, Any]


def publication_json(publication: Publication) -> Json:
    """A version."""
    return {
        "version": publication.version,
        "publishedAt": rfc3339(publication.published_at),
        "digest": publication.digest,
    }


def catalog_json(publication: Publication, catalog: Catalog) -> Json:
    """A version with all it holds."""
    return {**publication_json(publication), **document.catalog_to_json(catalog)}


def summary(catalog: Catalog) -> str:
    """How much a catalog holds, as a phrase."""
    tables = sum(len(configuration.tables) for configuration in catalog.configurations)
    counts = (
        (len(catalog.tenants), "tenant"),
        (len(catalog.clients), "client"),
        (len(catalog.sources), "source"),
        (len(catalog.configurations), "configuration"),
        (tables, "table"),
    )
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)


def print_catalog(out: Console, publication: Publication, catalog: Catalog) -> None:
    """A version, for people."""
    out.print(
        f"[bold]version {publication.version}[/], published {_when(publication.published_at)}"
    )
    tenants = _grid("tenant", "name", "time zone", "KMS key")
    for tenant in sorted(catalog.tenants, key=lambda t: t.tenant_id):
        _add(tenants, tenant.tenant_id, tenant.name, tenant.time_zone, tenant.kms_key or "stack's")
    clients = _grid("client", "tenants", "a day", "scopes", "networks")
    for client in sorted(catalog.clients, key=lambda c: c.client_id):
        _add(
            clients,
            client.client_id,
            ", ".join(client.tenants),
            str(client.daily_quota),
            ", ".join(client.scopes),
            ", ".join(client.allowed_networks) or "any",
        )
    sources = _grid("source", "kind", "where")
    for source in sorted(catalog.sources, key=lambda s: s.name):
        where = ", ".join(f"{key}: {value}" for key, value in source.options.items())
        _add(sources, source.name, source.kind, where)
    configurations = _grid("configuration", "client", "tenant", "source", "tables")
    for configuration in sorted(
        catalog.configurations, key=lambda c: (c.tenant, c.client_id, c.configuration_id)
    ):
        _add(
            configurations,
            configuration.configuration_id + (" (default)" if configuration.default else ""),
            configuration.client_id,
            configuration.tenant,
            configuration.source,
            _tables(configuration),
        )
    for grid in (tenants, clients, sources, configurations):
        out.print()
        out.print(grid)


def _tables(configuration: Configuration) -> str:
    return ", ".join(
        f"{table.name} ({len(table.columns)} columns, {table.row_estimate:,} rows)"
        for table in configuration.tables
    )


def print_versions(out: Console, publications: Sequence[Publication]) -> None:
    """Versions, newest first."""
    grid = _grid("version", "published", "digest")
    for publication in publications:
        _add(
            grid,
            str(publication.version),
            _when(publication.published_at),
            publication.digest[:12],
        )
    out.print(grid)


def client_json(client: Client, secrets: Sequence[StoredSecret]) -> Json:
    """A client with its secrets, of which only the ids are known."""
    return {
        **document.client_to_json(client),
        "secrets": [
            {"secretId": secret.secret_id, "createdAt": rfc3339(secret.created_at)}
            for secret in secrets
        ],
    }


def print_clients(out: Console, clients: Sequence[tuple[Client, Sequence[StoredSecret]]]) -> None:
    """Clients with their secrets."""
    grid = _grid("client", "name", "tenants", "secret", "since")
    for client, secrets in clients:
        _add(
            grid,
            client.client_id,
            client.name,
            ", ".join(client.tenants),
            "\n".join(secret.secret_id for secret in secrets) or "none",
            "\n".join(_when(secret.created_at) for secret in secrets),
        )
    out.print(grid)


def operation_json(operation: Operation) -> Json:
    """An operation, as an operator sees it."""
    return {
        "operationId": operation.operation_id,
        "tenant": operation.tenant,
        "clientId": operation.client_id,
        "kind": operation.kind,
        "status": str(operation.status),
        "percent": operation.percent,
        "attempt": operation.attempt,
        "configurationId": operation.request.configuration_id,
        "fileFormat": str(operation.request.file_format),
        "compression": str(operation.request.compression),
        "catalogVersion": operation.catalog_version,
        "syncVersion": operation.sync_version,
        "quotaDay": operation.quota_day,
        "refunded": operation.refunded,
        "createdAt": rfc3339(operation.created_at),
        "startedAt": _moment(operation.started_at),
        "endedAt": _moment(operation.ended_at),
        "expiresAt": _moment(operation.expires_at),
        "error": _failure(operation),
        "jobs": [_job_json(job) for job in operation.jobs],
    }


def _job_json(job: Job) -> Json:
    return {
        "jobId": job.job_id,
        "table": job.table,
        "status": str(job.status),
        "percent": job.percent,
        "attempt": job.attempt,
        "ranges": len(job.ranges),
        "rangesDone": job.ranges_done,
        "rows": job.rows,
        "bytes": job.size,
        "sha256": job.sha256,
        "key": job.key,
        "error": _failure(job),
    }


def print_operations(out: Console, operations: Sequence[Operation]) -> None:
    """Operations, newest first."""
    grid = _grid("operation", "tenant", "client", "configuration", "status", "created", "took")
    for operation in operations:
        _add(
            grid,
            operation.operation_id,
            operation.tenant,
            operation.client_id,
            operation.request.configuration_id,
            str(operation.status),
            _when(operation.created_at),
            _duration(operation),
        )
    out.print(grid)


def print_operation(out: Console, operation: Operation) -> None:
    """One operation with its jobs."""
    facts = Grid.grid(padding=(0, 2))
    for name, value in operation_json(operation).items():
        if name not in ("jobs", "error") and value is not None:
            _add(facts, name, str(value))
    out.print(facts)
    if operation.failure:
        _say(out, f"failed: {operation.failure.code}: {operation.failure.detail}")
    out.print()
    jobs = _grid("job", "table", "status", "attempt", "rows", "bytes", "ranges", "error")
    for job in operation.jobs:
        _add(
            jobs,
            job.job_id[-4:],
            job.table,
            str(job.status),
            str(job.attempt),
            "" if job.rows is None else f"{job.rows:,}",
            "" if job.size is None else f"{job.size:,}",
            f"{job.ranges_done}/{len(job.ranges)}",
            job.failure.code if job.failure else "",
        )
    out.print(jobs)


def _failure(failed: Operation | Job) -> Json | None:
    if failed.failure is None:
        return None
    return {"code": failed.failure.code, "detail": failed.failure.detail}


def _duration(operation: Operation) -> str:
    if operation.ended_at is None:
        return ""
    return f"{(operation.ended_at - operation.created_at).total_seconds():.1f} s"


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _grid(*headings: str) -> Grid:
    return Grid(*headings, box=None, padding=(0, 2, 0, 0), header_style="bold")


def _add(grid: Grid, *values: str) -> None:
    # Names come from files and databases: none of them is markup.
    cells: list[RenderableType] = [Text(value) for value in values]
    grid.add_row(*cells)


def _say(out: Console, text: str) -> None:
    out.print(escape(text))
