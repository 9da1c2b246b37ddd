"""The messages of data set processes and calls: code, severity and text (seed 001)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from headrace.kernel.errors import HeadraceError


class Severity(StrEnum):
    """How bad it is."""

    INFORMATIVE = "Informative"
    WARNING = "Warning"
    FATAL = "Fatal"


@dataclass(frozen=True)
class Message:
    """One message of a process; ``item`` is what it is about: a table's name, a functional key or
    a UUID."""

    code: str
    text: str
    severity: Severity = Severity.FATAL
    item: str | None = None


@dataclass(frozen=True)
class MessageText:
    """A message to be: the text has names in braces."""

    code: str
    text: str
    severity: Severity = Severity.FATAL

    def __call__(self, item: str | None = None, **values: object) -> Message:
        """The message about an item."""
        return Message(self.code, self.text.format(**values), self.severity, item)

    def refusing[E: HeadraceError](
        self, kind: type[E], members: Mapping[str, Any] | None = None, **values: object
    ) -> E:
        """The message as the refusal of a call: ``kind`` has the same code."""
        severity = str(self.severity)
        return kind(self.text.format(**values), severity=severity, **(members or {}))


MISSING_REFERENCE = MessageText(
    "GEN-MIGR-001",
    "{column} refers to {table} {reference}, which is neither in the data set nor in this "
    "environment",
)
REFUSED_REFERENCE = MessageText(
    "GEN-MIGR-001",
    "{column} refers to {table} {reference}, which is in the data set but could not be imported",
)
UNKNOWN_TABLE = MessageText("GEN-MIGR-003", "The table {table} is not known in this environment")
INCOMPATIBLE = MessageText(
    "GEN-MIGR-006", "The item does not fit the table as it is in this environment: {reason}"
)
NOT_A_ZIP = MessageText("GEN-MIGR-007", "Import file must have a .zip extension")
BUILD_WHILE_BUSY = MessageText(
    "GEN-MIGR-008",
    "It is not possible to start a new build while another build or import is in progress",
)
IMPORT_WHILE_BUSY = MessageText(
    "GEN-MIGR-009",
    "It is not possible to start a new import while another build or import is in progress",
)
EMPTY_DATA_SET = MessageText(
    "GEN-MIGR-010", "It is not possible to start a build with empty data set"
)
TECHNICAL_FAILURE = MessageText("GEN-MIGR-013", "A technical failure: {reason}")
WRONG_VERSION = MessageText(
    "GEN-MIGR-015",
    "The data set was built by version {built_by} and this environment has version {version}",
)
UNKNOWN_DATA_SET = MessageText(
    "OHI-IP-DATA-001",
    "Unknown combination of data set code {data_set} and data set definition code {definition}",
)
UNKNOWN_DEFINITION = MessageText("OHI-IP-DATA-004", "Unknown data set definition code {definition}")
CHANGED_SINCE = MessageText(
    "HEADRACE-DATA-001",
    "A record of {table} was changed by somebody else since the import, so it is left as it is",
)
OWNS_OTHERS = MessageText(
    "HEADRACE-DATA-002",
    "A record of {table} that the import added has records since that it did not add",
)
