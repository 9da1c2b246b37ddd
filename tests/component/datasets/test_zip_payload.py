"""What the ZIP writer makes, the reader reads."""

import hashlib
import io
import json
import zipfile
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from headrace.datasets.payload import Record, Referred
from tests.component.datasets.payloads import FEW, Records, read_back, zipped
from tests.component.datasets.products import CURRENCIES, LOGIC, RATE_LINES, RATES

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
VALUES = st.none() | TEXTS


def _referred(table: int) -> st.SearchStrategy[Referred | None]:
    return st.none() | st.builds(Referred, st.just(table), TEXTS.filter(bool), st.tuples(VALUES))


def _records(
    values: dict[str, st.SearchStrategy[str | None]],
    references: dict[str, st.SearchStrategy[Referred | None]],
) -> st.SearchStrategy[list[Record]]:
    return st.lists(
        st.builds(
            Record,
            st.integers(0, 5),
            TEXTS.filter(bool),
            st.fixed_dictionaries(values),
            st.fixed_dictionaries(references),
        ),
        max_size=6,
    )


def _in_order(found: Records) -> Records:
    """Each record of LOGIC and RATES an item, and the lines owned by some of the rates."""
    logic, rates = found[LOGIC], found[RATES]
    start = len(logic)
    lines = {
        (record.item, record.uuid): record
        for one in (found[RATE_LINES] if rates else ())
        for record in (replace(one, item=start + one.item % len(rates)),)
    }
    return {
        LOGIC: [replace(record, item=number) for number, record in enumerate(logic)],
        RATES: [replace(record, item=start + number) for number, record in enumerate(rates)],
        RATE_LINES: [lines[place] for place in sorted(lines)],
    }


SETS = st.fixed_dictionaries(
    {
        LOGIC: _records({"code": VALUES, "body": VALUES}, {"base_id": _referred(LOGIC)}),
        RATES: _records(
            {"code": VALUES, "amount": VALUES},
            {"currency_id": _referred(CURRENCIES), "logic_id": _referred(LOGIC)},
        ),
        RATE_LINES: _records(
            {"code": VALUES}, {"rate_id": _referred(RATES), "logic_id": _referred(LOGIC)}
        ),
    }
).map(_in_order)
"""Sets of any texts that a database can hold."""


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
