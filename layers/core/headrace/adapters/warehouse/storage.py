"""Folders of files, local or in S3: what is in them, and small files' bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from headrace.adapters.warehouse.engine import is_remote
from headrace.kernel.errors import SourceUnavailable


class Storage(Protocol):
    """Where a source's files lie. Folders are paths or ``s3://`` URLs that end with a slash.

    Every call raises SourceUnavailable if the storage does not answer or refuses.
    """

    def folders(self, folder: str) -> tuple[str, ...]:
        """The names of the folders in it, in order; none of a folder that is not there."""
        ...

    def files(self, folder: str) -> tuple[str, ...]:
        """The names of the files in it, in order; none of a folder that is not there."""
        ...

    def tree(self, folder: str) -> frozenset[str]:
        """The paths of all files in it and below."""
        ...

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None if it is not there."""
        ...

    def modified(self, path: str) -> datetime | None:
        """When the file was written; None if it is not there."""
        ...


def storage_of(folder: str) -> Storage:
    """The storage that the folder lies in."""
    return S3Storage() if is_remote(folder) else LocalStorage()


class LocalStorage:
    """The Storage port, answered by a file system."""

    def folders(self, folder: str) -> tuple[str, ...]:
        """See the port."""
        with _errors_of_files():
            return tuple(sorted(p.name for p in _entries(folder) if p.is_dir()))

    def files(self, folder: str) -> tuple[str, ...]:
        """See the port."""
        with _errors_of_files():
            return tuple(sorted(p.name for p in _entries(folder) if p.is_file()))

    def tree(self, folder: str) -> frozenset[str]:
        """See the port."""
        with _errors_of_files():
            return frozenset(str(p) for p in Path(folder).rglob("*") if p.is_file())

    def read(self, path: str) -> bytes | None:
        """See the port."""
        with _errors_of_files():
            try:
                return Path(path).read_bytes()
            except FileNotFoundError:
                return None

    def modified(self, path: str) -> datetime | None:
        """See the port."""
        with _errors_of_files():
            try:
                return datetime.fromtimestamp(Path(path).stat().st_mtime, UTC)
            except FileNotFoundError:
                return None


def _entries(folder: str) -> list[Path]:
    path = Path(folder)
    return list(path.iterdir()) if path.is_dir() else []


@contextmanager
def _errors_of_files() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceUnavailable("The files of the source cannot be read now.") from error


class S3Storage:
    """The Storage port, answered by S3, with the AWS settings of the environment."""

    @cached_property
    def _s3(self) -> Any:
        import boto3  # noqa: PLC0415  only sources in S3 need it, and it takes half a second

        return boto3.client("s3")

    def folders(self, folder: str) -> tuple[str, ...]:
        """See the port."""
        return tuple(sorted(key.rstrip("/").rsplit("/", 1)[-1] for key in self._prefixes(folder)))

    def files(self, folder: str) -> tuple[str, ...]:
        """See the port."""
        _, prefix = _bucket_and_key(folder)
        keys = self._keys(folder, delimiter="/")
        return tuple(sorted(key.removeprefix(prefix) for key in keys if key != prefix))

    def tree(self, folder: str) -> frozenset[str]:
        """See the port."""
        bucket, _ = _bucket_and_key(folder)
        return frozenset(f"s3://{bucket}/{key}" for key in self._keys(folder, delimiter=""))

    def read(self, path: str) -> bytes | None:
        """See the port."""
        bucket, key = _bucket_and_key(path)
        with _errors_of_s3():
            try:
                content: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            except self._s3.exceptions.NoSuchKey:
                return None
        return content

    def modified(self, path: str) -> datetime | None:
        """See the port."""
        bucket, key = _bucket_and_key(path)
        listed = {one["Key"]: one["LastModified"] for one in self._objects(f"s3://{bucket}/{key}")}
        return listed.get(key)

    def _prefixes(self, folder: str) -> Iterator[str]:
        bucket, prefix = _bucket_and_key(folder)
        with _errors_of_s3():
            pages = self._s3.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=bucket, Prefix=prefix, Delimiter="/"):
                yield from (common["Prefix"] for common in page.get("CommonPrefixes", ()))

    def _keys(self, folder: str, delimiter: str) -> Iterator[str]:
        return (entry["Key"] for entry in self._objects(folder, delimiter))

    def _objects(self, folder: str, delimiter: str = "") -> Iterator[Any]:
        bucket, prefix = _bucket_and_key(folder)
        with _errors_of_s3():
            pages = self._s3.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=bucket, Prefix=prefix, Delimiter=delimiter):
                yield from page.get("Contents", ())


def _bucket_and_key(url: str) -> tuple[str, str]:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


@contextmanager
def _errors_of_s3() -> Iterator[None]:
    from botocore.exceptions import (  # noqa: PLC0415  as boto3
        BotoCoreError,
        ClientError,
        NoCredentialsError,
    )

    try:
        yield
    except NoCredentialsError:
        raise SourceUnavailable(
            "The source lies in S3, and there are no AWS credentials."
        ) from None
    except (BotoCoreError, ClientError) as error:
        raise SourceUnavailable("The bucket of the source cannot be read now.") from error
