"""What a page of a template is asked for by: the query, or the body of the GET (seed 003)."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from headrace.kernel.errors import InvalidRequest, ValidationFailed
from headrace.kernel.view import camel
from headrace.runtime.api import Call, QueryParameter
from headrace.templates.model import DEFAULT_COUNT, MAX_COUNT, Parameters
from headrace.templates.usecases import Asked
from headrace.templates.views import cursor_of

_MAX_OFFSET = 10**12
_BOOLEANS = {"true": True, "false": False}
_CHOOSING = ("date", "includeAnonymized", "offset")
"""What a cursor has chosen already."""

QUERY = (
    QueryParameter(
        "count", f"Rows of the page; {DEFAULT_COUNT} if left out", int, None, 1, MAX_COUNT
    ),
    QueryParameter(
        "date",
        "Only rows that were changed then or later: a day of the tenant's time zone (2026-01-31), "
        "or a moment (2026-01-31T12:00:00Z)",
        maximum=40,
    ),
    QueryParameter("includeAnonymized", "true: anonymised persons too", pattern="^(true|false)$"),
    QueryParameter("offset", "Rows before the page; 0 if left out", int, None, 0, _MAX_OFFSET),
    QueryParameter("showTotal", "true: tell how many rows there are", pattern="^(true|false)$"),
    QueryParameter(
        "cursor", "The cursor of a `next` link, in place of offset", minimum=1, maximum=200
    ),
)


class ReadTemplate(BaseModel):
    """The same as the query's parameters, for clients that send them in the body."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, alias_generator=camel, title="ReadTemplate"
    )

    count: Annotated[int, Field(ge=1, le=MAX_COUNT)] | None = None
    date: Annotated[str, Field(max_length=40)] | None = None
    include_anonymized: bool | None = None
    offset: Annotated[int, Field(ge=0, le=_MAX_OFFSET)] | None = None
    show_total: bool | None = None
    cursor: Annotated[str, Field(min_length=1, max_length=200)] | None = None


def asked_of(call: Call, zone: Callable[[], str]) -> Asked:
    """What a call asks for. ``zone``: the time zone that a day without a time is in.

    Raises InvalidRequest where query and body, or cursor and offset, contradict each other;
    ValidationFailed, InvalidCursor.
    """
    given = _given(call)
    asked = Asked(
        Parameters(_since(given.get("date"), zone), bool(given.get("includeAnonymized"))),
        count=given.get("count", DEFAULT_COUNT),
        offset=given.get("offset", 0),
        with_total=bool(given.get("showTotal")),
    )
    if "cursor" not in given:
        return asked
    if also := [name for name in _CHOOSING if name in given]:
        raise InvalidRequest(
            f"A cursor goes on with the rows that it was given for: leave {' and '.join(also)} out."
        )
    return replace(asked, cursor=cursor_of(given["cursor"]))


def _given(call: Call) -> dict[str, Any]:
    query = {name: value for name, value in call.query.items() if value is not None}
    for name in ("includeAnonymized", "showTotal"):
        if name in query:
            query[name] = _boolean(name, query[name])
    body: ReadTemplate = call.body
    sent = body.model_dump(by_alias=True, exclude_none=True)
    for name in query.keys() & sent.keys():
        if query[name] != sent[name]:
            raise InvalidRequest(
                f"The query and the body say different things of {name}; say it in one of them."
            )
    return {**sent, **query}


def _boolean(name: str, text: str) -> bool:
    if text not in _BOOLEANS:
        raise _wrong(name, "must be true or false")
    return _BOOLEANS[text]


def _since(text: str | None, zone: Callable[[], str]) -> datetime | None:
    if text is None:
        return None
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            day = date.fromisoformat(text)
            return _checked(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone())))
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _wrong(
            "date", "must be a day, 2026-01-31, or a moment, 2026-01-31T12:00:00Z"
        ) from None
    if moment.tzinfo is None:
        raise _wrong("date", "must say its offset from UTC: 2026-01-31T12:00:00Z")
    return _checked(moment)


def _checked(moment: datetime) -> datetime:
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise _wrong("date", "must be of the years 1 to 9999 in UTC") from None
    return moment


def _wrong(name: str, message: str) -> ValidationFailed:
    return ValidationFailed("A parameter is wrong.", [{"field": name, "message": message}])
