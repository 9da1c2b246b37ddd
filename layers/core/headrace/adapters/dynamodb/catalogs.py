"""Published catalogs in DynamoDB: versions that never change, and one pointer to the current one.

    pk              sk                              holds
    catalog         current                         version, digest, published_at: the pointer
    catalog         counter                         the highest version number ever handed out
    catalog         version#VVVVVVVV                a version that was current once; as the pointer
    version#V…      tenant#TENANT                   body: JSON
    version#V…      client#CLIENT                   body: JSON
    version#V…      source#SOURCE                   body: JSON
    version#V…      configuration#TENANT#CLIENT#ID  packed: gzip of JSON
    version#V…      default#TENANT#CLIENT           configuration_id of the default one
    version#V…      schedule#TENANT#CLIENT#NAME     body: JSON
    version#V…      application#TENANT              packed: gzip of JSON
    version#V…      region#REGION                   body: JSON
    version#V…      template#TEMPLATE               packed: gzip of JSON

Publishing takes a number of its own from the counter, writes the entries under it, where nobody
looks yet, and then moves the pointer if it still stands where the publisher last saw it. So a
reader sees one version or the other, two publishers never mix, and one that crashes leaves
entries that no pointer names. Numbers rise, and may skip. No id holds a ``#``
(``headrace.catalog.schema``).

Every item has ``format``, that of the release which wrote it (none: 1). One of a later format is
not read: what this release does not know of it may be a restriction.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from headrace.adapters.dynamodb.table import ConditionFailed, Item, Table
from headrace.catalog import document
from headrace.catalog.model import (
    Catalog,
    CatalogRefused,
    Client,
    Problem,
    Publication,
    PublishedTemplate,
    Region,
    Tenant,
)
from headrace.datasets.definitions import Application
from headrace.exports.model import QuotaRule
from headrace.exports.schedules import Schedule
from headrace.exports.sources import Configuration, Source
from headrace.exports.webhooks import Endpoint
from headrace.kernel.clock import from_rfc3339, rfc3339
from headrace.kernel.errors import CatalogChanged, NotFound, Unavailable

MAX_PACKED_BYTES = 380_000
"""DynamoDB holds items of up to 400 KiB, names and keys included."""

_REMEMBERED = 64


def _partition(version: int) -> str:
    return f"version#{version:08d}"


@dataclass(frozen=True)
class DynamoCatalogs:
    """The ``Catalogs`` port, and of the exports ``Configurations``, ``PublishedSchedules`` and
    ``PublishedSources``.

    Entries are remembered, as a version never changes; the pointer is read anew each time.
    """

    table: Table
    _remembered: dict[tuple[int, str], Any] = field(default_factory=dict, repr=False, compare=False)

    # --- what exports read ------------------------------------------------------------------

    def find(
        self, tenant: str, client_id: str, configuration_id: str | None
    ) -> tuple[int, Configuration]:
        """The current version and the configuration (None: the default one). Raises NotFound."""
        version = self._current_version()
        if configuration_id is None:
            configuration_id = self._default(version, tenant, client_id)
        return version, self.at(version, tenant, client_id, configuration_id)

    def at(self, version: int, tenant: str, client_id: str, configuration_id: str) -> Configuration:
        """The configuration as that version had it. Raises NotFound."""
        item = self._entry(version, f"configuration#{tenant}#{client_id}#{configuration_id}")
        if item is None:
            raise NotFound("There is no such configuration; see GET /data/v1/metadata.")
        return document.configuration_from_json(_body(item))

    def source(self, version: int, name: str) -> Source:
        """The source as that version had it. Raises NotFound."""
        item = self._entry(version, f"source#{name}")
        if item is None:
            raise NotFound("There is no such source.")
        return document.source_from_json(_body(item))

    def quota_rule(self, tenant: str, client_id: str) -> QuotaRule:
        """The client's daily quota in its tenant's time zone. Raises NotFound."""
        client, owner = self.client(client_id), self.tenant(tenant)
        if client is None or owner is None:
            raise NotFound("There is no such client.")
        return QuotaRule(client.daily_quota, owner.time_zone)

    def kms_key(self, tenant: str) -> str | None:
        """The tenant's own KMS key, if the catalog names one."""
        owner = self.tenant(tenant)
        return None if owner is None else owner.kms_key

    def endpoints(self, tenant: str, client_id: str) -> tuple[Endpoint, ...]:
        """Where the client wants to be told, as published now; none if it is not the tenant's."""
        client = self.client(client_id)
        return client.webhooks if client is not None and tenant in client.tenants else ()

    # --- what others read -------------------------------------------------------------------

    def client(self, client_id: str) -> Client | None:
        """The client as published now, or None."""
        item = self._entry(self._current_version(), f"client#{client_id}")
        return None if item is None else document.client_from_json(_body(item))

    def tenant(self, tenant_id: str) -> Tenant | None:
        """The tenant as published now, or None."""
        item = self._entry(self._current_version(), f"tenant#{tenant_id}")
        return None if item is None else document.tenant_from_json(_body(item))

    def tenants(self) -> tuple[Tenant, ...]:
        """All tenants as published now, by id; none before the first publication."""
        publication = self.current()
        if publication is None:
            return ()
        return tuple(map(document.tenant_from_json, self._bodies(publication.version, "tenant#")))

    def region(self, region_id: str) -> Region | None:
        """The region as published now, or None."""
        item = self._entry(self._current_version(), f"region#{region_id}")
        return None if item is None else document.region_from_json(_body(item))

    def application(self, tenant: str) -> Application | None:
        """The tenant's application as published now, if it has one."""
        item = self._entry(self._current_version(), f"application#{tenant}")
        return None if item is None else document.application_from_json(_body(item))

    def template(self, version: int, template_id: str) -> PublishedTemplate | None:
        """The template as that version had it, whomever it is for, or None."""
        item = self._entry(version, f"template#{template_id}")
        return None if item is None else document.template_from_json(_body(item))

    def templates(self, version: int) -> tuple[PublishedTemplate, ...]:
        """All templates of that version, by id."""
        return tuple(map(document.template_from_json, self._bodies(version, "template#")))

    # --- what the scheduler reads -----------------------------------------------------------

    def published(self) -> tuple[datetime, tuple[Schedule, ...]] | None:
        """When the current version was published, and its schedules; None before the first."""
        publication = self.current()
        if publication is None:
            return None
        bodies = self._bodies(publication.version, "schedule#")
        return publication.published_at, tuple(map(document.schedule_from_json, bodies))

    def of_client(self, tenant: str, client_id: str) -> tuple[Schedule, ...]:
        """A client's schedules as published now, by name."""
        prefix = f"schedule#{tenant}#{client_id}#"
        bodies = self._bodies(self._current_version(), prefix)
        return tuple(map(document.schedule_from_json, bodies))

    # --- what watches the sources reads ------------------------------------------------------

    def sources(self) -> tuple[Source, ...]:
        """All sources as published now, by name; none before the first publication."""
        publication = self.current()
        if publication is None:
            return ()
        return tuple(map(document.source_from_json, self._bodies(publication.version, "source#")))

    # --- publishing -------------------------------------------------------------------------

    def current(self) -> Publication | None:
        """The current version, or None before the first; consistent."""
        item = self.table.get("catalog", "current")
        return None if item is None else _publication(_known(item))

    def versions(self) -> tuple[Publication, ...]:
        """All that were ever current, newest first."""
        items = self.table.query("catalog", "version#", newest_first=True)
        return tuple(_publication(item) for item in items)

    def read(self, version: int) -> Catalog:
        """All of a version. Raises NotFound for one that never was current."""
        if self.table.get("catalog", _partition(version)) is None:
            raise NotFound(f"There is no version {version} of the catalog.")
        return Catalog(
            tenants=tuple(map(document.tenant_from_json, self._bodies(version, "tenant#"))),
            clients=tuple(map(document.client_from_json, self._bodies(version, "client#"))),
            sources=tuple(map(document.source_from_json, self._bodies(version, "source#"))),
            configurations=tuple(
                map(document.configuration_from_json, self._bodies(version, "configuration#"))
            ),
            schedules=tuple(map(document.schedule_from_json, self._bodies(version, "schedule#"))),
            applications=tuple(
                map(document.application_from_json, self._bodies(version, "application#"))
            ),
            regions=tuple(map(document.region_from_json, self._bodies(version, "region#"))),
            templates=self.templates(version),
        )

    def publish(self, catalog: Catalog, expected: int, moment: datetime) -> Publication:
        """Makes it the next version and the current one, whole or not at all.

        Raises CatalogChanged if ``expected`` is not the current version (0: none), and
        CatalogRefused if a configuration, an application or a template is too large.
        """
        entries = [
            *_entries(catalog),
            *_schedule_entries(catalog),
            *_application_entries(catalog),
            *_template_entries(catalog),
        ]
        version = self._next_number()
        for entry in entries:
            self.table.put({"pk": _partition(version), "format": document.FORMAT, **entry})
        stamp = {
            "format": document.FORMAT,
            "version": version,
            "digest": document.digest(catalog),
            "published_at": rfc3339(moment),
        }
        pointer = {"pk": "catalog", "sk": "current", **stamp}
        history = {"pk": "catalog", "sk": _partition(version), **stamp}
        move = (
            self.table.to_put(pointer, "#version = :seen", seen=expected)
            if expected
            else self.table.to_put(pointer, "attribute_not_exists(pk)")
        )
        try:
            self.table.transact([move, self.table.to_put(history, "attribute_not_exists(pk)")])
        except ConditionFailed:
            for entry in entries:
                self.table.transact(
                    [self.table.to_delete(_partition(version), entry["sk"], "attribute_exists(pk)")]
                )
            raise CatalogChanged(
                "Somebody else published in between; look at what is there now, then try again."
            ) from None
        return _publication(history)

    def _next_number(self) -> int:
        """A number that nobody else gets."""
        while True:
            item = self.table.get("catalog", "counter")
            last = 0 if item is None else int(item["last"])
            condition = "attribute_not_exists(pk)" if item is None else "#last = :seen"
            values = {} if item is None else {"seen": last}
            try:
                self.table.put(
                    {"pk": "catalog", "sk": "counter", "last": last + 1}, condition, **values
                )
            except ConditionFailed:
                continue
            return last + 1

    # --- reading ----------------------------------------------------------------------------

    def _current_version(self) -> int:
        """The current version. Raises NotFound before the first."""
        publication = self.current()
        if publication is None:
            raise NotFound("Nothing is published yet.")
        return publication.version

    def _bodies(self, version: int, sk_prefix: str) -> Iterator[document.Json]:
        return (_body(item) for item in self.table.query(_partition(version), sk_prefix))

    def _default(self, version: int, tenant: str, client_id: str) -> str:
        item = self._entry(version, f"default#{tenant}#{client_id}")
        if item is None:
            raise NotFound("There is no default configuration; name one by its configurationId.")
        return str(item["configuration_id"])

    def _entry(self, version: int, sk: str) -> Item | None:
        key = (version, sk)
        if key not in self._remembered:
            item = self.table.get(_partition(version), sk)
            if item is None:
                return None
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = item
        entry: Item = self._remembered[key]
        return entry


def _publication(item: Item) -> Publication:
    return Publication(item["version"], item["digest"], from_rfc3339(item["published_at"]))


def _known(item: Item) -> Item:
    """The item. Raises Unavailable if it is of a later format."""
    if item.get("format", 1) > document.FORMAT:
        raise Unavailable("The catalog is of a later release than what reads it.", retry_after=60)
    return item


def _body(item: Item) -> document.Json:
    _known(item)
    text = gzip.decompress(item["packed"]) if "packed" in item else item["body"]
    body: document.Json = json.loads(text)
    return body


def _entries(catalog: Catalog) -> Iterator[Item]:
    for tenant in catalog.tenants:
        yield {
            "sk": f"tenant#{tenant.tenant_id}",
            "body": _json(document.tenant_to_json(tenant)),
        }
    for region in catalog.regions:
        yield {"sk": f"region#{region.region_id}", "body": _json(document.region_to_json(region))}
    for client in catalog.clients:
        yield {
            "sk": f"client#{client.client_id}",
            "body": _json(document.client_to_json(client)),
        }
    for source in catalog.sources:
        yield {"sk": f"source#{source.name}", "body": _json(document.source_to_json(source))}
    for configuration in catalog.configurations:
        owner = f"{configuration.tenant}#{configuration.client_id}"
        packed = _packed(
            document.configuration_to_json(configuration),
            f"configurations[{configuration.configuration_id}]",
            "spread its tables over several configurations",
        )
        yield {"sk": f"configuration#{owner}#{configuration.configuration_id}", "packed": packed}
        if configuration.default:
            yield {
                "sk": f"default#{owner}",
                "configuration_id": configuration.configuration_id,
            }


def _schedule_entries(catalog: Catalog) -> Iterator[Item]:
    for schedule in catalog.schedules:
        owner = f"{schedule.tenant}#{schedule.client_id}"
        yield {
            "sk": f"schedule#{owner}#{schedule.name}",
            "body": _json(document.schedule_to_json(schedule)),
        }


def _application_entries(catalog: Catalog) -> Iterator[Item]:
    for application in catalog.applications:
        packed = _packed(
            document.application_to_json(application),
            f"applications[{application.application_id}]",
            "declare fewer tables",
        )
        yield {"sk": f"application#{application.tenant}", "packed": packed}


def _template_entries(catalog: Catalog) -> Iterator[Item]:
    for published in catalog.templates:
        template_id = published.template.template_id
        packed = _packed(
            document.template_to_json(published),
            f"templates[{template_id}]",
            "declare fewer columns, or shorten its query",
        )
        yield {"sk": f"template#{template_id}", "packed": packed}


def _packed(value: document.Json, path: str, remedy: str) -> bytes:
    """Raises CatalogRefused if it is too large."""
    packed = gzip.compress(_json(value).encode(), mtime=0)
    if len(packed) > MAX_PACKED_BYTES:
        message = (
            f"too large to be stored: {len(packed):,} bytes compressed, where "
            f"{MAX_PACKED_BYTES:,} fit; {remedy}"
        )
        raise CatalogRefused([Problem("catalog", 0, path, message)])
    return packed


def _json(value: document.Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
