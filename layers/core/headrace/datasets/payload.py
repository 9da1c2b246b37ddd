"""What a payload holds: a manifest, and the records of each table in an order.

Values are texts as PostgreSQL writes them (with UTC, ISO dates, ISO 8601 intervals, hexadecimal
binary), or None: one form that every type has, and that is read back exactly.

Records are in groups, one for each top-level item and record of reference data: the *item*. Items
are numbered from 0 in the order in which they can be written, what is referred to first. The
records of a table come in the order of their items' numbers, within an item in the order of their
UUIDs, so that the documents of all tables are read side by side and no more than one item is held.

A document is made of *lines*, each a record as JSON (``Record.line``), in a ZIP one entry for each
table; in XML the same as elements.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.datasets.definitions import OutputFormat

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Referred:
    """A record that another one refers to, by what is the same in all environments."""

    table_id: int
    uuid: str
    key: tuple[str | None, ...] = ()
    """The values of its functional key."""


@dataclass(frozen=True)
class Record:
    """A record of a table. ``values`` by column, ``references`` by column (None refers to none)."""

    item: int
    uuid: str
    values: Mapping[str, str | None]
    references: Mapping[str, Referred | None]

    def line(self) -> bytes:
        """As a line of a document, with its line feed."""
        document = {
            "item": self.item,
            "uuid": self.uuid,
            "values": dict(self.values),
            "references": {
                column: referred
                and {"table": referred.table_id, "uuid": referred.uuid, "key": [*referred.key]}
                for column, referred in self.references.items()
            },
        }
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def of_line(cls, line: bytes) -> "Record":
        """Of a line that was checked; the inverse of ``line``."""
        return cls.of_document(json.loads(line))

    @classmethod
    def of_document(cls, document: Any) -> "Record":
        """Of what a line holds, as JSON."""
        return cls(
            document["item"],
            document["uuid"],
            document["values"],
            {
                column: referred
                and Referred(referred["table"], referred["uuid"], tuple(referred["key"]))
                for column, referred in document["references"].items()
            },
        )


@dataclass(frozen=True)
class TableEntry:
    """What the manifest says of a table's document. ``complete``: whether all records of the
    items are in it; they are not if there was an inclusion date."""

    table_id: int
    name: str
    document: str
    records: int
    sha256: str
    complete: bool = True


@dataclass(frozen=True)
class Manifest:
    """What a payload says of itself. ``excluded``: pairs of top-level table and the dependents or
    reference data that were left out with its items."""

    definition: str
    data_set: str
    description: str
    environment: str
    version: str
    output: OutputFormat
    items: int
    exact_version_match: bool
    disable_delete_by_omission: bool
    inclusion_date: str | None
    excluded: tuple[tuple[int, int], ...]
    tables: tuple[TableEntry, ...]
    format_version: int = FORMAT_VERSION
