"""Views: frozen dataclasses that show a caller something. One shape serves reply and docs."""

import dataclasses
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, ClassVar

from headrace.kernel.clock import rfc3339


def camel(name: str) -> str:
    """``operation_id`` → ``operationId``."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


class View:
    """Marks a dataclass as a view.

    Its fields appear in camel case; a text under a field is what the description of the API says
    of it.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "alias_generator": camel,
        "use_attribute_docstrings": True,
    }


def documented[T: type[Any]](kind: T) -> T:
    """Of a TypedDict: has Pydantic read the texts under the fields; said without importing it,
    which is slow."""
    kind.__pydantic_config__ = {"use_attribute_docstrings": True}
    return kind


def as_json(value: Any) -> Any:
    """A view as plain JSON values, moments and days as RFC 3339."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            camel(item.name): as_json(getattr(value, item.name))
            for item in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {name: as_json(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, date):
        return value.isoformat()
    return value
