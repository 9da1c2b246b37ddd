"""What a deployed platform needs before a client can use it: data, a catalog, credentials."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from secrets import token_urlsafe
from typing import Any

from headrace.adapters.argon2id import Argon2idPasswords
from headrace.adapters.postgresql.application_schemas import PostgresqlApplicationSchemas
from headrace.adapters.warehouse.by_kind import WarehouseByKind
from headrace.catalog.compiling import compile_catalog
from headrace.catalog.declarations import read_declarations, read_folder
from headrace.catalog.model import Catalog
from headrace.catalog.usecases import PublishCatalog
from headrace.consents.model import Audience, AudienceKind, State
from headrace.consents.usecases import (
    Audiences,
    RegisterAccounts,
    RegisterOrganisation,
    SetConsents,
    Term,
)
from headrace.identity.certifying import CreateAuthority
from headrace.identity.model import secret_matches
from headrace.identity.usecases import CreateClientSecret
from headrace.identity.user_administration import CreateUser, PutRole, SetPassword, SetRole
from headrace.identity.users import Permission
from headrace.kernel.clock import SystemClock
from headrace.kernel.ids import RandomIds
from headrace_admin.deployment import Deployment
from local.deployment import STACK, api_url, client
from local.environment import Environment
from local.home import CHECKOUT, Home, write_whole
from local.platform import REGION, endpoint, tls_endpoint
from local.sample.applications import APPLICATIONS
from local.sample.applications import GENERATOR as APPLICATIONS_GENERATOR
from local.sample.roster import DATABASE, ROLE, Roster
from local.sample.roster import GENERATOR as ROSTER_GENERATOR
from local.sample.warehouse import GENERATOR, build

Step = Callable[[str], AbstractContextManager[list[str]]]

CATALOG = CHECKOUT / "catalog"
ROSTER_SECRET = f"headrace/{DATABASE}"
LISTED_FIRST = ("demo-integrator", "payroll-bureau", "harbour-analytics")
"""How headrace.json begins: the demonstration's client, one with three a day, another tenant's."""

DATA_EXCHANGE = "dataexchange"
"""The scope of clients that carry data sets; they need no configuration."""

SAMPLE_TENANT = "northwind-care"
SAMPLE_USER, SAMPLE_ROLE = "integrator@northwind.example", "Integrator who may do all"
"""A person who may do all that persons may, where the sample's tenant is."""


def provide(home: Home, port: int, deployed: Mapping[str, str], step: Step) -> None:
    """Build the sample warehouse, publish the sample catalog, write headrace.json."""
    with step("warehouse") as said:
        said.append(str(build(home.root)))
    with step("roster") as said:
        said.append(_roster(home, port))
    environment = Environment.of(home, os.environ)
    with step("environment") as said:
        said.append(_applications(home, port, environment))
    about = _recorded(home) | {
        "catalog_variables": {
            "HEADRACE_WAREHOUSE": str(home.warehouse),
            "HEADRACE_ROSTER": str(Roster(home.roster).socket_folder),
            "HEADRACE_APPLICATIONS": str(Roster(home.roster).socket_folder),
            "HEADRACE_ENVIRONMENT": environment.identifier,
            "HEADRACE_APPLICATION_VERSION": environment.version,
        },
        "api_url": api_url(port),
        "aws_endpoint_url": endpoint(port),
        "mutual_tls": {
            "url": tls_endpoint(home.recall("tls-port")),
            "server_certificate": str(home.tls / "server.pem"),
        },
        "region": REGION,
        "stack": STACK,
        "outputs": dict(deployed),
    }
    write_whole(home.outputs, json.dumps(about, indent=2) + "\n")
    deployment = Deployment.local(home.root)
    with step("authority") as said:
        said.append(_trusted(home, deployment))
    with step("catalog") as said:
        catalog = _published(home, deployment, said)
    with step("consents") as said:
        said.append(_shared(deployment, catalog))
    with step("clients") as said:
        about["clients"] = _with_secrets(deployment, catalog, about.get("clients", []))
        said.append(_some(client["client_id"] for client in about["clients"]))
    with step("users") as said:
        about["users"] = _with_passwords(deployment, about.get("users", []))
        said.append(", ".join(user["username"] for user in about["users"]))
    write_whole(home.outputs, json.dumps(about, indent=2) + "\n")


def _some(names: Iterable[str], shown: int = 2) -> str:
    """The first names, each once, and how many there are besides."""
    once = list(dict.fromkeys(names))
    more = f" and {len(once) - shown} more" if len(once) > shown else ""
    return ", ".join(once[:shown]) + more if once else "none of the sample"


def _recorded(home: Home) -> dict[str, Any]:
    """What an earlier run wrote: the secrets in it still hold if the state does."""
    try:
        recorded: dict[str, Any] = json.loads(home.outputs.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return recorded


def _roster(home: Home, port: int) -> str:
    """The operational database started and filled, and its reader's password kept as a secret."""
    roster = Roster(home.roster)
    roster.start()
    _keep_password(port, ROSTER_SECRET, ROLE, roster.build(), roster.new_password)
    return f"PostgreSQL at {roster.socket_folder}"


def _applications(home: Home, port: int, environment: Environment) -> str:
    """The applications' databases made as the environment has them, and their passwords kept."""
    server = Roster(home.roster)
    for one in APPLICATIONS:
        password = one.build(server, environment.sample)
        renew = partial(one.new_password, server)
        _keep_password(port, one.secret, one.role, password, renew)
    environment.keep(home)
    return f"{environment.identifier}, version {environment.version}"


def _keep_password(
    port: int, secret: str, role: str, password: str | None, renew: Callable[[], str]
) -> None:
    """Keeps a role's password as a secret; ``password`` is None if it is the one it had."""
    manager = client("secretsmanager", port)
    try:
        kept = json.loads(manager.get_secret_value(SecretId=secret)["SecretString"])
    except manager.exceptions.ResourceNotFoundException:
        kept = {}
    # The state of one may be forgotten and that of the other not.
    if password is None and not kept:
        password = renew()
    if password is not None:
        text = json.dumps({"username": role, "password": password})
        if kept:
            manager.put_secret_value(SecretId=secret, SecretString=text)
        else:
            manager.create_secret(Name=secret, SecretString=text)


def _trusted(home: Home, deployment: Deployment) -> str:
    """The certificate authority made, and put into the truststore of the TLS front."""
    certificates = deployment.certificates()
    pem = certificates.authority()
    if pem is None:
        create = CreateAuthority(certificates, deployment.certificate_key, SystemClock())
        pem = create("Headrace local platform client certificates")
    write_whole(home.tls / "truststore.pem", pem)
    return tls_endpoint(home.recall("tls-port"))


def _published(home: Home, deployment: Deployment, said: list[str]) -> Catalog:
    """The current catalog, published anew when its files or the warehouse changed.

    What an operator published by hand stays: only changed files lead to a new version.
    """
    catalogs = deployment.catalogs()
    current = catalogs.current()
    roster = Roster(home.roster).socket_folder
    environment = Environment.of(home, os.environ)
    digest = hashlib.sha256(
        f"{GENERATOR} {ROSTER_GENERATOR} {APPLICATIONS_GENERATOR} {environment} {roster}".encode()
    )
    for path in sorted(CATALOG.glob("*.yaml")):
        digest.update(path.read_bytes())
    if current is None or home.recall("catalog") != digest.hexdigest():
        with deployment.surroundings():
            compiled = compile_catalog(
                read_folder(CATALOG),
                deployment.catalog_variables,
                WarehouseByKind(),
                PostgresqlApplicationSchemas(),
                local=True,
            )
        current = PublishCatalog(catalogs, SystemClock())(compiled)
        home.remember("catalog", digest.hexdigest())
    said.append(f"version {current.version}")
    return catalogs.read(current.version)


ACCOUNTS = ("100000", "100001", "100002", "100003")
"""Employees of the sample's first tenant, by the ids that the data has of them."""


def _shared(deployment: Deployment, catalog: Catalog) -> str:
    """Accounts that share with the sample's services, where nobody has made any known yet."""
    tenant, clock = "northwind-care", SystemClock()
    services = {one.client_id for one in catalog.clients if one.service is not None}
    accounts, organisations = deployment.accounts(), deployment.organisations()
    if not {"wellness-app", "care-hub"} <= services or any(accounts.all(tenant)):
        return "as they were"
    RegisterAccounts(accounts, clock)(tenant, ACCOUNTS)
    RegisterOrganisation(organisations, clock)(tenant, "st-mary", "St Mary's")
    share = SetConsents(
        deployment.consents(), Audiences(deployment.services(), accounts, organisations), clock
    )
    for kind, audience_id, parties in (
        (AudienceKind.SERVICE, "wellness-app", ACCOUNTS[:2]),
        (AudienceKind.ORGANISATION, "st-mary", ACCOUNTS[2:3]),
        (AudienceKind.BROKER, "care-hub", ("st-mary",)),
    ):
        share(tenant, Audience(kind, audience_id), parties, State.ACTIVE, Term())
    return "wellness-app, care-hub"


def _with_secrets(
    deployment: Deployment, catalog: Catalog, recorded: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """An entry per client and tenant, each with a secret that works.

    A client of an operator's own catalog keeps the secrets that the operator issued, and without
    them to show is left out.
    """
    sample = {one.entry.id for one in read_declarations(read_folder(CATALOG), os.environ).clients}
    known = {entry["client_id"]: entry["client_secret"] for entry in recorded}
    secrets = deployment.client_secrets()
    entries = []
    first = {name: place for place, name in enumerate(LISTED_FIRST)}
    for entry in sorted(catalog.clients, key=lambda one: first.get(one.client_id, len(first))):
        stored = secrets.of(entry.client_id)
        if not secret_matches(known.get(entry.client_id, ""), stored):
            if stored and entry.client_id not in sample:
                continue
            for one in stored:
                secrets.revoke(entry.client_id, one.secret_id)
            create = CreateClientSecret(secrets, SystemClock(), RandomIds())
            known[entry.client_id] = create(entry.client_id)[1]
        granted: list[tuple[str, str | None]] = [
            (one.tenant, one.configuration_id)
            for one in catalog.configurations
            if one.client_id == entry.client_id and one.default
        ]
        if DATA_EXCHANGE in entry.scopes or not granted:
            granted += [(tenant, None) for tenant in entry.tenants]
        entries += [
            {
                "client_id": entry.client_id,
                "client_secret": known[entry.client_id],
                "tenant": tenant,
                "configuration_id": configuration_id,
                "daily_quota": entry.daily_quota,
            }
            for tenant, configuration_id in granted
        ]
    return entries


def _with_passwords(deployment: Deployment, recorded: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The sample's person with a password that works; nobody where the sample's tenant is not."""
    if deployment.catalogs().tenant(SAMPLE_TENANT) is None:
        return []
    directory, passwords = deployment.user_directory(), Argon2idPasswords()
    permissions = tuple(str(permission) for permission in Permission)
    PutRole(directory)(SAMPLE_TENANT, SAMPLE_ROLE, integrator=True, permissions=permissions)
    known = {entry["username"]: entry["password"] for entry in recorded}
    password = known.get(SAMPLE_USER, token_urlsafe(18))
    user = directory.users.named(SAMPLE_USER)
    if user is None:
        create = CreateUser(directory, passwords, SystemClock(), RandomIds())
        create(SAMPLE_TENANT, SAMPLE_USER, SAMPLE_ROLE, password)
    else:
        if user.role != SAMPLE_ROLE:
            SetRole(directory)(SAMPLE_USER, SAMPLE_ROLE)
        if not passwords.verify(user.password_hash, password):
            SetPassword(directory, passwords)(SAMPLE_USER, password)
    return [{"username": SAMPLE_USER, "password": password, "tenant": SAMPLE_TENANT}]
