"""What the engine's errors mean, and what of them may be told."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from headrace.adapters.warehouse.values import REFUSAL
from headrace.kernel.errors import (
    HeadraceError,
    SourceChanged,
    SourceUnavailable,
    ValueNotExportable,
)

_log = logging.getLogger(__name__)


def translated(error: duckdb.Error) -> HeadraceError:
    """What the engine's error means. Its text may quote values or paths, so it is not passed on."""
    text = str(error)
    if REFUSAL in text:
        reason = text.split(REFUSAL, 1)[1].splitlines()[0]
        return ValueNotExportable(f"A {reason} (docs/types.md).")
    if "No snapshot found" in text:
        return SourceChanged("The source no longer holds the version asked for.")
    if any(sign in text for sign in _NO_CATALOG):
        return SourceUnavailable("The DuckLake's catalog database cannot be opened.")
    match error:
        case duckdb.ConversionException() | duckdb.OutOfRangeException():
            return ValueNotExportable("A value is too large for its type in this format.")
        case duckdb.OutOfMemoryException():
            return SourceUnavailable("The rows need more memory than a worker has.")
        case duckdb.PermissionException():
            return SourceUnavailable("The source has files outside its data path.")
        case duckdb.BinderException() | duckdb.CatalogException():
            return SourceChanged("A table or column is no longer as it was when it was published.")
        case _:
            return SourceUnavailable("The source cannot be read now.")


_NO_CATALOG = ("Failed to probe DuckLake metadata", "Failed to attach DuckLake MetaData")

_WITHOUT_DATA = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    duckdb.PermissionException,
)


def cause(error: duckdb.Error) -> duckdb.Error | None:
    """The error, to be raised from, if its text can hold no data: causes are logged.

    Of any other its kind is logged here, or nobody could tell what happened.
    """
    if isinstance(error, _WITHOUT_DATA):
        return error
    _log.warning("the engine ended a query: %s", type(error).__name__)
    return None


@contextmanager
def errors_translated() -> Iterator[None]:
    """Errors of the engine within become ours."""
    try:
        yield
    except duckdb.Error as error:
        raise translated(error) from cause(error)
