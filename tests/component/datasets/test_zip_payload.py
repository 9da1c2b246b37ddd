"""What the ZIP writer makes, the reader reads."""

import hashlib
import io
import json
import zipfile

from hypothesis import given

from tests.component.datasets.payloads import FEW, Records, read_back, zipped
from tests.component.datasets.products import LOGIC
from tests.component.datasets.sets import SETS


@given(SETS)
def test_any_records_survive_the_way_through_an_archive(records: Records) -> None:
    manifest, read = read_back(zipped(records))
    assert read == records
    assert {e.table_id: e.records for e in manifest.tables} == {
        table: len(of) for table, of in records.items()
    }


def test_the_same_records_give_the_same_bytes() -> None:
    assert zipped() == zipped()


def test_the_manifest_is_the_last_entry_and_says_how_many_records_each_table_has() -> None:
    with zipfile.ZipFile(io.BytesIO(zipped())) as archive:
        assert archive.namelist() == ["tables/1.ndjson", "tables/2.ndjson", "manifest.json"]
        manifest = json.loads(archive.read("manifest.json"))
        logic = archive.read("tables/1.ndjson")
    assert logic == b"".join(record.line() for record in FEW[LOGIC])
    assert manifest["environment"] == "TEST"
    assert manifest["excluded"] == [{"top": 4, "dependent": 1}]
    assert manifest["tables"][0] == {
        "tableId": 1,
        "name": "LOGIC",
        "document": "tables/1.ndjson",
        "records": 2,
        "sha256": hashlib.sha256(logic).hexdigest(),
        "complete": True,
    }
