"""Environments elsewhere, over HTTP, with the one credential that they are called with.

What they answer is theirs: its shape is checked, its size is bounded, and of their words none but
the fields of data sets gets any further.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from headrace.adapters.http.outbound import Asker, Streamed
from headrace.datasets.environments import Available, Credential, Environment
from headrace.kernel.errors import (
    OtherEnvironmentRefused,
    PayloadRefused,
    SourceChanged,
    Unavailable,
)

_TRIES = 5
"""Connections for one payload; each has to bring it on."""


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel)


Code = Annotated[str, Field(min_length=1, max_length=100)]
Text = Annotated[str, Field(max_length=4000)]


class _Moment(_Said):
    value: AwareDatetime


class _Day(_Said):
    value: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}")]


class _Environment(_Said):
    identifier: Code
    version: Code


class _DataSet(_Said):
    code: Code
    description: Text
    env: Code
    id: Code
    number_of_items: Annotated[int, Field(ge=0)]
    exact_version_match: bool
    disable_delete_by_omission: bool
    inclusion_date: _Day | None = None
    object_last_updated_date: _Moment
    creation_date: _Moment
    last_payload_built_date_time: _Moment

    def available(self) -> Available:
        return Available(
            code=self.code,
            description=self.description,
            environment=self.env,
            data_set_id=self.id,
            number_of_items=self.number_of_items,
            exact_version_match=self.exact_version_match,
            disable_delete_by_omission=self.disable_delete_by_omission,
            inclusion_date=None if self.inclusion_date is None else self.inclusion_date.value[:10],
            created_at=self.creation_date.value,
            updated_at=self.object_last_updated_date.value,
            payload_built_at=self.last_payload_built_date_time.value,
        )


class _DataSets(_Said):
    data_set_meta_data_rest_entities: Annotated[list[_DataSet], Field(max_length=10_000)]


@dataclass(frozen=True)
class HttpEnvironments:
    """The ``OtherEnvironments`` port. ``carrier``: what payloads are fetched by, with more time and
    a larger bound than ``asker`` has."""

    asker: Asker = field(default_factory=Asker)
    carrier: Asker = field(default_factory=Asker)

    def environment(self, url: str, credential: Credential) -> Environment:
        """See the port."""
        said = self._said(_Environment, f"{url}/environment", credential)
        return Environment(said.identifier, said.version)

    def available(
        self, url: str, definition: str, version: str, credential: Credential
    ) -> Sequence[Available]:
        """See the port."""
        path = f"{url}/datasets/{quote(definition, '')}/{quote(version, '')}"
        said = self._said(_DataSets, path, credential)
        return tuple(one.available() for one in said.data_set_meta_data_rest_entities)

    def _said[T: _Said](self, kind: type[T], url: str, credential: Credential) -> T:
        answer = self.asker.ask(url, _basic(credential))
        if answer.status != 200:
            raise OtherEnvironmentRefused(answer.status)
        try:
            return kind.model_validate_json(answer.body)
        except (ValidationError, RecursionError):
            raise Unavailable("The answer is not that of an environment") from None

    @contextmanager
    def payload(
        self, url: str, definition: str, data_set: str, credential: Credential, most_bytes: int
    ) -> Iterator[Iterator[bytes]]:
        """See the port."""
        path = f"{url}/export/datasetdefinition/{quote(definition, '')}/dataset/"
        yield _Download(self.carrier, path + quote(data_set, ""), credential, most_bytes).chunks()


@dataclass
class _Download:
    """A payload on its way, which may take several connections."""

    carrier: Asker
    url: str
    credential: Credential
    most_bytes: int
    at: int = 0
    tag: str | None = None

    def chunks(self) -> Iterator[bytes]:
        """The whole of it. Raises what the port says."""
        failures = 0
        while True:
            before = self.at
            try:
                with self.carrier.stream(
                    self.url, _basic(self.credential), self._ranged()
                ) as answer:
                    yield from self._read(answer)
                return
            except (OtherEnvironmentRefused, SourceChanged):
                raise
            except Unavailable:
                # What cannot be told to be the same is not put together.
                failures = failures + 1 if self.at == before else 0
                if self.at == 0 or self.tag is None or failures >= _TRIES:
                    raise

    def _ranged(self) -> Mapping[str, str]:
        return {} if self.at == 0 else {"Range": f"bytes={self.at}-"}

    def _read(self, answer: Streamed) -> Iterator[bytes]:
        if self.at and (answer.status in (200, 412, 416) or answer.tag != self.tag):
            raise SourceChanged("The payload was built anew while it was fetched.")
        if answer.status != (206 if self.at else 200):
            raise OtherEnvironmentRefused(answer.status)
        self.tag = answer.tag
        self._check_size(answer.length or 0)
        for chunk in answer.chunks:
            self._check_size(len(chunk))
            self.at += len(chunk)
            yield chunk

    def _check_size(self, more: int) -> None:
        if self.at + more > self.most_bytes:
            raise PayloadRefused(f"The payload has more than {self.most_bytes} bytes.")


def _basic(credential: Credential) -> dict[str, Any]:
    pair = f"{credential.username}:{credential.password}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
