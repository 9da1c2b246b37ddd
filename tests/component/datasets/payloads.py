"""Payloads made of records at hand."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headrace.adapters.payload.by_format import PayloadReaderByFormat, PayloadWriterByFormat
from headrace.adapters.payload.limits import LIMITS, Limits
from headrace.datasets.definitions import Definition, OutputFormat
from headrace.datasets.payload import Manifest, Record, Referred
from headrace.datasets.ports import Gathered, Gathering
from tests.component.datasets.products import CURRENCIES, DEFINITION, LOGIC, RATES

Records = Mapping[int, Sequence[Record]]


@dataclass(frozen=True)
class RecordsGathered:
    """A gathering of records that are there already; ``incomplete`` names tables."""

    by_table: Records
    definition: Definition = DEFINITION
    incomplete: frozenset[int] = frozenset()

    @property
    def items(self) -> int:
        """By the records' numbers."""
        return 1 + max((r.item for of in self.by_table.values() for r in of), default=-1)

    @property
    def records(self) -> int:
        """All of them."""
        return sum(map(len, self.by_table.values()))

    def tables(self) -> Iterator[Gathered]:
        """Those that have records, or none; two lines a chunk, and now and then nothing."""
        for table in self.definition.tables:
            of = self.by_table.get(table.table_id)
            if of is not None:
                complete = table.table_id not in self.incomplete
                yield Gathered(table, len(of), complete, _chunks([record.line() for record in of]))


def _chunks(lines: Sequence[bytes]) -> Iterator[bytes]:
    for start in range(0, len(lines), 2):
        yield b""
        yield b"".join(lines[start : start + 2])


def a_manifest(items: int, **changes: Any) -> Manifest:
    """Of the definition of these tests, without tables yet."""
    manifest = Manifest(
        definition=DEFINITION.code,
        data_set="SPRING",
        description="What is new in spring",
        environment="TEST",
        version="3.1.4",
        output=OutputFormat.ZIP,
        items=items,
        exact_version_match=False,
        disable_delete_by_omission=False,
        inclusion_date=None,
        excluded=((4, 1),),
        tables=(),
    )
    return replace(manifest, **changes)


def a_rate(item: int, uuid: str = "a", **changes: Any) -> Record:
    """A record of the table RATES, with both of its references."""
    record = Record(
        item,
        uuid,
        {"code": f"rate {item}", "amount": "1.50"},
        {
            "currency_id": Referred(CURRENCIES, "c", ("EUR",)),
            "logic_id": None,
        },
    )
    return replace(record, **changes)


def some_logic(item: int, uuid: str = "a", **changes: Any) -> Record:
    """A record of the table LOGIC."""
    record = Record(item, uuid, {"code": f"logic {item}", "body": None}, {"base_id": None})
    return replace(record, **changes)


FEW: Records = {
    LOGIC: [some_logic(0), some_logic(1)],
    RATES: [a_rate(2), a_rate(3)],
}


def zipped(records: Records = FEW, **changes: Any) -> bytes:
    """The archive that the writer makes of the records."""
    gathered = RecordsGathered(records)
    manifest = a_manifest(**{"items": gathered.items, **changes})
    return written(manifest, gathered)


def written(manifest: Manifest, gathering: Gathering) -> bytes:
    """The payload, whole."""
    return b"".join(PayloadWriterByFormat().write(manifest, gathering))


def as_xml(records: Records = FEW, **changes: Any) -> bytes:
    """The document that the writer makes of the records."""
    return zipped(records, **{"output": OutputFormat.XML, **changes})


def read_back(
    payload: bytes, definition: Definition = DEFINITION, limits: Limits = LIMITS
) -> tuple[Manifest, dict[int, list[Record]]]:
    """The manifest and the records of a payload. Raises PayloadRefused."""
    with PayloadReaderByFormat(limits).read(io.BytesIO(payload), definition) as read:
        read.verify()
        return read.manifest, {
            entry.table_id: records_of(read.lines(entry.table_id)) for entry in read.manifest.tables
        }


def records_of(lines: Iterable[bytes]) -> list[Record]:
    """The records that the lines hold."""
    return [Record.of_line(line) for line in lines]
