"""The values and rules of what one environment knows of others (seed 001).

A *target* has registered *sources* in properties of its own: the URLs of their ``/dataexchange``.
It calls them all with one *credential*, which goes to these URLs and nowhere else.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from headrace.kernel.errors import ValidationFailed
from headrace.kernel.urls import secure_url

SOURCES = "ohi.application.uri."
"""What the properties begin with that register sources: those of configuration, ``CONF``, and of
product data, ``PRD``."""
IDENTIFIER = "ohi.environment.identifier"
"""The property that says how an environment is called."""
EXPORT_ENDPOINT = "ohi.datasetoperations.notification.endpoint.export"
IMPORT_ENDPOINT = "ohi.datasetoperations.notification.endpoint.import"
CREDENTIAL = "DataExchangeClient"
"""The one credential there is."""

MOST_SOURCES = 20
VERSION = re.compile(r"[0-9]{1,9}(\.[A-Za-z0-9-]{1,20}){0,9}")
"""What a version of an application looks like."""
IDENTIFIER_TEXT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_VALUE = 8192


def _one_url(value: str) -> str:
    return _url(value)


def _urls(value: str) -> str:
    urls = [_url(one.strip()) for one in value.split(";") if one.strip()]
    if len(urls) > MOST_SOURCES:
        raise ValueError(f"names {len(urls)} environments; there may be {MOST_SOURCES}")
    if len(set(urls)) != len(urls):
        raise ValueError("names an environment twice")
    return ";".join(urls)


def _url(text: str) -> str:
    # A slash or a query at its end would make other paths of what is appended to it.
    url = text.rstrip("/")
    if secure_url(url).query or "?" in url:
        raise ValueError("must have no query")
    return url


def _identifier(value: str) -> str:
    if not IDENTIFIER_TEXT.fullmatch(value):
        raise ValueError("must have 1 to 64 letters, digits, dots, dashes or underscores")
    return value


PROPERTIES: dict[str, Callable[[str], str]] = {
    f"{SOURCES}CONF": _urls,
    f"{SOURCES}PRD": _urls,
    IDENTIFIER: _identifier,
    EXPORT_ENDPOINT: _one_url,
    IMPORT_ENDPOINT: _one_url,
}
"""The properties there are, with what makes of a value the one that is kept. Raise ValueError."""


@dataclass(frozen=True)
class Property:
    """A property of an environment. An empty value is as none."""

    name: str
    value: str

    @classmethod
    def of(cls, name: str, value: str) -> "Property":
        """The property as it is kept. Raises ValidationFailed."""
        if name not in PROPERTIES:
            known = ", ".join(PROPERTIES)
            raise _wrong("name", f"is none that there is; there are {known}")
        try:
            return cls(name, PROPERTIES[name](value) if value.strip() else "")
        except ValueError as error:
            raise _wrong("value", str(error)) from None


def _wrong(name: str, message: str) -> ValidationFailed:
    return ValidationFailed("The property cannot be set so.", [{"field": name, "message": message}])


def sources_of(value: str | None) -> tuple[str, ...]:
    """The URLs that a property registers."""
    return tuple(one for one in (value or "").split(";") if one)


@dataclass(frozen=True)
class Credential:
    """A user's name and password in other environments, or a client's id and secret."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Environment:
    """An environment, as it says of itself."""

    identifier: str
    version: str
    """Of the application that runs there."""


@dataclass(frozen=True)
class Available:
    """A data set that an environment has built, in the seed's fields."""

    code: str
    description: str
    environment: str
    """The identifier of the environment: an import names it as ``sourceEnvironment``."""
    data_set_id: str
    number_of_items: int
    exact_version_match: bool
    disable_delete_by_omission: bool
    inclusion_date: str | None
    created_at: datetime
    updated_at: datetime
    payload_built_at: datetime


@dataclass(frozen=True)
class FromSource:
    """What came of asking a source: its data sets, or what went wrong."""

    url: str
    data_sets: Sequence[Available] = ()
    failure: str | None = None
