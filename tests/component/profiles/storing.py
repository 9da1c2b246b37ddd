"""Where profiles lie: the table over moto, and KMS."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import boto3
from moto import mock_aws

from headrace.adapters.dynamodb.profiles import DynamoProfiles
from headrace.adapters.dynamodb.table import Table
from headrace.adapters.dynamodb.tenant_keys import DynamoTenantKeys
from headrace.adapters.kms.data_keys import KmsDataKeys
from headrace.profiles.model import Person, Profile, Sex
from tests.component.keyed import KEYED

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
REGION = "eu-west-1"


@dataclass
class HandClock:
    """A clock that the test moves."""

    moment: datetime = NOON

    def now(self) -> datetime:
        return self.moment

    def tick(self, **span: float) -> datetime:
        self.moment += timedelta(**(span or {"seconds": 1}))
        return self.moment


@dataclass
class Storage:
    """An empty table of profiles, and the keys of the tenants."""

    table: Table
    kms: Any
    stack_key: str
    clock: HandClock = field(default_factory=HandClock)
    own_keys: dict[str, str] = field(default_factory=dict)

    def profiles(self) -> DynamoProfiles:
        """The profiles, as a process that starts now sees them."""
        keys = DynamoTenantKeys(
            self.table, KmsDataKeys(self.kms), self.own_keys.get, self.stack_key, self.clock
        )
        return DynamoProfiles(self.table, keys)

    def new_key(self) -> str:
        """Another key in KMS."""
        return str(self.kms.create_key()["KeyMetadata"]["KeyId"])

    def items(self) -> list[dict[str, Any]]:
        """All that lies in the table."""
        return list(self.table.client.scan(TableName=self.table.name)["Items"])


@contextmanager
def storage() -> Iterator[Storage]:
    """An empty one."""
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        client.create_table(TableName="profiles", **KEYED)
        kms = boto3.client("kms", region_name=REGION)
        made = Storage(Table(client, "profiles", pause=lambda _: None), kms, "")
        made.stack_key = made.new_key()
        yield made


def a_person(**traits: Any) -> Person:
    """Somebody."""
    told = {
        "given_name": "Johanna",
        "family_name": "Hancock",
        "date_of_birth": date(1970, 3, 31),
        "sex": Sex.FEMALE,
        "email": "johanna@example.org",
        **traits,
    }
    return Person(**told)


def a_profile(number: int = 1, tenant: str = "acme", **traits: Any) -> Profile:
    """A profile; those of other numbers have other ids."""
    person = {k: traits.pop(k) for k in list(traits) if hasattr(Person, k) or k in _TOLD}
    made = Profile(
        tenant=tenant,
        profile_id=f"{number % 16:x}0000000-0000-4000-8000-{number:012d}",
        person=a_person(**person),
        created_at=NOON,
        modified_at=NOON,
        sync_id=f"sync-{number}",
    )
    return replace(made, **traits)


_TOLD = ("given_name", "family_name", "date_of_birth", "sex", "email", "external_id")
