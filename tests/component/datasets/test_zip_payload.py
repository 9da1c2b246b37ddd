"""What the ZIP writer makes, the reader reads."""

import hashlib
import io
import json
import zipfile

from hypothesis import given
from hypothesis import strategies as st

from headrace.datasets.payload import Record, Referred
from tests.component.datasets.payloads import FEW, Records, read_back, zipped
from tests.component.datasets.products import CURRENCIES, LOGIC, RATES

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
VALUES = st.none() | TEXTS


def _referred(table: int) -> st.SearchStrategy[Referred | None]:
    return st.none() | st.builds(Referred, st.just(table), TEXTS.filter(bool), st.tuples(VALUES))


def _records(
    values: st.SearchStrategy[dict[str, str | None]],
    references: st.SearchStrategy[dict[str, Referred | None]],
    items: st.SearchStrategy[int],
) -> st.SearchStrategy[list[Record]]:
    record = st.builds(Record, items, TEXTS.filter(bool), values, references)
    return st.lists(record, max_size=6, unique_by=lambda r: (r.item, r.uuid)).map(
        lambda found: sorted(found, key=lambda r: (r.item, r.uuid))
    )


SETS = st.fixed_dictionaries(
    {
        LOGIC: _records(
            st.fixed_dictionaries({"code": VALUES, "body": VALUES}),
            st.fixed_dictionaries({"base_id": _referred(LOGIC)}),
            st.integers(0, 3),
        ),
        RATES: _records(
            st.fixed_dictionaries({"code": VALUES, "amount": VALUES}),
            st.fixed_dictionaries(
                {"currency_id": _referred(CURRENCIES), "logic_id": _referred(LOGIC)}
            ),
            st.integers(4, 5),
        ),
    }
)  # fmt: skip


def complete(records: Records) -> Records:
    """The records, with items numbered from 0 without gaps, as a gathering has them."""
    numbers = sorted({record.item for of in records.values() for record in of})
    new = {old: number for number, old in enumerate(numbers)}
    return {
        table: [Record(new[r.item], r.uuid, r.values, r.references) for r in of]
        for table, of in records.items()
    }


@given(SETS)
def test_any_records_survive_the_way_through_an_archive(found: Records) -> None:
    records = complete(found)
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
