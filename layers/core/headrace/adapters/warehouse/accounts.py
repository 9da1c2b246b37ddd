"""Whose rows are read: those of accounts that share, as SQL of DuckDB's.

The accounts stand in a temporary table that each row is looked up in. Nothing is bound value by
value: 100,000 texts in a list take the engine 15 s, and one text that it splits itself 0.2 s.
"""

# ruff: noqa: S608  All pieces of SQL are ours: names quoted, values bound.

from collections.abc import Sequence

from headrace.adapters.sql_text import identifier
from headrace.adapters.warehouse.engine import Connection
from headrace.adapters.warehouse.values import BINARY
from headrace.exports.sources import Table
from headrace.kernel.errors import HeadraceError

SHARED = "shared_accounts"
"""The temporary table of the accounts whose rows are read."""

_BETWEEN = "\x1f"


def load_accounts(connection: Connection, table: Table) -> None:
    """Makes the table that ``of_accounts`` looks rows up in, if rows are told by account."""
    if table.account is not None:
        make_accounts(connection, SHARED, table.whose.accounts)


def make_accounts(connection: Connection, name: str, accounts: Sequence[str]) -> None:
    """A temporary table of accounts, ``account``."""
    if any(_BETWEEN in account or "\0" in account for account in accounts):
        raise HeadraceError("The id of an account holds a control character.")
    text = _BETWEEN.join(accounts)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {name} AS "
        f"SELECT unnest(string_split(?, chr({ord(_BETWEEN)}))) AS account",
        [text],
    )
    if not accounts:  # an empty text splits into an empty text
        connection.execute(f"DELETE FROM {name}")


def of_accounts(table: Table, name: str = SHARED, *, public: bool = True) -> list[str]:
    """That a row of ``t`` belongs to an account of the temporary table, as a condition if any.

    Or to none, where rows without an account are ``public``.
    """
    if table.account is None:
        return []
    column = identifier(table.account.name)
    # Whatever collation a file gave the column: by NOCASE, one account's rows are another's.
    found = f"CAST({column} AS VARCHAR) COLLATE {BINARY} IN (SELECT account FROM {name})"
    if public and table.account.with_public:
        found = f"({column} IS NULL OR {found})"
    return [found]
