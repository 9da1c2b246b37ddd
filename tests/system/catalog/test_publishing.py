"""Publishing on the running platform, whose database runs writes in parallel (moto's does not)."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from headrace.catalog.model import Catalog, Publication, Tenant
from headrace.catalog.usecases import PublishCatalog, ShowCatalog
from headrace.kernel.clock import SystemClock
from headrace.kernel.errors import CatalogChanged
from tests.system.deployed import Platform, at_once

PUBLISHERS = 12


@pytest.fixture
def before(platform: Platform) -> Iterator[tuple[Publication, Catalog]]:
    """What is current, which is put back afterwards."""
    catalogs = platform.deployment.catalogs()
    found = ShowCatalog(catalogs)()
    yield found
    PublishCatalog(catalogs, SystemClock())(found[1])


@pytest.mark.system
def test_of_publishers_at_once_one_wins_and_none_mix(
    platform: Platform, before: tuple[Publication, Catalog]
) -> None:
    publication, catalog = before

    def publish(number: int) -> Publication | None:
        # Each changes what all the others change too, so that a mixture would show.
        mine = replace(
            catalog,
            tenants=(
                *(replace(tenant, name=f"of publisher {number}") for tenant in catalog.tenants),
                Tenant(f"racer-{number}", f"of publisher {number}", "UTC"),
            ),
        )
        try:
            return platform.deployment.catalogs().publish(
                mine, publication.version, SystemClock().now()
            )
        except CatalogChanged:
            return None

    outcomes = at_once(PUBLISHERS, publish)
    [won] = [outcome for outcome in outcomes if outcome is not None]
    winner = outcomes.index(won)
    current, seen = ShowCatalog(platform.deployment.catalogs())()
    assert current == won
    assert current.version > publication.version
    assert {tenant.name for tenant in seen.tenants} == {f"of publisher {winner}"}
    assert len(seen.tenants) == len(catalog.tenants) + 1
    assert set(seen.configurations) == set(catalog.configurations)
