"""The composition root of what environments know of each other, apart from the rest of data sets:
its functions load neither PostgreSQL nor the workers' code."""

# ruff: noqa: PLC0415

from functools import cache
from typing import TYPE_CHECKING

from headrace.adapters.dynamodb.applications import CatalogApplications
from headrace.adapters.dynamodb.environments import (
    DynamoEnvironmentProperties,
    DynamoSourceCredentials,
)
from headrace.adapters.dynamodb.table import Table
from headrace.adapters.kms.seal import KmsSeal
from headrace.datasets.exchanging import (
    FetchAvailable,
    KnowEnvironment,
    ListDataSets,
    SetCredential,
    SetProperty,
)
from headrace.runtime.instance import client
from headrace.runtime.settings import settings

if TYPE_CHECKING:
    from headrace.adapters.http.environments import HttpEnvironments

ANSWER_SECONDS = 10.0
"""How long a source may take to answer a question, all in all."""
ANSWER_BYTES = 8 * 1024 * 1024
PAYLOAD_SECONDS = 840.0
"""How long a payload may be on its way; its worker has 900."""
SILENCE_SECONDS = 30.0
"""How long nothing may come of it."""


@cache
def _table() -> Table:
    return Table(client("dynamodb"), settings().datasets_table)


@cache
def applications() -> CatalogApplications:
    """The applications of the published catalog."""
    return CatalogApplications(Table(client("dynamodb"), settings().catalog_table))


@cache
def properties() -> DynamoEnvironmentProperties:
    """The properties of environments."""
    return DynamoEnvironmentProperties(_table())


def credentials() -> DynamoSourceCredentials:
    """What sources are called with."""
    return DynamoSourceCredentials(_table(), KmsSeal(client("kms"), settings().exchange_key))


@cache
def others() -> "HttpEnvironments":
    """The environments that are asked."""
    from dataclasses import replace

    from headrace.adapters.http.environments import HttpEnvironments
    from headrace.adapters.http.outbound import Asker, OutboundPolicy

    policy = OutboundPolicy.within(settings().environment_networks, seconds=ANSWER_SECONDS)
    carrying = replace(
        policy,
        seconds=PAYLOAD_SECONDS,
        idle_seconds=SILENCE_SECONDS,
        max_bytes=settings().most_payload_bytes,
    )
    return HttpEnvironments(
        asker=Asker(replace(policy, max_bytes=ANSWER_BYTES)), carrier=Asker(carrying)
    )


def know_environment() -> KnowEnvironment:
    """GET /dataexchange/environment."""
    return KnowEnvironment(applications(), properties())


def list_data_sets() -> ListDataSets:
    """GET /dataexchange/datasets/…"""
    from headrace.adapters.dynamodb.data_sets import DynamoDataSets

    return ListDataSets(know_environment(), DynamoDataSets(_table()))


def fetch_available() -> FetchAvailable:
    """GET /dataexchange/datasets/fetchavailabledatasets/…"""
    return FetchAvailable(know_environment(), credentials(), others())


def set_property() -> SetProperty:
    """POST and GET /api/generic/properties."""
    return SetProperty(applications(), properties())


def set_credential() -> SetCredential:
    """PUT /api/credentials/credential/DataExchangeClient."""
    return SetCredential(applications(), credentials())
