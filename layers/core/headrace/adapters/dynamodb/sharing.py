"""Who shares with a service, as exports ask it, from the consents and the published catalog.

The tables: see ``consents`` and ``catalogs``. A consent is an item of about 190 bytes, and a page
of a query 1 MiB: an audience of 100,000 account holders is 18 pages, 4,600 read units (consistent),
a tenth of a cent and two seconds of a whole processor (measured). Who has ended since a version
costs one read, and two queries of as many items as have ended: that is what a download asks for.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from headrace.adapters.dynamodb.consents import (
    PAST_CONSENTS,
    consent_of,
    partition,
    version_of,
)
from headrace.adapters.dynamodb.services import CatalogServices
from headrace.adapters.dynamodb.table import Table
from headrace.consents.model import Audience, AudienceKind, Consent
from headrace.exports.sources import SharedAccounts
from headrace.kernel.clock import Clock, from_rfc3339, rfc3339

_READINGS = 3
_VERSION = re.compile(r"([0-9]{12})_([0-9]{12})_([0-9TZ:.-]{24})_(service|broker)")


@dataclass(frozen=True)
class _Version:
    """What a version says: how often the consents, and a broker's memberships, were written, and
    at what moment they were looked at, by a client of which kind."""

    consents: int
    memberships: int
    at: datetime
    kind: AudienceKind

    @classmethod
    def read(cls, text: str) -> "_Version":
        """Raises ValueError."""
        match = _VERSION.fullmatch(text)
        if match is None:
            raise ValueError("that is no version of who shares")
        return cls(int(match[1]), int(match[2]), from_rfc3339(match[3]), AudienceKind(match[4]))

    def __str__(self) -> str:
        return f"{self.consents:012d}_{self.memberships:012d}_{rfc3339(self.at)}_{self.kind}"


@dataclass(frozen=True)
class DynamoSharing:
    """The ``Sharing`` port of exports."""

    table: Table
    services: CatalogServices
    clock: Clock

    def shared_by(
        self, tenant: str, client_id: str, organisation: str | None, at: datetime
    ) -> SharedAccounts | None:
        """See the port.

        While consents are written at every moment, what is read stands at the version that was
        there before the reading: who began or ended during it may be in or out, and who ended is
        named by ``ended_since``.
        """
        kind = self.services.kind(tenant, client_id)
        if kind is None:
            return None
        memberships = 0
        if kind is AudienceKind.BROKER:
            members = Audience(kind, client_id)
            memberships = version_of(self.table, partition(tenant, members))
            if organisation is None or not self._is_member(tenant, members, organisation, at):
                return SharedAccounts(str(_Version(0, memberships, at, kind)), ())
        audience = _audience(kind, client_id, organisation)
        version, consents = self._read(partition(tenant, audience))
        accounts = sorted(consent.party for consent in consents if consent.shares_at(at))
        return SharedAccounts(str(_Version(version, memberships, at, kind)), tuple(accounts))

    def ended_since(
        self, tenant: str, client_id: str, organisation: str | None, version: str
    ) -> frozenset[str]:
        """See the port."""
        seen, now = _Version.read(version), self.clock.now()
        kind = self.services.kind(tenant, client_id)
        if kind is None or (seen.kind is AudienceKind.BROKER and organisation is None):
            return frozenset()
        pk = partition(tenant, _audience(seen.kind, client_id, organisation))
        if kind is not seen.kind:
            return frozenset(consent.party for consent in self._consents(pk))
        if kind is AudienceKind.BROKER:
            members = partition(tenant, Audience(kind, client_id))
            if organisation in self._ended(members, seen.memberships, seen.at, now):
                return frozenset(consent.party for consent in self._consents(pk))
        return frozenset(self._ended(pk, seen.consents, seen.at, now))

    def _is_member(self, tenant: str, members: Audience, organisation: str, at: datetime) -> bool:
        item = self.table.get(partition(tenant, members), f"consent#{organisation}")
        return item is not None and consent_of(item).shares_at(at)

    def _read(self, pk: str) -> tuple[int, list[Consent]]:
        for _ in range(_READINGS):
            version, consents = version_of(self.table, pk), list(self._consents(pk))
            if version_of(self.table, pk) == version:
                break
        return version, consents

    def _consents(self, pk: str) -> Iterator[Consent]:
        return map(consent_of, self.table.query(pk, "consent#", before=PAST_CONSENTS))

    def _ended(self, pk: str, version: int, at: datetime, now: datetime) -> set[str]:
        if version_of(self.table, pk) < version:
            # The table was restored from a backup: nobody knows what was undone with it.
            return {consent.party for consent in self._consents(pk)}
        # ``$`` follows ``#``: a key with it stands behind all that begin like it.
        found = list(self.table.query(pk, f"ended#{version:012d}$", before="ended$"))
        if now > at:
            since, until = f"until#{rfc3339(at)}$", f"until#{rfc3339(now)}$"
            found += self.table.query(pk, since, before=until)
        return {item["sk"].split("#", 2)[2] for item in found}


def _audience(kind: AudienceKind, client_id: str, organisation: str | None) -> Audience:
    if kind is AudienceKind.BROKER and organisation is not None:
        return Audience(AudienceKind.ORGANISATION, organisation)
    return Audience(AudienceKind.SERVICE, client_id)
