"""The deployed worker reads templates' rows, from every kind of source, whatever befalls it."""

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pytest

from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
from headrace.adapters.dynamodb.table import Table
from headrace.adapters.dynamodb.walks import DynamoWalks
from headrace.adapters.lambdas.readings import LambdaReadings
from headrace.adapters.s3.template_chunks import S3Chunks
from headrace.catalog.model import ChoosingColumn, PublishedTemplate
from headrace.exports.sources import ColumnType
from headrace.templates.definitions import Template
from headrace.templates.model import CHUNK_ROWS, LEASE, Parameters, Reader, Walk, WalkState
from local.sample.warehouse import attached
from tests.system.conftest import HARBOUR, NORTHWIND, Clients
from tests.system.deployed import Platform, eventually

pytestmark = pytest.mark.system


@dataclass
class Partner:
    """Begins walks as the API does, and looks at what the worker makes of them."""

    platform: Platform
    catalog_version: int

    @cached_property
    def walks(self) -> DynamoWalks:
        return DynamoWalks(
            Table(self.platform.aws("dynamodb"), self.platform.outputs["TemplatesTableName"])
        )

    @cached_property
    def bucket(self) -> str:
        return self.platform.outputs["TemplatesBucketName"]

    def begin(self, template_id: str, tenant: str = NORTHWIND, **changes: Any) -> Walk:
        walk = Walk(
            walk_id=secrets.token_hex(13),
            reader=Reader(tenant, "partner"),
            template_id=template_id,
            parameters=Parameters(),
            catalog_version=self.catalog_version,
            begun_at=self.platform.now(),
        )
        walk = replace(walk, **changes)
        self.walks.begin(walk)
        return walk

    def start(self, walk: Walk) -> None:
        name = self.platform.functions["ReadTemplateRows"]
        LambdaReadings(self.platform.aws("lambda"), name).start(walk)

    def found(self, walk: Walk) -> Walk:
        there = self.walks.find(walk.reader, walk.walk_id)
        assert there is not None
        return there

    def until(self, walk: Walk, holds: Callable[[Walk], bool], what: str) -> Walk:
        def look() -> Walk | None:
            there = self.found(walk)
            assert there.state is not WalkState.FAILED, there
            return there if holds(there) else None

        found = eventually(look, within=120, what=what)
        assert found is not None
        return found

    def complete(self, walk: Walk) -> Walk:
        return self.until(
            walk, lambda there: there.state is WalkState.COMPLETE, "the rows were all there"
        )

    def rows(self, walk: Walk) -> list[dict[str, Any]]:
        chunks = S3Chunks(self.platform.aws("s3"), self.bucket, "", lambda _: None)
        there = self.found(walk)
        numbers = range(-(-there.rows // CHUNK_ROWS))
        return [json.loads(line) for chunk in chunks.read(there, numbers) for line in chunk]


@pytest.fixture
def partner(platform: Platform, clients: Clients) -> Iterator[Partner]:
    """A partner of the published catalog, with one more template: all payslips."""
    catalogs: DynamoCatalogs = clients.catalogs
    before = catalogs.current()
    assert before is not None
    catalog = catalogs.read(before.version)
    [payslips] = {
        table
        for one in catalog.configurations
        for table in one.tables
        if one.tenant == NORTHWIND and table.name == "payslips" and one.default
    }
    [persons] = [one for one in catalog.templates if one.template.template_id == "persons"]
    names = tuple(column.name for column in payslips.columns)
    template = PublishedTemplate(
        Template("payslips", "Payslips", names),
        persons.source,
        replace(payslips, ordered=True, filters=()),
        ChoosingColumn("tenant_id", ColumnType.STRING),
    )
    more = replace(catalog, templates=(*catalog.templates, template))
    published = catalogs.publish(more, before.version, platform.now())
    # What a walk reads is the version that it began with, which need not be the current one.
    catalogs.publish(catalog, published.version, platform.now())
    yield Partner(platform, published.version)


def in_lake(platform: Platform, table: str, where: str) -> list[Any]:
    with attached(platform.home.warehouse) as connection:
        rows = connection.execute(
            f"SELECT id FROM lake.{table} WHERE {where} ORDER BY id"
        ).fetchall()
    return [row[0] for row in rows]


@pytest.mark.parametrize("tenant", [NORTHWIND, HARBOUR])
def test_a_tenants_persons_are_read_from_the_lake_encrypted(
    platform: Platform, partner: Partner, tenant: str
) -> None:
    walk = partner.begin("persons", tenant)
    partner.start(walk)
    assert partner.complete(walk).version is not None
    rows = partner.rows(walk)
    expected = in_lake(platform, "members.persons", f"tenant_id = '{tenant}' AND NOT anonymised")
    assert [row["id"] for row in rows] == expected
    kept = platform.aws("s3").head_object(
        Bucket=partner.bucket, Key=f"{tenant}/{walk.walk_id}/000000"
    )
    assert kept["ServerSideEncryption"] == "aws:kms"


def test_a_query_over_the_database_is_read_in_its_order(partner: Partner) -> None:
    walk = partner.begin("training-sessions")
    partner.start(walk)
    assert partner.complete(walk).version is None
    rows = partner.rows(walk)
    assert rows
    keys = [(row["startsAt"], row["id"]) for row in rows]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


@pytest.mark.abuse(207)
def test_a_worker_killed_in_the_middle_costs_time_and_no_row(
    platform: Platform, partner: Partner
) -> None:
    walk = partner.begin("payslips")
    partner.start(walk)
    partner.until(walk, lambda there: there.rows > 0, "some rows were there")
    assert platform.kill("ReadTemplateRows")
    lost = partner.found(walk)
    assert lost.state is WalkState.READING

    left = LEASE.total_seconds() + 5
    eventually(
        lambda: partner.found(walk).is_left(platform.now()), within=left, what="it was given up"
    )
    partner.start(walk)
    done = partner.complete(walk)
    assert (done.take, done.version) == (2, lost.version)
    expected = in_lake(platform, "hr.payslips", f"tenant_id = '{NORTHWIND}'")
    assert [row["id"] for row in partner.rows(walk)] == expected
    event = {"tenant": NORTHWIND, "reader": "partner", "walk_id": walk.walk_id}
    assert platform.invoke("ReadTemplateRows", event) == (None, {"outcome": "void"})
