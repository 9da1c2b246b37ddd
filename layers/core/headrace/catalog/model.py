"""What a published catalog holds, and what can be wrong with one.

Configurations, tables and sources are those of ``headrace.exports.sources``: the catalog is where
they come from. Tenants and clients here are what the operator declares; identity and exports each
read from them what they need.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from headrace.datasets.definitions import Application
from headrace.exports.schedules import Schedule
from headrace.exports.sources import ColumnType, Configuration, RowFilter, Source, Table
from headrace.exports.webhooks import Endpoint
from headrace.kernel.errors import HeadraceError, NotFound
from headrace.templates.definitions import ApplicationVersion, Template

DEFAULT_DAILY_QUOTA = 3
"""Operations a client may start on a day (seed 000, section 6)."""

SCOPES = ("metadata:read", "data:read", "jobs:manage")
"""Scopes without the deployment's prefix (seed 000, section 4)."""

FURTHER_SCOPES = (
    "consents:manage",
    "dataexchange",
    "datasetoperation:createandexport",
    "templates:read",
    "profiles:read",
    "profiles:write",
)
"""Scopes that a client has only if its entry says so: the first is for services, the next two are
the access restrictions of data set operations (seed 001), then those of templates (seed 003) and
profiles (seed 004)."""


@dataclass(frozen=True)
class Tenant:
    """A tenant. ``time_zone``: its midnight resets quotas; ``kms_key`` encrypts its files."""

    tenant_id: str
    name: str
    time_zone: str
    kms_key: str | None = None
    application_version: ApplicationVersion | None = None
    """Of the application that it works with; standard templates ask for one (seed 003)."""
    organisation_id: str | None = None
    """A UUID in lower case: what systems that push profiles name it by (seed 004)."""
    region: str | None = None
    """The one region whose deployment serves its profiles; None: any."""
    profile_url: str | None = None
    """Where its profiles are shown, with ``{profileId}`` in place of the id."""


@dataclass(frozen=True)
class Region:
    """A deployment of its own: ``base_url`` is where it is called, without a slash at the end."""

    region_id: str
    base_url: str


@dataclass(frozen=True)
class Service:
    """What makes a client an external service (seed 002). ``kind``: ``external`` or ``broker``."""

    kind: str


@dataclass(frozen=True)
class Client:
    """A client: an integrator's program. ``allowed_networks``: CIDRs; empty means anywhere."""

    client_id: str
    name: str
    tenants: tuple[str, ...]
    scopes: tuple[str, ...] = SCOPES
    daily_quota: int = DEFAULT_DAILY_QUOTA
    allowed_networks: tuple[str, ...] = ()
    trusted_issuers: tuple[str, ...] = ()
    webhooks: tuple[Endpoint, ...] = ()
    dpop_required: bool = False
    """Are its tokens taken only along with a proof of possession (RFC 9449)."""
    jwks: str | None = None
    """The public keys that it proves itself by (RFC 7523), a JWK set as JSON."""
    jwks_uri: str | None = None
    """Where it publishes them, in place of ``jwks``."""
    service: Service | None = None
    """If it is a service, it sees rows of accounts only with their holders' consent."""
    tls_client_auth_subject_dn: str | None = None
    """The subject of the certificate that it may authenticate with (RFC 8705)."""
    certificate_bound: bool = False
    """Are its tokens taken only over a connection with the certificate they are bound to."""
    profile_groups: tuple[str, ...] | None = None
    """Names of the groups whose profiles it sees; None: all profiles (seed 004)."""


@dataclass(frozen=True)
class ChoosingColumn:
    """A column of the source by which rows are chosen; it need not be one that callers see."""

    name: str
    type: ColumnType


@dataclass(frozen=True)
class PublishedTemplate:
    """A template, and what is read for it (seed 003).

    ``table`` is ordered: its primary key is the template's order. It has the columns that callers
    see, and no filter; the rows of a tenant are those of ``table_for``.
    """

    template: Template
    source: str
    table: Table
    tenant_column: ChoosingColumn | None = None
    """None: it is for one tenant, whose all rows are."""
    date_column: ChoosingColumn | None = None
    """A date, a timestamp, or one with a time zone."""
    anonymised_column: ChoosingColumn | None = None
    """A boolean: true marks an anonymised person."""

    def table_for(self, tenant: str) -> Table:
        """The table with the rows of this tenant alone. Raises NotFound: it is not for it."""
        tenants = self.template.tenants
        if tenants is not None and tenant not in tenants:
            raise NotFound("There is no such template.")
        column = self.tenant_column
        if column is None:
            return self.table
        mine = RowFilter(column.name, (tenant,), column.type)
        return replace(self.table, filters=(*self.table.filters, mine))


@dataclass(frozen=True)
class Catalog:
    """All that is published together."""

    tenants: tuple[Tenant, ...]
    clients: tuple[Client, ...]
    sources: tuple[Source, ...]
    configurations: tuple[Configuration, ...]
    schedules: tuple[Schedule, ...] = ()
    applications: tuple[Application, ...] = ()
    regions: tuple[Region, ...] = ()
    templates: tuple[PublishedTemplate, ...] = ()


@dataclass(frozen=True)
class Publication:
    """A version that was published. ``changed`` is False if it was there already."""

    version: int
    digest: str
    published_at: datetime
    changed: bool = True


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in a catalog file: where it stands, and what to do about it."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        """As compilers write it, so that editors can jump there."""
        where = f"{self.file}:{self.line}: " if self.line else f"{self.file}: "
        return f"{where}{self.path}: {self.message}" if self.path else f"{where}{self.message}"


class QueryRefused(HeadraceError):
    """A template's query is none that the source can run; the detail says why."""

    code = "query_refused"
    title = "The query cannot be run"


class CatalogRefused(HeadraceError):
    """The catalog cannot be published; ``problems`` are all that was found, in file order."""

    code = "catalog_refused"
    title = "The catalog cannot be published"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))
