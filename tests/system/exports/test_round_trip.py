"""What arrives is what the source holds: every row and value, in every format and compression."""

import hashlib
import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq
import pytest

from headrace.exports.sources import Column, ColumnType, Source, Table
from local.home import Home
from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Integrator, Json, Platform
from tests.system.exports import columns
from tests.system.exports.rows import EMPLOYEES, Row, assert_same_rows, decompressed

pytestmark = pytest.mark.system

FORMATS = ("csv", "json", "ndjson", "parquet")
COMPRESSIONS = ("none", "gzip", "zstd")


@pytest.fixture(scope="module")
def exported(clients: Clients) -> dict[tuple[str, str], tuple[Integrator, Json]]:
    """The employees in every format and compression, each by a client of its own, at once."""
    made = {}
    for file_format in FORMATS:
        for compression in COMPRESSIONS:
            client = clients.of(NORTHWIND)
            started = client.start(
                fileFormat=file_format, compression=compression, entity="employees"
            )
            made[file_format, compression] = client, started
    return {
        way: (client, client.ended(started["operationId"]))
        for way, (client, started) in made.items()
    }


_ROWS: dict[tuple[str, str], list[Row]] = {}


def employees(home: Home, version: str) -> list[Row]:
    """The source's employees at that version, read once."""
    key = ("employees", version)
    if key not in _ROWS:
        _ROWS[key] = EMPLOYEES.in_source(home.warehouse, version, NORTHWIND)
    return _ROWS[key]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("file_format", FORMATS)
def test_every_awkward_value_arrives(
    platform: Platform,
    exported: dict[tuple[str, str], tuple[Integrator, Json]],
    file_format: str,
    compression: str,
) -> None:
    client, operation = exported[file_format, compression]
    assert operation["status"] == "succeeded", operation
    [job] = operation["jobs"]
    document = client.document(job["jobId"])

    expected = employees(platform.home, operation["syncVersion"])
    found = EMPLOYEES.in_document(document, file_format, compression)
    assert_same_rows(found, expected, EMPLOYEES.names)
    assert job["rows"] == len(expected) > 5_000
    assert job["bytes"] == len(document)

    [file] = client.manifest(operation["operationId"])["files"]
    check_manifest(file, document)
    assert file["sha256"] == hashlib.sha256(document).hexdigest()
    suffix = {"none": "", "gzip": ".gz", "zstd": ".zst"}[compression]
    name = "employees.parquet" if file_format == "parquet" else f"employees.{file_format}{suffix}"
    assert file["fileName"] == name


def check_manifest(file: Json, document: bytes) -> None:
    """The parts lie one behind the other, and each has the bytes that its digest names."""
    assert file["bytes"] == len(document)
    place = 0
    for number, part in enumerate(file["parts"], start=1):
        assert (part["number"], part["offset"]) == (number, place)
        body = document[place : place + part["bytes"]]
        assert hashlib.sha256(body).hexdigest() == part["sha256"]
        place += part["bytes"]
    assert place == len(document)


LARGE = [("json", "none"), ("ndjson", "gzip"), ("parquet", "zstd")]


@pytest.fixture(scope="module")
def exporting(clients: Clients) -> dict[tuple[str, str], tuple[Integrator, str]]:
    """The payslips under way in some formats, each by a client of its own."""
    made = {}
    for file_format, compression in LARGE:
        client = clients.of(NORTHWIND)
        started = client.start(fileFormat=file_format, compression=compression, entity="payslips")
        made[file_format, compression] = client, started["operationId"]
    return made


@pytest.mark.parametrize(("file_format", "compression"), LARGE)
def test_every_value_of_the_largest_table_arrives(
    platform: Platform,
    exporting: dict[tuple[str, str], tuple[Integrator, str]],
    file_format: str,
    compression: str,
) -> None:
    client, operation_id = exporting[file_format, compression]
    done = client.ended(operation_id)
    assert done["status"] == "succeeded", done
    [job] = done["jobs"]
    document = client.document(job["jobId"])
    [file] = client.manifest(done["operationId"])["files"]
    check_manifest(file, document)
    if compression == "none":
        assert file["sha256"] is None, "one worker wrote it all"
    else:
        assert file["sha256"] == hashlib.sha256(document).hexdigest()

    expected = columns.in_source(platform.home.warehouse, done["syncVersion"], NORTHWIND)
    assert job["rows"] == expected.num_rows > 450_000
    columns.assert_same(columns.in_document(document, file_format, compression), expected)


@pytest.fixture(scope="module")
def noise(platform: Platform, clients: Clients) -> Iterator[tuple[Path, Integrator]]:
    """A table that stays large when it is compressed, and a client that is granted it."""
    place = platform.home.root / "noise"
    place.mkdir(exist_ok=True)
    file = place / "noise.parquet"
    with duckdb.connect() as connection:
        connection.execute("SELECT setseed(0.5)")
        text = " || ".join(["md5(random()::VARCHAR)"] * 10)
        connection.execute(
            f"COPY (SELECT range::BIGINT AS id, {text} AS noise FROM range(300000)) "
            f"TO '{file}' (ROW_GROUP_SIZE 20000)"
        )
    table = Table(
        "noise",
        "main.noise",
        (
            Column("id", "id", ColumnType.BIGINT, nullable=True),
            Column("noise", "noise", ColumnType.STRING, nullable=True),
        ),
        primary_key=("id",),
    )
    clients.sources.append(Source("noise", "parquet", {"path": str(place)}))
    client = clients.special(NORTHWIND)
    clients.reconfigure(client, lambda one: replace(one, source="noise", tables=(table,)))
    yield file, client
    shutil.rmtree(place)


@pytest.mark.parametrize(("file_format", "compression"), [("csv", "gzip"), ("ndjson", "zstd")])
def test_what_several_workers_compressed_is_one_document_to_the_usual_tools(
    noise: tuple[Path, Integrator], tmp_path: Path, file_format: str, compression: str
) -> None:
    source, client = noise
    done = client.export(fileFormat=file_format, compression=compression)
    document = client.document(done["jobs"][0]["jobId"])
    [file] = client.manifest(done["operationId"])["files"]
    check_manifest(file, document)
    assert file["sha256"] is None, "one worker wrote it all"

    stored = tmp_path / file["fileName"]
    stored.write_bytes(document)
    text = decompressed(document, compression)
    tool = {"gzip": "gzip", "zstd": "zstd"}[compression]
    if shutil.which(tool):
        unpacked = subprocess.run([tool, "-dc", stored], check=True, capture_output=True).stdout
        assert unpacked == text
    read = (
        pa_csv.read_csv(io.BytesIO(text))
        if file_format == "csv"
        else pa_json.read_json(io.BytesIO(text))
    )
    assert read.sort_by("id").equals(pq.read_table(source))


def test_an_empty_table_is_a_document_without_rows(clients: Clients) -> None:
    documents = {}
    for file_format in FORMATS:
        client = clients.of(NORTHWIND)
        done = client.export(fileFormat=file_format, entity="expense_claims")
        [job] = done["jobs"]
        assert (job["rows"], job["status"]) == (0, "succeeded")
        documents[file_format] = client.document(job["jobId"])

    assert documents["csv"] == b"id,employeeId,claimedOn,amount,description\n"
    assert json.loads(documents["json"]) == []
    assert documents["ndjson"] == b""
    empty = pq.read_table(pa.BufferReader(documents["parquet"]))
    assert (empty.num_rows, empty.schema.names[-1]) == (0, "description")
