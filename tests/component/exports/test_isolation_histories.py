"""Nobody can tell what others do: the same calls are answered alike whether the others are there.

Two deployments live through the same random history, but one has a single caller in it, and the
other has callers of other tenants, clients and organisations besides. What the one is answered
must be the same in both, also to calls with the ids and cursors of the others, which in the first
deployment never were.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, cast

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.adapters.warehouse.by_kind import WarehouseByKind
from headrace.exports import usecases
from headrace.exports.model import DocumentRecord, Operation
from headrace.exports.sources import AccountColumn, ColumnType, Configuration, RowFilter, Source
from headrace.kernel.caller import Caller
from headrace.kernel.errors import Fenced, HeadraceError, Stopped
from headrace.kernel.ids import RandomIds
from tests.builders import ALL_SCOPES, NOON, a_configuration, a_rule
from tests.component.consents.tables import Tables, tables
from tests.component.warehouse.places import a_lake, a_table_of
from tests.examples import examples
from tests.fakes import FakeConfigurations
from tests.world import World, a_world

ME = Caller("north", "bureau", ALL_SCOPES)
OTHERS = (
    Caller("south", "bureau", ALL_SCOPES),
    Caller("north", "agency", ALL_SCOPES),
    Caller("north", "bureau", ALL_SCOPES, organisation="clinic"),
)
CALLERS = (ME, *OTHERS)
NEVER = RandomIds().new(NOON)

VERBS = (
    "start",
    "run",
    "status",
    "list",
    "next page",
    "manifest",
    "link",
    "retry",
    "delete",
    "cancel",
)


@dataclass(frozen=True)
class Step:
    """A caller does something with an operation of somebody's (None: one that never was)."""

    who: int
    verb: str
    whose: int | None
    number: int = 0


NUMBERS = st.sampled_from(range(len(CALLERS)))
STEPS = st.builds(
    Step, NUMBERS, st.sampled_from(VERBS), st.one_of(st.none(), NUMBERS), st.integers(0, 3)
)
BEGUN = tuple(
    Step(who, verb, who, number)
    for number in range(2)
    for verb in ("start", "run")
    for who in range(len(CALLERS))
    if (verb, number) != ("run", 1)
)
"""Everybody has one operation that has ended, and one that is active."""


@dataclass
class Deployment:
    """One of the two, and what was started in it, by the number of its caller."""

    world: World
    callers: Sequence[Caller] = CALLERS
    started: dict[int, list[Operation]] = field(default_factory=dict)

    def own(self, who: int, number: int) -> str:
        """One of the caller's own operations, or one that never was."""
        mine = self.started.get(who, [])
        return mine[number % len(mine)].operation_id if mine else NEVER

    def call(self, who: int, verb: str, operation_id: str) -> Any:
        """What the caller is answered."""
        world, caller = self.world, self.callers[who]
        export, files = world.export, world.files
        match verb:
            case "start":
                operation = world.start(caller=caller)
                self.started.setdefault(who, []).append(operation)
                return operation
            case "run":
                return self._run(caller, operation_id)
            case "status":
                return usecases.GetExport(export)(caller, operation_id).operation
            case "list":
                return usecases.ListExports(export)(caller, 2, None)[:2]
            case "next page":
                return usecases.ListExports(export)(caller, 2, operation_id)[:2]
            case "manifest":
                return usecases.GetManifest(export, world.access)(caller, operation_id)
            case "link":
                link = usecases.DownloadJob(export, files, world.access)
                return bool(link(caller, f"{operation_id}-0001"))
            case "retry":
                retry = usecases.RetryExport(export, world.workflows)
                return retry(caller, operation_id).operation
            case "cancel":
                cancel = usecases.CancelExport(
                    export, world.workflows, files, world.runs, world.limits
                )
                return cancel(caller, operation_id).operation
            case _:
                return usecases.DeleteExport(export, files)(caller, operation_id)

    def _run(self, caller: Caller, operation_id: str) -> Any:
        """The workflow of an operation that the caller may see, to its end."""
        operation = usecases.GetExport(self.world.export)(caller, operation_id).operation
        with suppress(Fenced, Stopped):
            for job_id in self.world.plan(operation):
                self.world.run_job(operation, job_id)
            self.world.end(operation)
        return usecases.GetExport(self.world.export)(caller, operation_id).operation

    def answer(self, who: int, verb: str, operation_id: str) -> str:
        """The answer as a text in which the caller's own ids are numbered: they are random."""
        text = _told(lambda: self.call(who, verb, operation_id))
        for number, operation in enumerate(self.started.get(who, [])):
            text = text.replace(operation.operation_id, f"<{number}>")
        return text


def _told(do: Callable[[], Any]) -> str:
    try:
        return _shown(do())
    except HeadraceError as error:
        # The quota is the client's, whichever organisation it calls for: of that it may know.
        members = {name: value for name, value in error.members.items() if name != "quota"}
        return f"{error.code}: {error.detail} {error.retry_after} {sorted(members.items())}"


def _shown(value: Any) -> str:
    if isinstance(value, Operation):
        jobs = [(job.job_id, job.table, str(job.status), job.rows) for job in value.jobs]
        return f"{value.operation_id} {value.status} {value.attempt} {value.failure} {jobs}"
    if isinstance(value, DocumentRecord):
        return f"{value.job.job_id} {value.job.rows} {value.job.size} {value.job.sha256}"
    if isinstance(value, tuple):
        return f"({', '.join(_shown(item) for item in value)})"
    return repr(value)


@contextmanager
def plain(alone: bool) -> Iterator[Deployment]:
    """With the same tables for all callers, and more quota than they use."""
    configurations = [
        a_configuration("employees", tenant=tenant, client_id=client_id)
        for tenant, client_id in sorted({(one.tenant, one.client_id) for one in CALLERS})
    ]
    catalog = FakeConfigurations(versions=[tuple(configurations)], rule=a_rule(limit=1000))
    with a_world(configurations=catalog) as world:
        yield Deployment(world)


def answers(
    history: Sequence[Step], foreign: dict[int, str], here: Deployment, *, alone: bool
) -> list[str]:
    """What the one is answered. ``foreign``: ids of the others' by step, where they are not."""
    told = []
    for index, step in enumerate(history):
        here.world.clock.advance(seconds=1)
        if alone and step.who != 0:
            continue
        operation_id = NEVER if step.whose is None else here.own(step.whose, step.number)
        if step.who == 0 and step.whose not in {0, None}:
            operation_id = foreign.setdefault(index, operation_id)
        told.append((step.who, f"{step}: {here.answer(step.who, step.verb, operation_id)}"))
    return [answer for who, answer in told if who == 0]


def check(
    history: Sequence[Step], made: Callable[[bool], AbstractContextManager[Deployment]] = plain
) -> None:
    """The one is answered alike in both deployments. ``made``: one, if the others are not there."""
    foreign: dict[int, str] = {}
    with made(False) as crowded:
        told = answers(history, foreign, crowded, alone=False)
    with made(True) as lonely:
        assert told == answers(history, foreign, lonely, alone=True)


@pytest.mark.abuse(67)
def test_nothing_that_is_called_with_the_id_of_anothers_operation_tells_that_there_is_one() -> None:
    tried = [
        Step(0, verb, whose, number)
        for verb in VERBS[1:]
        for whose in (None, 1, 2, 3)
        for number in range(2)
    ]
    check((*BEGUN, *tried, *(Step(0, verb, 0, 1) for verb in VERBS)))


@hypothesis.settings(deadline=None, max_examples=examples(8))
@given(st.lists(STEPS, min_size=5, max_size=20))
def test_nobody_can_tell_what_others_do(history: list[Step]) -> None:
    check((*BEGUN, *history))


# --- consents ---------------------------------------------------------------------------------

MY_MARY = Caller("north", "hub", ALL_SCOPES, organisation="st-mary")
MEMBERS = (
    MY_MARY,
    Caller("north", "hub", ALL_SCOPES, organisation="st-john"),
    Caller("south", "hub", ALL_SCOPES, organisation="st-mary"),
    Caller("north", "agency", ALL_SCOPES),
)
ACCOUNTS = ("ann", "bob", "eve")
"""Patients of both tenants are called so."""

MADE = """
CREATE TABLE visits(id INTEGER, tenant VARCHAR, patient VARCHAR);
INSERT INTO visits VALUES (1, 'north', 'ann'), (2, 'north', 'bob'), (3, 'north', 'eve'),
    (4, 'south', 'ann'), (5, 'south', 'bob'), (6, 'south', 'eve'), (7, 'north', NULL);
"""


class Clinic(Deployment):
    """One whose clients are a data broker and another service; accounts share with each caller's
    organisation, or with the service itself."""

    consents: Tables

    def call(self, who: int, verb: str, operation_id: str) -> Any:
        """What the caller is answered; by its link, the rows."""
        if verb in ACCOUNTS:
            return self._turn(who, verb)
        answer = super().call(who, verb, operation_id)
        if verb != "link":
            return answer
        stored = self.world.stored()
        return sorted(stored[key] for key in stored if f"/{operation_id}/" in key)

    def _turn(self, who: int, account: str) -> None:
        """The account begins to share with the caller, or does so no more."""
        caller, shared = self.callers[who], self.__dict__.setdefault("shared", set())
        whom = f"organisation#{caller.organisation}" if caller.organisation else "service#agency"
        turn = self.consents.end if (who, account) in shared else self.consents.begin
        shared ^= {(who, account)}
        turn(caller.tenant, whom, account)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """What both tenants' services read."""
    return a_lake(tmp_path_factory.mktemp("visits"), *filter(str.strip, MADE.split(";")))


def a_clinic(lake: Source) -> Callable[[bool], AbstractContextManager[Deployment]]:
    """Makes deployments over the lake."""
    visits = a_table_of(lake, "main.visits", columns=("id", "patient"))

    def of(caller: Caller) -> Configuration:
        tenant = RowFilter("tenant", (caller.tenant,), ColumnType.STRING)
        account = AccountColumn("patient", ColumnType.STRING, with_public=True)
        table = replace(visits, name="visits", filters=(tenant,), account=account)
        return a_configuration(
            tenant=caller.tenant, client_id=caller.client_id, by_consent=True, tables=(table,)
        )

    distinct = {(one.tenant, one.client_id): one for one in MEMBERS}.values()
    catalog = FakeConfigurations(
        versions=[tuple(map(of, distinct))], rule=a_rule(limit=1000), origin=lake
    )

    @contextmanager
    def made(alone: bool) -> Iterator[Deployment]:
        with a_world(configurations=catalog) as world, tables(world.clock) as consents:
            consents.publish({"hub": "broker", "agency": "external"}, ("north", "south"))
            for caller in MEMBERS[:1] if alone else MEMBERS:
                if caller.organisation is not None:
                    consents.organise(caller.tenant, caller.organisation)
                    consents.begin(caller.tenant, "broker#hub", caller.organisation)
            world.warehouse, world.changes = cast("Any", WarehouseByKind()), cast("Any", None)
            world.access = replace(world.access, sharing=consents.sharing)
            world.extraction = replace(world.extraction, access=world.access)
            here = Clinic(world, MEMBERS)
            here.consents = consents
            yield here

    return made


def test_a_service_gets_the_rows_of_those_who_share_with_it_and_the_public_ones(
    lake: Source,
) -> None:
    with a_clinic(lake)(False) as here:
        for who, account in ((0, "ann"), (1, "bob"), (2, "eve"), (3, "eve")):
            here.answer(who, account, NEVER)
        ids = []
        for who in range(len(MEMBERS)):
            here.world.clock.advance(seconds=1)
            here.answer(who, "start", NEVER)
            here.answer(who, "run", here.own(who, 0))
            (document,) = here.call(who, "link", here.own(who, 0))
            ids.append(sorted(json.loads(line)["id"] for line in document.splitlines()))
    assert ids == [[1, 7], [2, 7], [6], [3, 7]]


TURNS = st.builds(Step, NUMBERS, st.sampled_from(ACCOUNTS), st.none())
EXPORTS = st.builds(
    Step, NUMBERS, st.sampled_from(("start", "run", "link", "manifest")), NUMBERS, st.integers(0, 3)
)


@hypothesis.settings(deadline=None, max_examples=examples(6))
@given(st.data())
def test_nobody_can_tell_who_shares_with_others(lake: Source, data: st.DataObject) -> None:
    history = data.draw(st.lists(st.one_of(TURNS, EXPORTS), min_size=5, max_size=20))
    shared = tuple(Step(who, "ann", None) for who in range(len(MEMBERS)))
    ends = ("run", "start", "run", "link")
    last = tuple(Step(0, verb, 0, -1) for verb in ends)
    check((*shared, *BEGUN, *history, *last, Step(0, "link", 0, 0)), a_clinic(lake))
