"""A session that writes to an application's database."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from headrace.adapters.postgresql.session import Connection, connect, errors_translated
from headrace.datasets.definitions import Application
from headrace.exports.sources import Source
from headrace.kernel.errors import SourceUnavailable

OLDEST_SERVER = 160000
"""``server_version_num`` of PostgreSQL 16, which can say whether a text is a value of a type."""


@contextmanager
def writing_session(application: Application) -> Iterator[Connection]:
    """A connection to the application's own database, and to no replica of it.

    Raises SourceUnavailable.
    """
    options = {name: value for name, value in application.options.items() if name != "replica_host"}
    with closing(connect(Source(application.name, "postgresql", options))) as connection:
        if connection.info.server_version < OLDEST_SERVER:
            raise SourceUnavailable("Imports need PostgreSQL 16 or newer.")
        with errors_translated():
            yield connection
