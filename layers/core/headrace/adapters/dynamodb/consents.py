"""Account holders, organisations and consents, in a table of their own.

    pk                          sk                      holds
    TENANT#accounts             ACCOUNT                 an account holder
    TENANT#organisations        ORGANISATION            an organisation
    TENANT#given#PARTY          consent#KIND#ID         nothing more: with whom the party has one
    TENANT#KIND#ID              version                 ``version``: counts the writes below
    TENANT#KIND#ID              consent#PARTY           a consent; KIND and ID are of the audience
    TENANT#KIND#ID              ended#VERSION#PARTY     that sharing ended with that version
    TENANT#KIND#ID              until#MOMENT#PARTY      that sharing ends, or ended, at that moment

KIND is service, organisation or broker. Every write of a consent takes the audience's next version
in the same transaction, so what somebody read between two equal versions belongs together, and
what has ended since a version is a range of keys: those of ``ended`` after the version, and those
of ``until`` between the moment of the reading and now (``adapters.dynamodb.sharing``). An ``until``
is taken back where the validity is changed before it has come, and stays for good where it has.
Consents are never removed; the records of ends are, after 400 days, as those of what data has come
to are (``baselines``).
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from headrace.adapters.dynamodb.table import ConditionFailed, Item, Table
from headrace.consents.model import (
    AccountHolder,
    Audience,
    AudienceKind,
    Change,
    Consent,
    Organisation,
    State,
    Validity,
)
from headrace.consents.ports import MAX_CHANGES
from headrace.kernel.clock import from_rfc3339, rfc3339
from headrace.kernel.errors import Conflict, Unavailable

_KEPT = timedelta(days=400)
_TRIES = 20
_VERSION = "version"
PAST_CONSENTS = "consent$"
"""Behind every key of a consent: ``$`` follows ``#``."""


def partition(tenant: str, audience: Audience) -> str:
    """Where the consents with an audience are."""
    return f"{tenant}#{audience}"


def version_of(table: Table, pk: str) -> int:
    """How often the consents of the partition were written; consistent."""
    item = table.get(pk, _VERSION)
    return 0 if item is None else int(item["version"])


@dataclass(frozen=True)
class DynamoConsents:
    """The ``Consents`` port."""

    table: Table

    def find(self, tenant: str, audience: Audience, party: str) -> Consent | None:
        """See the port."""
        item = self.table.get(partition(tenant, audience), f"consent#{party}")
        return None if item is None else consent_of(item)

    def save(self, changes: Sequence[Change], moment: datetime) -> None:
        """See the port."""
        if not 1 <= len(changes) <= MAX_CHANGES:
            raise ValueError(f"{len(changes)} changes cannot be written together")
        tenant, audience = changes[0].after.tenant, changes[0].after.audience
        pk = partition(tenant, audience)
        for attempt in range(_TRIES):
            # Others write to the audience at this moment: not all of them at the next one again.
            self.table.pause(random.uniform(0, 0.02 * attempt))  # noqa: S311 — jitter
            seen = version_of(self.table, pk)
            bump = self.table.to_put(
                {"pk": pk, "sk": _VERSION, "version": seen + 1},
                "#version = :seen" if seen else "attribute_not_exists(pk)",
                **({"seen": seen} if seen else {}),
            )
            rest = [
                action for one in changes for action in self._actions(pk, one, seen + 1, moment)
            ]
            try:
                self.table.transact([bump, *rest])
            except ConditionFailed as error:
                if error.failed != {0}:
                    raise Conflict(
                        "Somebody else changed the consent just now; look at it again."
                    ) from None
                continue
            return
        raise Unavailable("The consents are being changed; try again.", retry_after=1)

    def _actions(self, pk: str, change: Change, version: int, moment: datetime) -> Iterator[Item]:
        before, after = change.before, change.after
        if before is None:
            yield self.table.to_put(_item(pk, after), "attribute_not_exists(pk)")
            yield self.table.to_put(
                {"pk": f"{after.tenant}#given#{after.party}", "sk": f"consent#{after.audience}"}
            )
        else:
            yield self.table.to_put(
                _item(pk, after), "#revision = :revision", revision=before.revision
            )
        if change.ends_sharing(moment):
            ttl = _forgotten(moment)
            sk = f"ended#{version:012d}#{after.party}"
            yield self.table.to_put({"pk": pk, "sk": sk, "ttl": ttl})
        was, now = _until(before), _until(after)
        if was is not None and was != now and was > moment:
            yield self.table.to_delete(pk, _until_sk(was, after.party), "attribute_exists(pk)")
        if now is not None and now != was:
            sk = _until_sk(now, after.party)
            yield self.table.to_put({"pk": pk, "sk": sk, "ttl": _forgotten(now)})

    def with_audience(
        self, tenant: str, audience: Audience, after: str | None, limit: int
    ) -> tuple[Consent, ...]:
        """See the port."""
        # No id of a party holds a blank, so this sorts right behind the one named.
        first = "consent#" if after is None else f"consent#{after} "
        found = self.table.query(
            partition(tenant, audience), first, before=PAST_CONSENTS, limit=limit
        )
        return tuple(map(consent_of, found))

    def of_party(self, tenant: str, kind: AudienceKind, party: str) -> tuple[Consent, ...]:
        """See the port."""
        pointers = self.table.query(f"{tenant}#given#{party}", f"consent#{kind}#")
        audiences = (Audience(kind, one["sk"].split("#", 2)[2]) for one in pointers)
        found = (self.find(tenant, audience, party) for audience in audiences)
        return tuple(consent for consent in found if consent is not None)


@dataclass(frozen=True)
class DynamoAccounts:
    """The ``Accounts`` port."""

    table: Table

    def find(self, tenant: str, account_id: str) -> AccountHolder | None:
        """See the port."""
        item = self.table.get(f"{tenant}#accounts", account_id)
        return None if item is None else _holder(tenant, item)

    def register(self, holder: AccountHolder) -> bool:
        """See the port."""
        item = {
            "pk": f"{holder.tenant}#accounts",
            "sk": holder.account_id,
            "registered_at": rfc3339(holder.registered_at),
            "registered_by": holder.registered_by,
        }
        try:
            self.table.put(item, "attribute_not_exists(pk)")
        except ConditionFailed:
            return False
        return True

    def all(self, tenant: str) -> Iterator[AccountHolder]:
        """See the port."""
        found = self.table.query(f"{tenant}#accounts", "!", before="\x7f")
        return (_holder(tenant, item) for item in found)


@dataclass(frozen=True)
class DynamoOrganisations:
    """The ``Organisations`` port."""

    table: Table

    def find(self, tenant: str, organisation_id: str) -> Organisation | None:
        """See the port."""
        item = self.table.get(f"{tenant}#organisations", organisation_id)
        return None if item is None else _organisation(tenant, item)

    def put(self, organisation: Organisation) -> None:
        """See the port."""
        self.table.put(
            {
                "pk": f"{organisation.tenant}#organisations",
                "sk": organisation.organisation_id,
                "registered_at": rfc3339(organisation.registered_at),
                "name": organisation.name,
            }
        )

    def all(self, tenant: str) -> Iterator[Organisation]:
        """See the port."""
        found = self.table.query(f"{tenant}#organisations", "!", before="\x7f")
        return (_organisation(tenant, item) for item in found)


def _until(consent: Consent | None) -> datetime | None:
    return consent.validity.ends if consent is not None and consent.state.shares else None


def _forgotten(ended: datetime) -> int:
    # Not by adding to the moment: many write 9999-12-31 for an end that never comes.
    return int(ended.timestamp() + _KEPT.total_seconds())


def _until_sk(moment: datetime, party: str) -> str:
    return f"until#{rfc3339(moment)}#{party}"


def _item(pk: str, consent: Consent) -> Item:
    ends = consent.validity.ends
    return {
        "pk": pk,
        "sk": f"consent#{consent.party}",
        "state": str(consent.state),
        "begins": rfc3339(consent.validity.begins),
        "ends": None if ends is None else rfc3339(ends),
        "revision": consent.revision,
        "changed_at": rfc3339(consent.changed_at),
        "changed_by": consent.changed_by,
    }


def consent_of(item: Mapping[str, object]) -> Consent:
    """The consent in an item."""
    tenant, kind, audience_id = str(item["pk"]).split("#", 2)
    ends = item.get("ends")
    return Consent(
        tenant=tenant,
        party=str(item["sk"]).removeprefix("consent#"),
        audience=Audience(AudienceKind(kind), audience_id),
        state=State(str(item["state"])),
        validity=Validity(
            from_rfc3339(str(item["begins"])), None if ends is None else from_rfc3339(str(ends))
        ),
        revision=int(str(item["revision"])),
        changed_at=from_rfc3339(str(item["changed_at"])),
        changed_by=str(item["changed_by"]),
    )


def _holder(tenant: str, item: Mapping[str, str]) -> AccountHolder:
    return AccountHolder(
        tenant, item["sk"], from_rfc3339(item["registered_at"]), item["registered_by"]
    )


def _organisation(tenant: str, item: Mapping[str, str]) -> Organisation:
    return Organisation(
        tenant, item["sk"], from_rfc3339(item["registered_at"]), item.get("name", "")
    )
