"""What the commands show: as JSON for scripts, and as tables for people."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from headrace.adapters.postgresql.capturing import CaptureStatus, Plan
from headrace.adapters.postgresql.change_log import NotCapturable
from headrace.audit.model import Action, Day, Event, Failing
from headrace.catalog import document
from headrace.catalog.model import Catalog, Client, Publication
from headrace.consents.model import AccountHolder, Consent, Organisation
from headrace.consents.views import ConsentView
from headrace.exports.model import Job, Operation
from headrace.exports.schedules import Schedule, ScheduledRun
from headrace.exports.scheduling import ScheduleStanding
from headrace.exports.webhooks import Delivery, Endpoint
from headrace.identity.access_requests import AccessRequest
from headrace.identity.api_keys import ApiKey
from headrace.identity.key_views import KeyView
from headrace.identity.model import StoredSecret
from headrace.identity.users import Role, Team, User
from headrace.kernel.clock import rfc3339
from headrace.kernel.view import as_json
from headrace.templates.activating import Standing
from headrace.templates.definitions import Template

type Json = dict[str, Any]


def publication_json(publication: Publication) -> Json:
    """A version."""
    return {
        "version": publication.version,
        "publishedAt": rfc3339(publication.published_at),
        "digest": publication.digest,
    }


def letter(client_id: str, link: str, until: datetime) -> str:
    """A text for an e-mail that brings a link to who runs the client."""
    return (
        f"The secret of your client {client_id} waits for you behind this link:\n\n  {link}\n\n"
        f"It is shown once, until {rfc3339(until)[:10]}. Have a safe place ready to keep it in "
        "before\nyou open it. If the link does not work, somebody else may have used it: tell us "
        "at once."
    )


def access_request_json(request: AccessRequest) -> Json:
    """A request for access; of its evidence what can be told without opening it."""
    found = as_json(request)
    return {name: value for name, value in found.items() if value is not None}


def print_access_requests(out: Console, requests: Sequence[AccessRequest]) -> None:
    """Requests for access, a line each."""
    _print_grid(
        out,
        ("request", "state", "client", "tenants", "recorded", "evidence"),
        [
            (
                one.request_id,
                str(one.state),
                one.client_id,
                ", ".join(one.tenants),
                _when(one.recorded_at),
                f"{one.evidence.name}, {one.evidence.size:,} bytes",
            )
            for one in requests
        ],
    )


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
        *([(len(catalog.applications), "application")] if catalog.applications else []),
        *([(len(catalog.templates), "template")] if catalog.templates else []),
    )
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)


def print_catalog(out: Console, publication: Publication, catalog: Catalog) -> None:
    """A version, for people."""
    _say(out, f"version {publication.version}, published {_when(publication.published_at)}")
    _print_grid(
        out,
        ("tenant", "name", "time zone", "KMS key", "version", "organisation id", "region"),
        [
            (
                tenant.tenant_id,
                tenant.name,
                tenant.time_zone,
                tenant.kms_key or "the stack's",
                str(tenant.application_version or ""),
                tenant.organisation_id or "",
                tenant.region or "",
            )
            for tenant in sorted(catalog.tenants, key=lambda t: t.tenant_id)
        ],
    )
    _print_grid(
        out,
        ("client", "tenants", "a day", "scopes", "networks"),
        [
            (
                client.client_id,
                ", ".join(client.tenants),
                str(client.daily_quota),
                ", ".join(client.scopes),
                ", ".join(client.allowed_networks) or "any",
            )
            for client in sorted(catalog.clients, key=lambda c: c.client_id)
        ],
    )
    _print_grid(
        out,
        ("source", "kind", "where"),
        [
            (source.name, source.kind, ", ".join(f"{k}: {v}" for k, v in source.options.items()))
            for source in sorted(catalog.sources, key=lambda s: s.name)
        ],
    )
    _print_grid(
        out,
        ("configuration", "client", "tenant", "default", "table", "columns", "rows", "read from"),
        [
            (
                configuration.configuration_id,
                configuration.client_id,
                configuration.tenant,
                "yes" if configuration.default else "",
                table.name,
                str(len(table.columns)),
                f"{table.row_estimate:,}",
                f"{configuration.source}: {table.source}",
            )
            for configuration in sorted(
                catalog.configurations, key=lambda c: (c.tenant, c.client_id, c.configuration_id)
            )
            for table in configuration.tables
        ],
    )
    if catalog.applications:
        _print_applications(out, catalog)
    if catalog.templates:
        _print_templates(out, catalog)
    if catalog.regions:
        _print_grid(
            out,
            ("region", "base URL"),
            [
                (region.region_id, region.base_url)
                for region in sorted(catalog.regions, key=lambda r: r.region_id)
            ],
        )


def _print_templates(out: Console, catalog: Catalog) -> None:
    _print_grid(
        out,
        ("template", "for", "from version", "columns", "order", "read from"),
        [
            (
                one.template.template_id,
                "every tenant"
                if one.template.tenants is None
                else ", ".join(sorted(one.template.tenants)),
                str(one.template.minimum_version or ""),
                str(len(one.template.columns)),
                ", ".join(one.table.primary_key),
                f"{one.source}: {one.table.source or 'a query'}",
            )
            for one in sorted(catalog.templates, key=lambda one: one.template.template_id)
        ],
    )


def _print_applications(out: Console, catalog: Catalog) -> None:
    _print_grid(
        out,
        ("application", "tenant", "environment", "version", "definition", "payload", "top level"),
        [
            (
                application.application_id,
                application.tenant,
                application.identifier,
                application.version,
                definition.code,
                definition.output.value,
                ", ".join(definition.table(number).name for number in definition.top_level),
            )
            for application in sorted(catalog.applications, key=lambda a: a.tenant)
            for definition in application.definitions
        ],
    )


def print_versions(out: Console, publications: Sequence[Publication]) -> None:
    """Versions, newest first."""
    _print_grid(
        out,
        ("version", "published", "digest"),
        [(str(p.version), _when(p.published_at), p.digest[:12]) for p in publications],
    )


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
    """Clients, a line for each secret."""
    rows = []
    for client, secrets in clients:
        facts = (client.client_id, client.name, ", ".join(client.tenants))
        rows += [(*facts, secret.secret_id, _when(secret.created_at)) for secret in secrets]
        if not secrets:
            rows.append((*facts, "none", ""))
    _print_grid(out, ("client", "name", "tenants", "secret", "since"), rows)


type Secrets = Sequence[tuple[str, datetime]]


def webhook_json(client_id: str, endpoint: Endpoint, secrets: Secrets) -> Json:
    """A client's webhook with its secrets, of which only the ids are shown."""
    return {
        "clientId": client_id,
        "webhook": endpoint.name,
        "url": endpoint.url,
        "default": endpoint.default,
        "secrets": [{"secretId": one, "createdAt": rfc3339(since)} for one, since in secrets],
    }


def print_webhooks(out: Console, webhooks: Sequence[tuple[str, Endpoint, Secrets]]) -> None:
    """Webhooks, a line for each secret."""
    rows = []
    for client_id, endpoint, secrets in webhooks:
        facts = (client_id, endpoint.name, "yes" if endpoint.default else "", endpoint.url)
        rows += [(*facts, one, _when(since)) for one, since in secrets]
        if not secrets:
            rows.append((*facts, "none", ""))
    _print_grid(out, ("client", "webhook", "default", "url", "secret", "since"), rows)


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
        "schedule": operation.occasion.schedule if operation.occasion else None,
        "syncVersion": operation.sync_version,
        "quotaDay": operation.quota_day,
        "refunded": operation.refunded,
        "createdAt": rfc3339(operation.created_at),
        "startedAt": _moment(operation.started_at),
        "endedAt": _moment(operation.ended_at),
        "expiresAt": _moment(operation.expires_at),
        "error": _failure(operation),
        "jobs": [_job_json(job) for job in operation.jobs],
        "deliveries": [_delivery_json(delivery) for delivery in operation.deliveries],
    }


def _delivery_json(delivery: Delivery) -> Json:
    return {
        "id": delivery.delivery_id,
        "endpoint": delivery.endpoint,
        "state": str(delivery.state),
        "tries": delivery.tries,
        "lastTryAt": _moment(delivery.last_try_at),
        "lastStatus": delivery.last.status,
        "lastError": delivery.last.error,
        "nextTryAt": _moment(delivery.next_try_at),
    }


def _job_json(job: Job) -> Json:
    return {
        "jobId": job.job_id,
        "table": job.table,
        "status": str(job.status),
        "percent": job.percent,
        "attempt": job.attempt,
        "slices": len(job.slices),
        "slicesDone": len(job.slices_done),
        "rows": job.rows,
        "bytes": job.size,
        "sha256": job.sha256,
        "key": job.key,
        "error": _failure(job),
    }


def print_operations(out: Console, operations: Sequence[Operation]) -> None:
    """Operations, newest first."""
    _print_grid(
        out,
        ("operation", "tenant", "client", "configuration", "status", "created", "took"),
        [
            (
                operation.operation_id,
                operation.tenant,
                operation.client_id,
                operation.request.configuration_id,
                str(operation.status),
                _when(operation.created_at),
                _duration(operation),
            )
            for operation in operations
        ],
    )


_APART = ("jobs", "deliveries", "error")


def print_operation(out: Console, operation: Operation) -> None:
    """One operation with its jobs."""
    facts = operation_json(operation)
    shown = [(k, str(v)) for k, v in facts.items() if k not in _APART and v is not None]
    _print_grid(out, None, shown)
    if operation.failure:
        _say(out, f"failed: {operation.failure.code}: {operation.failure.detail}")
    _print_grid(
        out,
        ("job", "table", "status", "attempt", "rows", "bytes", "slices", "error"),
        [
            (
                job.job_id[-4:],
                job.table,
                str(job.status),
                str(job.attempt),
                "" if job.rows is None else f"{job.rows:,}",
                "" if job.size is None else f"{job.size:,}",
                f"{len(job.slices_done)}/{len(job.slices)}",
                f"{job.failure.code}: {job.failure.detail}" if job.failure else "",
            )
            for job in operation.jobs
        ],
    )
    _print_grid(
        out,
        ("webhook", "state", "tries", "last try", "answered", "next try"),
        [
            (
                delivery.endpoint,
                str(delivery.state),
                str(delivery.tries),
                _when(delivery.last_try_at) if delivery.last_try_at else "",
                str(delivery.last.status or delivery.last.error or ""),
                _when(delivery.next_try_at) if delivery.next_try_at else "",
            )
            for delivery in operation.deliveries
        ],
    )


def capture_plan_json(plan: Plan, refused: Sequence[NotCapturable], *, dry_run: bool) -> Json:
    """What is done to a source, or would be."""
    return {
        "dryRun": dry_run,
        "steps": [
            {"purpose": step.purpose, "statements": list(step.statements)} for step in plan.steps
        ],
        "notCaptured": [{"table": one.name, "reason": one.reason} for one in refused],
    }


def print_capture_plan(out: Console, plan: Plan, *, dry_run: bool) -> None:
    """The same: as SQL that a person can run, or what was done."""
    for step in plan.steps:
        if dry_run:
            out.out(step.script, highlight=False)
        else:
            _say(out, f"{step.purpose}: done")
    if not plan.steps:
        _say(out, "-- nothing to do" if dry_run else "nothing to do")


def capture_status_json(status: CaptureStatus, refused: Sequence[NotCapturable]) -> Json:
    """How a source's change log stands."""
    holder = status.holder
    return {
        "installed": status.installed,
        "rows": status.rows,
        "sizeBytes": status.size_bytes,
        "partitions": status.partitions,
        "daysAhead": status.days_ahead,
        "oldestDay": status.oldest.isoformat() if status.oldest else None,
        "newestDay": status.newest.isoformat() if status.newest else None,
        "lagSeconds": round(status.lag_s, 3),
        "oldestTransaction": None
        if holder is None
        else {
            "process": holder.process,
            "user": holder.user,
            "application": holder.application,
            "state": holder.state,
            "ageSeconds": round(holder.age_s, 3),
        },
        "tables": [
            {
                "table": table.name,
                "capturedSince": _moment(table.captured_since),
                "rows": table.rows,
                "trouble": table.trouble,
            }
            for table in status.tables
        ]
        + [
            {"table": one.name, "capturedSince": None, "rows": 0, "trouble": one.reason}
            for one in refused
        ],
    }


def print_capture_status(
    out: Console, status: CaptureStatus, refused: Sequence[NotCapturable]
) -> None:
    """The same, for people."""
    if not status.installed:
        _say(out, "There is no change log in this source.")
    else:
        oldest = f"since {status.oldest}" if status.oldest else "empty"
        _say(
            out,
            f"change log: {status.rows:,} rows, {status.size_bytes:,} bytes, {oldest}; "
            f"{status.partitions} partitions, {status.days_ahead} days ahead",
        )
        if status.holder is not None:
            one = status.holder
            _say(
                out,
                f"oldest writing transaction: {one.age_s:.0f} s ({one.state}), process "
                f"{one.process}, {one.user} {one.application}".rstrip(),
            )
    _print_grid(
        out,
        ("table", "captured since", "rows of the log", "trouble"),
        [
            (
                table.name,
                _when(table.captured_since) if table.captured_since else "",
                f"{table.rows:,}",
                table.trouble or "",
            )
            for table in status.tables
        ]
        + [(one.name, "", "", one.reason) for one in refused],
    )


def schedule_json(standing: ScheduleStanding) -> Json:
    """A schedule with its last run."""
    schedule = standing.schedule
    return {
        **document.schedule_to_json(schedule),
        "nextRun": _moment(standing.next_due),
        "lastRun": scheduled_run_json(schedule, standing.runs[0]) if standing.runs else None,
    }


def scheduled_run_json(schedule: Schedule, run: ScheduledRun) -> Json:
    """A run of a schedule."""
    reason = run.reason
    return {
        "schedule": schedule.name,
        "tenant": schedule.tenant,
        "clientId": schedule.client_id,
        "dueAt": rfc3339(run.due),
        "state": str(run.state),
        "operationId": run.operation_id,
        "kind": run.kind,
        "tries": run.tries,
        "reason": None if reason is None else {"code": reason.code, "detail": reason.detail},
    }


def print_schedules(out: Console, standings: Sequence[ScheduleStanding]) -> None:
    """Schedules, a line each."""
    _print_grid(
        out,
        ("schedule", "tenant", "client", "configuration", "kind", "when", "next run", "last run"),
        [
            (
                one.schedule.name,
                one.schedule.tenant,
                one.schedule.client_id,
                one.schedule.configuration_id,
                str(one.schedule.kind),
                f"{one.schedule.cron} {one.schedule.time_zone}",
                _when(one.next_due) if one.next_due else "disabled",
                f"{one.runs[0].state} {_when(one.runs[0].due)}" if one.runs else "",
            )
            for one in standings
        ],
    )


def print_scheduled_runs(out: Console, runs: Sequence[tuple[Schedule, ScheduledRun]]) -> None:
    """Runs, the latest first."""
    _print_grid(
        out,
        ("due", "schedule", "tenant", "client", "state", "operation", "why"),
        [
            (
                _when(run.due),
                schedule.name,
                schedule.tenant,
                schedule.client_id,
                str(run.state),
                run.operation_id or "",
                f"{run.reason.code}: {run.reason.detail}" if run.reason else "",
            )
            for schedule, run in runs
        ],
    )


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


def _print_grid(
    out: Console, headings: tuple[str, ...] | None, rows: Sequence[tuple[str, ...]]
) -> None:
    """Columns side by side. Nothing is cut short: ids are there to be copied."""
    lines = [*([headings] if headings else []), *rows]
    if not rows:
        return
    widths = [max(cell_len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        padded = (
            value + " " * (width - cell_len(value))
            for value, width in zip(line, widths, strict=True)
        )
        _say(out, "  ".join(padded).rstrip(), style="bold" if line is headings else "")
    _say(out, "")


def _say(out: Console, text: str, style: str = "") -> None:
    # Names come from files and databases: none of them is markup.
    out.print(Text(text, style), soft_wrap=True)


# --- audit ----------------------------------------------------------------------------------


def event_json(event: Event) -> Json:
    """An event of the trail; what it has not is left out."""
    found = as_json(event)
    return {name: value for name, value in found.items() if value not in (None, {})}


def failing_json(failing: Failing) -> Json:
    """What came to nothing."""
    return {name: value for name, value in as_json(failing).items() if value is not None}


def print_statistics(out: Console, days: Sequence[Day], failings: Sequence[Failing]) -> None:
    """What a service did, for people: the days on which it did something, the newest last."""
    busy = [day for day in days if day.counts]
    actions = [action for action in Action if any(action in day.counts for day in busy)]
    if busy:
        _print_grid(
            out,
            ("day", *(str(action) for action in actions)),
            [
                (day.day.isoformat(), *(f"{day.counts.get(action, 0):,}" for action in actions))
                for day in busy
            ],
        )
    else:
        _say(out, "nothing was done on these days")
    if failings:
        _say(out, "")
        _print_grid(
            out,
            ("at", "what", "status", "code", "correlation id"),
            [
                (_when(one.at), one.what, str(one.status), one.code, one.correlation_id)
                for one in failings
            ],
        )


# --- templates ------------------------------------------------------------------------------


def standing_json(standing: Standing) -> Json:
    """How a template stands for a tenant."""
    template = standing.template
    return {
        "template": standing.template_id,
        "name": None if template is None else template.name,
        "tenant": standing.tenant,
        "kind": None if template is None else _kind(template),
        "minimumVersion": None
        if template is None or template.minimum_version is None
        else str(template.minimum_version),
        "exists": standing.exists,
        "activeSince": None if standing.active_since is None else rfc3339(standing.active_since),
        "readable": standing.is_readable,
    }


def print_standings(out: Console, standings: Sequence[Standing]) -> None:
    """How templates stand for tenants, a line each."""
    _print_grid(
        out,
        ("template", "tenant", "kind", "active since", "name"),
        [
            (
                one.template_id,
                one.tenant,
                "" if one.template is None else _kind(one.template),
                _active(one),
                "" if one.template is None else one.template.name,
            )
            for one in standings
        ],
    )


def _kind(template: Template) -> str:
    return "standard" if template.is_standard else "custom"


def _active(standing: Standing) -> str:
    since = "no" if standing.active_since is None else _when(standing.active_since)
    if standing.exists:
        return since
    if standing.template is None:
        return f"{since} (not in the catalog)"
    if standing.template.minimum_version is None:
        return f"{since} (not for this tenant)"
    return f"{since} (from version {standing.template.minimum_version} on)"


# --- persons --------------------------------------------------------------------------------


def role_json(role: Role) -> Json:
    """A role and what it allows."""
    return {
        "tenant": role.tenant,
        "role": role.name,
        "integrator": role.integrator,
        "permissions": sorted(role.permissions),
        "groups": None if role.groups is None else sorted(role.groups),
    }


def print_roles(out: Console, roles: Sequence[Role]) -> None:
    """Roles, a line each."""
    rows = [
        (
            role.name,
            "yes" if role.integrator else "no",
            ", ".join(sorted(role.permissions)),
            "all" if role.groups is None else ", ".join(sorted(role.groups)),
        )
        for role in roles
    ]
    _print_grid(out, ("role", "may log in", "permissions", "profiles of groups"), rows)


def account_json(holder: AccountHolder) -> Json:
    """An account holder."""
    return {
        "tenant": holder.tenant,
        "account": holder.account_id,
        "registeredAt": rfc3339(holder.registered_at),
        "registeredBy": holder.registered_by,
    }


def print_accounts(out: Console, holders: Sequence[AccountHolder]) -> None:
    """Account holders, a line each."""
    rows = [(one.account_id, one.registered_by, _when(one.registered_at)) for one in holders]
    _print_grid(out, ("account", "registered by", "since"), rows)


def organisation_json(organisation: Organisation) -> Json:
    """An organisation."""
    return {
        "tenant": organisation.tenant,
        "organisation": organisation.organisation_id,
        "name": organisation.name,
        "registeredAt": rfc3339(organisation.registered_at),
    }


def print_organisations(out: Console, organisations: Sequence[Organisation]) -> None:
    """Organisations, a line each."""
    rows = [(one.organisation_id, one.name, _when(one.registered_at)) for one in organisations]
    _print_grid(out, ("organisation", "name", "since"), rows)


def consent_json(consent: Consent, now: datetime) -> Json:
    """A consent as it stands now."""
    shown: Json = as_json(ConsentView.of(consent, now))
    return {"tenant": consent.tenant, **shown, "changedBy": consent.changed_by}


def print_consents(out: Console, consents: Sequence[Consent], now: datetime) -> None:
    """Consents as they stand now, a line each."""
    rows = [
        (
            one.party,
            f"{one.audience.kind} {one.audience.audience_id}",
            str(one.state_at(now)),
            "yes" if one.shares_at(now) else "no",
            _when(one.validity.begins),
            "" if one.validity.ends is None else _when(one.validity.ends),
            one.changed_by,
        )
        for one in consents
    ]
    _print_grid(out, ("who", "shares with", "state", "now", "from", "to", "changed by"), rows)


def user_json(user: User) -> Json:
    """A user, without the password's hash."""
    return {
        "tenant": user.tenant,
        "userId": user.user_id,
        "username": user.username,
        "role": user.role,
        "active": user.is_active,
        "createdAt": rfc3339(user.created_at),
    }


def print_users(out: Console, users: Sequence[User]) -> None:
    """Users, a line each."""
    rows = [
        (
            user.username,
            user.role,
            "active" if user.is_active else "disabled",
            user.user_id,
            _when(user.created_at),
        )
        for user in users
    ]
    _print_grid(out, ("user", "role", "state", "id", "since"), rows)


def team_json(team: Team, members: Sequence[User]) -> Json:
    """A team and who is in it."""
    return {
        "tenant": team.tenant,
        "team": team.name,
        "members": [{"userId": user.user_id, "username": user.username} for user in members],
    }


def print_teams(out: Console, teams: Sequence[tuple[Team, Sequence[User]]]) -> None:
    """Teams, a line for each member."""
    rows = []
    for team, members in teams:
        rows += [(team.name, user.username, user.user_id) for user in members]
        if not members:
            rows.append((team.name, "nobody", ""))
    _print_grid(out, ("team", "member", "id"), rows)


# --- services -------------------------------------------------------------------------------


def print_managers(out: Console, users: Sequence[str], teams: Iterable[str]) -> None:
    """Who manages a service, for people."""
    rows = [("user", name) for name in users] + [("team", name) for name in sorted(teams)]
    if rows:
        _print_grid(out, ("", "manager"), rows)
    else:
        _say(out, "nobody manages it; name somebody with --user or --team")


def key_json(key: ApiKey, now: datetime) -> Json:
    """An API key, as its managers see it."""
    return {name: value for name, value in as_json(KeyView.of(key, now)).items() if value}


def print_keys(out: Console, keys: Sequence[ApiKey], now: datetime) -> None:
    """API keys, for people."""
    _print_grid(
        out,
        ("key", "kind", "state", "name", "begins with", "last used", "expires"),
        [
            (
                key.key_id,
                str(key.kind),
                str(key.state(now)),
                key.name or "",
                key.shown or "",
                _when(key.last_used_at) if key.last_used_at else "never",
                _when(key.expires_at),
            )
            for key in keys
        ],
    )
