"""Notices: what an endpoint is told when a process has ended, in the XML of seed 001.

A notice is recorded by the very write that ends the process. It is signed and tried as
``kernel.deliveries`` says, by PUT, until the endpoint has taken it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from xml.sax.saxutils import quoteattr

from headrace.datasets.environments import EXPORT_ENDPOINT, IMPORT_ENDPOINT
from headrace.datasets.messages import Message
from headrace.datasets.model import ProcessKind, Result
from headrace.kernel.deliveries import Tried

_NO_XML = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
MOST_MESSAGES = 1000
"""In a notice; the process has them all."""


@dataclass(frozen=True)
class Notice(Tried):
    """That a process has ended, told to the endpoint that the environment names then."""

    tenant: str
    process_id: str
    kind: ProcessKind
    result: Result
    ended_at: datetime

    @property
    def owed_since(self) -> datetime:
        """Since the process's end."""
        return self.ended_at

    @property
    def message_id(self) -> str:
        """The message's id: the same at every try, and of no other process."""
        return f"msg_{self.process_id}"

    @property
    def property_name(self) -> str:
        """The property that holds the endpoint's URL."""
        return EXPORT_ENDPOINT if self.kind is ProcessKind.BUILD else IMPORT_ENDPOINT

    def body(self, messages: Iterable[Message]) -> bytes:
        """The message, with those of the process."""
        root = "buildDataSetResponse" if self.kind is ProcessKind.BUILD else "importResponse"
        told = "".join(
            f"<resultMessage code={_attribute(one.code)} text={_attribute(one.text)}/>"
            for one in messages
        )
        document = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<{root}><resultMessages result="{self.result}">{told}</resultMessages></{root}>\n'
        )
        return document.encode()


def _attribute(text: str) -> str:
    """Quoted; characters that XML 1.0 cannot hold are left out."""
    return quoteattr(_NO_XML.sub("", text), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})
