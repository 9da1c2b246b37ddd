"""What tests of reading share: a walk's worker over real sources, with storage in moto."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
from moto import mock_aws

from headrace.adapters.dynamodb.source_slots import DynamoSourceSlots
from headrace.adapters.dynamodb.table import Table as Dynamo
from headrace.adapters.dynamodb.walks import DynamoWalks
from headrace.adapters.s3.template_chunks import S3Chunks
from headrace.adapters.warehouse.template_rows import TemplateRows
from headrace.catalog.model import ChoosingColumn, PublishedTemplate
from headrace.exports.slots import Slots
from headrace.exports.sources import ColumnType, Source, Table
from headrace.kernel.errors import NotFound
from headrace.templates.definitions import Template
from headrace.templates.model import CHUNK_ROWS, Walk
from headrace.templates.reading import ReadTemplateRows
from tests.builders import SteppingClock, a_walk
from tests.component.warehouse.places import a_table_of
from tests.world import REGION, create_tables

BUCKET = "templates"
COLUMNS = ("id", "name", "amount", "changed")


@dataclass
class FakePublished:
    """A published catalog with one template, at version 1."""

    one: PublishedTemplate
    origin: Source

    def template(self, version: int, template_id: str) -> PublishedTemplate | None:
        """See the protocol."""
        return self.one if (version, template_id) == (1, "persons") else None

    def source(self, version: int, name: str) -> Source:
        """See the protocol."""
        if (version, name) != (1, self.origin.name):
            raise NotFound("There is no such source.")
        return self.origin


def persons(source: Source, table: str, *order: str, **changes: Any) -> PublishedTemplate:
    """A standard template over a table of persons, in this order."""
    configured: Table = replace(
        a_table_of(source, table, columns=COLUMNS), ordered=True, primary_key=order or ("id",)
    )
    return replace(
        PublishedTemplate(
            template=Template("persons", "Persons", COLUMNS, has_date=True, has_anonymised=True),
            source=source.name,
            table=configured,
            tenant_column=ChoosingColumn("tenant", ColumnType.STRING),
            date_column=ChoosingColumn("changed", ColumnType.TIMESTAMPTZ),
            anonymised_column=ChoosingColumn("anonymised", ColumnType.BOOLEAN),
        ),
        **changes,
    )


@dataclass
class Reading:
    """A deployment with one template. ``before_write`` runs before each chunk is written."""

    published: FakePublished
    clients: dict[str, Any]
    clock: SteppingClock = field(default_factory=SteppingClock)
    before_write: Callable[[int], None] = lambda _: None

    def __post_init__(self) -> None:
        dynamodb = self.clients["dynamodb"]
        self.walks = DynamoWalks(Dynamo(dynamodb, "TemplatesTable", pause=lambda _: None))
        self._chunks = S3Chunks(self.clients["s3"], BUCKET, "key", lambda _: None, in_flight=1)
        slots = DynamoSourceSlots(Dynamo(dynamodb, "OperationsTable", pause=lambda _: None))
        self.rows = TemplateRows(self.published, Slots(slots, self.clock, pause=lambda _: None))

    def write(self, walk: Walk, chunks: Iterable[tuple[int, bytes]]) -> Iterator[int]:
        """The ``Chunks`` port, with what the test does in between."""
        for number, lines in chunks:
            self.before_write(number)
            yield from self._chunks.write(walk, [(number, lines)])

    def read(self, walk: Walk, numbers: Iterable[int]) -> Any:
        """The ``Chunks`` port."""
        return self._chunks.read(walk, numbers)

    def begin(self, walk_id: str = "walk", **changes: Any) -> Walk:
        """A walk of ``north``'s."""
        walk = a_walk(walk_id, begun_at=self.clock.now(), **changes)
        self.walks.begin(walk)
        return walk

    def work(self, walk: Walk, time_left: Callable[[], float] = lambda: 600) -> str | None:
        """What a worker does, and the code that the walk failed with."""
        task = ReadTemplateRows(self.walks, self, self.rows, self.clock)
        return task(walk.reader, walk.walk_id, time_left)

    def found(self, walk: Walk) -> Walk:
        """The walk as it is now."""
        there = self.walks.find(walk.reader, walk.walk_id)
        assert there is not None
        return there

    def all_rows(self, walk: Walk) -> list[dict[str, Any]]:
        """All rows that can be read of it."""
        there = self.found(walk)
        numbers = range(-(-there.rows // CHUNK_ROWS))
        lines = [line for chunk in self.read(there, numbers) for line in chunk]
        assert len(lines) == there.rows
        return [json.loads(line) for line in lines]

    def walked(self, walk_id: str = "walk", **changes: Any) -> list[dict[str, Any]]:
        """All rows of a walk of its own."""
        walk = self.begin(walk_id, **changes)
        assert self.work(walk) is None
        return self.all_rows(walk)


@contextmanager
def a_reading(published: PublishedTemplate, source: Source) -> Iterator[Reading]:
    """A fresh deployment over moto."""
    with mock_aws():
        names = ("dynamodb", "s3")
        clients = {name: boto3.client(name, region_name=REGION) for name in names}  # type: ignore[call-overload]
        create_tables(clients["dynamodb"])
        location = {"LocationConstraint": REGION}
        clients["s3"].create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
        yield Reading(FakePublished(published, source), clients)
