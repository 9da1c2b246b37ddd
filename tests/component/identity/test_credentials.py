"""Clients' secrets in DynamoDB and signing keys in KMS."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from headrace.adapters.dynamodb.client_secrets import DynamoClientSecrets
from headrace.adapters.dynamodb.table import Item, Table
from headrace.adapters.kms.signing_keys import KmsSigningKeys
from headrace.identity.keys import KeySet
from headrace.identity.model import StoredSecret, new_secret, secret_hash, secret_matches
from headrace.identity.usecases import CreateClientSecret
from headrace.kernel.errors import Conflict, NotFound
from headrace.kernel.ids import RandomIds
from tests.builders import SteppingClock
from tests.component.identity.deployment import Deployment

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def a_secret(name: str) -> StoredSecret:
    return StoredSecret(name, secret_hash(name), NOON)


class FakeClientSecrets:
    """The ``ClientSecrets`` port in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[StoredSecret, ...]] = {}

    def of(self, client_id: str) -> tuple[StoredSecret, ...]:
        return self.kept.get(client_id, ())

    def add(self, client_id: str, secret: StoredSecret) -> None:
        if len(self.of(client_id)) >= 2:
            raise Conflict("two already")
        self.kept[client_id] = (*self.of(client_id), secret)

    def revoke(self, client_id: str, secret_id: str) -> None:
        left = tuple(s for s in self.of(client_id) if s.secret_id != secret_id)
        if left == self.of(client_id):
            raise NotFound("none")
        self.kept[client_id] = left


@pytest.fixture(params=["fake", "dynamodb"])
def secrets(request: pytest.FixtureRequest) -> Any:
    """Each answer to the port."""
    if request.param == "fake":
        return FakeClientSecrets()
    deployment: Deployment = request.getfixturevalue("deployment")
    return DynamoClientSecrets(deployment.tables["credentials"])


def test_secrets_are_kept_oldest_first_and_apart_by_client(secrets: Any) -> None:
    secrets.add("a", a_secret("one"))
    secrets.add("a", a_secret("two"))
    secrets.add("b", a_secret("three"))
    assert secrets.of("a") == (a_secret("one"), a_secret("two"))
    assert secrets.of("b") == (a_secret("three"),)
    assert secrets.of("c") == ()


def test_a_third_secret_needs_one_of_the_two_revoked(secrets: Any) -> None:
    secrets.add("a", a_secret("one"))
    secrets.add("a", a_secret("two"))
    with pytest.raises(Conflict):
        secrets.add("a", a_secret("three"))
    secrets.revoke("a", "one")
    secrets.add("a", a_secret("three"))
    assert secrets.of("a") == (a_secret("two"), a_secret("three"))


def test_what_is_not_there_cannot_be_revoked(secrets: Any) -> None:
    secrets.add("a", a_secret("one"))
    for client_id, secret_id in (("a", "two"), ("b", "one")):
        with pytest.raises(NotFound):
            secrets.revoke(client_id, secret_id)
    secrets.revoke("a", "one")
    assert secrets.of("a") == ()
    secrets.add("a", a_secret("two"))
    assert secrets.of("a") == (a_secret("two"),)


@dataclass(frozen=True)
class InterruptedTable(Table):
    """A table in which something happens right after each read."""

    meanwhile: Callable[[], None] = lambda: None

    def get(self, pk: str, sk: str) -> Item | None:
        found = super().get(pk, sk)
        self.meanwhile()
        return found


def test_of_two_operators_at_once_one_is_told_and_nothing_is_lost(deployment: Deployment) -> None:
    table = deployment.tables["credentials"]
    theirs = DynamoClientSecrets(table)

    def mine(meanwhile: Callable[[], None]) -> DynamoClientSecrets:
        return DynamoClientSecrets(InterruptedTable(table.client, table.name, meanwhile=meanwhile))

    with pytest.raises(Conflict):
        mine(lambda: theirs.add("a", a_secret("theirs"))).add("a", a_secret("mine"))
    assert theirs.of("a") == (a_secret("theirs"),)
    with pytest.raises(Conflict):
        mine(lambda: theirs.revoke("a", "theirs")).add("a", a_secret("mine"))
    assert theirs.of("a") == ()


@pytest.mark.abuse(66)
def test_a_secret_is_shown_once_and_only_its_hash_is_kept() -> None:
    kept = FakeClientSecrets()
    stored, secret = CreateClientSecret(kept, SteppingClock(), RandomIds())("a")
    assert kept.of("a") == (stored,)
    assert secret not in repr(stored)
    assert stored.sha256 == secret_hash(secret)


def test_secrets_hold_256_random_bits_behind_a_known_prefix() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(s.startswith("hr_") and len(s) == 46 for s in made)


def test_a_secret_matches_itself_and_nothing_else() -> None:
    one, two = a_secret("one"), a_secret("two")
    assert secret_matches("one", (one,))
    assert secret_matches("two", (one, two))
    for wrong in ("", "One", "one ", "three", one.sha256):
        assert not secret_matches(wrong, (one, two))
        assert not secret_matches(wrong, ())
    # The slot that stands in for a missing secret has a hash that nothing is known to have.
    assert not secret_matches("0" * 64, ())


def test_moving_an_alias_does_not_mix_two_keys(deployment: Deployment) -> None:
    kms = boto3.client("kms")
    first, second = deployment.new_signing_key(), deployment.new_signing_key()
    kms.create_alias(AliasName="alias/tokens", TargetKeyId=first)
    clock = SteppingClock()
    keys = KmsSigningKeys(kms, ("alias/tokens",), clock)
    published = {key.key_id: key for key in KmsSigningKeys(kms, (first, second), clock).published()}

    def signs_rightly() -> str:
        name = keys.key_id()
        assert published[name].verifies("RS256", b"message", keys.sign(name, b"message"))
        return name

    before = signs_rightly()
    kms.update_alias(AliasName="alias/tokens", TargetKeyId=second)
    assert signs_rightly() == before
    clock.moment += timedelta(minutes=10)
    assert signs_rightly() != before
    # And whoever holds the published keys finds the new one, after the cool-down at the latest.
    known = KeySet(keys.published, clock)
    assert known.find(signs_rightly()) is not None
