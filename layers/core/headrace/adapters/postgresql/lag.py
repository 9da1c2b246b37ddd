"""How far what a PostgreSQL server shows is behind: a standby behind its primary, a change log
behind those who write.
"""

import time
from datetime import timedelta

from headrace.adapters.postgresql.session import Connection
from headrace.exports.sources import Freshness

_SETTLE_S = 1.0
_PAUSE_S = 0.1

_RECEIVED = """
SELECT pg_is_in_recovery(), pg_last_wal_receive_lsn()::text,
       EXISTS (SELECT FROM pg_stat_wal_receiver)
"""

_REPLAYED = """
SELECT %s::pg_lsn <= pg_last_wal_replay_lsn(),
       extract(epoch FROM clock_timestamp()
               - coalesce(pg_last_xact_replay_timestamp(), pg_postmaster_start_time()))::float8
"""

_WAITING = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - begun)), 0)::float8 FROM (
    SELECT xact_start AS begun FROM pg_stat_activity
    WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() AND datname = current_database()
    UNION ALL SELECT prepared FROM pg_prepared_xacts WHERE database = current_database()) AS writers
"""


def freshness(connection: Connection) -> Freshness:
    """Of a standby, how long ago the primary committed what it replayed last; nothing if it follows
    and has replayed all.

    Of a primary with a change log, for how long the oldest transaction has been writing: what it
    did is not told before it ends. Others' transactions are seen by roles that are members of
    ``pg_read_all_stats``, prepared ones by all. Of any other primary nothing.
    """
    row = connection.execute(_RECEIVED).fetchone()
    is_standby, received, is_following = row or (False, None, False)
    if is_standby:
        behind = _behind(connection, received if is_following else None)
        return Freshness(age=behind, lag=behind)
    captured = connection.execute("SELECT to_regclass('headrace.captured') IS NOT NULL").fetchone()
    if captured != (True,):
        return Freshness(lag=timedelta())
    waiting = connection.execute(_WAITING).fetchone()
    return Freshness(lag=_seconds(waiting[0] if waiting else 0.0))


def _behind(connection: Connection, received: str | None) -> timedelta:
    """``received``: up to where it has the primary's log, if it follows the primary now.

    Who lost the primary has replayed all that it got, and is behind none the less. And where
    nothing was committed for hours, what came a moment ago and is not replayed yet makes nobody
    hours late.
    """
    deadline = time.monotonic() + _SETTLE_S
    while True:
        row = connection.execute(_REPLAYED, [received]).fetchone()
        replayed, since_s = row or (None, 0.0)
        if replayed:
            return timedelta()
        if received is None or time.monotonic() > deadline:
            return _seconds(since_s)
        time.sleep(_PAUSE_S)


def _seconds(value: float) -> timedelta:
    """Clocks differ; nobody is ahead of who he follows."""
    return max(timedelta(), timedelta(seconds=value))
