"""JSON schemas of what the routes take and answer, from their types, by Pydantic."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

REFERENCE = "#/components/schemas/"

type Schema = dict[str, Any]


class _Generator(GenerateJsonSchema):
    """A property's name says enough; Pydantic would repeat it as a title."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@dataclass(frozen=True)
class Schemas:
    """``shared``: the named schemas, sorted. ``by_type``: a reference for each type."""

    shared: Mapping[str, Schema]
    by_type: Mapping[type, Schema]

    @classmethod
    def of(cls, taken: Iterable[type], answered: Iterable[type]) -> "Schemas":
        """The schemas of the types that requests and replies are made of."""
        modes: list[tuple[type, JsonSchemaMode]] = [
            *((one, "validation") for one in taken),
            *((one, "serialization") for one in answered),
        ]
        references, definitions = TypeAdapter.json_schemas(
            [(kind, mode, TypeAdapter(kind)) for kind, mode in modes],
            schema_generator=_Generator,
            ref_template=REFERENCE + "{model}",
        )
        shared = {
            public_name(name): tidy(schema) for name, schema in definitions.get("$defs", {}).items()
        }
        return cls(
            dict(sorted(shared.items())),
            {kind: tidy(references[kind, mode]) for kind, mode in modes},
        )

    def description(self, kind: type | None) -> str | None:
        """What the type's schema says of it, if it has one."""
        if kind is None or kind not in self.by_type:
            return None
        said: str | None = self._named(kind).get("description")
        return said

    def needs_a_value(self, kind: type) -> bool:
        """Whether nothing at all is too little for the type: some of its values are required."""
        return bool(self._named(kind).get("required"))

    def _named(self, kind: type) -> Schema:
        named: Schema = self.shared[self.by_type[kind]["$ref"].removeprefix(REFERENCE)]
        return named


def public_name(name: str) -> str:
    """``OperationView`` → ``Operation``: that it is a view is our affair."""
    for ending in ("View", "Document"):
        name = name.removesuffix(ending)
    return name


def tidy(schema: Any) -> Any:
    """The schema as people write it: public names, short nulls, Markdown in the texts."""
    if isinstance(schema, list):
        return [tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    tidied = {name: tidy(item) for name, item in schema.items() if name != "title"}
    if "$ref" in tidied:
        tidied["$ref"] = REFERENCE + public_name(tidied["$ref"].removeprefix(REFERENCE))
    if isinstance(text := tidied.get("description"), str):
        tidied["description"] = markdown(text)
    match tidied.get("anyOf"):
        case [{"type": str(), **rest} as some, {"type": "null"}] if not rest.keys() & {"enum"}:
            del tidied["anyOf"]
            tidied = {**some, "type": [some["type"], "null"], **tidied}
    return tidied


def markdown(docstring: str) -> str:
    """A docstring as Markdown: ``code`` in single marks, paragraphs in one line each."""
    paragraphs = docstring.replace("``", "`").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs).strip()
