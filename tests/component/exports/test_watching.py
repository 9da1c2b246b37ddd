"""The scheduled look at the sources, as the function has it over DynamoDB (moto)."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from exports import watch_sources
from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
from headrace.adapters.dynamodb.table import Table
from headrace.adapters.warehouse.by_kind import WarehouseByKind
from headrace.exports.sources import Freshness, Source
from tests.component.identity.deployment import forget
from tests.component.postgresql.server import Server
from tests.component.warehouse.places import a_lake
from tests.unit.catalog.builders import a_catalog, a_configuration
from tests.world import create_tables

SHARERS = 12
"""Tenants, each with a configuration of the same source."""


@pytest.fixture
def catalogs(monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoCatalogs]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "CATALOG_TABLE": "CatalogTable",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        client = boto3.client("dynamodb")
        create_tables(client)
        forget()
        yield DynamoCatalogs(Table(client, "CatalogTable"))
    forget()


def publish(catalogs: DynamoCatalogs, *sources: Source) -> None:
    shared = [
        replace(a_configuration(f"c{number}", tenant=f"t{number}"), source=sources[0].name)
        for number in range(SHARERS)
    ]
    before = catalogs.current()
    catalogs.publish(
        a_catalog(*shared, sources=sources), before.version if before else 0, datetime.now(UTC)
    )


def measured(text: str) -> dict[str, dict[str, float]]:
    """The metrics by source; those of no source under ""."""
    found: dict[str, dict[str, float]] = {}
    for line in text.splitlines():
        told: dict[str, Any] = json.loads(line)
        if "_aws" not in told:
            continue
        assert told["Product"] == "exports"
        [directive] = told["_aws"]["CloudWatchMetrics"][:1]
        assert directive["Namespace"] == "Headrace"
        found.setdefault(told.get("Source", ""), {}).update(
            {name: value for name, value in told.items() if isinstance(value, int | float)}
        )
    return found


def test_before_the_first_publication_nobody_is_asked(
    catalogs: DynamoCatalogs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watch_sources.handler({}, None) == {"asked": 0, "behind": 0, "unreachable": 0}
    # It says so, or the alarm would take it for dead.
    assert measured(capsys.readouterr().out) == {"": {"SourcesUnreachable": 0}}


def test_each_source_is_measured_by_itself_and_one_that_is_down_hides_no_other(
    catalogs: DynamoCatalogs,
    tmp_path: Path,
    postgresql: Server,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    lake = a_lake(tmp_path, "CREATE TABLE t AS SELECT 1 AS id")
    hour = timedelta(hours=1)
    publish(
        catalogs,
        Source("fresh", lake.kind, lake.options, hour),
        Source("late", lake.kind, lake.options, timedelta()),
        Source("unexpected", lake.kind, lake.options),
        postgresql.source("postgres"),
        Source("gone", "postgresql", {"host": str(tmp_path), "database": "x", "user": "secret"}),
        Source("removed", "ducklake", {"catalog": f"sqlite:{tmp_path}/none.sqlite"}),
    )
    database = postgresql.source("postgres").name
    capsys.readouterr()
    with caplog.at_level(logging.INFO):
        looked = watch_sources.handler({}, None)
    told = measured(capsys.readouterr().out)
    assert looked == {"asked": 6, "behind": 1, "unreachable": 2}
    assert told.pop("") == {"SourcesUnreachable": 2}
    assert told.pop(database) == {"SourceLagSeconds": 0}
    assert told.keys() == {"fresh", "late", "unexpected"}
    assert all(0 < one["SourceAgeSeconds"] < 60 for one in told.values())
    assert told["fresh"]["SourceLagSeconds"] == 0
    assert told["late"]["SourceLagSeconds"] == told["late"]["SourceAgeSeconds"]
    assert "SourceLagSeconds" not in told["unexpected"]

    unavailable = [one for one in caplog.records if one.message == "source unavailable"]
    named = {one.source: one.detail for one in unavailable}  # type: ignore[attr-defined]
    assert named.keys() == {"gone", "removed"}
    assert all(one.code == "source_unavailable" for one in unavailable)  # type: ignore[attr-defined]
    assert named["gone"] == "The source does not accept a connection now."
    assert "secret" not in caplog.text


def test_a_source_that_many_tenants_share_is_asked_once(
    catalogs: DynamoCatalogs,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[str] = []

    def freshness(_: object, source: Source, now: datetime) -> Freshness:
        asked.append(source.name)
        return Freshness(timedelta(seconds=7))

    monkeypatch.setattr(WarehouseByKind, "freshness", freshness)
    publish(catalogs, Source("hr", "ducklake", {"catalog": "sqlite:/x"}))
    assert len(catalogs.read(1).configurations) == SHARERS
    watch_sources.handler({}, None)
    watch_sources.handler({}, None)
    assert asked == ["hr", "hr"]
    assert measured(capsys.readouterr().out)["hr"] == {"SourceAgeSeconds": 7}


def test_what_is_no_answer_of_a_sources_is_logged_with_its_trace(
    catalogs: DynamoCatalogs,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_: object, source: Source, now: datetime) -> Freshness:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(WarehouseByKind, "freshness", broken)
    publish(catalogs, Source("hr", "ducklake", {"catalog": "sqlite:/x"}))
    assert watch_sources.handler({}, None)["unreachable"] == 1
    [record] = [one for one in caplog.records if one.message == "source unavailable"]
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_who_leaves_the_catalog_is_asked_no_more(catalogs: DynamoCatalogs) -> None:
    publish(catalogs, Source("hr", "ducklake", {"catalog": "sqlite:/none"}))
    assert watch_sources.handler({}, None)["asked"] == 1
    publish(
        catalogs,
        Source("hr", "ducklake", {"catalog": "sqlite:/none"}),
        Source("other", "duckdb", {"path": "/none"}),
    )
    assert watch_sources.handler({}, None)["asked"] == 2
    publish(catalogs, Source("other", "duckdb", {"path": "/none"}))
    assert watch_sources.handler({}, None)["asked"] == 1
