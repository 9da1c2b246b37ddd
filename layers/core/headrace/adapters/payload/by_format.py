"""The PayloadWriter and PayloadReader ports for both formats."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO

from headrace.adapters.payload.limits import LIMITS, Limits
from headrace.adapters.payload.xml_reader import XmlPayloadReader
from headrace.adapters.payload.xml_writer import XmlPayloadWriter
from headrace.adapters.payload.zip_reader import ZipPayloadReader
from headrace.adapters.payload.zip_writer import ZipPayloadWriter
from headrace.datasets.definitions import Definition, OutputFormat
from headrace.datasets.payload import Manifest
from headrace.datasets.ports import Gathering, Payload
from headrace.kernel.errors import PayloadRefused

_ZIP_BEGINS = b"PK"
_BEFORE_A_TAG = b"\xef\xbb\xbf \t\r\n"
"""What may stand before the first tag of an XML document in UTF-8."""
_LOOKED_AT = 64
"""Bytes by which a file shows what it is."""


@dataclass(frozen=True)
class PayloadWriterByFormat:
    """Writes what the manifest's output format says."""

    limits: Limits = LIMITS

    def write(self, manifest: Manifest, gathering: Gathering) -> Iterator[bytes]:
        """The payload. Raises ValueNotExportable."""
        if manifest.output is OutputFormat.ZIP:
            return ZipPayloadWriter(self.limits).write(manifest, gathering)
        return XmlPayloadWriter(self.limits).write(manifest, gathering)


@dataclass(frozen=True)
class PayloadReaderByFormat:
    """Reads what a file is by its first bytes, whatever it is called or the definition says."""

    limits: Limits = LIMITS

    def read(self, file: BinaryIO, definition: Definition) -> AbstractContextManager[Payload]:
        """From a file that can seek; its manifest at first. Raises PayloadRefused."""
        file.seek(0)
        begins = file.read(_LOOKED_AT)
        if begins.startswith(_ZIP_BEGINS):
            return ZipPayloadReader(self.limits).read(file, definition)
        if not begins.lstrip(_BEFORE_A_TAG).startswith(b"<"):
            raise PayloadRefused("The file is neither a ZIP archive nor an XML document.")
        return XmlPayloadReader(self.limits).read(file, definition)
