"""Whatever happens to processes, in whatever order: one runs at a time, and each ends once."""

from dataclasses import dataclass, field
from datetime import datetime

import boto3
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from moto import mock_aws

from headrace.adapters.dynamodb.data_set_processes import DynamoNotices, DynamoProcesses
from headrace.adapters.dynamodb.table import Table
from headrace.datasets.messages import Message
from headrace.datasets.model import Process, Progress, Result
from headrace.datasets.running import LEASE
from headrace.kernel.errors import Fenced
from headrace.kernel.idempotency import IdempotencyKey
from tests.builders import SteppingClock, a_process
from tests.examples import examples
from tests.world import REGION, create_tables

MESSAGES = tuple(Message(f"GEN-MIGR-00{n}", "text", item=f"item {n}") for n in range(1, 4))


@dataclass
class Known:
    """What a process should be like."""

    process: Process
    alive_until: datetime
    result: Result | None = None
    told: list[Message] = field(default_factory=list)


class ProcessHistories(RuleBasedStateMachine):
    """Starts, workers in time and too late, and time that passes."""

    @initialize()
    def begin_anew(self) -> None:
        self.mock = mock_aws()
        self.mock.start()
        client = boto3.client("dynamodb", region_name=REGION)
        create_tables(client)
        self.clock = SteppingClock()
        table = Table(client, "DataSetsTable", pause=lambda _: None)
        self.processes = DynamoProcesses(table, self.clock)
        self.notices = DynamoNotices(table)
        self.known: dict[str, Known] = {}
        self.keys: dict[str, str] = {}
        self.gone: set[str] = set()

    def teardown(self) -> None:
        if hasattr(self, "mock"):
            self.mock.stop()

    def holder(self) -> Known | None:
        """The one that runs, dead or alive."""
        return next((one for one in self.known.values() if one.result is None), None)

    @rule(key=st.sampled_from((None, "nightly", "weekly")))
    def start(self, key: str | None) -> None:
        process = a_process(
            process_id=f"01kaqb7m3y6c9r2t5v8x1z4{len(self.known):03d}",
            started_at=self.clock.now(),
        )
        given = None if key is None else IdempotencyKey(key, "digest")
        begun = self.processes.begin(process, LEASE, given, is_gone=self.is_gone)
        if key in self.keys:
            assert begun is not None
            assert begun.process_id == self.keys[key]
            return
        holder = self.holder()
        if holder is not None and (
            self.clock.now() < holder.alive_until or not self.is_gone(holder.process)
        ):
            assert begun is None
            return
        assert begun == process
        if holder is not None:
            holder.result = Result.FAILURE
            holder.told.append(self.messages_of(holder)[-1])
        self.known[process.process_id] = Known(process, self.clock.now() + LEASE)
        if key is not None:
            self.keys[key] = process.process_id

    def is_gone(self, process: Process) -> bool:
        return process.process_id in self.gone

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def lose_its_execution(self, data: st.DataObject) -> None:
        self.gone.add(self.any_of(data).process.process_id)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), done=st.integers(0, 5))
    def renew(self, data: st.DataObject, done: int) -> None:
        one = self.any_of(data)
        try:
            self.processes.renew(one.process, LEASE, Progress(done, 5))
        except Fenced:
            assert one.result is not None
        else:
            assert one.result is None
            one.alive_until = self.clock.now() + LEASE

    @precondition(lambda self: self.known)
    @rule(data=st.data(), which=st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=4))
    def tell(self, data: st.DataObject, which: list[Message]) -> None:
        one = self.any_of(data)
        try:
            self.processes.tell(one.process, which)
        except Fenced:
            assert one.result is not None
        else:
            assert one.result is None
            one.told += [message for message in dict.fromkeys(which) if message not in one.told]

    @precondition(lambda self: self.known)
    @rule(data=st.data(), result=st.sampled_from(Result))
    def end(self, data: st.DataObject, result: Result) -> None:
        one = self.any_of(data)
        try:
            self.processes.end(one.process.ended(result, self.clock.now(), {"bytes": 1}))
        except Fenced:
            assert one.result is not None
        else:
            assert one.result is None
            one.result = result

    @rule(minutes=st.sampled_from((0.5, 3.0, 6.0)))
    def pass_time(self, minutes: float) -> None:
        self.clock.advance(minutes=minutes)

    def any_of(self, data: st.DataObject) -> Known:
        """A worker of any process, also of one that has long ended."""
        return self.known[data.draw(st.sampled_from(sorted(self.known)))]

    def messages_of(self, one: Known) -> tuple[Message, ...]:
        return self.processes.messages("north", one.process.process_id, 1, 100).items

    @invariant()
    def everything_is_as_it_should_be(self) -> None:
        if not hasattr(self, "known"):
            return
        holder = self.holder()
        running = self.processes.running("north")
        assert running == (None if holder is None else holder.process.process_id)
        for one in self.known.values():
            kept = self.processes.find("north", one.process.process_id)
            assert kept is not None
            assert kept.result == one.result
            assert (kept.ended_at is None) == (one.result is None)
            notice = self.notices.find("north", one.process.process_id)
            assert (notice is None) == (one.result is None)
            assert notice is None or notice.result == one.result
            assert set(self.messages_of(one)) == set(one.told)


TestProcessHistories = ProcessHistories.TestCase
TestProcessHistories.settings = settings(
    max_examples=examples(15),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_messages_come_page_by_page_in_the_order_in_which_they_were_told() -> None:
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        create_tables(client)
        clock = SteppingClock()
        processes = DynamoProcesses(Table(client, "DataSetsTable"), clock)
        process = a_process()
        assert processes.begin(process, LEASE, is_gone=lambda _: False) == process
        told = [Message("GEN-MIGR-001", f"text {n}", item=str(n)) for n in range(250)]
        processes.tell(process, told[:120])
        clock.advance(seconds=1)
        processes.tell(process, told[:250])
        page = processes.messages("north", process.process_id, 2, 100)
        assert (page.items, page.total, page.pages) == (tuple(told[100:200]), 250, 3)
        assert processes.messages("north", process.process_id, 3, 100).items == tuple(told[200:])
        assert processes.messages("south", process.process_id, 1, 100).total == 0


def test_the_last_word_on_a_process_is_why_it_failed() -> None:
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        create_tables(client)
        clock = SteppingClock()
        processes = DynamoProcesses(Table(client, "DataSetsTable"), clock)
        dead = a_process()
        assert processes.begin(dead, LEASE, is_gone=lambda _: False) == dead
        clock.advance(minutes=10)
        processes.tell(dead, MESSAGES)
        following = a_process(process_id="01kaqb7m3y6c9r2t5v8x1z4001")
        assert processes.begin(following, LEASE, is_gone=lambda _: True)
        told = processes.messages("north", dead.process_id, 1, 100).items
        assert told[:-1] == MESSAGES
        assert told[-1].code == "GEN-MIGR-013"
