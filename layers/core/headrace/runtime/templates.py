"""The composition root of templates, apart from ``wiring``: its functions load no more.

Each factory imports what it needs when it is first called: the function of the API loads neither
an engine nor the workers' code.
"""

# ruff: noqa: PLC0415

from functools import cache
from typing import TYPE_CHECKING

from headrace.adapters.dynamodb.table import Table
from headrace.runtime.instance import client, clock
from headrace.runtime.settings import settings
from headrace.runtime.wiring import slots

if TYPE_CHECKING:
    from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
    from headrace.adapters.dynamodb.templates import CatalogTemplates
    from headrace.templates.ports import Chunks, Readings, Walks
    from headrace.templates.reading import ReadTemplateRows
    from headrace.templates.usecases import ReadTemplate


@cache
def table() -> Table:
    """The table of active templates, and of walks."""
    return Table(client("dynamodb"), settings().templates_table)


@cache
def _catalogs() -> "DynamoCatalogs":
    from headrace.adapters.dynamodb.catalogs import DynamoCatalogs

    return DynamoCatalogs(Table(client("dynamodb"), settings().catalog_table))


@cache
def walks() -> "Walks":
    """Walks, and which one a reader goes on with."""
    from headrace.adapters.dynamodb.walks import DynamoWalks

    return DynamoWalks(table())


@cache
def chunks() -> "Chunks":
    """The rows of walks."""
    from headrace.adapters.s3.template_chunks import S3Chunks

    return S3Chunks(
        client("s3"), settings().templates_bucket, settings().files_key, _catalogs().kms_key
    )


@cache
def readings() -> "Readings":
    """The workers that read sources into chunks."""
    from headrace.adapters.lambdas.readings import LambdaReadings

    return LambdaReadings(client("lambda"), settings().template_reader)


def read_template_rows() -> "ReadTemplateRows":
    """The worker that ``readings`` starts."""
    from headrace.adapters.warehouse.template_rows import TemplateRows
    from headrace.templates.reading import ReadTemplateRows

    return ReadTemplateRows(walks(), chunks(), TemplateRows(_catalogs(), slots()), clock())


@cache
def _templates() -> "CatalogTemplates":
    from headrace.adapters.dynamodb.templates import CatalogTemplates

    return CatalogTemplates(Table(client("dynamodb"), settings().catalog_table))


def time_zone(tenant: str) -> str:
    """The tenant's."""
    return _templates().time_zone(tenant)


@cache
def read_template() -> "ReadTemplate":
    """GET /api/ver3/services/exporttemplate/{templateId}."""
    from headrace.adapters.dynamodb.templates import DynamoActivations
    from headrace.kernel.ids import RandomIds
    from headrace.templates.usecases import KnowTemplate, ReadTemplate

    known = KnowTemplate(_templates(), DynamoActivations(table()))
    return ReadTemplate(known, walks(), chunks(), readings(), clock(), RandomIds())
