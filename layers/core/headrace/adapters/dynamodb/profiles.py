"""Profiles in DynamoDB, what is personal in them sealed with the tenant's data key.

    pk                          sk                  holds
    profiles#TENANT#SHARD       PROFILE_ID          ``sealed``: the person and the sync id;
                                                    ``created_at``, ``modified_at``, ``groups``: a
                                                    list of ids; ``revision``: counts the writes
    links#TENANT#SHARD          MARK                ``profile_id``: whose the sync id is
    external#TENANT#MARK        PROFILE_ID          nothing more: it has this external id
    members#TENANT#GROUP_ID     PROFILE_ID          nothing more: it is in this group
    modified#TENANT#SHARD       MOMENT#PROFILE_ID   nothing more: it was last changed then

MARK is an HMAC of the sync id or external id: who reads the table learns neither. SHARD is the
first hexadecimal digit of the profile's id or of the mark, so that a tenant's writes do not meet
in one partition. A profile and all that leads to it are written in one transaction, on condition
that the profile is as it was read; that a sync id is one profile's is a condition on the link. So
whatever is found by any of the keys is consistent, and there is no index to wait for.
"""

import heapq
import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import batched
from typing import Any

from headrace.adapters.dynamodb.table import ConditionFailed, Item, Table
from headrace.adapters.dynamodb.tenant_keys import DynamoTenantKeys
from headrace.adapters.kms.data_keys import DataKey
from headrace.kernel.clock import from_rfc3339, rfc3339
from headrace.kernel.errors import Fenced, SyncIdTaken, Unavailable
from headrace.profiles.model import Person, Profile, Sex

_SHARDS = "0123456789abcdef"
_TRIES = 40
_BATCH = 100
_FIRST, _PAST = "!", "\x7f"
"""Before and behind every sort key."""
_BEHIND = " "
"""Behind an id: no id holds a blank, so it sorts right behind the one that it is added to."""
_TOGETHER = 20
"""Profiles written in one transaction: each takes up to five of its hundred actions."""
_AT_ONCE = 8
"""Transactions at the same time."""

type _Key = tuple[str, str]


@dataclass(frozen=True)
class DynamoProfiles:
    """The ``Profiles`` port."""

    table: Table
    keys: DynamoTenantKeys

    # --- reading ----------------------------------------------------------------------------

    def find(self, tenant: str, profile_id: str) -> Profile | None:
        """See the port."""
        item = self.table.get(*_profile_key(tenant, profile_id))
        return None if item is None else _profile(tenant, item, self.keys.of(tenant))

    def by_sync_id(self, tenant: str, sync_id: str) -> Profile | None:
        """See the port."""
        key = self.keys.find(tenant)
        if key is None:  # nobody pushed to the tenant yet
            return None
        link = _link_key(tenant, key, sync_id)
        for _ in range(_TRIES):
            item = self.table.get(*link)
            if item is None:
                return None
            found = self.find(tenant, item["profile_id"])
            if found is not None and found.sync_id == sync_id:
                return found
            # It lost the link between the two readings: look again.
        raise _busy()

    def by_external_id(
        self, tenant: str, external_id: str, after: str | None = None
    ) -> Iterator[Profile]:
        """See the port."""
        key = self.keys.find(tenant)
        if key is None:
            return
        mark = key.mark("external", external_id)
        for profile in self._listed(tenant, f"external#{tenant}#{mark}", after):
            if profile.person.external_id == external_id:
                yield profile

    def of_group(self, tenant: str, group_id: str, after: str | None = None) -> Iterator[Profile]:
        """See the port."""
        for profile in self._listed(tenant, _group(tenant, group_id), after):
            if group_id in profile.groups:
                yield profile

    def modified_from(
        self, tenant: str, moment: datetime | None, after: str | None = None
    ) -> Iterator[Profile]:
        """See the port. One that is changed while they are read comes last, as it then is, and may
        have come before as it was."""
        first = _FIRST if moment is None else rfc3339(moment)
        if after is not None:
            first = f"{first}#{after}{_BEHIND}"
        shards = [
            self.table.query(f"modified#{tenant}#{shard}", first, before=_PAST) for shard in _SHARDS
        ]
        keys = heapq.merge(*((str(item["sk"]) for item in shard) for shard in shards))
        changed: list[str] = []
        for batch in batched(keys, _BATCH, strict=False):
            told = [tuple(key.split("#", 1)) for key in batch]
            found = self._found(tenant, (profile_id for _, profile_id in told))
            for at, profile_id in told:
                profile = found.get(profile_id)
                if profile is not None and rfc3339(profile.modified_at) == at:
                    yield profile
                else:
                    changed.append(profile_id)
        late = self._found(tenant, changed).values()
        yield from sorted(late, key=lambda one: (one.modified_at, one.profile_id))

    def links(self, tenant: str) -> Iterator[Profile]:
        """See the port."""
        for shard in _SHARDS:
            links = self.table.query(f"links#{tenant}#{shard}", _FIRST, before=_PAST)
            ids = [str(item["profile_id"]) for item in links]
            found = self._found(tenant, ids).values()
            yield from (profile for profile in found if profile.sync_id is not None)

    def _listed(self, tenant: str, pk: str, after: str | None) -> Iterator[Profile]:
        first = _FIRST if after is None else after + _BEHIND
        keys = (str(item["sk"]) for item in self.table.query(pk, first, before=_PAST))
        for batch in batched(keys, _BATCH, strict=False):
            found = self._found(tenant, batch)
            yield from (found[one] for one in batch if one in found)

    def _found(self, tenant: str, ids: Iterable[str]) -> dict[str, Profile]:
        """Those that there are, by id."""
        wanted = dict.fromkeys(_profile_key(tenant, one) for one in ids)
        if not wanted:
            return {}
        key = self.keys.of(tenant)
        found = (_profile(tenant, item, key) for item in self.table.get_many(wanted))
        return {profile.profile_id: profile for profile in found}

    # --- writing ----------------------------------------------------------------------------

    def put_by_sync_id(
        self, tenant: str, sync_id: str, change: Callable[[Profile | None], Profile]
    ) -> Profile:
        """See the port."""
        for attempt in range(_TRIES):
            self._wait(attempt)
            before = self.by_sync_id(tenant, sync_id)
            after = change(before)
            if after == before:
                return after
            try:
                return self._write([before] if before else [], [after])[0]
            except ConditionFailed:
                continue
        raise _busy()

    def put_many(
        self,
        tenant: str,
        changes: Mapping[str, Callable[[Profile | None], Profile]],
        goes_on: Callable[[], bool],
    ) -> Mapping[str, Profile]:
        """See the port."""

        def alone(sync_id: str) -> Profile:
            return self.put_by_sync_id(tenant, sync_id, changes[sync_id])

        def put(sync_ids: Sequence[str]) -> dict[str, Profile]:
            read = self._by_sync_ids(tenant, sync_ids)
            pairs = {one: (read[one], changes[one](read[one])) for one in read}
            done = self._write_together(pairs, alone, goes_on)
            for one in sync_ids:
                if one not in read and goes_on():
                    with suppress(Unavailable):
                        done[one] = alone(one)
            return done

        done: dict[str, Profile] = {}
        for part in self._in_parts(list(changes), put, goes_on):
            done |= part
        return done

    def unlink(
        self, unlinked: Iterable[Profile], moment: datetime, goes_on: Callable[[], bool]
    ) -> int:
        """See the port."""

        def without(profile: Profile) -> Profile:
            return profile.changed(moment, sync_id=None)

        def alone(profile_id: str) -> Profile | None:
            return self.change(tenant, profile_id, without)

        def take(profiles: Sequence[Profile]) -> int:
            had = {one.profile_id for one in profiles}
            pairs = {one.profile_id: (one, without(one)) for one in profiles}
            done = self._write_together(pairs, alone, goes_on)
            return len(had & done.keys())

        listed = list(unlinked)
        if not listed:
            return 0
        tenant = listed[0].tenant
        return sum(self._in_parts(listed, take, goes_on))

    def _in_parts[T, R](
        self, of: Sequence[T], work: Callable[[Sequence[T]], R], goes_on: Callable[[], bool]
    ) -> Iterator[R]:
        """What the work makes of each part, several parts at a time."""

        def one(part: Sequence[T]) -> R | None:
            return work(part) if goes_on() else None

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            done = pool.map(one, batched(of, _TOGETHER, strict=False))
            yield from (part for part in done if part is not None)

    def _by_sync_ids(self, tenant: str, sync_ids: Sequence[str]) -> dict[str, Profile | None]:
        """The profiles of the sync ids, None for one that is free; those are missing whose link
        changed while they were read."""
        key = self.keys.of(tenant)
        links = {one: _link_key(tenant, key, one) for one in sync_ids}
        items = self.table.get_many(links.values())
        whose = {str(item["sk"]): str(item["profile_id"]) for item in items}
        found = self._found(tenant, whose.values())
        read: dict[str, Profile | None] = {}
        for sync_id, (_, mark) in links.items():
            profile = found.get(whose[mark]) if mark in whose else None
            if mark not in whose or (profile is not None and profile.sync_id == sync_id):
                read[sync_id] = profile
        return read

    def _write_together(
        self,
        pairs: Mapping[str, tuple[Profile | None, Profile]],
        alone: Callable[[str], Profile | None],
        goes_on: Callable[[], bool],
    ) -> dict[str, Profile]:
        """Writes each second one where the first one is, all in one transaction; one by one where
        somebody else changes one of them. By their names, those that were done."""
        done = {name: after for name, (before, after) in pairs.items() if after == before}
        left = {name: pair for name, pair in pairs.items() if name not in done}
        if not left:
            return done
        befores = [before for before, _ in left.values() if before is not None]
        try:
            written = self._write(befores, [after for _, after in left.values()])
            return done | dict(zip(left, written, strict=True))
        except (ConditionFailed, Unavailable):
            pass
        for name in left:
            if not goes_on():
                break
            with suppress(Unavailable):
                profile = alone(name)
                if profile is not None:
                    done[name] = profile
        return done

    def change(
        self, tenant: str, profile_id: str, change: Callable[[Profile], Profile]
    ) -> Profile | None:
        """See the port."""
        for attempt in range(_TRIES):
            self._wait(attempt)
            before = self.find(tenant, profile_id)
            if before is None:
                return None
            after = change(before)
            if after == before:
                return after
            self._check_link(before, after)
            try:
                return self._write([before], [after])[0]
            except ConditionFailed:
                continue
        raise _busy()

    def merge(self, kept: Profile, merged: Profile) -> None:
        """See the port."""
        before = self.find(kept.tenant, kept.profile_id)
        gone = self.find(merged.tenant, merged.profile_id)
        changed = Fenced("Somebody else changed one of the profiles just now; try again.")
        if before is None or gone != merged or before.revision != kept.revision:
            raise changed
        try:
            self._write([before, merged], [kept])
        except ConditionFailed:
            raise changed from None

    def delete(self, tenant: str, profile_id: str) -> bool:
        """See the port."""
        for attempt in range(_TRIES):
            self._wait(attempt)
            before = self.find(tenant, profile_id)
            if before is None:
                return False
            try:
                self._write([before], [])
            except ConditionFailed:
                continue
            return True
        raise _busy()

    def _check_link(self, before: Profile, after: Profile) -> None:
        if after.sync_id is None or after.sync_id == before.sync_id:
            return
        if self.by_sync_id(after.tenant, after.sync_id) is not None:
            raise SyncIdTaken("Another profile of the tenant has this sync id.")

    def _write(self, before: Sequence[Profile], after: Sequence[Profile]) -> list[Profile]:
        """Puts those of ``after`` where those of ``before`` are. Raises ConditionFailed."""
        tenant = (before or after)[0].tenant
        key = self.keys.of(tenant)
        after = [replace(one, revision=one.revision + 1) for one in after]
        old = {k: item for one in before for k, item in _leading(one, key).items()}
        new = {k: item for one in after for k, item in _leading(one, key).items()}
        read = {one.profile_id: one.revision for one in before}
        stay = {one.profile_id for one in after}
        actions = [self._put(one, key, read.get(one.profile_id)) for one in after]
        actions += [
            self.table.to_delete(*_profile_key(tenant, one), "#revision = :seen", seen=revision)
            for one, revision in read.items()
            if one not in stay
        ]
        actions += [self.table.to_delete(*k, "attribute_exists(pk)") for k in old if k not in new]
        actions += [
            self._lead(k, item, old.get(k)) for k, item in new.items() if old.get(k) != item
        ]
        self.table.transact(actions)
        return after

    def _put(self, profile: Profile, key: DataKey, seen: int | None) -> Item:
        item = _item(profile, key)
        if seen is None:
            return self.table.to_put(item, "attribute_not_exists(pk)")
        return self.table.to_put(item, "#revision = :seen", seen=seen)

    def _lead(self, key: _Key, item: Mapping[str, str], old: Mapping[str, str] | None) -> Item:
        """A link is taken only from whom it was read to belong to; what else leads to a profile
        is written by nobody but who writes the profile."""
        put = {"pk": key[0], "sk": key[1], **item}
        if "profile_id" not in item:
            return self.table.to_put(put)
        if old is None:
            return self.table.to_put(put, "attribute_not_exists(pk)")
        return self.table.to_put(put, "#profile_id = :whose", whose=old["profile_id"])

    def _wait(self, attempt: int) -> None:
        # Others write to the profile at this moment: not all of them at the next one again.
        self.table.pause(random.uniform(0, 0.02 * min(attempt, 20)))  # noqa: S311 — jitter


def _busy() -> Unavailable:
    return Unavailable("The profile is being changed; try again.", retry_after=1)


def _profile_key(tenant: str, profile_id: str) -> _Key:
    return f"profiles#{tenant}#{profile_id[:1]}", profile_id


def _link_key(tenant: str, key: DataKey, sync_id: str) -> _Key:
    mark = key.mark("sync", sync_id)
    return f"links#{tenant}#{mark[0]}", mark


def _group(tenant: str, group_id: str) -> str:
    return f"members#{tenant}#{group_id}"


def _leading(profile: Profile, key: DataKey) -> dict[_Key, dict[str, str]]:
    """What leads to the profile: by the keys of the items, what is in them."""
    tenant, whose = profile.tenant, profile.profile_id
    at = f"{rfc3339(profile.modified_at)}#{whose}"
    found: dict[_Key, dict[str, str]] = {(f"modified#{tenant}#{whose[:1]}", at): {}}
    if profile.sync_id is not None:
        found[_link_key(tenant, key, profile.sync_id)] = {"profile_id": whose}
    if profile.person.external_id is not None:
        mark = key.mark("external", profile.person.external_id)
        found[f"external#{tenant}#{mark}", whose] = {}
    for group_id in profile.groups:
        found[_group(tenant, group_id), whose] = {}
    return found


def _item(profile: Profile, key: DataKey) -> Item:
    pk, sk = _profile_key(profile.tenant, profile.profile_id)
    person = profile.person
    told: dict[str, Any] = {
        "givenName": person.given_name,
        "familyName": person.family_name,
        "dateOfBirth": person.date_of_birth.isoformat(),
        "sex": str(person.sex),
        "email": person.email,
        "externalId": person.external_id,
        "isCreatedByUserOver18YearsOld": person.is_created_by_user_over_18_years_old,
        "isGuardianConsentGiven": person.is_guardian_consent_given,
        "isPhotoVideoConsentGiven": person.is_photo_video_consent_given,
        "syncId": profile.sync_id,
    }
    return {
        "pk": pk,
        "sk": sk,
        "sealed": key.seal(json.dumps(told).encode(), profile.tenant, profile.profile_id),
        "created_at": rfc3339(profile.created_at),
        "modified_at": rfc3339(profile.modified_at),
        "groups": sorted(profile.groups),
        "revision": profile.revision,
    }


def _profile(tenant: str, item: Item, key: DataKey) -> Profile:
    profile_id = str(item["sk"])
    told = json.loads(key.open(item["sealed"], tenant, profile_id))
    return Profile(
        tenant=tenant,
        profile_id=profile_id,
        person=Person(
            given_name=told["givenName"],
            family_name=told["familyName"],
            date_of_birth=date.fromisoformat(told["dateOfBirth"]),
            sex=Sex(told["sex"]),
            email=told["email"],
            external_id=told["externalId"],
            is_created_by_user_over_18_years_old=told["isCreatedByUserOver18YearsOld"],
            is_guardian_consent_given=told["isGuardianConsentGiven"],
            is_photo_video_consent_given=told["isPhotoVideoConsentGiven"],
        ),
        created_at=from_rfc3339(item["created_at"]),
        modified_at=from_rfc3339(item["modified_at"]),
        sync_id=told["syncId"],
        groups=frozenset(item["groups"]),
        revision=item["revision"],
    )
