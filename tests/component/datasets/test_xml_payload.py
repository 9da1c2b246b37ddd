"""What the XML writer makes, the reader reads; and documents that are made to harm it."""

import io
import random
import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import example, given

from headrace.adapters.payload.limits import LIMITS
from headrace.adapters.payload.xml_reader import XmlPayloadReader
from headrace.datasets.payload import Record
from headrace.kernel.errors import PayloadIncompatible, PayloadRefused, PayloadTableUnknown
from tests.component.datasets.payloads import (
    FEW,
    Records,
    a_rate,
    as_xml,
    read_back,
    records_of,
    some_logic,
    zipped,
)
from tests.component.datasets.products import DEFINITION, LOGIC, RATES
from tests.component.datasets.sets import SETS

AWKWARD = (
    "".join(map(chr, range(1, 0x100))),
    "\r\n \r \n\t ",
    "]]> <!-- & &amp; &#13; \\u0001 \\ \\\\ \"'",
    "\u2028\u2029\x85\ufeff\ufffe\uffff\U0001fffe\U0010ffff",
    "",
    " ",
)


@given(SETS)
@example(
    {
        LOGIC: [
            some_logic(n, uuid=text[-100:] or "a", values={"code": text, "body": None})
            for n, text in enumerate(AWKWARD)
        ]
    }
)
def test_any_records_survive_the_way_through_a_document_as_through_an_archive(
    records: Records,
) -> None:
    through_xml, through_zip = read_back(as_xml(records)), read_back(zipped(records))
    assert through_xml[1] == through_zip[1] == records
    of_xml, of_zip = through_xml[0].tables, through_zip[0].tables
    assert [(e.table_id, e.records, e.sha256, e.complete) for e in of_xml] == [
        (e.table_id, e.records, e.sha256, e.complete) for e in of_zip
    ]  # fmt: skip


@given(SETS)
def test_other_parsers_read_a_document(records: Records) -> None:
    root = ElementTree.fromstring(as_xml(records))
    for table in root.iter("records"):
        read = [int(record.get("item") or -1) for record in table.iter("record")]
        assert read == [record.item for record in records[int(table.get("table") or 0)]]


def test_the_same_records_give_the_same_document() -> None:
    assert as_xml() == as_xml()
    assert as_xml(description="<&>\r\0"[:4]) != as_xml()
    assert read_back(as_xml(description="<&>\r"))[0].description == "<&>\r"


# --- made to harm -------------------------------------------------------------------------------


def changed(*pairs: tuple[str, str]) -> bytes:
    """The few records' document with the first of each text replaced."""
    text = as_xml().decode()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    return text.encode()


DOCTYPES = {
    "bare": "<!DOCTYPE dataSetPayload>",
    "laughs": '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
    "file": '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    "parameter": '<!DOCTYPE x [<!ENTITY % a SYSTEM "http://169.254.169.254/"> %a;]>',
    "external": '<!DOCTYPE x SYSTEM "http://127.0.0.1:9001/x.dtd">',
    "defaults": '<!DOCTYPE x [<!ATTLIST value column CDATA "code">]>',
    "instruction": '<?xml-stylesheet href="http://127.0.0.1/"?>',
}


@pytest.mark.abuse(115)
@pytest.mark.parametrize("name", DOCTYPES)
def test_a_document_type_of_any_kind_is_refused(name: str) -> None:
    payload = changed(("<dataSetPayload", f"{DOCTYPES[name]}<dataSetPayload"))
    with pytest.raises(PayloadRefused, match="DOCTYPE"):
        read_back(payload)


@pytest.mark.abuse(115)
def test_a_document_type_in_another_encoding_is_no_way_round() -> None:
    for encoding in ("utf-16", "utf-16-be", "utf-7", "utf-32"):
        text = changed(("<dataSetPayload", f"{DOCTYPES['file']}<dataSetPayload")).decode()
        text = text.replace('encoding="UTF-8"', f'encoding="{encoding}"')
        with pytest.raises(PayloadRefused):
            read_back(text.encode(encoding))


@pytest.mark.abuse(115)
def test_an_entity_without_a_document_type_is_refused() -> None:
    with pytest.raises(PayloadRefused, match="no XML"):
        read_back(changed(("rate 2", "&a;")))


BAD: dict[str, tuple[tuple[str, str], ...]] = {
    "other root": (("<dataSetPayload", "<payload"), ("</dataSetPayload", "</payload")),
    "unknown element": (("<value ", "<x/><value "),),
    "a namespace": (("<value ", '<value xmlns="urn:x" '),),
    "another format": (('formatVersion="1"', 'formatVersion="2"'),),
    "no format": ((' formatVersion="1"', ""),),
    "more attributes": (('item="0"', 'item="0" id="1"'),),
    "fewer attributes": ((' item="0"', ""),),
    "an attribute twice": (('item="0"', 'item="0" item="0"'),),
    "text between": (("<record ", "x<record "),),
    "a nested record": (("<value ", '<record item="0" uuid="a"/><value '),),
    "a nested value": ((">logic 0<", "><value>logic 0</value><"),),
    "text in none": (('<value column="body" none="true"/>',
                      '<value column="body" none="true">x</value>'),),
    "none of another word": (('none="true"', 'none="false"'),),
    "a key of none": (('<reference column="base_id" none="true"/>',
                       '<reference column="base_id" none="true"><key>x</key></reference>'),),
    "a column twice": (('<value column="code">logic 0', '<value column="code"/>'
                        '<value column="code">logic 0'),),
    "a column of both kinds": (('<reference column="base_id"', '<reference column="code"'),),
    "an item of letters": (('item="0"', 'item="x"'),),
    "an item of other digits": (('item="0"', 'item="٠"'),),
    "an item with a sign": (('item="0"', 'item="+0"'),),
    "a huge item": (('item="0"', f'item="{"9" * 5000}"'),),
    "out of order": (('item="1"', 'item="0"'),),
    "an item that is not counted": (('item="3"', 'item="4"'),),
    "a backslash": (("rate 2", "rate \\x"),),
    "a zero": (("rate 2", "rate \\u0000"),),
    "half a character": (("rate 2", "rate \\ud800"),),
    "another value": (("rate 2", "rate 3"),),
    "another count": (('records="2"', 'records="3"'),),
    "another digest": (('sha256="', 'sha256="0'),),
    "no digest": (("<digest ", "<!--"), ("/>\n<records", "-->\n<records")),
    "a table twice": (('<records table="2"', '<records table="1"'),),
    "a digest of another table": (('<digest table="1"', '<digest table="2"'),),
    "not said whether complete": (('complete="true"', 'complete="yes"'),),
    "two manifests": (("<manifest>", "<manifest>{}</manifest><manifest>"),),
    "an empty manifest": (("<manifest>", "<manifest></manifest><!--"), ("</manifest>", "-->")),
    "other items": (('"items": 4', '"items": 5'),),
    "an archive's manifest": (('"output": "XML"', '"output": "ZIP"'),),
    "another definition": (('"definition": "PRODUCTS"', '"definition": "OTHER"'),),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_document_of_another_shape_is_refused(name: str) -> None:
    with pytest.raises(PayloadRefused):
        read_back(changed(*BAD[name]))


def test_a_table_that_is_not_known_here_is_named() -> None:
    with pytest.raises(PayloadTableUnknown, match=r"LOGIC \(77\)"):
        read_back(changed(('<records table="1"', '<records table="77"')))


def test_a_record_of_other_columns_is_told_as_such() -> None:
    with pytest.raises(PayloadIncompatible, match="lacks body"):
        read_back(changed(('column="body"', 'column="text"')))


def test_a_document_that_ends_early_is_refused_wherever_it_ends() -> None:
    whole = as_xml().rstrip()
    for length in range(len(whole)):
        with pytest.raises(PayloadRefused):
            read_back(whole[:length])


def test_a_byte_that_changed_anywhere_harms_no_record() -> None:
    whole, rng = as_xml(), random.Random(4)
    for place in range(len(whole)):
        other = bytearray(whole)
        other[place] ^= 1 << rng.randrange(8)
        try:
            _, records = read_back(bytes(other))
        except PayloadRefused:
            continue
        assert records == FEW


ENDLESS: dict[str, Callable[[bytes], bytes]] = {
    "value": lambda noise: b">" + noise,
    "attribute": lambda noise: b' more="' + noise,
    "attributes": lambda noise: b"".join(b' a%d=""' % n for n in range(len(noise) // 10)),
    "comment": lambda noise: b"><!--" + noise,
    "tag": lambda noise: b" " + noise,
    "keys": lambda noise: (
        b'/><reference column="c" table="1" uuid="a">' + b"<key/>" * (len(noise) // 6)
    ),
    "many values": lambda noise: (
        b"/>" + b"".join(b'<value column="%d"/>' % number for number in range(len(noise) // 20))
    ),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_what_never_ends_is_refused_before_it_fills_the_memory(kind: str) -> None:
    head, found, _ = as_xml().partition(b'<value column="code"')
    payload = head + found + ENDLESS[kind](b"x" * 2_000_000)
    file = io.BytesIO(payload)
    limits = replace(LIMITS, line=300_000)
    too_much = r"more than (300000|262144) bytes|too long|too many"
    with (
        pytest.raises(PayloadRefused, match=too_much),
        XmlPayloadReader(limits).read(file, DEFINITION) as read,
    ):
        read.verify()
    assert file.tell() < 1_000_000


def test_a_document_that_is_too_large_is_refused_at_once() -> None:
    with pytest.raises(PayloadRefused, match="more than 100 bytes"):
        read_back(as_xml(), limits=replace(LIMITS, total=100))


def test_a_document_that_nests_deeply_is_refused_at_its_second_level() -> None:
    for payload in (b"<a>" * 100_000, b"<dataSetPayload formatVersion='1'>" * 100_000):
        with pytest.raises(PayloadRefused):
            read_back(payload)


def test_a_document_that_changes_while_it_is_imported_is_noticed_at_the_tables_end() -> None:
    content = as_xml()
    file = io.BytesIO(content)
    with XmlPayloadReader().read(file, DEFINITION) as payload:
        payload.verify()
        file.seek(0)
        file.write(content.replace(b"logic 0", b"logic 9"))
        with pytest.raises(PayloadRefused, match="digest of LOGIC"):
            records_of(payload.lines(LOGIC))


def test_tables_are_read_side_by_side() -> None:
    many: Records = {
        LOGIC: [some_logic(n) for n in range(2000)],
        RATES: [a_rate(n + 2000) for n in range(2000)],
    }
    with XmlPayloadReader().read(io.BytesIO(as_xml(many)), DEFINITION) as payload:
        pairs = zip(payload.lines(LOGIC), payload.lines(RATES), strict=True)
        read = [(Record.of_line(one), Record.of_line(other)) for one, other in pairs]
    assert read == [*zip(many[LOGIC], many[RATES], strict=True)]


def test_no_refusal_quotes_what_the_document_holds() -> None:
    canary = "canary5f1c"
    for pair in (("<value ", f"<{canary}/><value "), ("rate 2", f"&{canary};"), ("rate 2", canary)):
        with pytest.raises(PayloadRefused) as refusal:
            read_back(changed(pair))
        assert not re.search(canary, refusal.value.detail)
