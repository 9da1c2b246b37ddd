"""The sample's operational database: PostgreSQL, of the wheel, on a socket in the platform's home.

It stands beside the warehouse: a duty roster whose rows change while exports read. Whoever reads
it for Headrace has a password, which lies in Secrets Manager as it does on AWS. Its server has the
databases of the sample's applications as well.
"""

import secrets
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files

from local.postgresql import Server, ServerFailed
from local.sample.applications import APPLICATIONS

GENERATOR = 2
"""Rises with every change of the values: a database of an older one is made anew."""

DATABASE = "roster"
ROLE = "headrace_reader"

_ACCESS = f"""
local all {",".join((ROLE, *(application.role for application in APPLICATIONS)))} scram-sha-256
local all all trust
"""


@dataclass(frozen=True)
class Roster(Server):
    """The database of one platform's home."""

    access: str = _ACCESS

    def run(self, statements: str, database: str = DATABASE, **variables: str) -> str:
        """As of any server; in the roster's database."""
        return super().run(statements, database, **variables)

    def is_made(self) -> bool:
        """Does it hold the sample as this generator makes it."""
        if not self.has_database(DATABASE):
            return False
        with suppress(ServerFailed):
            return self.run("SELECT generator FROM sample.made").strip() == str(GENERATOR)
        return False

    def build(self) -> str | None:
        """Makes the sample, if it is not there; the reader's new password, or None."""
        if self.is_made():
            return None
        password = secrets.token_urlsafe(24)
        self.run(
            f"DROP DATABASE IF EXISTS {DATABASE} (FORCE);\nDROP ROLE IF EXISTS {ROLE};\n"
            f"CREATE DATABASE {DATABASE};",
            "postgres",
        )
        statements = (files("local.sample") / "roster.sql").read_text()
        self.run(statements, password=password, generator=str(GENERATOR))
        return password

    def new_password(self) -> str:
        """Gives the reader another password, and returns it."""
        password = secrets.token_urlsafe(24)
        self.run(f"ALTER ROLE {ROLE} PASSWORD :'password'", password=password)
        return password
