"""The composition root of profiles, apart from ``wiring``: its functions load no more."""

from datetime import timedelta
from functools import cache

from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
from headrace.adapters.dynamodb.groups import DynamoGroups
from headrace.adapters.dynamodb.hub_tenants import CatalogTenants
from headrace.adapters.dynamodb.profiles import DynamoProfiles
from headrace.adapters.dynamodb.sights import StoredSights
from headrace.adapters.dynamodb.table import Table
from headrace.adapters.dynamodb.tenant_keys import DynamoTenantKeys
from headrace.adapters.kms.data_keys import KmsDataKeys
from headrace.kernel.ids import RandomUuids
from headrace.profiles.finding import GetProfile, ProfileExists, SearchProfiles
from headrace.profiles.grouping import ImportGroups, RemoveSyncIds, SeeGroups
from headrace.profiles.importing import ImportProfile, ImportProfiles
from headrace.profiles.linking import DeleteSyncIds, MergeProfiles
from headrace.profiles.membership import (
    ChangeGroupProfiles,
    ChangeProfileGroups,
    DeleteGroup,
    Memberships,
)
from headrace.profiles.redirecting import FindTarget
from headrace.profiles.tenancy import FindTenant
from headrace.runtime.instance import client, clock
from headrace.runtime.settings import settings

_LONGEST = timedelta(seconds=24)
"""How long a call works at many profiles: API Gateway waits 29 s for its answer."""


@cache
def _catalog_table() -> Table:
    return Table(client("dynamodb"), settings().catalog_table)


@cache
def _profiles_table() -> Table:
    return Table(client("dynamodb"), settings().profiles_table)


@cache
def groups() -> DynamoGroups:
    """Groups and their categories."""
    return DynamoGroups(_profiles_table())


@cache
def sights() -> StoredSights:
    """Which profiles callers see."""
    users = Table(client("dynamodb"), settings().users_table)
    return StoredSights(_catalog_table(), users, groups())


@cache
def find_tenant() -> FindTenant:
    """Which tenant a call is about."""
    return FindTenant(CatalogTenants(_catalog_table()), settings().region)


@cache
def profiles() -> DynamoProfiles:
    """The profiles."""
    kms_key = DynamoCatalogs(_catalog_table()).kms_key
    keys = KmsDataKeys(client("kms"))
    table, stack_key = _profiles_table(), settings().profiles_key
    return DynamoProfiles(table, DynamoTenantKeys(table, keys, kms_key, stack_key, clock()))


def import_profile() -> ImportProfile:
    """POST /profiles/import."""
    return ImportProfile(find_tenant(), profiles(), sights(), clock(), RandomUuids())


def import_profiles() -> ImportProfiles:
    """POST /profiles/import/batch."""
    return ImportProfiles(find_tenant(), profiles(), sights(), clock(), RandomUuids(), _LONGEST)


def search_profiles() -> SearchProfiles:
    """GET /profiles."""
    return SearchProfiles(find_tenant(), profiles(), sights())


def get_profile() -> GetProfile:
    """GET /profiles/{profileId}."""
    return GetProfile(find_tenant(), profiles(), sights())


def profile_exists() -> ProfileExists:
    """GET /profiles/exists."""
    return ProfileExists(find_tenant(), profiles(), sights())


def merge_profiles() -> MergeProfiles:
    """POST /profiles/merge."""
    return MergeProfiles(find_tenant(), profiles(), sights(), clock())


def delete_sync_ids() -> DeleteSyncIds:
    """DELETE /profiles/syncids."""
    return DeleteSyncIds(find_tenant(), profiles(), sights(), clock(), _LONGEST)


def see_groups() -> SeeGroups:
    """GET /groups and GET /categories."""
    return SeeGroups(find_tenant(), groups(), sights())


def import_groups() -> ImportGroups:
    """POST /groups/import and POST /categories/import."""
    return ImportGroups(find_tenant(), groups(), sights(), clock(), RandomUuids())


def memberships() -> Memberships:
    """GET /groups/profiles."""
    return Memberships(find_tenant(), groups(), profiles(), sights(), clock())


def change_profile_groups() -> ChangeProfileGroups:
    """POST, PUT and DELETE /profiles/groups."""
    return ChangeProfileGroups(memberships())


def change_group_profiles() -> ChangeGroupProfiles:
    """PUT and DELETE /groups/profiles."""
    return ChangeGroupProfiles(memberships())


def delete_group() -> DeleteGroup:
    """DELETE /groups/{groupId}."""
    return DeleteGroup(memberships())


def remove_sync_ids() -> RemoveSyncIds:
    """DELETE /tenants/{tenantId}/syncids."""
    return RemoveSyncIds(find_tenant(), groups(), sights(), delete_sync_ids())


def find_target() -> FindTarget:
    """GET /redirect/target."""
    return FindTarget(find_tenant(), profiles(), sights())
