"""The manifest of a payload as JSON; strict, as it may come from anybody."""

from dataclasses import asdict
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from headrace.datasets.definitions import OutputFormat
from headrace.datasets.payload import FORMAT_VERSION, Manifest, TableEntry
from headrace.kernel.errors import PayloadRefused

_Count = Annotated[int, Field(ge=0, lt=2**63)]
_Text = Annotated[str, Field(max_length=4000)]
_Name = Annotated[str, Field(max_length=200)]


class _Strict(BaseModel):
    model_config = ConfigDict(
        strict=True, extra="forbid", alias_generator=to_camel, validate_by_name=True
    )


class _TableEntry(_Strict):
    table_id: _Count
    name: _Name
    document: _Name
    records: _Count
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]
    complete: bool


class _Excluded(_Strict):
    top: _Count
    dependent: _Count


class _Manifest(_Strict):
    format_version: _Count
    definition: _Name
    data_set: _Name
    description: _Text
    environment: _Name
    version: _Name
    output: OutputFormat
    items: _Count
    exact_version_match: bool
    disable_delete_by_omission: bool
    inclusion_date: Annotated[str, Field(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$")] | None
    excluded: list[_Excluded]
    tables: list[_TableEntry]


def written(manifest: Manifest) -> bytes:
    """As JSON, indented for people, with a line feed behind it."""
    members = {
        **asdict(manifest),
        "excluded": [{"top": top, "dependent": other} for top, other in manifest.excluded],
        "tables": [asdict(entry) for entry in manifest.tables],
    }
    document = _Manifest.model_validate(members)
    return document.model_dump_json(by_alias=True, indent=2).encode() + b"\n"


def read(text: bytes | str) -> Manifest:
    """The inverse. Raises PayloadRefused, without a word of the text."""
    try:
        document = _Manifest.model_validate_json(text)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
        raise PayloadRefused(
            f"The payload's manifest is not of the form that it has to be of: {place or 'JSON'}."
        ) from None
    if document.format_version != FORMAT_VERSION:
        raise PayloadRefused(
            f"The payload is of the format {document.format_version}; here it is {FORMAT_VERSION}."
        )
    members = document.model_dump()
    return Manifest(
        **{
            **members,
            "excluded": tuple((one.top, one.dependent) for one in document.excluded),
            "tables": tuple(TableEntry(**entry.model_dump()) for entry in document.tables),
        }
    )
