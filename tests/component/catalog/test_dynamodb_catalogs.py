"""Published catalogs in DynamoDB (moto): versions that never change, one pointer."""

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import boto3
import moto
import pytest

from headrace.adapters.dynamodb.applications import CatalogApplications
from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
from headrace.adapters.dynamodb.clients import CatalogClients
from headrace.adapters.dynamodb.table import Table
from headrace.catalog import document
from headrace.catalog.model import Catalog, CatalogRefused, Publication
from headrace.catalog.usecases import PublishCatalog
from headrace.exports.model import QuotaRule
from headrace.exports.sources import Column, ColumnType, Configuration
from headrace.identity.model import Networks
from headrace.kernel.errors import CatalogChanged, NotFound
from tests.builders import SteppingClock, a_schedule
from tests.component.keyed import KEYED
from tests.unit.catalog.builders import (
    a_catalog,
    a_client,
    a_configuration,
    a_table,
    a_tenant,
)
from tests.unit.catalog.test_applications import the_application

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        client = boto3.client("dynamodb", region_name="eu-west-1")
        client.create_table(TableName="catalog", **KEYED)
        yield Table(client, "catalog")


@pytest.fixture
def catalogs(table: Table) -> DynamoCatalogs:
    return DynamoCatalogs(table)


def entries(catalog: Catalog) -> tuple[frozenset[Any], ...]:
    """A catalog without the order of its entries, which means nothing."""
    return (
        frozenset(catalog.tenants),
        frozenset(catalog.clients),
        frozenset((s.name, s.kind, tuple(sorted(s.options.items()))) for s in catalog.sources),
        frozenset(catalog.configurations),
        frozenset(catalog.regions),
        frozenset(catalog.templates),
    )


def test_before_the_first_publication_there_is_nothing(table: Table) -> None:
    catalogs = DynamoCatalogs(table)
    assert catalogs.current() is None
    assert catalogs.versions() == ()
    assert CatalogClients(table, "p").find("integrator") is None
    for read in (
        lambda: catalogs.find("northwind", "integrator", None),
        lambda: catalogs.quota_rule("northwind", "integrator"),
        lambda: catalogs.read(1),
    ):
        with pytest.raises(NotFound):
            read()


def test_what_is_published_is_read_back_whole(catalogs: DynamoCatalogs) -> None:
    catalog = a_catalog(
        a_configuration(tables=(a_table(), a_table("absences", columns=30))),
        a_configuration("narrow", default=False),
        a_configuration("hr-full", "harbour", "bureau", default=False),
    )
    published = catalogs.publish(catalog, 0, NOON)
    assert published == Publication(1, published.digest, NOON)
    assert catalogs.current() == published
    assert entries(catalogs.read(1)) == entries(catalog)
    assert {tenant.tenant_id for tenant in catalogs.tenants()} == {"northwind", "harbour"}
    assert catalogs.region("aue") == catalog.regions[0]
    assert catalogs.region("euw") is None


def test_exports_find_configurations(catalogs: DynamoCatalogs) -> None:
    full, narrow = a_configuration(), a_configuration("narrow", default=False)
    other = a_configuration("narrow", "harbour", "bureau", default=False)
    catalog = a_catalog(full, narrow, other)
    catalogs.publish(catalog, 0, NOON)
    assert catalogs.find("northwind", "integrator", None) == (1, full)
    assert catalogs.find("northwind", "integrator", "narrow") == (1, narrow)
    assert catalogs.source(1, "hr") == catalog.sources[0]
    assert catalogs.quota_rule("northwind", "bureau") == QuotaRule(3, "Europe/Amsterdam")
    assert catalogs.kms_key("harbour") == "alias/harbour"
    assert catalogs.kms_key("northwind") is None


@pytest.mark.abuse(73)
def test_another_clients_configuration_is_as_if_it_never_was(catalogs: DynamoCatalogs) -> None:
    catalogs.publish(a_catalog(a_configuration("secret-plans")), 0, NOON)
    refusals = set()
    for tenant, client_id, configuration_id in (
        ("northwind", "bureau", "secret-plans"),
        ("harbour", "integrator", "secret-plans"),
        ("northwind", "integrator", "never-was"),
        ("northwind", "integrator#secret-plans", "x"),
    ):
        with pytest.raises(NotFound) as refused:
            catalogs.find(tenant, client_id, configuration_id)
        refusals.add(refused.value.detail)
    assert len(refusals) == 1


def test_without_a_default_one_must_be_named(catalogs: DynamoCatalogs) -> None:
    catalogs.publish(a_catalog(a_configuration(default=False)), 0, NOON)
    with pytest.raises(NotFound, match="name one"):
        catalogs.find("northwind", "integrator", None)


def test_an_export_keeps_the_version_it_started_with(catalogs: DynamoCatalogs) -> None:
    wide = a_configuration(tables=(a_table(columns=9),))
    narrow = a_configuration(tables=(a_table(columns=1),))
    catalogs.publish(a_catalog(wide), 0, NOON)
    catalogs.publish(a_catalog(narrow), 1, NOON)
    assert catalogs.at(1, "northwind", "integrator", "hr-full") == wide
    assert catalogs.find("northwind", "integrator", None) == (2, narrow)
    assert [p.version for p in catalogs.versions()] == [2, 1]


def test_what_a_version_drops_is_gone_at_once(table: Table) -> None:
    catalogs, clients = DynamoCatalogs(table), CatalogClients(table, "p")
    catalogs.publish(
        a_catalog(a_configuration(), a_configuration("narrow", default=False)), 0, NOON
    )
    assert catalogs.find("northwind", "integrator", "narrow")
    assert clients.find("bureau") is not None
    catalogs.publish(a_catalog(clients=(a_client(),)), 1, NOON)
    with pytest.raises(NotFound):
        catalogs.find("northwind", "integrator", "narrow")
    assert clients.find("bureau") is None


def test_of_two_publishers_the_later_one_is_told(catalogs: DynamoCatalogs, table: Table) -> None:
    mine = a_catalog(a_configuration("mine"))
    theirs = a_catalog(a_configuration("theirs"))
    catalogs.publish(theirs, 0, NOON)
    with pytest.raises(CatalogChanged):
        catalogs.publish(mine, 0, NOON)
    assert catalogs.current() == catalogs.versions()[0]
    assert [p.version for p in catalogs.versions()] == [1]
    left = [
        table.get("version#00000002", f"configuration#northwind#integrator#{name}")
        for name in ("mine", "theirs")
    ]
    assert left == [None, None], "the loser leaves nothing behind"
    assert catalogs.publish(mine, 1, NOON).version == 3, "numbers are never handed out twice"


def test_a_crash_before_the_pointer_moves_changes_nothing(
    catalogs: DynamoCatalogs, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogs.publish(a_catalog(), 0, NOON)

    write = table.client.transact_write_items

    def crashes(TransactItems: list[object], **request: object) -> None:
        # Entries are written one by one; only the pointer moves together with another.
        if len(TransactItems) > 1:
            raise KeyboardInterrupt
        write(TransactItems=TransactItems, **request)

    with monkeypatch.context() as patched:
        patched.setattr(table.client, "transact_write_items", crashes)
        with pytest.raises(KeyboardInterrupt):
            catalogs.publish(a_catalog(a_configuration("new")), 1, NOON)
    current = catalogs.current()
    assert current is not None
    assert current.version == 1
    with pytest.raises(NotFound):
        catalogs.read(2)
    assert catalogs.publish(a_catalog(a_configuration("new")), 1, NOON).version == 3


def test_a_configuration_that_does_not_fit_is_refused_before_anything_is_written(
    catalogs: DynamoCatalogs,
) -> None:
    # Random names do not compress.
    columns = tuple(
        Column(secrets.token_hex(30), secrets.token_hex(30), ColumnType.STRING, nullable=True)
        for _ in range(8000)
    )
    huge = a_configuration("huge", tables=(replace(a_table(), columns=columns),))
    with pytest.raises(CatalogRefused, match=r"configurations\[huge\].*spread its tables"):
        catalogs.publish(a_catalog(huge), 0, NOON)
    assert catalogs.current() is None
    assert catalogs.publish(a_catalog(), 0, NOON).version == 1


def test_row_estimates_do_not_change_the_digest(catalogs: DynamoCatalogs) -> None:
    first = catalogs.publish(a_catalog(a_configuration(tables=(a_table(),))), 0, NOON)
    again = catalogs.publish(
        a_catalog(a_configuration(tables=(a_table(row_estimate=99),))), first.version, NOON
    )
    other = catalogs.publish(a_catalog(tenants=(a_tenant(),)), again.version, NOON)
    assert first.digest == again.digest != other.digest


def test_identity_finds_clients(table: Table) -> None:
    client = a_client(
        scopes=("data:read",),
        allowed_networks=("192.0.2.0/24", "2001:db8::/32"),
        trusted_issuers=("https://id.example",),
        tls_client_auth_subject_dn="CN=exports,O=Acme",
        certificate_bound=True,
    )
    DynamoCatalogs(table).publish(a_catalog(clients=(client,)), 0, NOON)
    found = CatalogClients(table, "prefix").find("integrator")
    assert found is not None
    assert found.tenants == {"northwind"}
    assert found.scopes == {"prefix:data:read"}
    assert found.networks == Networks.of(["192.0.2.0/24", "2001:db8::/32"])
    assert found.trusted_issuers == {"https://id.example"}
    assert (found.subject_dn, found.needs_certificate) == ("CN=exports,O=Acme", True)


@pytest.mark.parametrize("odd", ["", "nobody", "a#b", "../x", "x" * 5000, "integrator\n", "🙂"])
def test_an_odd_client_id_is_nobody(table: Table, odd: str) -> None:
    DynamoCatalogs(table).publish(a_catalog(), 0, NOON)
    assert CatalogClients(table, "p").find(odd) is None


def test_the_version_of_a_schema_rises_with_the_publications_that_change_it(
    catalogs: DynamoCatalogs,
) -> None:
    publish = PublishCatalog(catalogs, SteppingClock())

    def versions(*configurations: Configuration) -> list[int]:
        publish(a_catalog(*configurations))
        published = catalogs.find("northwind", "integrator", "hr-full")[1]
        return [table.schema_version for table in published.tables]

    wide, narrow, other = a_table(columns=3), a_table(columns=2), a_table("absences")
    assert versions(a_configuration(tables=(narrow, other))) == [1, 1]
    assert versions(a_configuration(tables=(wide, other))) == [2, 1]
    elsewhere = a_configuration("narrow", default=False, tables=(narrow,))
    assert versions(a_configuration(tables=(wide, other)), elsewhere) == [2, 1]
    assert catalogs.find("northwind", "integrator", "narrow")[1].tables[0].schema_version == 1
    filtered = replace(wide, filters=())
    assert versions(a_configuration(tables=(filtered, other))) == [2, 1], "callers see no filter"
    assert versions(a_configuration(tables=(narrow, other))) == [3, 1], "not the first again"
    current = catalogs.current()
    again = publish(a_catalog(a_configuration(tables=(narrow, other))))
    assert current is not None
    assert again == replace(current, changed=False)


def test_a_table_that_was_left_out_goes_on_from_the_version_of_its_schema(
    catalogs: DynamoCatalogs,
) -> None:
    publish = PublishCatalog(catalogs, SteppingClock())
    wide, narrow, other = a_table(columns=3), a_table(columns=2), a_table("absences")
    for tables in ((narrow, other), (wide, other), (other,)):
        publish(a_catalog(a_configuration(tables=tables)))
    publish(a_catalog(a_configuration("another")))
    publish(a_catalog(a_configuration(tables=(wide, other))))
    found = catalogs.find("northwind", "integrator", "hr-full")[1].tables
    assert [table.schema_version for table in found] == [2, 1]


def test_what_an_earlier_release_published_has_the_first_version_of_each_schema() -> None:
    written = document.configuration_to_json(a_configuration())
    for table in written["tables"]:
        del table["schemaVersion"]
    [table] = document.configuration_from_json(written).tables
    assert table.schema_version == 1


def test_the_scheduler_reads_all_schedules_and_a_client_its_own(catalogs: DynamoCatalogs) -> None:
    assert catalogs.published() is None
    nightly = a_schedule(tenant="northwind", client_id="integrator")
    theirs = [
        a_schedule(tenant="northwind", client_id="bureau"),
        a_schedule(tenant="northwind", client_id="integrator-2", entity="employees"),
    ]
    catalog = a_catalog(schedules=(nightly, *theirs))
    catalogs.publish(catalog, 0, NOON)
    published_at, schedules = catalogs.published() or (None, ())
    assert published_at == NOON
    assert set(schedules) == {nightly, *theirs}
    assert catalogs.of_client("northwind", "integrator") == (nightly,)
    assert catalogs.of_client("harbour", "integrator") == ()
    assert set(catalogs.read(1).schedules) == {nightly, *theirs}


def test_a_tenants_application_is_what_was_published_last(table: Table) -> None:
    catalogs, applications = DynamoCatalogs(table), CatalogApplications(table)
    assert applications.of_tenant("northwind") is None
    application = the_application("northwind")
    catalogs.publish(a_catalog(applications=(application,)), 0, NOON)
    assert applications.of_tenant("northwind") == application
    assert applications.of_tenant("harbour") is None
    assert catalogs.read(1).applications == (application,)
    upgraded = replace(application, version="5.0")
    catalogs.publish(a_catalog(applications=(upgraded,)), 1, NOON)
    assert applications.of_tenant("northwind") == upgraded
    catalogs.publish(a_catalog(), 2, NOON)
    assert applications.of_tenant("northwind") is None


def test_an_application_that_is_too_large_is_refused(table: Table) -> None:
    application = the_application("northwind")
    definition = application.definitions[0]
    tables = tuple(
        replace(definition.tables[0], table_id=n, columns=(secrets.token_hex(60_000),))
        for n in range(9, 19)
    )
    wide = replace(application, definitions=(replace(definition, tables=tables),))
    with pytest.raises(CatalogRefused, match="declare fewer tables"):
        DynamoCatalogs(table).publish(a_catalog(applications=(wide,)), 0, NOON)
