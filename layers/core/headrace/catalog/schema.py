"""The catalog files, as operators write them. docs/catalog-reference.md is generated from here.

Unknown keys are refused, and values are never bent into another type: a catalog says who sees
what, so it must mean what it says.
"""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from headrace.catalog.model import DEFAULT_DAILY_QUOTA, FURTHER_SCOPES, SCOPES
from headrace.catalog.suggestions import did_you_mean
from headrace.catalog.values import (
    EXAMPLE_ORGANIZATION,
    PROFILE_ID,
    BaseUrl,
    CalledUrl,
    ClientId,
    CronText,
    Distinct,
    DistinguishedName,
    GroupName,
    Id64,
    Id128,
    KeySet,
    NetworkText,
    OrganizationId,
    ProfileUrl,
    PublicName,
    RowValue,
    ScopeName,
    SourceName,
    TimeZone,
    Title,
    VersionText,
    without_repeats,
)


class Entry(BaseModel):
    """What all entries share: strict types, no unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TenantEntry(Entry):
    """An organisation whose rows the sources hold."""

    id: Id64 = Field(description="The tenant's id, as tokens name it.")
    name: Title = Field(description="What people call it.")
    time_zone: TimeZone = Field(
        default="UTC",
        description="IANA time zone; its midnight resets the daily quotas of the tenant's clients.",
        examples=["Europe/Amsterdam"],
    )
    kms_key: Title | None = Field(
        default=None,
        description="KMS key (id, ARN or alias) that encrypts the tenant's files. "
        "Without one they are encrypted with the stack's key.",
        examples=["alias/northwind-care"],
    )
    application_version: VersionText | None = Field(
        default=None,
        description="The version of the application that it works with. Standard templates are "
        "there from a version on; without one, those that ask for none.",
        examples=["2019.2603"],
    )
    organization_id: OrganizationId | None = Field(
        default=None,
        description="A UUID: what systems that push profiles know it by. Without one, no profiles "
        "can be pushed.",
        examples=[EXAMPLE_ORGANIZATION],
    )
    region: Id64 | None = Field(
        default=None,
        description="The region whose deployment alone serves its profiles; without one, each "
        "deployment does that has this catalog.",
        examples=["aue"],
    )
    profile_url: ProfileUrl | None = Field(
        default=None,
        description=f"Where one of its profiles is shown, by https, with `{PROFILE_ID}` for its "
        "id; `GET /redirect` leads there. On a local platform also by http, to this machine.",
        examples=[f"https://hub.example/profiles/{PROFILE_ID}"],
    )


class RegionEntry(Entry):
    """A region: a deployment of its own, which serves the tenants that live there."""

    id: Id64 = Field(description="The region's id, as in the deployment's parameter `Region`.")
    base_url: BaseUrl = Field(
        description="Where its deployment is called, by https; who calls another one for a tenant "
        "of this region is told it. On a local platform also by http, to this machine.",
        examples=["https://aue.api.example/v1"],
    )


class WebhookEntry(Entry):
    """Where a client wants to be told that an operation has ended.

    The secret that messages are signed with is not part of the catalog; `headrace-admin webhook
    secret` issues it.
    """

    name: Id64 = Field(description="The name that callers send as `webhook`.")
    url: CalledUrl = Field(
        description="Where messages are posted, by https. On a local platform also by http, to "
        "this machine.",
        examples=["https://hooks.bureau.example/headrace"],
    )
    default: bool = Field(
        default=False,
        description="Is it told of operations that name no webhook. At most one per client.",
    )


class RowsEntry(Entry):
    """A choice of rows: those that hold one of the values in the column."""

    column: SourceName = Field(description="A column of the source; it need not be a chosen one.")
    values: list[RowValue] = Field(
        min_length=1,
        description="Texts, whole numbers, true or false. Dates and UUIDs are written as texts.",
    )


class AccessEntry(Entry):
    """What a service may see of a table that its configurations grant; it can only narrow them."""

    table: PublicName = Field(description="The table, by the name that callers see.")
    columns: Distinct[PublicName] = Field(
        default=[],
        description="The columns, by the names that callers see; without any, all that are "
        "granted. Those of the primary key must be among them.",
    )
    rows: list[RowsEntry] = Field(
        default=[], description="Further choices of rows; all of them must hold."
    )


class ServiceEntry(Entry):
    """What makes a client an external service: it sees an account's rows with consent only."""

    kind: Literal["external", "broker"] = Field(
        default="external",
        description="`external`: account holders share with the service itself. `broker`: they "
        "share with organisations, which are members of the broker, and each call says on whose "
        "behalf it is made.",
    )
    access: list[AccessEntry] | None = Field(
        default=None,
        description="Its access filter: the tables it may see, of all that its configurations "
        "grant, and what of each. Without one, all that they grant.",
    )

    @model_validator(mode="after")
    def _names_a_table_once(self) -> "ServiceEntry":
        without_repeats([one.table for one in self.access or ()])
        return self


class ClientEntry(Entry):
    """A program that takes data: one integrator's, with a secret of its own.

    The secret is not part of the catalog; `headrace-admin client create` issues it.
    """

    id: ClientId = Field(
        description="The client's id, as it asks for tokens with; not `user`, which stands for the "
        "persons who log in."
    )
    name: Title = Field(description="Whose it is.")
    tenants: Distinct[Id64] = Field(
        min_length=1,
        description="The tenants it may act for. With several, it names one for each token.",
    )
    scopes: Distinct[ScopeName] = Field(
        default=list(SCOPES),
        min_length=1,
        description="What it may do, without the deployment's scope prefix: "
        + ", ".join(f"`{scope}`" for scope in SCOPES)
        + "; and those that a client has only if its entry says so, "
        + ", ".join(f"`{scope}`" for scope in FURTHER_SCOPES)
        + ": the first is for services that subscribe accounts to themselves, the next two are for "
        "programs that carry data sets, then templates, and profiles.",
    )
    daily_quota: int = Field(
        default=DEFAULT_DAILY_QUOTA,
        ge=0,
        le=1_000_000,
        description="How many operations it may start on a day of its tenant's; 0 stops it.",
    )
    allowed_networks: list[NetworkText] = Field(
        default=[],
        description="Networks (CIDR, IPv4 or IPv6) that it may call from; without any, from "
        "anywhere.",
        examples=[["192.0.2.0/24", "2001:db8::/32"]],
    )
    trusted_issuers: list[Title] = Field(
        default=[],
        description="External issuers, among those that the deployment trusts, whose tokens may "
        "speak for this client.",
    )
    dpop: Literal["optional", "required"] = Field(
        default="optional",
        description="Whether its tokens are taken only along with a proof that the caller has the "
        "key they are bound to (DPoP, RFC 9449). With `optional`, those that were asked for with a "
        "proof are, and others are plain bearer tokens.",
    )
    jwks: KeySet | None = Field(
        default=None,
        description="The public keys (a JWK set) that it proves itself by at the token endpoint, "
        "in place of a secret (`private_key_jwt`, RFC 7523): RSA or P-256, each with a `kid`.",
    )
    jwks_uri: CalledUrl | None = Field(
        default=None,
        description="Where it publishes those keys, by https, in place of `jwks`: then it changes "
        "them by itself.",
        examples=["https://client.example/jwks.json"],
    )
    service: ServiceEntry | None = Field(
        default=None,
        description="If it is a service that account holders subscribe to (docs/consents.md); "
        "without it, consents do not concern it.",
    )
    tls_client_auth_subject_dn: DistinguishedName | None = Field(
        default=None,
        description="The subject of the certificate that it authenticates with at the token "
        "endpoint (`tls_client_auth`, RFC 8705), as RFC 4514 writes it. Its issuer must be in the "
        "truststore. Tokens asked for so are bound to the certificate.",
        examples=["CN=exports,O=Acme,C=NL"],
    )
    certificate_bound: Literal["optional", "required"] = Field(
        default="optional",
        description="Whether its tokens are taken only over a connection with the client "
        "certificate that they are bound to (RFC 8705). With `required`, it asks for them over "
        "such a connection too, whatever way it authenticates.",
    )
    profile_groups: Distinct[GroupName] | None = Field(
        default=None,
        min_length=1,
        description="The names of the groups whose profiles it sees; without them, all profiles. "
        "Those in no group it then sees not.",
        examples=[["First team"]],
    )
    webhooks: list[WebhookEntry] = Field(
        default=[], description="Where it wants to be told that an operation has ended."
    )

    @model_validator(mode="after")
    def _has_its_keys_in_one_place(self) -> "ClientEntry":
        if self.jwks is not None and self.jwks_uri is not None:
            raise ValueError("has jwks and jwks_uri; give its keys in one place")
        return self

    @model_validator(mode="after")
    def _is_a_service_of_one_tenant(self) -> "ClientEntry":
        if self.service is not None and len(self.tenants) > 1:
            raise ValueError(
                f"is a service and serves {len(self.tenants)} tenants; its managers and accounts "
                "are of one, so declare a service for each"
            )
        return self

    @model_validator(mode="after")
    def _tells_webhooks_apart(self) -> "ClientEntry":
        names = [one.name for one in self.webhooks]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'has two webhooks "{name}"; give one of them another name')
        defaults = [one.name for one in self.webhooks if one.default]
        if len(defaults) > 1:
            raise ValueError(f"has {len(defaults)} default webhooks; there can be one only")
        return self


OPTIONS: dict[str, dict[str, tuple[bool, str]]] = {
    "ducklake": {
        "catalog": (
            True,
            "The catalog database: `postgres:DATABASE` (for workers and loaders on many "
            "machines), `sqlite:FILE` (in WAL mode, so that a loader can commit while an export "
            "reads) or `duckdb:FILE`.",
        ),
        "data_path": (
            False,
            "The folder or `s3://` prefix of the data files; without one, what the catalog says.",
        ),
        "metadata_schema": (
            False,
            "Of a catalog in PostgreSQL: the schema that its tables are in; without one, `public`.",
        ),
        **dict.fromkeys(
            ("host", "port", "secret", "user", "tls", "tls_ca"),
            (False, "Of a catalog in PostgreSQL, as of a source of kind `postgresql`."),
        ),
    },
    "postgresql": {
        "host": (
            False,
            "The server's name or address, or the folder of its Unix socket; without one, the "
            "secret's `host`.",
        ),
        "port": (False, "Its port; without one, the secret's `port`, else 5432."),
        "database": (False, "The database; without one, the secret's `dbname`."),
        "secret": (
            False,
            "The name or ARN of a secret in Secrets Manager, in the form that RDS gives them: a "
            "JSON object with `username` and `password`.",
        ),
        "user": (False, "The role, where there is no secret: a server that asks for no password."),
        "replica_host": (False, "A replica that is read instead of `host`."),
        "tls": (
            False,
            "`verify-full` (the default), `verify-ca`, `require` or `disable`; a Unix socket has "
            "none.",
        ),
        "tls_ca": (False, "A file of certificates that the server's must descend from."),
        "statement_timeout": (False, "Seconds after which the server ends a query of ours."),
        "lock_timeout": (False, "Seconds that a query waits for a lock."),
        "max_connections": (
            False,
            "Workers that read from it at once, over all operations and clients; 4 without it. Not "
            "counted are those that plan, and those that hold a snapshot open for others.",
        ),
        "change_retention_days": (
            False,
            "Days that the change log is kept for increments, 1 to 365; 14 without it. What is "
            "older can no longer be told, and takes a full export.",
        ),
    },
    "duckdb": {"path": (True, "The database file. Its views are not offered, only its tables.")},
    "parquet": {
        "path": (
            True,
            "A folder or `s3://` prefix: each `NAME.parquet` in it is a table, and so is each "
            "folder `NAME/` of Parquet files.",
        )
    },
    "delta": {
        "path": (
            True,
            "A folder or `s3://` prefix: each folder `NAME/` in it that has a `_delta_log/` is a "
            "table.",
        )
    },
    "athena": {
        "database": (True, "The database in the account's Glue Data Catalog."),
        "workgroup": (False, "The workgroup that queries run in; `primary` if none is given."),
    },
}
"""The options of each kind of source: whether it must be given, and what it means."""


class SourceEntry(Entry):
    """Where tables are read from."""

    name: Id64 = Field(description="The name that configurations refer to.")
    kind: Literal["ducklake", "postgresql", "duckdb", "parquet", "delta", "athena"] = Field(
        description="What it is."
    )
    options: dict[str, str] = Field(description="Where it is; see below, by kind.")
    expected_every: Annotated[str, Field(pattern="^[1-9][0-9]{0,3}[mhd]$")] | None = Field(
        default=None,
        description="How old its newest data may be, in minutes (`90m`), hours or days. An alarm "
        "begins where it is older for long ([runbooks.md](runbooks.md#sources-behind)). Not of "
        "`postgresql`, which tells by itself how far a replica is behind, nor of `athena`, which "
        "cannot tell.",
        examples=["26h"],
    )

    @property
    def expected_within(self) -> timedelta | None:
        """How old its newest data may be."""
        if self.expected_every is None:
            return None
        unit = {"m": "minutes", "h": "hours", "d": "days"}[self.expected_every[-1]]
        return timedelta(**{unit: int(self.expected_every[:-1])})

    @model_validator(mode="after")
    def _can_tell_its_age(self) -> "SourceEntry":
        if self.expected_every is not None and self.kind in ("postgresql", "athena"):
            raise ValueError(
                f"a {self.kind} source cannot tell how old its newest data is: "
                'leave out "expected_every"'
            )
        return self

    @model_validator(mode="after")
    def _knows_its_options(self) -> "SourceEntry":
        known = OPTIONS[self.kind]
        for key in self.options:
            if key not in known:
                hint = did_you_mean(key, known) or f"; it has {', '.join(known)}"
                raise ValueError(f'a {self.kind} source has no option "{key}"{hint}')
        for key, (required, meaning) in known.items():
            if required and not self.options.get(key):
                raise ValueError(f'a {self.kind} source needs the option "{key}": {meaning}')
        days = self.options.get("change_retention_days")
        if days is not None and not (re.fullmatch("[1-9][0-9]{0,2}", days) and int(days) <= 365):
            raise ValueError(f'"change_retention_days" must be 1 to 365, in quotes, not "{days}"')
        return self


def column_by_name(value: Any) -> Any:
    """A column of which nothing but its name is said."""
    return {"source": value} if isinstance(value, str) else value


class ColumnEntry(Entry):
    """A column that callers see. A plain text `id` is short for `{source: id}`."""

    source: SourceName = Field(description="The column in the source.")
    name: PublicName | None = Field(
        default=None, description="What callers see it as; without one, its name in the source."
    )

    @property
    def public_name(self) -> str:
        """The name that callers see."""
        return self.name if self.name is not None else self.source


class TableEntry(Entry):
    """A table that callers may take: which columns of it, and whose rows.

    Whose rows must be said: by `tenant_column`, by `rows`, or by `all_rows: true`. A forgotten
    one would hand out other tenants' rows.
    """

    name: PublicName = Field(description="What callers see it as.")
    source: SourceName = Field(
        description="The table in the source, `schema.table`; the schema may be left out where "
        "the name is clear without.",
        examples=["hr.employees"],
    )
    columns: list[Annotated[ColumnEntry, BeforeValidator(column_by_name)]] = Field(
        min_length=1,
        description="The columns, in their order. What is not listed is not visible, in the data "
        "or in the metadata.",
        examples=[["id", {"source": "first_name", "name": "firstName"}]],
    )
    primary_key: Distinct[PublicName] = Field(
        default=[],
        description="The columns (by the names callers see) that tell rows apart. Each must be "
        "chosen, and never be NULL.",
    )
    tenant_column: SourceName | None = Field(
        default=None, description="The column of the source that holds the tenant's id."
    )
    rows: list[RowsEntry] = Field(
        default=[],
        description="Further choices of rows; all of them must hold. Use them alone where the "
        "source knows the tenant by another id.",
    )
    ordered: bool = Field(
        default=False,
        description="Write rows in the order of the primary key, as the source compares its "
        "values. It costs the source a sort; a DuckLake, DuckDB or Parquet table is then not "
        "split, and must fit into a worker's memory.",
    )
    all_rows: bool = Field(
        default=False, description="Yes, this table has no other tenant's rows: hand out all."
    )
    account_column: SourceName | None = Field(
        default=None,
        description="The column of the source that says which account a row belongs to. A "
        "service (see above) gets the rows of accounts that share with it; other clients get all.",
    )
    rows_without_account: Literal["hidden", "public"] = Field(
        default="hidden",
        description="What a service gets of rows whose account column is NULL: none, or all.",
    )
    public: bool = Field(
        default=False,
        description="Yes, a service gets this table as it is, whoever shares: its rows are about "
        "no account. A service's table has this or an account column.",
    )

    @model_validator(mode="after")
    def _says_whose_rows(self) -> "TableEntry":
        chosen = self.tenant_column is not None or bool(self.rows)
        if not chosen and not self.all_rows:
            raise ValueError(
                "says nothing of whose rows to hand out: add tenant_column, or rows, "
                "or all_rows: true if the table holds this tenant's rows only"
            )
        if self.ordered and not self.primary_key:
            raise ValueError("says ordered: true and has no primary_key to be ordered by")
        if chosen and self.all_rows:
            raise ValueError("says all_rows: true and chooses rows as well; take one of them out")
        if self.public and self.account_column is not None:
            raise ValueError("says public: true and has an account_column; take one of them out")
        if self.rows_without_account == "public" and self.account_column is None:
            raise ValueError("says rows_without_account: public and has no account_column")
        return self


class ConfigurationEntry(Entry):
    """What one client may take for one tenant."""

    id: Id64 = Field(description="The configuration's id, as callers name it.")
    client: Id128 = Field(description="The client.")
    tenant: Id64 = Field(description="The tenant; the client must serve it.")
    default: bool = Field(
        default=False,
        description="Is it meant when a call names none. At most one per client and tenant.",
    )
    source: Id64 = Field(description="The source that its tables are read from.")
    snapshot: Literal["job", "operation"] = Field(
        default="job",
        description="Of a `postgresql` source: whether each table is read in a snapshot of its "
        "own, or all tables of an operation in one, which is held open in the database until the "
        "last table has been read. Other sources show all tables at one version anyway.",
    )
    resync: Literal["refuse", "document"] = Field(
        default="refuse",
        description="What an increment does with a table whose changes cannot be told, as it was "
        "emptied by TRUNCATE, say, or is granted otherwise than before: `refuse` it, so that the "
        "client takes a full export, or put all rows of the table into a `document`, marked as "
        "such.",
    )
    escape_formulas: bool = Field(
        default=False,
        description="In CSV, write texts that begin with `=`, `+`, `-`, `@` or a control character "
        "behind an apostrophe, so that a spreadsheet does not run them. It changes the data: leave "
        "it off unless people open the files in a spreadsheet.",
    )
    tables: list[TableEntry] = Field(min_length=1, description="The tables.")


class ScheduleEntry(Entry):
    """An operation that is started for a client over and over ([schedules.md](schedules.md)).

    Its runs count as if the client had started them: against its quota, and one at a time.
    """

    name: Id64 = Field(description="The schedule's name, of its own for this tenant and client.")
    client: Id128 = Field(description="The client whose operations they are.")
    tenant: Id64 = Field(description="The tenant; the client must serve it.")
    configuration: Id64 = Field(description="The configuration of theirs that is exported.")
    cron: CronText = Field(
        description="When: minute, hour, day of the month, month, day of the week.",
        examples=["0 2 * * *", "30 6 * * MON-FRI"],
    )
    time_zone: TimeZone | None = Field(
        default=None,
        description="IANA time zone whose clock is meant; without one, the tenant's.",
        examples=["Europe/Amsterdam"],
    )
    kind: Literal["full", "incremental"] = Field(
        default="full",
        description="Whether all rows are exported, or what changed since the last completed "
        "export of the same. Where that cannot be told, it is a full one.",
    )
    file_format: Literal["csv", "json", "ndjson", "parquet"] = Field(
        default="csv", description="The format of the documents."
    )
    compression: Literal["none", "gzip", "zstd"] = Field(
        default="none", description="Their compression."
    )
    entity: PublicName | None = Field(
        default=None, description="The one table that is exported; without one, all of them."
    )
    webhook: Id64 | None = Field(
        default=None,
        description="The client's webhook that is told of each end; without one, its default one.",
    )
    enabled: bool = Field(
        default=True, description="Is it at work; what falls due while it is not is not missed."
    )
