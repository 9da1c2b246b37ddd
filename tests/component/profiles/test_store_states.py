"""Whatever is done to profiles in whatever order, DynamoDB holds what a dictionary would."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from itertools import count

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from headrace.kernel.errors import HeadraceError
from headrace.profiles.model import Profile
from headrace.profiles.ports import Profiles
from tests.component.profiles.storing import HandClock, a_person, a_profile, storage
from tests.examples import examples
from tests.fakes import FakeProfiles

_TENANTS = st.sampled_from(["acme", "beta"])
_SYNC_IDS = st.sampled_from(["s1", "s2", "s3"])
_EXTERNAL_IDS = st.sampled_from([None, "e1", "e2"])
_GROUPS = st.frozensets(st.sampled_from(["g1", "g2"]))
_PICK = st.integers(0, 5)

type _Change = Callable[[Profile], Profile]


class Store(RuleBasedStateMachine):
    """The same calls of both; both are to answer the same and to hold the same."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.real: Profiles = self.stack.enter_context(storage()).profiles()
        self.model = FakeProfiles()
        self.clock = HandClock()
        self.numbers = count(1)
        self.touched = "acme"

    def teardown(self) -> None:
        self.stack.close()

    def both(self, tenant: str, call: Callable[[Profiles], object]) -> None:
        """Both answer the same, or refuse for the same reason."""
        self.clock.tick()
        self.touched = tenant
        assert _answer(call, self.real) == _answer(call, self.model)

    def any_profile(self, tenant: str, pick: int) -> Profile:
        """One of the tenant's, or one that never was."""
        known = sorted(self.model.modified_from(tenant, None), key=lambda one: one.profile_id)
        return known[pick % len(known)] if known else a_profile(999, tenant)

    def change(self, tenant: str, pick: int, change: _Change) -> None:
        one = self.any_profile(tenant, pick)
        self.both(tenant, lambda it: it.change(tenant, one.profile_id, change))

    @rule(tenant=_TENANTS, sync_id=_SYNC_IDS, external_id=_EXTERNAL_IDS)
    def put(self, tenant: str, sync_id: str, external_id: str | None) -> None:
        onto = self._onto(tenant, sync_id, external_id)
        self.both(tenant, lambda it: it.put_by_sync_id(tenant, sync_id, onto))

    @rule(tenant=_TENANTS, sync_ids=st.sets(_SYNC_IDS), external_id=_EXTERNAL_IDS)
    def put_many(self, tenant: str, sync_ids: set[str], external_id: str | None) -> None:
        changes = {one: self._onto(tenant, one, external_id) for one in sorted(sync_ids)}
        self.both(tenant, lambda it: it.put_many(tenant, changes, lambda: True))

    def _onto(
        self, tenant: str, sync_id: str, external_id: str | None
    ) -> Callable[[Profile | None], Profile]:
        now, person = self.clock.now(), a_person(external_id=external_id)
        new = a_profile(next(self.numbers), tenant, sync_id=sync_id, external_id=external_id)

        def onto(before: Profile | None) -> Profile:
            if before is None:
                return replace(new, created_at=now, modified_at=now)
            return before.changed(now, person=person)

        return onto

    @rule(tenant=_TENANTS, pick=_PICK, sync_id=st.none() | _SYNC_IDS)
    def link(self, tenant: str, pick: int, sync_id: str | None) -> None:
        now = self.clock.now()
        self.change(tenant, pick, lambda one: one.changed(now, sync_id=sync_id))

    @rule(tenant=_TENANTS, pick=_PICK, groups=_GROUPS)
    def group(self, tenant: str, pick: int, groups: frozenset[str]) -> None:
        now = self.clock.now()
        self.change(tenant, pick, lambda one: one.changed(now, groups=groups))

    @rule(tenant=_TENANTS)
    def unlink(self, tenant: str) -> None:
        now = self.clock.now()
        self.both(tenant, lambda it: it.unlink(list(it.links(tenant)), now, lambda: True))

    @rule(tenant=_TENANTS, pick=_PICK)
    def delete(self, tenant: str, pick: int) -> None:
        one = self.any_profile(tenant, pick)
        self.both(tenant, lambda it: it.delete(tenant, one.profile_id))

    @rule(tenant=_TENANTS, kept=_PICK, merged=_PICK, stale=st.booleans())
    def merge(self, tenant: str, kept: int, merged: int, stale: bool) -> None:
        stays, goes = self.any_profile(tenant, kept), self.any_profile(tenant, merged)
        if stays.profile_id == goes.profile_id:
            return
        goes = replace(goes, revision=goes.revision - 1) if stale else goes
        after = stays.changed(
            self.clock.now(),
            sync_id=stays.sync_id or goes.sync_id,
            groups=stays.groups | goes.groups,
        )
        self.both(tenant, lambda it: it.merge(after, goes))

    @invariant()
    def both_hold_the_same(self) -> None:
        held, wanted = self._held(self.real), self._held(self.model)
        assert held == wanted

    def _held(self, profiles: Profiles) -> list[object]:
        tenant = self.touched
        return [
            list(profiles.modified_from(tenant, None)),
            sorted(one.profile_id for one in profiles.links(tenant)),
            *(profiles.by_sync_id(tenant, one) for one in ("s1", "s2", "s3")),
            *(list(profiles.by_external_id(tenant, one)) for one in ("e1", "e2")),
            *(list(profiles.of_group(tenant, one)) for one in ("g1", "g2")),
        ]


def _answer(call: Callable[[Profiles], object], profiles: Profiles) -> object:
    try:
        return call(profiles)
    except HeadraceError as error:
        return error.code


Store.TestCase.settings = settings(
    max_examples=examples(6),
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestStore = Store.TestCase
