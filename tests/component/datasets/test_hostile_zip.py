"""Archives that are made to harm who unpacks them, or that are not as the writer made them."""

import hashlib
import io
import json
import random
import stat
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from headrace.adapters.payload.limits import LIMITS, MIB
from headrace.adapters.payload.zip_reader import ZipPayloadReader
from headrace.datasets.payload import Record, Referred
from headrace.kernel.errors import (
    PayloadIncompatible,
    PayloadRefused,
    PayloadTableUnknown,
)
from tests.component.datasets.payloads import FEW, a_rate, read_back, records_of, some_logic, zipped
from tests.component.datasets.products import DEFINITION, LOGIC, RATE_LINES, RATES

MANIFEST = "manifest.json"
LOGIC_DOCUMENT, RATES_DOCUMENT = "tables/1.ndjson", "tables/2.ndjson"

Entry = tuple[str | zipfile.ZipInfo, bytes]


def entries_of(payload: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def an_archive(entries: Sequence[Entry], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """By the standard library, which asks no questions."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", compression) as archive:
        warnings.simplefilter("ignore")  # of names twice
        for name, content in entries:
            archive.writestr(name, content)
    return file.getvalue()


def with_documents(**changes: Any) -> bytes:
    """The few records' archive, with entries by name changed: bytes, or None to leave one out."""
    entries = {**entries_of(zipped()), **changes}
    return an_archive([(name, content) for name, content in entries.items() if content is not None])


def with_lines(name: str, content: bytes, records: int | None = None) -> bytes:
    """With another document of a table, that the manifest vouches for."""
    entries = entries_of(zipped())
    manifest = json.loads(entries[MANIFEST])
    for table in manifest["tables"]:
        if table["document"] == name:
            table["sha256"] = hashlib.sha256(content).hexdigest()
            table["records"] = content.count(b"\n") if records is None else records
    manifest["items"] = sum(table["records"] for table in manifest["tables"])
    return an_archive(
        [*{**entries, name: content, MANIFEST: json.dumps(manifest).encode()}.items()]
    )


def with_manifest(change: Callable[[dict[str, Any]], object]) -> bytes:
    entries = entries_of(zipped())
    manifest = json.loads(entries[MANIFEST])
    change(manifest)
    return an_archive([*{**entries, MANIFEST: json.dumps(manifest).encode()}.items()])


def added(*entries: Entry) -> bytes:
    return an_archive([*entries_of(zipped()).items(), *entries])


@dataclass
class Watched(io.BytesIO):
    """A file that knows how much was read of it."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.bytes_read += len(found)
        return found


def test_an_archive_that_another_program_packed_anew_is_read_as_well() -> None:
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        packed = an_archive([*entries_of(zipped()).items()], compression)
        assert read_back(packed)[1] == FEW


# --- made to harm -------------------------------------------------------------------------------


@pytest.mark.abuse(106)
def test_what_unpacks_to_a_thousand_times_its_size_is_refused_before_it_is_unpacked() -> None:
    bomb = with_lines(LOGIC_DOCUMENT, b"0" * (20 * MIB), records=1)
    file = Watched(bomb)
    with (
        pytest.raises(PayloadRefused, match="500 times"),
        ZipPayloadReader().read(file, DEFINITION),
    ):
        pass
    assert file.bytes_read < 2000


@pytest.mark.abuse(106)
def test_what_unpacks_to_more_than_the_limit_is_refused_however_well_it_is_packed() -> None:
    noise = random.Random(1).randbytes(40_000)
    with pytest.raises(PayloadRefused, match="more than 30000 bytes"):
        read_back(with_lines(LOGIC_DOCUMENT, noise, 1), limits=replace(LIMITS, total=30_000))


@pytest.mark.abuse(106)
def test_what_says_to_be_small_and_is_not_is_unpacked_no_further_than_it_says() -> None:
    lines = b"".join(some_logic(0, f"{n:06}").line() for n in range(20_000))
    honest = with_lines(LOGIC_DOCUMENT, lines)
    with zipfile.ZipFile(io.BytesIO(honest)) as archive:
        size = archive.getinfo(LOGIC_DOCUMENT).file_size
    lying = honest.replace(struct.pack("<L", size), struct.pack("<L", 1000))
    assert lying.count(struct.pack("<L", 1000)) == 2
    with pytest.raises(PayloadRefused):
        read_back(lying)


@pytest.mark.abuse(107)
def test_entries_that_share_their_bytes_are_refused() -> None:
    for shift in (0, 1, 31):
        content = bytearray(zipped())
        # The second entry of the directory is said to begin within the first one.
        second = content.rindex(b"PK\1\2", 0, content.rindex(b"PK\1\2"))
        struct.pack_into("<L", content, second + 42, shift)
        with pytest.raises(PayloadRefused, match=r"overlap|what its directory says"):
            read_back(bytes(content))


@pytest.mark.abuse(107)
def test_a_header_that_is_quoted_by_the_entry_before_it_is_refused() -> None:
    # As David Fifield's bombs do it: the first entry's data, stored, is the second entry.
    inner = an_archive([(RATES_DOCUMENT, entries_of(zipped())[RATES_DOCUMENT])])
    body = inner[: inner.index(b"PK\1\2")]
    outer = bytearray(
        an_archive([(LOGIC_DOCUMENT, body), (RATES_DOCUMENT, b"x")], zipfile.ZIP_STORED)
    )
    last = outer.rindex(b"PK\1\2")
    struct.pack_into("<L", outer, last + 42, 30 + len(LOGIC_DOCUMENT))
    with pytest.raises(PayloadRefused, match="overlap"):
        read_back(bytes(outer))


@pytest.mark.abuse(109)
def test_an_archive_within_the_archive_is_refused_under_any_name() -> None:
    inner = zipped()
    for payload in (
        added(("more.zip", inner)),
        added(("tables/3.ndjson", inner)),
        with_lines(LOGIC_DOCUMENT, inner),
        an_archive([("set.zip", inner)]),
    ):
        with pytest.raises(PayloadRefused):
            read_back(payload)


@pytest.mark.abuse(110)
@pytest.mark.parametrize(
    "name",
    [
        "../tables/1.ndjson",
        "tables/../../x",
        "/etc/passwd",
        "C:\\x",
        "..\\x",
        "\\\\host\\x",
        "c:/x",
    ],
)
def test_a_name_that_leads_out_of_the_archive_is_refused(name: str) -> None:
    with pytest.raises(PayloadRefused, match="leads out"):
        read_back(added((name, b"x")))


@pytest.mark.abuse(110)
def test_a_name_that_goes_on_behind_a_zero_is_refused() -> None:
    content = added(("tables/9.ndjson!", b"x")).replace(b"9.ndjson!", b"9.ndjson\0")
    with pytest.raises(PayloadRefused):
        read_back(content)


@pytest.mark.abuse(111)
def test_a_symbolic_link_is_refused() -> None:
    for kind in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFDIR):
        link = zipfile.ZipInfo(LOGIC_DOCUMENT)
        link.create_system, link.external_attr = 3, (kind | 0o777) << 16
        entries = {**entries_of(zipped())}
        del entries[LOGIC_DOCUMENT]
        with pytest.raises(PayloadRefused, match="is a link, or no file"):
            read_back(an_archive([(link, b"/etc/passwd"), *entries.items()]))


@pytest.mark.abuse(112)
def test_an_entry_that_is_there_twice_is_refused() -> None:
    for name in (LOGIC_DOCUMENT, MANIFEST):
        with pytest.raises(PayloadRefused, match="twice"):
            read_back(added((name, entries_of(zipped())[name])))


@pytest.mark.abuse(113)
def test_an_encrypted_entry_is_refused() -> None:
    for flag in (0x1, 0x41, 0x2000):
        content = bytearray(zipped())
        entry = content.index(b"PK\1\2")
        (flags,) = struct.unpack_from("<H", content, entry + 8)
        struct.pack_into("<H", content, entry + 8, flags | flag)
        struct.pack_into("<H", content, 6, flags | flag)
        with pytest.raises(PayloadRefused, match="encrypted"):
            read_back(bytes(content))


@pytest.mark.abuse(114)
def test_a_million_entries_are_refused_by_the_archives_last_bytes() -> None:
    """No such archive is made: its directory, which the reader must not read, is 60 MB."""
    count, each = 1_000_000, 60
    directory_at = 70 * count
    end_64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, each * count,
                         directory_at)  # fmt: skip
    tail = (
        end_64
        + struct.pack("<4sLQL", b"PK\6\7", 0, directory_at + each * count, 1)
        + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    )

    class Sparse(io.RawIOBase):
        """Nothing but the tail behind a lot of zeros."""

        size = directory_at + each * count + len(tail)
        at = 0
        bytes_read = 0

        def seek(self, offset: int, whence: int = 0, /) -> int:
            self.at = offset + (0, self.at, self.size)[whence]
            return self.at

        def read(self, size: int = -1, /) -> bytes:
            wanted = range(self.at, self.size if size < 0 else min(self.size, self.at + size))
            self.bytes_read += len(wanted)
            self.at += len(wanted)
            before = self.size - len(tail)
            return bytes(tail[n - before] if n >= before else 0 for n in wanted)

    file = Sparse()
    with (
        pytest.raises(PayloadRefused, match="more than 1000 entries"),
        ZipPayloadReader().read(file, DEFINITION),  # type: ignore[arg-type]
    ):
        pass
    assert file.bytes_read < 200


@pytest.mark.abuse(114)
def test_many_entries_that_the_archives_end_does_not_count_are_refused() -> None:
    content = bytearray(added(*((f"{n}", b"") for n in range(2000))))
    for said in (3, 2003):
        struct.pack_into("<2H", content, len(content) - 14, said, said)
        with pytest.raises(PayloadRefused, match="entries"):
            read_back(bytes(content))


# --- damaged ------------------------------------------------------------------------------------


def test_an_archive_that_ends_early_is_refused_wherever_it_ends() -> None:
    whole = zipped()
    for length in range(len(whole)):
        with pytest.raises(PayloadRefused):
            read_back(whole[:length])


def test_an_archive_with_something_before_or_behind_it_is_refused() -> None:
    for payload in (b"x" + zipped(), zipped() + b"x", zipped() + zipped()):
        with pytest.raises(PayloadRefused):
            read_back(payload)


def test_a_byte_that_changed_anywhere_harms_no_record() -> None:
    whole, rng = zipped(), random.Random(4)
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << rng.randrange(8)
        try:
            _, records = read_back(bytes(changed))
        except (PayloadRefused, PayloadTableUnknown):
            continue
        assert records == FEW  # the byte said when, or by which system: nothing of the records


def test_what_is_no_archive_at_all_is_refused() -> None:
    for payload in (b"", b"PK", b"<xml/>", b"\0" * 5000, b"[" * 100_000):
        with pytest.raises(PayloadRefused):
            read_back(payload)


def test_a_document_of_another_digest_is_refused() -> None:
    other = b"".join(replace(r, values={"code": "x", "body": None}).line() for r in FEW[LOGIC])
    with pytest.raises(PayloadRefused, match="digest of LOGIC"):
        read_back(with_documents(**{LOGIC_DOCUMENT: other}))


def test_other_counts_than_those_of_the_manifest_are_refused() -> None:
    lines = entries_of(zipped())[LOGIC_DOCUMENT]
    for records in (0, 1, 3):
        with pytest.raises(PayloadRefused, match="2 records of LOGIC"):
            read_back(with_lines(LOGIC_DOCUMENT, lines, records))


def test_a_document_that_is_missing_or_more_than_the_manifest_names_is_refused() -> None:
    for payload in (
        with_documents(**{LOGIC_DOCUMENT: None}),
        with_documents(**{MANIFEST: None}),
        added(("tables/3.ndjson", b"")),
        added(("readme.txt", b"")),
        with_manifest(lambda manifest: manifest["tables"].pop()),
    ):
        with pytest.raises(PayloadRefused):
            read_back(payload)


@pytest.mark.parametrize(
    "change",
    [
        {"items": -1}, {"items": "4"}, {"items": True}, {"items": 10**30}, {"items": None},
        {"formatVersion": 2}, {"formatVersion": "1"}, {"output": "TAR"}, {"output": "XML"},
        {"definition": "OTHER"}, {"definition": None}, {"description": "x" * 5000},
        {"inclusionDate": "yesterday"}, {"excluded": [[1, 2]]}, {"excluded": [{"top": 1}]},
        {"tables": {}}, {"tables": [{}]}, {"tables": None}, {"more": 1},
    ],
    ids=lambda change: "-".join(f"{name}={str(value)[:20]}" for name, value in change.items()),
)  # fmt: skip
def test_a_manifest_of_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(PayloadRefused):
        read_back(with_manifest(lambda manifest: manifest.update(change)))


def test_a_manifest_that_is_too_large_or_nested_too_deeply_is_refused() -> None:
    for manifest in (b"[" * 100_000, b" " * (LIMITS.manifest + 1), b"\xff\xfe", b"null", b""):
        with pytest.raises(PayloadRefused):
            read_back(with_documents(**{MANIFEST: manifest}))


def test_a_table_that_is_not_known_here_is_named() -> None:
    def renumber(manifest: dict[str, Any]) -> None:
        manifest["tables"][0] |= {"tableId": 77, "document": "tables/77.ndjson", "name": "FEES"}

    with pytest.raises(PayloadTableUnknown, match=r"FEES \(77\)") as refusal:
        read_back(with_manifest(renumber))
    assert refusal.value.code == "GEN-MIGR-003"


def test_a_table_that_records_only_refer_to_here_is_no_table_of_a_payload() -> None:
    with pytest.raises(PayloadTableUnknown):
        read_back(with_manifest(lambda manifest: manifest["tables"][0].update(tableId=9)))


# --- records that are none ----------------------------------------------------------------------

GOOD = json.loads(a_rate(2).line())


def a_line(change: dict[str, Any]) -> bytes:
    return json.dumps({**GOOD, **change}, ensure_ascii=False).encode() + b"\n"


BAD_LINES: dict[str, bytes] = {
    "no JSON": b"{\n",
    "nothing": b"\n",
    "NaN": b"NaN\n",
    "a list": b"[]\n",
    "nested": b"[" * 100_000 + b"\n",
    "not UTF-8": a_line({}).replace(b"EUR", b"\xff\xfe"),
    "UTF-16": json.dumps(GOOD).encode("utf-16-le") + b"\n",
    "more": a_line({"more": 1}),
    "item as text": a_line({"item": "2"}),
    "item as number": a_line({"item": 2.0}),
    "item as truth": a_line({"item": True}),
    "item too large": a_line({"item": 3}),
    "item below": a_line({"item": -1}),
    "item huge": a_line({}).replace(b'"item": 2', b'"item": ' + b"9" * 5000),
    "no UUID": a_line({"uuid": None}),
    "empty UUID": a_line({"uuid": ""}),
    "long UUID": a_line({"uuid": "a" * 101}),
    "values as list": a_line({"values": []}),
    "a number as value": a_line({"values": {"code": "x", "amount": 1.5}}),
    "an object as value": a_line({"values": {"code": "x", "amount": {}}}),
    "references as list": a_line({"references": []}),
    "a reference by id": a_line({"references": {"currency_id": 1, "logic_id": None}}),
    "a reference with more": a_line(
        {"references": {"currency_id": {"table": 9, "uuid": "c", "key": [], "id": 1},
                        "logic_id": None}}
    ),
    "a reference without UUID": a_line(
        {"references": {"currency_id": {"table": 9, "uuid": None, "key": ["EUR"]},
                        "logic_id": None}}
    ),
    "a key as text": a_line(
        {"references": {"currency_id": {"table": 9, "uuid": "c", "key": "E"}, "logic_id": None}}
    ),
    "a key of numbers": a_line(
        {"references": {"currency_id": {"table": 9, "uuid": "c", "key": [1]}, "logic_id": None}}
    ),
    "a zero in a text": a_line({"values": {"code": "x\0", "amount": None}}),
    "half a character": a_line({}).replace(b"rate 2", b"rate \\ud800"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_line_that_is_no_record_is_refused(name: str) -> None:
    with pytest.raises(PayloadRefused):
        read_back(with_lines(RATES_DOCUMENT, BAD_LINES[name]))


@pytest.mark.parametrize(
    "change",
    [
        {"values": {"code": "x"}},
        {"values": {"code": "x", "amount": None, "more": None}},
        {"references": {"currency_id": None}},
        {"references": {"currency_id": None, "logic_id": None, "more": None}},
        {"references": {"currency_id": {"table": 1, "uuid": "c", "key": ["E"]}, "logic_id": None}},
        {"references": {"currency_id": {"table": 9, "uuid": "c", "key": []}, "logic_id": None}},
    ],
    ids=("lacks", "has more", "lacks a reference", "refers more", "another table", "another key"),
)
def test_a_record_of_other_columns_is_told_as_such(change: dict[str, Any]) -> None:
    with pytest.raises(PayloadIncompatible) as refusal:
        read_back(with_lines(RATES_DOCUMENT, a_line(change)))
    assert refusal.value.code == "GEN-MIGR-006"


def test_records_out_of_order_or_twice_are_refused() -> None:
    for first, second in (
        (a_rate(3), a_rate(2)),
        (a_rate(2), a_rate(2)),
        (a_rate(2, "a"), a_rate(2, "b")),  # an item is one record of such a table
    ):
        with pytest.raises(PayloadRefused, match="out of order"):
            read_back(with_lines(RATES_DOCUMENT, first.line() + second.line()))


def test_dependents_of_an_item_are_in_the_order_of_their_uuids() -> None:
    def a_rate_line(uuid: str) -> Record:
        rate = Referred(RATES, "a", ("rate 0",))
        return Record(0, uuid, {"code": None}, {"rate_id": rate, "logic_id": None})

    one, two = a_rate_line("a"), a_rate_line("b")
    records = {RATES: [a_rate(0)], RATE_LINES: [one, two]}
    assert read_back(zipped(records))[1] == records
    for wrong in ([two, one], [one, one]):
        with pytest.raises(PayloadRefused, match="out of order"):
            read_back(zipped({**records, RATE_LINES: wrong}))


def test_a_manifest_that_counts_other_items_than_there_are_is_refused() -> None:
    for items in (0, 3, 5):
        other = with_documents(**{MANIFEST: entries_of(zipped(items=items))[MANIFEST]})
        with pytest.raises(PayloadRefused, match="one record for each item"):
            read_back(other)


def test_a_last_line_without_its_end_is_refused() -> None:
    with pytest.raises(PayloadRefused, match="ends within a record"):
        read_back(with_lines(RATES_DOCUMENT, a_rate(2).line()[:-1], 1))


def test_a_line_that_never_ends_is_refused_before_it_fills_the_memory() -> None:
    noise = random.Random(1).randbytes(400_000).replace(b"\n", b"x")
    with pytest.raises(PayloadRefused, match="more than 100000 bytes"):
        read_back(with_lines(RATES_DOCUMENT, noise, 1), limits=replace(LIMITS, line=100_000))
    with pytest.raises(PayloadRefused, match="more than 100 bytes"):
        read_back(
            with_lines(RATES_DOCUMENT, a_rate(2).line() * 2), limits=replace(LIMITS, line=100)
        )


@pytest.mark.parametrize("part", [b"[],", b'"",', b"{},", b"0,", b'"a":{},'])
def test_a_line_of_many_small_things_is_refused_before_it_becomes_objects(part: bytes) -> None:
    line = b"[" + part * (3 * MIB // len(part)) + b"0]\n"
    tracemalloc.start()
    try:
        with pytest.raises(PayloadRefused, match="is no record"):
            read_back(with_lines(RATES_DOCUMENT, line))
        assert tracemalloc.get_traced_memory()[1] < 30 * MIB
    finally:
        tracemalloc.stop()


def test_a_long_text_of_quotes_and_brackets_is_a_text() -> None:
    text = '"{[\\' * (MIB // 2)
    record = a_rate(0, values={"code": text, "amount": None})
    assert read_back(zipped({RATES: [record]}))[1] == {RATES: [record]}


def test_texts_that_look_like_escapes_of_what_no_text_has_are_texts() -> None:
    record = a_rate(0, values={"code": "\\u0000 \\ud800", "amount": "\1"})
    assert read_back(zipped({RATES: [record]}))[1] == {RATES: [record]}


def test_no_refusal_quotes_what_the_payload_holds() -> None:
    canary = "canary-5f1c"
    for line in (
        a_line({"uuid": canary, "item": 9}),
        canary.encode() + b"\n",
        a_line({"values": {"code": canary, canary: canary}}),
    ):
        with pytest.raises(PayloadRefused) as refusal:
            read_back(with_lines(RATES_DOCUMENT, line))
        assert canary not in refusal.value.detail  # fmt: skip


def test_a_payload_that_changes_while_it_is_imported_is_noticed_at_the_tables_end() -> None:
    file = io.BytesIO(zipped())
    other = zipped(
        {**FEW, LOGIC: [some_logic(0), some_logic(1, values={"code": "y", "body": None})]}
    )
    with ZipPayloadReader().read(file, DEFINITION) as payload:
        payload.verify()
        file.seek(0)
        file.write(other)
        file.truncate()
        with pytest.raises(PayloadRefused):
            records_of(payload.lines(LOGIC))
