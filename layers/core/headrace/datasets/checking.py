"""What the lines of a payload must be, whoever made it: records of the definition, in order."""

import json
import re
from collections.abc import Iterator
from typing import Any

from headrace.datasets.definitions import Definition, Table
from headrace.datasets.payload import Manifest, Record, TableEntry
from headrace.kernel.errors import (
    PayloadIncompatible,
    PayloadRefused,
    PayloadTableUnknown,
    ValidationFailed,
)

UUID_LENGTH = 100

MOST_MEMBERS = 10_000
"""Columns, references and their keys of a record: far more than PostgreSQL lets a table have."""

_LONG = 256 * 1024
_STRUCTURE = 1024 * 1024
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)

_MEMBERS = {"item", "uuid", "values", "references"}
_REFERRED = {"table", "uuid", "key"}
_NOT_IN_A_DATABASE = re.compile("[\0\ud800-\udfff]")
_LISTED = 5


def check_definition(manifest: Manifest, definition: Definition) -> None:
    """It is of this definition. Raises PayloadRefused."""
    if manifest.definition != definition.code:
        raise PayloadRefused(
            f"The payload is one of the data set definition {manifest.definition[:100]}, not of "
            f"{definition.code}."
        )


def check_tables(manifest: Manifest, definition: Definition) -> None:
    """It names tables of the definition, and counts one record for each item.

    Raises PayloadRefused, PayloadTableUnknown.
    """
    numbers = [entry.table_id for entry in manifest.tables]
    known = [table.table_id for table in definition.tables]
    if unknown := [entry for entry in manifest.tables if entry.table_id not in known]:
        named = ", ".join(f"{one.name[:100]} ({one.table_id})" for one in unknown[:_LISTED])
        raise PayloadTableUnknown(
            f"This environment does not know tables of the payload: {named}.",
            tables=[one.table_id for one in unknown[:_LISTED]],
        )
    if len(set(numbers)) != len(numbers):
        raise PayloadRefused("The payload's manifest lists a table twice.")
    tops = [e for e in manifest.tables if definition.table(e.table_id).owner is None]
    if sum(entry.records for entry in tops) != manifest.items:
        raise PayloadRefused("The payload's manifest has not one record for each item.")


class LineCheck:
    """The lines of one table's document: call it with each in turn, then ``end``.

    What is wrong raises PayloadRefused, or PayloadIncompatible where the table's columns are not
    those of the definition. No text of the line is in the error.
    """

    def __init__(self, definition: Definition, table: Table, items: int) -> None:
        self._table, self._items = table, items
        self._is_top = table.owner is None
        self._columns = set(table.columns)
        self._references = {
            reference.column: (
                reference.table_id,
                len(definition.table(reference.table_id).functional_key),
            )
            for reference in table.all_references
        }
        self._last: tuple[int, str] = (-1, "")
        self.records = 0

    def __call__(self, line: bytes) -> None:
        """The next line, with its line feed or without."""
        self.records += 1
        document = self._parsed(line)
        if type(document) is not dict or document.keys() != _MEMBERS:
            raise self._refusal("is no record")
        item, uuid = document["item"], document["uuid"]
        if type(item) is not int or type(uuid) is not str or not 0 < len(uuid) <= UUID_LENGTH:
            raise self._refusal("has no item or UUID")
        if not 0 <= item < self._items:
            raise self._refusal("is of an item that the manifest does not count")
        if (item, uuid) <= self._last or (self._is_top and item == self._last[0]):
            raise self._refusal("is out of order")
        self._last = (item, uuid)
        values, references = document["values"], document["references"]
        if type(values) is not dict or type(references) is not dict:
            raise self._refusal("is no record")
        if values.keys() != self._columns or references.keys() != self._references.keys():
            raise self._incompatible(self._other_columns({*values, *references}))
        for value in values.values():
            if value is not None and type(value) is not str:
                raise self._refusal("has a value that is no text")
        for column, referred in references.items():
            if referred is not None:
                self._check_referred(column, referred)
        if b"\\u" in line and any(map(_NOT_IN_A_DATABASE.search, _texts(document))):
            raise self._refusal("has a character that no text has")

    def _parsed(self, line: bytes) -> Any:
        if len(line) > _LONG and not _is_mostly_text(line):
            raise self._refusal("is no record")
        try:
            return json.loads(line.decode())
        except (ValueError, RecursionError):
            raise self._refusal("is no JSON in UTF-8") from None

    def _check_referred(self, column: str, referred: Any) -> None:
        if type(referred) is not dict or referred.keys() != _REFERRED:
            raise self._refusal("has a reference that is none")
        table_id, key_length = self._references[column]
        uuid, key = referred["uuid"], referred["key"]
        if type(uuid) is not str or not 0 < len(uuid) <= UUID_LENGTH or type(key) is not list:
            raise self._refusal("has a reference that is none")
        if type(referred["table"]) is not int or referred["table"] != table_id:
            raise self._incompatible(f"{column} refers to another table")
        if len(key) != key_length:
            raise self._incompatible(f"what {column} refers to has another functional key")
        for part in key:
            if part is not None and type(part) is not str:
                raise self._refusal("has a reference that is none")

    def _other_columns(self, found: set[str]) -> str:
        expected = self._columns | self._references.keys()
        missing = sorted(expected - found)[:_LISTED]
        if missing:
            return f"the payload lacks {', '.join(missing)}"
        return "the payload has columns that the table has not, or references as values"

    def end(self, entry: TableEntry, sha256: str) -> None:
        """After the last line: as many records, and bytes of this digest, as the payload says."""
        if self.records != entry.records:
            raise PayloadRefused(
                f"The payload has {self.records} records of {self._table.name}, and says that "
                f"there are {entry.records}."
            )
        check_digest(entry, sha256)

    def _refusal(self, what: str) -> ValidationFailed:
        return PayloadRefused(f"Record {self.records} of {self._table.name} {what}.")

    def _incompatible(self, what: str) -> ValidationFailed:
        return PayloadIncompatible(
            f"The table {self._table.name} is another one in this environment: {what}."
        )


def check_digest(entry: TableEntry, sha256: str) -> None:
    """Raises PayloadRefused if it is not what the manifest says of the table."""
    if sha256 != entry.sha256:
        raise PayloadRefused(f"The digest of {entry.name[:100]} is not what the payload says.")


def _is_mostly_text(line: bytes) -> bool:
    """Whether a long line is long for its texts: parsed, brackets take many times their size."""
    in_strings = 0
    for number, found in enumerate(_STRING.finditer(line)):
        in_strings += found.end() - found.start()
        if number > 4 * MOST_MEMBERS:
            return False
    return len(line) - in_strings < _STRUCTURE


def _texts(document: Any) -> Iterator[str]:
    record = Record.of_document(document)
    yield record.uuid
    yield from (value for value in record.values.values() if value is not None)
    for referred in record.references.values():
        if referred is not None:
            yield referred.uuid
            yield from (part for part in referred.key if part is not None)
