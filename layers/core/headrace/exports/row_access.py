"""Whose rows an operation of a service reads, and until when its files are handed out.

A service gets the rows of account holders that share with it (seed 002). Who shares is looked up
once, when an operation is planned, and kept as a list beside its version: every worker reads rows
of these accounts and no others, and the next increment knows whose rows the service has. A file
that has rows of somebody who shares no more is handed out no more.
"""

from dataclasses import dataclass, replace

from headrace.exports.model import Content, Operation, SharingSnapshot
from headrace.exports.ports import AccountLists, Sharing
from headrace.exports.sources import Configuration, SharedAccounts, SharedRows, Table, unmarked
from headrace.kernel.clock import Clock
from headrace.kernel.errors import ConsentWithdrawn, ResyncRequired

WITHDRAWN = (
    "Somebody whose rows are in the files shares them no more; start a new operation, which an "
    "increment from the last version that you have applied can be."
)


@dataclass(frozen=True)
class RowAccess:
    """Looks up who shares, for operations of services; of others it asks nobody anything."""

    sharing: Sharing
    lists: AccountLists
    clock: Clock

    def fixed(self, operation: Operation, kms_key: str | None) -> SharingSnapshot:
        """Whose rows an operation of a service is to read: of those that share now."""
        tenant, client_id = operation.tenant, operation.client_id
        shared = self.sharing.shared_by(
            tenant, client_id, operation.organisation, self.clock.now()
        ) or SharedAccounts("", ())  # it is no service any more: nobody shares with it
        mark = self.lists.keep(tenant, client_id, shared.accounts, kms_key)
        return SharingSnapshot(shared.version, mark)

    def granted(self, operation: Operation, table: Table, content: Content) -> Table:
        """The table as the operation may read it. Raises SyncVersionExpired, ResyncRequired."""
        if operation.sharing is None:
            return table
        whose = SharedRows(mark=operation.sharing.mark)
        if table.account is not None:
            whose = replace(
                whose,
                accounts=self._accounts(operation, operation.sharing.mark),
                before=self._before(operation) if content is Content.CHANGES else (),
            )
        return replace(table, shared=whose)

    def is_withdrawn(self, operation: Operation) -> bool:
        """Has somebody ceased to share whose rows the operation may have read."""
        seen = operation.sharing
        if seen is None or not seen.version:
            return False
        ended = self.sharing.ended_since(
            operation.tenant, operation.client_id, operation.organisation, seen.version
        )
        return bool(ended) and not ended.isdisjoint(self._accounts(operation, seen.mark))

    def check(self, operation: Operation, configuration: Configuration) -> None:
        """Raises ConsentWithdrawn if the operation's files may not be handed out (any more).

        ``configuration``: as published now. What was made before a client became a service has
        everybody's rows.
        """
        unasked = configuration.by_consent and operation.sharing is None
        if unasked or self.is_withdrawn(operation):
            raise ConsentWithdrawn(WITHDRAWN)

    def _accounts(self, operation: Operation, mark: str) -> tuple[str, ...]:
        return self.lists.of(operation.tenant, operation.client_id, mark)

    def _before(self, operation: Operation) -> tuple[str, ...]:
        _, mark = unmarked(operation.request.since or "")
        if mark is None:
            raise ResyncRequired("Nobody knows whose rows there were at that version.")
        return self._accounts(operation, mark)
