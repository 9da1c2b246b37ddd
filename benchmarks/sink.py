"""An S3 for multipart uploads that keeps nothing, on loopback, in a process of its own.

An emulator's own work would hide what the engine does. This one demands what our uploads owe S3
(encryption by a KMS key, a SHA-256 for each part, the list of all parts in the end), reads the
bytes and forgets them. With ``--keep FOLDER`` it proves every digest, and a completed upload is a
file there, named as the last piece of its key.

    python -m benchmarks.sink [--keep FOLDER]    prints its port, and serves till it is ended
"""

import argparse
import base64
import binascii
import hashlib
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

_BUFFER = 1024 * 1024
_LISTED = re.compile(r"<Part>.*?</Part>", re.DOTALL)
_NUMBER = re.compile(r"<PartNumber>(\d+)</PartNumber>")
_DIGEST = re.compile(r"<ChecksumSHA256>([^<]+)</ChecksumSHA256>")


class Refused(Exception):
    """The request is not what S3 would take from us: a mistake of the client's."""


@dataclass
class Upload:
    """Parts so far: digest and bytes (none unless they are kept) by number."""

    parts: dict[int, tuple[str, bytes]] = field(default_factory=dict)


class Sink(ThreadingHTTPServer):
    """The uploads under way, and the server that takes them."""

    daemon_threads = True

    def __init__(self, keep: Path | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keep = keep
        self.uploads: dict[str, Upload] = {}
        self.numbers = count(1)
        self.lock = threading.Lock()

    def begin(self, headers: dict[str, str]) -> str:
        """The id of a new upload. Raises Refused."""
        encryption = headers.get("x-amz-server-side-encryption")
        key = headers.get("x-amz-server-side-encryption-aws-kms-key-id")
        if encryption != "aws:kms" or not key:
            raise Refused("an upload without a KMS key")
        if headers.get("x-amz-checksum-algorithm") != "SHA256":
            raise Refused("an upload without SHA-256")
        with self.lock:
            name = f"upload-{next(self.numbers)}"
            self.uploads[name] = Upload()
        return name

    def take(self, upload: str, number: int, digest: str, body: bytes) -> None:
        """Notes a part; the body is empty unless bytes are kept. Raises Refused."""
        try:
            whole = len(base64.b64decode(digest, validate=True)) == 32
        except binascii.Error:
            whole = False
        if not whole:
            raise Refused("a part without its SHA-256")
        if self.keep is not None:
            found = base64.b64encode(hashlib.sha256(body).digest()).decode()
            if found != digest:
                raise Refused("a part that is not what its SHA-256 says")
        self.uploads[upload].parts[number] = (digest, body)

    def complete(self, upload: str, key: str, document: str) -> None:
        """Ends an upload whose listed parts are all there. Raises Refused."""
        parts = self.uploads.pop(upload).parts
        listed = []
        for text in _LISTED.findall(document):
            number, digest = _NUMBER.search(text), _DIGEST.search(text)
            if number is None or digest is None:
                raise Refused("a listed part without its number or its SHA-256")
            listed.append((int(number.group(1)), digest.group(1)))
        if listed != [(index, parts[index][0]) for index in sorted(parts)]:
            raise Refused("another list of parts than was sent")
        if self.keep is not None:
            with (self.keep / key.rsplit("/", 1)[-1]).open("wb") as file:
                for index in sorted(parts):
                    file.write(parts[index][1])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Sink

    def do_POST(self) -> None:
        """CreateMultipartUpload and CompleteMultipartUpload."""
        url = urlsplit(self.path)
        query = parse_qs(url.query, keep_blank_values=True)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if "uploads" in query:
                name = self.server.begin({k.lower(): v for k, v in self.headers.items()})
                inner = f"<UploadId>{name}</UploadId>"
                self._answer(
                    200, f"<InitiateMultipartUploadResult>{inner}</InitiateMultipartUploadResult>"
                )
            else:
                self.server.complete(query["uploadId"][0], url.path, body.decode())
                self._answer(
                    200,
                    '<CompleteMultipartUploadResult><ETag>"0"</ETag>'
                    "</CompleteMultipartUploadResult>",
                )
        except Refused as refusal:
            self._refuse(refusal)

    def do_PUT(self) -> None:
        """UploadPart."""
        query = parse_qs(urlsplit(self.path).query)
        left = int(self.headers["Content-Length"])
        body = b""
        if self.server.keep is not None:
            body = self.rfile.read(left)
        else:
            buffer = memoryview(bytearray(_BUFFER))
            while left:
                left -= self.rfile.readinto(buffer[: min(left, _BUFFER)])
        try:
            digest = self.headers.get("x-amz-checksum-sha256", "")
            self.server.take(query["uploadId"][0], int(query["partNumber"][0]), digest, body)
        except Refused as refusal:
            self._refuse(refusal)
            return
        self._answer(200, "", ETag='"0"')

    def _refuse(self, refusal: Refused) -> None:
        self._answer(400, f"<Error><Code>InvalidRequest</Code><Message>{refusal}</Message></Error>")

    def _answer(self, status: int, body: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Says nothing: a request is not news here."""


def main() -> None:
    """Serves till it is ended."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keep", type=Path)
    with Sink(parser.parse_args().keep) as sink:
        print(sink.server_address[1], flush=True)
        sink.serve_forever()


if __name__ == "__main__":
    main()
