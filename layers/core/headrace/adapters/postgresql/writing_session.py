"""A session that writes to an application's database: one at a time."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from headrace.adapters.postgresql.session import Connection, connect, errors_translated
from headrace.datasets.definitions import Application
from headrace.exports.sources import Source
from headrace.kernel.errors import SourceUnavailable

OLDEST_SERVER = 160000
"""``server_version_num`` of PostgreSQL 16, which can say whether a text is a value of a type."""

_LOCK = "SELECT pg_try_advisory_lock(1751474532, 1)"
"""Of the database, for as long as the session lasts; the first number is ours: "head" in ASCII."""
_LOOK_EVERY_S = 0.5
_PATIENCE_S = 300.0


@contextmanager
def writing_session(
    application: Application, keep_going: Callable[[int], None]
) -> Iterator[Connection]:
    """A connection to the application's own database, and to no replica of it.

    No two workers plan and write at once: what the one has planned, the other would change under
    it, and the undo set of the one would name records that the other has made. ``keep_going`` is
    called while another one is waited for. Raises SourceUnavailable.
    """
    options = {name: value for name, value in application.options.items() if name != "replica_host"}
    with closing(connect(Source(application.name, "postgresql", options))) as connection:
        if connection.info.server_version < OLDEST_SERVER:
            raise SourceUnavailable("Imports need PostgreSQL 16 or newer.")
        with errors_translated():
            _wait_for_turn(connection, keep_going)
            yield connection


def _wait_for_turn(connection: Connection, keep_going: Callable[[int], None]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while connection.execute(_LOCK).fetchone() != (True,):
        if time.monotonic() > deadline:
            raise SourceUnavailable(
                "Another import is still written to the application's database; try again later."
            )
        keep_going(0)
        time.sleep(_LOOK_EVERY_S)
