"""The sample's applications: a database each, in the PostgreSQL server of a platform's home.

What is set up in them is what data sets carry. Environments of an application are the databases of
several homes: ``test`` is ahead, ``production`` lacks some of it, has some of it otherwise, and has
things of its own. Ids differ, UUIDs are the same.
"""

import secrets
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files

from local.postgresql import Server, ServerFailed

GENERATOR = 1
"""Rises with every change of the values: a database of an older one is made anew."""

FIRST_IDS = {"test": 1001, "production": 700_001}
"""Where ids begin, by environment."""

TARIFFS, PROCEDURES = 5_000, 800
"""How many there are of what is very many in a real application."""


@dataclass(frozen=True)
class SampleApplication:
    """An application of the sample: its id in the catalog is also its database's name."""

    name: str

    @property
    def role(self) -> str:
        """What Headrace is in the database: it reads and writes what is set up there."""
        return f"headrace_{self.name}"

    @property
    def secret(self) -> str:
        """The name of the secret with its password."""
        return f"headrace/{self.name}"

    def create(
        self,
        server: Server,
        database: str,
        environment: str,
        *,
        tariffs: int = TARIFFS,
        procedures: int = PROCEDURES,
    ) -> None:
        """Makes a database of this name, as one of the environments has it."""
        self.create_role(server)
        server.run(f"CREATE DATABASE {database}", "postgres")
        server.run(
            (files("local.sample") / f"{self.name}.sql").read_text(),
            database,
            environment=environment,
            first_id=str(FIRST_IDS[environment]),
            tariffs=str(tariffs),
            procedures=str(procedures),
            generator=str(GENERATOR),
        )

    def create_role(self, server: Server) -> None:
        """Makes the role, without a password, if the server does not have it."""
        server.run(
            f"SELECT 'CREATE ROLE {self.role} LOGIN' WHERE NOT EXISTS "
            f"(SELECT FROM pg_roles WHERE rolname = '{self.role}') \\gexec",
            "postgres",
        )

    def is_made(self, server: Server, environment: str) -> bool:
        """Does the server have its database as this generator makes it for the environment."""
        if not server.has_database(self.name):
            return False
        with suppress(ServerFailed):
            made = server.run("SELECT generator, environment FROM sample.made", self.name)
            return made.strip() == f"{GENERATOR}|{environment}"
        return False

    def build(self, server: Server, environment: str) -> str | None:
        """Makes its database, if it is not there; the role's new password, or None."""
        if self.is_made(server, environment):
            return None
        server.run(f"DROP DATABASE IF EXISTS {self.name} (FORCE)", "postgres")
        self.create(server, self.name, environment)
        return self.new_password(server)

    def new_password(self, server: Server) -> str:
        """Gives its role another password, and returns it."""
        password = secrets.token_urlsafe(24)
        server.run(f"ALTER ROLE {self.role} PASSWORD :'password'", "postgres", password=password)
        return password


APPLICATIONS = (SampleApplication("claims"), SampleApplication("policies"))
