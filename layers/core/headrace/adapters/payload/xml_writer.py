"""A payload as an XML document: the manifest first, then each table's records and their digest.

    <dataSetPayload formatVersion="1">
    <manifest>{…}</manifest>
    <records table="4" name="PRODUCTS" complete="true">
    <record item="0" uuid="…"><value column="code">A</value><value column="note" none="true"/>…
    <reference column="rate_id" table="2" uuid="…"><key>B</key></reference>…</record>
    </records>
    <digest table="4" records="1" sha256="…"/>
    </dataSetPayload>

The manifest is that of an archive, as JSON, but that it lists no tables: what they hold is not
known before. A digest is that of the very lines that an archive would have.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from headrace.adapters.payload import manifests
from headrace.adapters.payload.limits import LIMITS, Limits
from headrace.adapters.payload.lines import lines_of
from headrace.adapters.payload.xml_texts import attribute_text, element_text
from headrace.datasets.definitions import OutputFormat
from headrace.datasets.payload import FORMAT_VERSION, Manifest, Record
from headrace.datasets.ports import Gathered, Gathering
from headrace.kernel.errors import PayloadRefused, ValueNotExportable


@dataclass(frozen=True)
class XmlPayloadWriter:
    """Writes documents, in the same limits as archives."""

    limits: Limits = LIMITS

    def write(self, manifest: Manifest, gathering: Gathering) -> Iterator[bytes]:
        """The document's bytes. Raises ValueNotExportable: it is larger than a reader takes."""
        head = replace(manifest, output=OutputFormat.XML, tables=())
        text = element_text(manifests.written(head).decode())
        yield (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<dataSetPayload formatVersion="{FORMAT_VERSION}">\n<manifest>{text}</manifest>\n'
        ).encode()
        size = 0
        try:
            for gathered in gathering.tables():
                for chunk in self._table(gathered):
                    size += len(chunk)
                    if size > self.limits.total:
                        raise PayloadRefused(f"It has more than {self.limits.total} bytes.")
                    yield chunk
        except PayloadRefused as error:
            raise ValueNotExportable(
                f"The payload could not be imported anywhere: {error.detail}"
            ) from None
        yield b"</dataSetPayload>\n"

    def _table(self, gathered: Gathered) -> Iterator[bytes]:
        table, digest, count = gathered.table, hashlib.sha256(), 0
        complete = str(gathered.complete).lower()
        yield (
            f'<records table="{table.table_id}" name={attribute_text(table.name)} '
            f'complete="{complete}">\n'
        ).encode()
        for chunk in gathered.lines:
            digest.update(chunk)
            records = [*lines_of((chunk,), self.limits)]
            count += len(records)
            yield "".join(_record(Record.of_line(line)) for line in records).encode()
        yield (
            f'</records>\n<digest table="{table.table_id}" records="{count}" '
            f'sha256="{digest.hexdigest()}"/>\n'
        ).encode()


def _record(record: Record) -> str:
    parts = [f'<record item="{record.item}" uuid={attribute_text(record.uuid)}>']
    for name, value in record.values.items():
        column = f"<value column={attribute_text(name)}"
        parts.append(
            f'{column} none="true"/>'
            if value is None
            else f"{column}>{element_text(value)}</value>"
        )
    for name, referred in record.references.items():
        column = f"<reference column={attribute_text(name)}"
        if referred is None:
            parts.append(f'{column} none="true"/>')
            continue
        parts.append(f'{column} table="{referred.table_id}" uuid={attribute_text(referred.uuid)}>')
        for part in referred.key:
            parts.append(
                '<key none="true"/>' if part is None else f"<key>{element_text(part)}</key>"
            )
        parts.append("</reference>")
    parts.append("</record>\n")
    return "".join(parts)
