"""What arrives of an operational database is what the server holds, in every format."""

import base64
import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.exports.sources import Configuration
from local.sample.roster import Roster
from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Integrator, Json, Platform
from tests.system.exports.rows import decompressed

pytestmark = pytest.mark.system

type Texts = tuple[str | None, ...]
"""A row in canonical texts (docs/types.md); NULL is None."""

_NESTED = {"tags", "handover", "request"}
_DOUBLES = {"temperature"}

WANTED: dict[str, tuple[str, dict[str, str]]] = {
    "wards": (
        "wards",
        {
            "id": "id::text",
            "name": "name",
            "openedOn": "opened_on::text",
            "beds": "beds::text",
            "floorPlan": "encode(floor_plan, 'base64')",
            "extension": "rtrim(extension)",
            "location": "location::text",
        },
    ),
    "shifts": (
        "shifts",
        {
            "wardId": "ward_id::text",
            "startsAt": "replace((starts_at AT TIME ZONE 'UTC')::text, ' ', 'T') || '.000000Z'",
            "employeeId": "employee_id::text",
            "kind": "kind::text",
            "lasts": "lasts::text",
            "hourlyRate": "hourly_rate::text",
            "workload": "workload::text",
            "temperature": "temperature::text",
            "confirmed": "confirmed::text",
            "tags": "array_to_json(tags)::text",
            "handover": "handover::text",
            "note": "note",
            "changedAt": "to_char(changed_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.US')",
        },
    ),
    "swaps": (
        "swaps",
        {
            "id": "id::text",
            "wardId": "ward_id::text",
            "askedOn": "asked_on::text",
            "windowOf": "window_of::text",
            "request": "request::text",
            "answeredAt": "answered_at::text || '.000000'",
        },
    ),
    "nightShifts": (
        "shifts",
        {
            "wardId": "ward_id::text",
            "startsAt": "replace((starts_at AT TIME ZONE 'UTC')::text, ' ', 'T') || '.000000Z'",
            "employeeId": "employee_id::text",
            "note": "note",
        },
    ),
}
"""Where the server has each table, and its values as texts that no code of ours makes."""


@pytest.fixture(scope="module")
def in_source(platform: Platform) -> dict[str, list[Texts]]:
    """The rows of each table as the server itself writes them, in some order."""
    roster = Roster(platform.home.roster)
    found = {}
    for table, (source, columns) in WANTED.items():
        chosen = " AND kind = 'night'" if table == "nightShifts" else ""
        lines = roster.run(
            "SET intervalstyle = 'iso_8601'; SET timezone = 'UTC';\n"
            f"SELECT json_build_array({', '.join(columns.values())}) FROM {source} "
            f"WHERE tenant_id = '{NORTHWIND}'{chosen}"
        )
        found[table] = [
            _comparable(tuple(columns), json.loads(line)) for line in lines.split("\n") if line
        ]
    return found


def _roster_of(clients: Clients) -> Configuration:
    """The roster as the sample catalog grants it."""
    return next(
        one
        for one in clients.base.configurations
        if one.configuration_id == "roster" and one.tenant == NORTHWIND
    )


@pytest.fixture(scope="module")
def exported(clients: Clients) -> dict[tuple[str, str], tuple[Integrator, Json]]:
    """The whole roster in each format, each by a client of its own, at once."""
    pattern = _roster_of(clients)
    made = {}
    for way in (("csv", "gzip"), ("json", "none"), ("ndjson", "zstd"), ("parquet", "none")):
        client = clients.special(NORTHWIND)
        clients.reconfigure(
            client,
            lambda one: replace(
                one, source=pattern.source, tables=pattern.tables, snapshot=pattern.snapshot
            ),
        )
        made[way] = client, client.start(fileFormat=way[0], compression=way[1])["operationId"]
    return {
        way: (client, client.ended(operation_id, within=240))
        for way, (client, operation_id) in made.items()
    }


@pytest.mark.parametrize(
    "way",
    [("csv", "gzip"), ("json", "none"), ("ndjson", "zstd"), ("parquet", "none")],
    ids="-".join,
)
def test_every_value_of_the_database_arrives(
    in_source: dict[str, list[Texts]],
    exported: dict[tuple[str, str], tuple[Integrator, Json]],
    way: tuple[str, str],
) -> None:
    client, operation = exported[way]
    assert operation["status"] == "succeeded", operation
    assert {job["table"] for job in operation["jobs"]} == set(WANTED)
    for job in operation["jobs"]:
        wanted, names = in_source[job["table"]], tuple(WANTED[job["table"]][1])
        found = list(_rows(client.document(job["jobId"]), names, *way))
        assert job["rows"] == len(found) == len(wanted)
        differing = set(map(_sortable, found)) ^ set(map(_sortable, wanted))
        assert not differing, (job["table"], sorted(differing)[:2])


def test_the_metadata_says_what_is_the_sources_own_text(clients: Clients) -> None:
    pattern = _roster_of(clients)
    client = clients.special(NORTHWIND)
    clients.reconfigure(
        client, lambda one: replace(one, source=pattern.source, tables=pattern.tables)
    )
    tables = client.get("/data/v1/metadata").json()["tables"]
    said = {
        field["name"]: field["textOf"]
        for table in tables
        for field in table["fields"]
        if field["textOf"] is not None
    }
    assert said == {"location": "point", "windowOf": "tstzrange"}


# --- documents as texts -------------------------------------------------------------------------


def _rows(
    document: bytes, names: tuple[str, ...], file_format: str, compression: str
) -> Iterator[Texts]:
    if file_format == "parquet":
        read = pq.read_table(pa.BufferReader(document), arrow_extensions_enabled=False)
        assert read.schema.names == list(names)
        columns = [_texts(read[name]) for name in names]
        for row in zip(*columns, strict=True):
            yield _comparable(names, row)
        return
    text = decompressed(document, compression)
    if file_format == "csv":
        lines = io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline="")
        reader = csv.reader(lines, quoting=csv.QUOTE_NOTNULL, strict=True)
        assert next(reader) == list(names)
        for cells in reader:
            yield _comparable(names, cells)
        return
    whole = json.loads if file_format == "json" else _each_line
    for found in whole(text, parse_float=_Digits, parse_int=_Digits):
        assert list(found) == list(names)
        yield _comparable(names, [_spelt(name, found[name]) for name in names])


class _Digits(str):
    """A number of JSON as it is written: a string would be a str only."""


def _each_line(text: bytes, **how: Any) -> Iterator[Any]:
    *lines, rest = text.split(b"\n")
    assert rest == b""
    for line in lines:
        yield json.loads(line, **how)


_NUMBERS = {"id", "wardId", "employeeId", "beds", "hourlyRate", "workload", "temperature"}


def _spelt(name: str, value: Any) -> Any:
    """The text of a JSON value, which has to be of the right kind."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, _Digits):
        assert name in _NUMBERS
        return str(value)
    if isinstance(value, str) and name in _NUMBERS and name != "id":
        assert value in ("NaN", "Infinity", "-Infinity")
    return value


def _texts(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        zone = "Z" if column.type.tz else ""
        epoch = datetime(1970, 1, 1)
        return [
            None
            if v is None
            else (epoch + timedelta(microseconds=v)).isoformat(timespec="microseconds") + zone
            for v in column.cast(pa.int64()).to_pylist()
        ]
    spell: dict[type, Callable[[Any], str]] = {
        bool: lambda v: str(v).lower(),
        date: date.isoformat,
        time: lambda v: v.isoformat(timespec="microseconds"),
        bytes: (
            (lambda v: str(UUID(bytes=v)))
            if pa.types.is_fixed_size_binary(column.type)
            else (lambda v: base64.b64encode(v).decode())
        ),
    }
    return [None if v is None else spell.get(type(v), str)(v) for v in column.to_pylist()]


def _comparable(names: tuple[str, ...], row: Any) -> Texts:
    """JSON by its values, doubles by their number; everything else by its letters."""
    return tuple(
        value
        if value is None
        else _canonical(value)
        if name in _NESTED
        else repr(float(value))
        if name in _DOUBLES
        else str(value)
        for name, value in zip(names, row, strict=True)
    )


def _canonical(value: Any) -> str:
    parsed = json.loads(value, parse_float=str, parse_int=str) if isinstance(value, str) else value
    return json.dumps(parsed, sort_keys=True)


def _sortable(row: Texts) -> tuple[str, ...]:
    return tuple(map(repr, row))
