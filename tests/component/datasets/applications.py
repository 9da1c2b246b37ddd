"""Databases of the sample's applications, made quickly: copies of one that is made once a server.

``a_claims_database(server)`` is the claims application as it is set up in the environment ``test``,
``a_claims_database(server, "production")`` as in the one behind it. Its ``application`` is what the
sample's catalog publishes of it, ``connect()`` a session of the superuser, ``sql()`` what psql
prints.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

from headrace.adapters.postgresql.application_schemas import PostgresqlApplicationSchemas
from headrace.catalog.application_compiling import ApplicationCompiler
from headrace.catalog.declarations import CatalogText, read_declarations
from headrace.datasets.definitions import Application, Definition
from headrace.exports.sources import Source
from local.sample.applications import PROCEDURES, TARIFFS, SampleApplication
from tests.component.postgresql.server import Server

CATALOG = Path(__file__).parents[3] / "catalog" / "datasets.yaml"
TENANTS = "tenants: [{id: northwind-care, name: N}, {id: harbour-health, name: H}]"


@dataclass(frozen=True)
class ApplicationDatabase:
    """A database of an application, of a test's own."""

    server: Server
    name: str
    application: Application

    def definition(self, code: str) -> Definition:
        """A definition of the application."""
        found = self.application.definition(code)
        assert found is not None, code
        return found

    def sql(self, statements: str) -> str:
        """What psql prints for the statements, unaligned and without headings. As superuser."""
        return self.server.run(statements, self.name)

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """A session of the superuser's, in autocommit."""
        with psycopg.connect(
            host=str(self.server.folder), dbname=self.name, user="postgres", autocommit=True
        ) as connection:
            yield connection

    def restarted(self, **changes: Any) -> "ApplicationDatabase":
        """The same database, its application changed: ``version=…``, ``identifier=…``."""
        return replace(self, application=replace(self.application, **changes))


def a_claims_database(
    server: Server,
    environment: str = "test",
    *,
    tariffs: int = TARIFFS,
    procedures: int = PROCEDURES,
) -> ApplicationDatabase:
    """The claims application of tenant northwind-care, in one of its environments."""
    return _copy(server, "claims", environment, tariffs, procedures)


def a_policies_database(server: Server, environment: str = "test") -> ApplicationDatabase:
    """The policies application of tenant harbour-health, in one of its environments."""
    return _copy(server, "policies", environment, TARIFFS, PROCEDURES)


def _copy(
    server: Server, application: str, environment: str, tariffs: int, procedures: int
) -> ApplicationDatabase:
    template = _template(server, application, environment, tariffs, procedures)
    name = server.new_name()
    server.run(f"CREATE DATABASE {name} TEMPLATE {template}")
    role = SampleApplication(application).role
    options = {"host": str(server.folder), "database": name, "user": role}
    published = replace(_published(server, application, template), options=options)
    return ApplicationDatabase(server, name, replace(published, identifier=environment.upper()))


@cache
def _template(
    server: Server, application: str, environment: str, tariffs: int, procedures: int
) -> str:
    """The name of a database that others are copies of."""
    name = f"{application}_{environment}_{tariffs}_{procedures}"
    SampleApplication(application).create(
        server.embedded, name, environment, tariffs=tariffs, procedures=procedures
    )
    return name


@cache
def _published(server: Server, application: str, database: str) -> Application:
    """What the sample's catalog publishes of the application."""
    variables = {
        "HEADRACE_APPLICATIONS": str(server.folder),
        "HEADRACE_ENVIRONMENT": "TEST",
        "HEADRACE_APPLICATION_VERSION": "4.24.1.0.0",
    }
    texts = [CatalogText("t.yaml", TENANTS), CatalogText(str(CATALOG), CATALOG.read_text())]
    declared = read_declarations(texts, variables)
    [one] = [one for one in declared.applications if one.entry.id == application]
    compiler = ApplicationCompiler(_In(server, database))
    compiled = compiler(one)
    assert compiled is not None, compiler.problems
    return compiled


@dataclass(frozen=True)
class _In(PostgresqlApplicationSchemas):
    """Looks into a database of the tests' in place of the one that the catalog names."""

    server: Server
    database: str

    def describe(self, database: Source) -> Any:
        return super().describe(self.server.source(self.database))
