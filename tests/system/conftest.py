"""The platform that HEADRACE_HOME names, and clients for the tests to be.

Quotas and the one-operation-at-a-time rule are per client, so each test has clients of its own: a
catalog with more of them is published at the start, and the one that was there at the end.
"""

import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import Any

import httpx
import pytest

from headrace.adapters.argon2id import Argon2idPasswords
from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
from headrace.adapters.dynamodb.client_secrets import DynamoClientSecrets
from headrace.catalog.model import Catalog, Client, Publication, Tenant
from headrace.catalog.usecases import PublishCatalog
from headrace.datasets.definitions import Application
from headrace.exports.schedules import Schedule
from headrace.exports.sources import Configuration, Source
from headrace.identity.usecases import CreateClientSecret
from headrace.identity.user_administration import CreateUser, PutRole
from headrace.identity.users import Permission
from headrace.kernel.clock import SystemClock
from headrace.kernel.ids import RandomIds
from headrace_admin.deployment import Deployment
from local.home import Home
from local.platform import running_port
from tests.system.deployed import Integrator, Person, Platform

HOW_TO_RUN = (
    "The system tests need the deployed product: run them with `python -m local test "
    "tests/system/…`, which makes a platform for them (`make test` does), or name a running one "
    "by HEADRACE_HOME."
)

NORTHWIND, HARBOUR = "northwind-care", "harbour-health"
PLENTY = 10_000
"""A daily quota that no test uses up."""


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """The running platform; fails, and never skips, where there is none."""
    home = Home.of(os.environ)
    try:
        about = json.loads(home.outputs.read_text())
    except FileNotFoundError:
        pytest.fail(f"{HOW_TO_RUN} There is no {home.outputs}.", pytrace=False)
    if running_port(home) is None:
        pytest.fail(f"{HOW_TO_RUN} That of {home.root} does not run.", pytrace=False)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    with httpx.Client(timeout=60, limits=limits, trust_env=False) as http:
        yield Platform(home, about, http, Deployment.local(home.root))


@dataclass
class Clients:
    """Makes clients of the API. Their names are new in every run: no older one is in their way."""

    platform: Platform
    base: Catalog
    tenants: list[Tenant] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    configurations: list[Configuration] = field(default_factory=list)
    schedules: list[Schedule] = field(default_factory=list)
    applications: list[Application] = field(default_factory=list)
    """Of tenants of ours; they stay for as long as there are tests."""
    ready: dict[str, list[Client]] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    run: str = field(default_factory=lambda: secrets.token_hex(3))

    def of(self, tenant: str) -> Integrator:
        """A client nobody used before, with plenty of quota and every table of the tenant."""
        if not self.ready.get(tenant):
            self._make_ready(tenant, 10)
        self._publish_if_needed()
        return self._integrator(self.ready[tenant].pop(), tenant)

    def special(
        self, tenant: str = NORTHWIND, *tables: str, columns: tuple[str, ...] = (), **traits: Any
    ) -> Integrator:
        """A client with these traits (of the catalog's ``Client``), tables and columns only."""
        client = self._declare(tenant, traits, lambda one: _narrowed(one, tables, columns))
        self._publish_if_needed()
        return self._integrator(client, tenant)

    def several(self, count: int, tenant: str, *tables: str, **traits: Any) -> list[Integrator]:
        """So many clients with these traits and tables only, published at once."""
        made = [
            self._declare(tenant, traits, lambda one: _narrowed(one, tables, ()))
            for _ in range(count)
        ]
        self._publish_if_needed()
        return [self._integrator(client, tenant) for client in made]

    @contextmanager
    def published_together(self) -> Iterator[None]:
        """What is made in the block stands in one catalog, which is published at its end."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False
        self._publish_if_needed()

    def add_tenant(self, tenant: Tenant, like: str) -> None:
        """A tenant whose clients get what those of the tenant ``like`` get."""
        self.tenants.append(tenant)
        self._like[tenant.tenant_id] = like

    def reconfigure(
        self, integrator: Integrator, change: Callable[[Configuration], Configuration]
    ) -> Publication:
        """Publishes the catalog with the client's configurations changed."""
        self.configurations = [
            change(one) if one.client_id == integrator.client_id else one
            for one in self.configurations
        ]
        return self._publish()

    def change(self, integrator: Integrator, change: Callable[[Client], Client]) -> Publication:
        """Publishes the catalog with the client changed."""
        self.clients = [
            change(one) if one.client_id == integrator.client_id else one for one in self.clients
        ]
        return self._publish()

    def schedule(self, *schedules: Schedule) -> Publication:
        """Publishes the catalog with these schedules of our clients, and no others of theirs."""
        self.schedules = list(schedules)
        return self._publish()

    def withdraw(self, *sources: Source) -> None:
        """Publishes the catalog without these sources of ours, which nobody reads any more."""
        self.sources = [one for one in self.sources if one not in sources]
        current = self.catalogs.current()
        assert current is not None
        theirs = self.catalogs.read(current.version)
        left = tuple(one for one in theirs.sources if one not in sources)
        PublishCatalog(self.catalogs, SystemClock())(replace(theirs, sources=left))

    def keep(self, integrator: Integrator) -> None:
        """Leaves the client in the catalog for as long as there are tests."""
        self.kept.add(integrator.client_id)

    def forget_used(self) -> None:
        """Leaves those that tests have had out of the next catalog: publishing takes its time."""
        kept = self.kept | {client.client_id for ready in self.ready.values() for client in ready}
        self.clients = [one for one in self.clients if one.client_id in kept]
        self.configurations = [one for one in self.configurations if one.client_id in kept]
        self.schedules = [one for one in self.schedules if one.client_id in kept]

    def restore(self) -> None:
        """Publishes the catalog that was there before the tests."""
        PublishCatalog(self.catalogs, SystemClock())(self.base)

    # --- pieces -----------------------------------------------------------------------------

    @cached_property
    def catalogs(self) -> DynamoCatalogs:
        """The published catalogs; made once, as a client of AWS takes a while to make."""
        return self.platform.deployment.catalogs()

    @cached_property
    def secrets(self) -> DynamoClientSecrets:
        """The hashes of the clients' secrets."""
        return self.platform.deployment.client_secrets()

    _like: dict[str, str] = field(default_factory=dict)
    _published: int | None = None
    _waits: bool = False
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def _make_ready(self, tenant: str, size: int) -> None:
        made = [self._declare(tenant, {}, lambda one: one) for _ in range(size)]
        self.ready[tenant] = made

    def _declare(
        self, tenant: str, traits: dict[str, Any], shape: Callable[[Configuration], Configuration]
    ) -> Client:
        name = f"test-{self.run}-{next(self._numbers):03d}"
        given = {"daily_quota": PLENTY, "tenants": (tenant,), **traits}
        client = Client(client_id=name, name="A client of the system tests", **given)
        self.clients.append(client)
        for served in client.tenants:
            kind = self._like.get(served, served)
            pattern = next(
                one
                for one in self.base.configurations
                if one.tenant == kind and one.configuration_id == "hr-full"
            )
            self.configurations.append(
                shape(replace(pattern, tenant=served, client_id=name, default=True))
            )
        self._published = None
        return client

    def _publish_if_needed(self) -> None:
        if self._waits:
            return
        current = self.catalogs.current()
        if current is None or current.version != self._published:
            self._publish()

    def _publish(self) -> Publication:
        """All of ours beside whatever else is current."""
        current = self.catalogs.current()
        assert current is not None
        theirs = self.catalogs.read(current.version)
        ours = f"test-{self.run}-"
        mine = {tenant.tenant_id for tenant in self.tenants}
        read = {source.name for source in self.sources}
        publication = PublishCatalog(self.catalogs, SystemClock())(
            replace(
                theirs,
                tenants=(
                    *(one for one in theirs.tenants if one.tenant_id not in mine),
                    *self.tenants,
                ),
                sources=(
                    *(one for one in theirs.sources if one.name not in read),
                    *self.sources,
                ),
                clients=(
                    *(one for one in theirs.clients if not one.client_id.startswith(ours)),
                    *self.clients,
                ),
                configurations=(
                    *(one for one in theirs.configurations if not one.client_id.startswith(ours)),
                    *self.configurations,
                ),
                applications=(
                    *(one for one in theirs.applications if one.tenant not in mine),
                    *self.applications,
                ),
                schedules=(
                    *(one for one in theirs.schedules if not one.client_id.startswith(ours)),
                    *self.schedules,
                ),
            )
        )
        self._published = publication.version
        return publication

    def _integrator(self, client: Client, tenant: str) -> Integrator:
        create = CreateClientSecret(self.secrets, SystemClock(), RandomIds())
        return Integrator(self.platform, client.client_id, create(client.client_id)[1], tenant)


def _narrowed(
    configuration: Configuration, tables: tuple[str, ...], columns: tuple[str, ...]
) -> Configuration:
    """The configuration with these tables, and these columns of them, only; () is all."""
    return replace(
        configuration,
        tables=tuple(
            replace(
                table, columns=tuple(c for c in table.columns if not columns or c.name in columns)
            )
            for table in configuration.tables
            if not tables or table.name in tables
        ),
    )


@pytest.fixture(scope="session")
def clients(platform: Platform) -> Iterator[Clients]:
    """Makes clients for the tests."""
    catalogs = platform.deployment.catalogs()
    current = catalogs.current()
    if current is None:
        pytest.fail(f"{HOW_TO_RUN} Nothing is published on that of {platform.home.root}.")
    made = Clients(platform, catalogs.read(current.version))
    yield made
    made.restore()


@pytest.fixture(scope="module", autouse=True)
def _a_module_at_a_time(clients: Clients) -> Iterator[None]:
    """No module's clients are in the next one's catalog."""
    yield
    clients.forget_used()


@pytest.fixture
def integrator(clients: Clients) -> Integrator:
    """A client of the first tenant, of this test only."""
    return clients.of(NORTHWIND)


@pytest.fixture
def neighbour(clients: Clients) -> Integrator:
    """A client of the other tenant, of this test only."""
    return clients.of(HARBOUR)


@dataclass
class People:
    """Makes persons who log in, each with a role of its own."""

    platform: Platform
    numbers: Iterator[int] = field(default_factory=count)
    run: str = field(default_factory=lambda: secrets.token_hex(3))

    def of(self, tenant: str, *permissions: Permission, integrator: bool = True) -> Person:
        """A person nobody was before, who may do this."""
        directory = self.platform.deployment.user_directory()
        name = f"person-{self.run}-{next(self.numbers)}"
        PutRole(directory)(tenant, name, integrator=integrator, permissions=permissions)
        create = CreateUser(directory, Argon2idPasswords(), SystemClock(), RandomIds())
        password = secrets.token_urlsafe(18)
        made = create(tenant, f"{name}@example.com", name, password)
        return Person(self.platform, made.username, password, tenant, made.user_id)


@pytest.fixture(scope="session")
def people(platform: Platform) -> People:
    """Persons for the tests to be."""
    return People(platform)
