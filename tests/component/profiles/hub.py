"""A hub with tenants in two regions, called through the authorizer, as API Gateway does it."""

import importlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
from headrace.adapters.dynamodb.groups import DynamoGroups
from headrace.adapters.dynamodb.table import Table
from headrace.catalog.model import Catalog, Client, Region, Tenant
from headrace.identity.user_administration import PutRole
from headrace.identity.users import Permission
from headrace.runtime import auditing, profiles
from tests.component.identity.deployment import Deployment, Response, deployed, event_of
from tests.component.keyed import KEYED

ACME = "6f2c2b1e-0000-4000-8000-00000000000a"
BETA = "6f2c2b1e-0000-4000-8000-00000000000b"
FAR = "6f2c2b1e-0000-4000-8000-00000000000f"
NOBODYS = "6f2c2b1e-0000-4000-8000-000000000000"
TENANTS = (
    Tenant("acme", "Acme", "UTC", organisation_id=ACME, region="aue"),
    Tenant("beta", "Beta", "UTC", organisation_id=BETA),
    Tenant("far", "Far", "UTC", organisation_id=FAR, region="euw"),
    Tenant("plain", "No organisation", "UTC"),
)
ADA = {
    "TenantId": ACME,
    "GivenName": "Ada",
    "FamilyName": "Lovelace",
    "DateOfBirth": "1990-12-10",
}
_BOTH = ("profiles:read", "profiles:write")
CLIENTS = (
    Client("athletes", "Athletes", ("acme",), _BOTH),
    Client("clinics", "Clinics", ("acme", "beta", "far", "plain"), _BOTH),
    Client("juniors", "Juniors", ("acme",), _BOTH, profile_groups=("Juniors",)),
    Client("reader", "Reader", ("acme",), ("profiles:read",)),
    Client("mixed", "Mixed", ("acme", "beta"), (*_BOTH, "data:read")),
    Client("other", "Other", ("acme",), ("data:read",)),
)
MODULES = {
    ("GET", "/tenants"): "list_tenants",
    ("GET", "/tenants/{tenantId}"): "get_tenant",
    ("DELETE", "/tenants/{tenantId}/syncids"): "remove_tenant_sync_ids",
    ("GET", "/categories"): "list_categories",
    ("POST", "/categories/import"): "import_category",
    ("GET", "/groups"): "list_groups",
    ("POST", "/groups/import"): "import_group",
    ("DELETE", "/groups/{groupId}"): "delete_group",
    ("GET", "/groups/profiles"): "list_group_profiles",
    ("PUT", "/groups/profiles"): "replace_group_profiles",
    ("DELETE", "/groups/profiles"): "remove_group_profiles",
    ("POST", "/profiles/groups"): "add_profile_groups",
    ("PUT", "/profiles/groups"): "replace_profile_groups",
    ("DELETE", "/profiles/groups"): "remove_profile_groups",
    ("POST", "/profiles/import"): "import_profile",
    ("POST", "/profiles/import/batch"): "import_profiles",
    ("GET", "/profiles"): "list_profiles",
    ("GET", "/profiles/{profileId}"): "get_profile",
    ("GET", "/profiles/exists"): "profile_exists",
    ("POST", "/profiles/merge"): "merge_profiles",
    ("DELETE", "/profiles/syncids"): "delete_sync_ids",
}


@dataclass
class Hub:
    """The deployment, and what is called there."""

    deployment: Deployment
    tokens: dict[str, str] = field(default_factory=dict)

    def publish(self, *clients: Client) -> None:
        """Publishes the tenants, with these clients."""
        catalogs = DynamoCatalogs(self.deployment.tables["catalog"])
        current = catalogs.current()
        catalogs.publish(
            Catalog(
                TENANTS,
                clients,
                (),
                (),
                regions=(Region("euw", "https://euw.example.com/v1"),),
            ),
            expected=current.version if current else 0,
            moment=datetime.now(UTC),
        )

    def call(
        self,
        method: str,
        path: str,
        who: str = "athletes",
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> Response:
        """The answer to a call of a client, or of a person, by the e-mail address. A body that is a
        text is sent as it is."""
        event = event_of(method, path.format(**(parameters or {})), query=query)
        event["pathParameters"] = dict(parameters or {})
        authorization = f"Bearer {self.token(who)}"
        event["requestContext"]["authorizer"] = self.deployment.authorize(authorization)["context"]
        event["body"] = body if body is None or isinstance(body, str) else json.dumps(body)
        module = importlib.import_module(f"profiles.{MODULES[method, path]}")
        answer = module.handler(event, None)
        return Response(answer["statusCode"], answer["headers"], answer["body"])

    def token(self, who: str) -> str:
        """An access token of a client, asked for as the clients of the field do, or of a person."""
        if who not in self.tokens:
            self.tokens[who] = self._login(who) if "@" in who else self.deployment.token(who)
        return self.tokens[who]

    def _login(self, who: str) -> str:
        reply = self.deployment.post_login(who, self.deployment.secrets[who])
        assert reply.status == 200, reply.body
        return str(reply.json["access_token"])

    def person(self, username: str, *groups: str) -> str:
        """Somebody of Acme who sees the profiles of these groups only; without any, all."""
        permissions = (Permission.READ_PROFILES, Permission.WRITE_PROFILES)
        self.deployment.secrets[username] = self.deployment.add_user(username, *permissions)
        self.sees(username, *groups)
        return username

    def sees(self, username: str, *groups: str) -> None:
        """The person sees the profiles of these groups only from now on; without any, all."""
        PutRole(self.deployment.directory)(
            "acme",
            f"role of {username}",
            integrator=True,
            permissions=tuple(map(str, (Permission.READ_PROFILES, Permission.WRITE_PROFILES))),
            groups=frozenset(groups) or None,
            every_group=not groups,
        )

    # --- what tests begin with ------------------------------------------------------------------

    def group(self, name: str, tenant: str = ACME, **more: str) -> str:
        """Imports a group, and gives its id."""
        body = {"TenantId": tenant, "Name": name, **more}
        reply = self.call("POST", "/groups/import", "clinics", body=body)
        assert reply.status == 200, reply.body
        return str(reply.json["id"])

    def category(self, name: str, **more: str) -> str:
        """Imports a category, and gives its id."""
        body = {"TenantId": ACME, "Name": name, **more}
        reply = self.call("POST", "/categories/import", "clinics", body=body)
        assert reply.status == 200, reply.body
        return str(reply.json["id"])

    def profile(self, sync_id: str, *groups: str) -> str:
        """Imports a profile, puts it into these groups, and gives its id."""
        body = {**ADA, "SyncId": sync_id}
        reply = self.call("POST", "/profiles/import", "clinics", body=body)
        assert reply.status == 204, reply.body
        named = {"TenantId": ACME, "SyncId": sync_id, "GroupIds": list(groups)}
        assert self.call("POST", "/profiles/groups", "clinics", body=named).status == 204
        found = profiles.profiles().by_sync_id("acme", sync_id)
        assert found is not None
        return found.profile_id

    def groups_of(self, sync_id: str) -> frozenset[str]:
        """The groups that the profile is in."""
        found = profiles.profiles().by_sync_id("acme", sync_id)
        assert found is not None
        return found.groups

    def members(self, group_id: str) -> set[str]:
        """The ids of those in a group."""
        return {one.profile_id for one in profiles.profiles().of_group("acme", group_id)}

    @property
    def store(self) -> DynamoGroups:
        """Groups as they are kept."""
        return profiles.groups()


@contextmanager
def a_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub of the region aue, over moto."""
    with deployed(monkeypatch) as deployment:
        key = boto3.client("kms").create_key()["KeyMetadata"]["KeyId"]
        deployment.configure(PROFILES_TABLE="profiles", PROFILES_KEY=key, HOME_REGION="aue")
        dynamodb = boto3.client("dynamodb")
        dynamodb.create_table(TableName="profiles", **KEYED)
        deployment.tables["profiles"] = Table(dynamodb, "profiles")
        _forget()
        hub = Hub(deployment)
        hub.publish(*CLIENTS)
        for client in CLIENTS:
            deployment.give_secret(client.client_id)
        try:
            yield hub
        finally:
            _forget()


def _forget() -> None:
    """Functions start afresh."""
    for module in (auditing, profiles):
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()
