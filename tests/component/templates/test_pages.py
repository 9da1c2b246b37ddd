"""Pages of templates: the handler over DynamoDB and S3, with a reader that a test holds back."""

import base64
import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from moto import mock_aws

from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
from headrace.adapters.dynamodb.table import Table
from headrace.adapters.dynamodb.templates import CatalogTemplates, DynamoActivations
from headrace.adapters.dynamodb.walks import DynamoWalks
from headrace.adapters.s3.template_chunks import S3Chunks
from headrace.kernel.clock import rfc3339
from headrace.kernel.errors import Fenced
from headrace.kernel.ids import RandomIds
from headrace.runtime import templates
from headrace.templates.definitions import ApplicationVersion
from headrace.templates.model import CHUNK_ROWS, LEASE, Walk
from headrace.templates.usecases import KnowTemplate, ReadTemplate
from templates import read_template
from tests.builders import NOON, SteppingClock
from tests.unit.catalog.builders import a_catalog, a_template, a_tenant
from tests.world import REGION, create_tables

BUCKET = "templates"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/stack"


@dataclass
class HeldReader:
    """Reads ``rows`` for each walk that is begun: all at once, or as far as it is let."""

    walks: DynamoWalks
    chunks: S3Chunks
    clock: SteppingClock
    rows: list[dict[str, Any]] = field(default_factory=list)
    held_at: int | None = None
    breaks: bool = False
    begun: list[Walk] = field(default_factory=list)

    def start(self, walk: Walk) -> None:
        self.begun.append(walk)
        if self.held_at is None:
            self.go_on(walk)

    def go_on(self, walk: Walk, upto: int | None = None) -> None:
        """A worker that takes the walk, and reads it up to this row, or to its end."""
        try:
            walk = self.walks.take(walk.reader, walk.walk_id, self.clock.now())
        except Fenced:
            return
        if self.breaks:
            self.walks.fail(walk, "source_unavailable")
            return
        rows = self.rows[:upto]
        for number in range(0, len(rows), CHUNK_ROWS):
            lines = [json.dumps(row).encode() + b"\n" for row in rows[number : number + CHUNK_ROWS]]
            list(self.chunks.write(walk, [(number // CHUNK_ROWS, b"".join(lines))]))
        if upto is None:
            self.walks.complete(walk, len(rows))
        else:
            self.walks.grow(walk, len(rows), self.clock.now())


@dataclass
class Place:
    """A deployment with the templates of ``a_catalog``."""

    clock: SteppingClock
    reader: HeldReader
    activations: DynamoActivations
    catalogs: DynamoCatalogs
    caller: dict[str, str] = field(
        default_factory=lambda: {
            "tenant": "northwind",
            "client_id": "user",
            "user": "01kaqb7m3y6c9r2t5v8x1z4d7j",
            "scopes": "youforce-data-api:templates:read",
        }
    )

    def get(
        self,
        template_id: str = "persons",
        body: Any = None,
        headers: dict[str, str] | None = None,
        **query: str,
    ) -> "Answer":
        return self.ask(query, body, template_id, headers)

    def ask(
        self,
        query: dict[str, str],
        body: Any = None,
        template_id: str = "persons",
        headers: dict[str, str] | None = None,
    ) -> "Answer":
        event = {
            "pathParameters": {"templateId": template_id},
            "multiValueQueryStringParameters": {name: [value] for name, value in query.items()},
            "headers": headers or {},
            "body": None if body is None else json.dumps(body),
            "requestContext": {
                "requestId": "r-1",
                "apiId": "abc",
                "stage": "v1",
                "authorizer": self.caller,
            },
        }
        return Answer(read_template.handler(event, None))

    def follow(self, url: str) -> "Answer":
        query = parse_qs(urlsplit(url).query, strict_parsing=True)
        return self.ask({name: values[0] for name, values in query.items()})

    def as_user(self, user: str, tenant: str = "northwind") -> "Place":
        return replace(self, caller={**self.caller, "user": user, "tenant": tenant})


@dataclass
class Answer:
    """What API Gateway would send on."""

    reply: dict[str, Any]

    @property
    def status(self) -> int:
        return int(self.reply["statusCode"])

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.reply["headers"])

    @property
    def content(self) -> bytes:
        body = str(self.reply["body"])
        raw = base64.b64decode(body) if self.reply.get("isBase64Encoded") else body.encode()
        return gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw

    @property
    def json(self) -> Any:
        return json.loads(self.content)


def people(number: int) -> list[dict[str, Any]]:
    return [{"id": n, "lastName": f"Öhman {n}"} for n in range(number)]


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with mock_aws():
        dynamodb = boto3.client("dynamodb", region_name=REGION)
        create_tables(dynamodb)
        s3 = boto3.client("s3", region_name=REGION)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        clock = SteppingClock()
        catalog = Table(dynamodb, "CatalogTable", pause=lambda _: None)
        table = Table(dynamodb, "TemplatesTable", pause=lambda _: None)
        walks, chunks = DynamoWalks(table), S3Chunks(s3, BUCKET, KEY, lambda _: None)
        reader = HeldReader(walks, chunks, clock)
        activations = DynamoActivations(table)
        known = KnowTemplate(CatalogTemplates(catalog), activations)
        reading = ReadTemplate(
            known,
            walks,
            chunks,
            reader,
            clock,
            RandomIds(),
            pause=lambda seconds: clock.advance(seconds=seconds),
        )
        monkeypatch.setattr(templates, "read_template", lambda: reading)
        monkeypatch.setattr(templates, "time_zone", lambda tenant: "Europe/Amsterdam")
        monkeypatch.setattr("headrace.runtime.auditing.record_event", lambda: lambda event: None)
        catalogs = DynamoCatalogs(catalog)
        catalogs.publish(a_catalog(), 0, NOON)
        activations.activate("northwind", "persons", NOON)
        yield Place(clock, reader, activations, catalogs)


def test_the_seeds_client_walks_by_offset_with_parameters_in_the_body(place: Place) -> None:
    place.reader.rows = people(1203)
    got: list[dict[str, Any]] = []
    while rows := place.get(body={"count": 500, "offset": len(got)}).json["rows"]:
        got += rows
    assert got == people(1203)
    assert len(place.reader.begun) == 1


def test_a_page_says_what_it_is_and_where_the_next_one_is(place: Place) -> None:
    place.reader.rows = people(1203)
    first = place.get()
    assert first.headers["Content-Type"] == "application/json"
    page = first.json
    assert page["template"] == {"id": "persons", "name": "Persons"}
    assert (page["offset"], page["count"], len(page["rows"])) == (0, 500, 500)
    assert page["readAt"] == rfc3339(place.reader.begun[0].begun_at)
    assert "total" not in page
    assert first.headers["Link"] == f'<{page["next"]}>; rel="next"'
    second = place.follow(page["next"]).json
    last = place.follow(second["next"])
    assert (second["offset"], second["count"]) == (500, 500)
    assert (last.json["offset"], last.json["count"], last.json["next"]) == (1000, 203, None)
    assert "Link" not in last.headers
    assert len(place.reader.begun) == 1


def test_what_changes_meanwhile_neither_skips_nor_repeats_a_row(place: Place) -> None:
    place.reader.rows = people(5000)
    page = place.get(count="1999").json
    got = page["rows"]
    while page["next"]:
        place.reader.rows = [*place.reader.rows[10:], {"id": -1, "lastName": "New"}]
        page = place.follow(page["next"]).json
        got += page["rows"]
    assert got == people(5000)
    assert place.get().json["rows"][0]["id"] != 0, "offset 0 reads anew"


def test_the_total_is_told_when_it_is_asked_for_and_no_row_is_read_twice(place: Place) -> None:
    place.reader.rows = people(7)
    page = place.get(count="3", showTotal="true")
    assert page.json["total"] == 7
    assert page.headers["X-Total-Count"] == "7"
    assert place.get(count="3", offset="3", showTotal="true").json["total"] == 7
    assert len(place.reader.begun) == 1


def test_a_page_past_the_end_is_empty_and_leads_nowhere(place: Place) -> None:
    place.reader.rows = people(3)
    page = place.get(offset="3").json
    assert (page["rows"], page["next"]) == ([], None)
    place.reader.rows = []
    assert place.get(showTotal="true").json["total"] == 0


def test_csv_and_ndjson_come_where_they_are_accepted(place: Place) -> None:
    place.reader.rows = [
        {"id": 1, "lastName": 'O"Hara, Åsa'},
        {"id": 2, "lastName": ""},
        {"id": 3, "lastName": None},
        {"id": 12345678901234567890.5, "lastName": "a\nb"},
    ]
    plain = place.get(headers={"Accept": "text/csv"})
    assert plain.headers["Content-Type"] == "text/csv"
    assert plain.content.decode() == (
        'id,lastName\r\n1,"O""Hara, Åsa"\r\n2,""\r\n3,\r\n1.2345678901234567e+19,"a\nb"\r\n'
    )
    assert len(list(csv.reader(io.StringIO(plain.content.decode(), newline="")))) == 5
    lines = place.get(headers={"Accept": "application/x-ndjson;q=0.9, text/html"})
    assert [json.loads(line) for line in lines.content.splitlines()] == place.reader.rows
    refused = place.get(headers={"Accept": "text/html"})
    assert (refused.status, refused.json["code"]) == (406, "not_acceptable")


def test_it_is_compressed_for_who_accepts_that(place: Place) -> None:
    place.reader.rows = people(500)
    packed = place.get(headers={"Accept-Encoding": "br, gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.json["rows"] == people(500)
    assert "Content-Encoding" not in place.get(headers={"Accept-Encoding": "gzip;q=0"}).headers


def test_a_page_that_no_answer_can_hold_is_refused_with_the_count_that_fits(place: Place) -> None:
    place.reader.rows = [{"id": n, "lastName": f"{n:0>3000}"} for n in range(4000)]
    refused = place.get(count="4000")
    assert (refused.status, refused.json["code"]) == (422, "page_too_large")
    fits = refused.json["fits"]
    assert 1000 < fits < 1400
    assert place.get(count=str(fits)).json["count"] == fits
    assert place.get(count="4000", headers={"Accept-Encoding": "gzip"}).status == 200


@pytest.mark.parametrize(
    ("query", "body", "status", "code"),
    [
        ({"count": "500"}, {"count": 100}, 400, "invalid_request"),
        ({"count": "500"}, {"Count": 500}, 200, None),
        ({"includeAnonymized": "true"}, {"includeAnonymized": False}, 400, "invalid_request"),
        ({"count": "0"}, None, 422, "validation_failed"),
        ({"count": "10001"}, None, 422, "validation_failed"),
        ({}, {"count": "500"}, 422, "validation_failed"),
        ({}, {"number": 5}, 422, "validation_failed"),
        ({"offset": "-1"}, None, 422, "validation_failed"),
        ({"showTotal": "yes"}, None, 422, "validation_failed"),
        ({"date": "2026-02-30"}, None, 422, "validation_failed"),
        ({"date": "2026-01-31T10:00:00"}, None, 422, "validation_failed"),
        ({"date": "0001-01-01T00:00:00Z"}, None, 200, None),
        # In the tenant's time zone it begins a year before there are years.
        ({"date": "0001-01-01"}, None, 422, "validation_failed"),
        ({}, {"date": "0001-01-01T00:00:00+01:00"}, 422, "validation_failed"),
        ({"date": "9999-12-31T23:59:59-01:00"}, None, 422, "validation_failed"),
        ({"cursor": "abc"}, None, 400, "invalid_cursor"),
        ({"cursor": "abc", "offset": "0"}, None, 400, "invalid_request"),
        ({}, [1], 400, "invalid_request"),
    ],
)
def test_what_is_asked_for_wrongly_is_told(
    place: Place, query: dict[str, str], body: Any, status: int, code: str | None
) -> None:
    answer = place.ask(query, body)
    assert (answer.status, answer.json.get("code")) == (status, code)
    assert len(place.reader.begun) == (1 if status == 200 else 0)


def test_a_day_begins_in_the_tenants_time_zone(place: Place) -> None:
    place.get(date="2026-01-31")
    place.get(body={"date": "2026-01-31T12:00:00Z", "includeAnonymized": True})
    day, moment = (walk.parameters for walk in place.reader.begun)
    assert day.since is not None
    assert day.since.astimezone(UTC) == datetime(2026, 1, 30, 23, tzinfo=UTC)
    assert not day.include_anonymised
    assert moment.since == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert moment.include_anonymised


def test_other_parameters_are_another_walk(place: Place) -> None:
    place.reader.rows = people(10)
    place.get(count="5")
    place.get(count="5", offset="5", includeAnonymized="true")
    place.get(count="5", offset="5")
    assert len(place.reader.begun) == 2


def test_inactive_unknown_and_foreign_templates_are_the_same(place: Place) -> None:
    place.activations.activate("northwind", "nothing", NOON)
    place.activations.activate("harbour", "persons", NOON)
    refusals = [
        place.get("sessions"),
        place.get("nothing"),
        place.get("x" * 500),
        place.as_user("somebody", "harbour").get("persons"),  # its version is too low
    ]
    place.activations.deactivate("northwind", "persons")
    refusals.append(place.get("persons"))
    for refused in refusals:
        assert refused.status == 404
        assert refused.content == refusals[0].content


def test_an_older_application_has_no_standard_template(place: Place) -> None:
    for version, status in (("2019.2602", 404), ("2019.12603", 200), ("2020.1", 200)):
        tenant = a_tenant(application_version=ApplicationVersion.of(version))
        current = place.catalogs.current()
        assert current is not None
        place.catalogs.publish(a_catalog(tenants=(tenant,)), current.version, NOON)
        assert place.get().status == status


def test_a_token_without_the_permission_is_refused(place: Place) -> None:
    place.caller["scopes"] = "youforce-data-api:data:read"
    refused = place.get()
    assert (refused.status, refused.json["code"]) == (403, "insufficient_scope")


def test_nobody_goes_on_with_the_walk_of_somebody_else(place: Place) -> None:
    place.reader.rows = people(10)
    url = place.get(count="5").json["next"]
    assert place.follow(url).status == 200
    refused = place.as_user("01kaqb7m3y6c9r2t5v8x1z4d7k").follow(url)
    assert (refused.status, refused.json["code"]) == (400, "invalid_cursor")


def test_a_cursor_of_yesterday_has_expired(place: Place) -> None:
    place.reader.rows = people(10)
    url = place.get(count="5").json["next"]
    place.clock.advance(hours=24)
    refused = place.follow(url)
    assert (refused.status, refused.json["code"]) == (410, "cursor_expired")


def test_by_offset_an_hour_later_it_is_read_anew(place: Place) -> None:
    place.reader.rows = people(10)
    place.get(count="5")
    place.clock.advance(minutes=59)
    place.get(count="5", offset="5")
    assert len(place.reader.begun) == 1
    place.clock.advance(minutes=2)
    place.get(count="5", offset="5")
    assert len(place.reader.begun) == 2


def test_rows_that_are_not_there_yet_are_waited_for_and_then_said_to_be_read(place: Place) -> None:
    place.reader.rows, place.reader.held_at = people(5000), 0
    late = place.get()
    assert (late.status, late.json["code"]) == (503, "unavailable")
    assert late.headers["Retry-After"] == "2"
    [walk] = place.reader.begun
    place.reader.go_on(walk, upto=2000)
    again = place.get(count="2000")
    assert again.json["rows"] == people(2000)
    assert len(place.reader.begun) == 1, "who asks again goes on with what is being read"
    assert again.json["next"] is not None
    read = place.follow(again.json["next"]).json
    assert "2000 are there" in read["detail"]
    assert read["rows"] == 2000


def test_who_goes_on_with_a_walk_that_fails_is_told_to_begin_anew(place: Place) -> None:
    place.reader.rows, place.reader.held_at = people(5000), 0
    assert place.get().status == 503
    [walk] = place.reader.begun
    place.reader.go_on(walk, upto=2000)
    url = place.get(count="2000").json["next"]
    place.clock.moment += LEASE
    place.reader.breaks = True
    place.reader.go_on(walk)
    refused = place.follow(url)
    assert (refused.status, refused.json["code"]) == (410, "cursor_expired")
    assert "begin anew" in refused.json["detail"]
    assert place.get(count="5", showTotal="true").status == 503


def test_a_reader_that_was_lost_is_followed_by_another(place: Place) -> None:
    place.reader.rows, place.reader.held_at = people(10), 0
    assert place.get().status == 503
    place.clock.advance(seconds=LEASE.total_seconds())
    place.reader.held_at = None
    assert place.get().json["rows"] == people(10)
    assert [walk.walk_id for walk in place.reader.begun] == [place.reader.begun[0].walk_id] * 2


def test_a_source_that_cannot_be_read_is_said_and_begun_anew_the_next_time(place: Place) -> None:
    place.reader.rows, place.reader.breaks = people(10), True
    failed = place.get()
    assert (failed.status, failed.json["code"]) == (503, "unavailable")
    assert "begin anew" in failed.json["detail"]
    place.reader.breaks = False
    assert place.get().json["rows"] == people(10)


def test_rows_of_a_template_that_was_changed_meanwhile_are_not_given_out(place: Place) -> None:
    place.reader.rows = people(10)
    url = place.get(count="5").json["next"]
    persons = a_template()
    fewer = replace(
        persons,
        template=replace(persons.template, columns=("id",)),
        table=replace(persons.table, columns=persons.table.columns[:1]),
    )
    place.catalogs.publish(a_catalog(templates=(fewer,)), 1, NOON + timedelta(days=1))
    refused = place.follow(url)
    assert (refused.status, refused.json["code"]) == (410, "cursor_expired")
