"""The composition root of consents, apart from ``wiring``: its functions load no more."""

from functools import cache

from headrace.adapters.dynamodb.consents import (
    DynamoAccounts,
    DynamoConsents,
    DynamoOrganisations,
)
from headrace.adapters.dynamodb.services import CatalogServices
from headrace.adapters.dynamodb.table import Table
from headrace.consents.usecases import SearchConsents, Subscribe, Unsubscribe
from headrace.runtime.instance import client, clock
from headrace.runtime.settings import settings


@cache
def _table() -> Table:
    return Table(client("dynamodb"), settings().consents_table)


@cache
def _services() -> CatalogServices:
    return CatalogServices(Table(client("dynamodb"), settings().catalog_table))


def subscribe() -> Subscribe:
    """POST /services/{serviceId}/subscriptions."""
    return Subscribe(DynamoConsents(_table()), _services(), DynamoAccounts(_table()), clock())


def unsubscribe() -> Unsubscribe:
    """DELETE /services/{serviceId}/subscriptions/{account}."""
    return Unsubscribe(DynamoConsents(_table()), _services(), clock())


def search_consents() -> SearchConsents:
    """GET /consents."""
    return SearchConsents(
        DynamoConsents(_table()), _services(), DynamoOrganisations(_table()), clock()
    )
