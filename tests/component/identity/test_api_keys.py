"""API keys of services, in DynamoDB and at the authorizer."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from headrace.adapters.dynamodb.api_keys import DynamoApiKeys
from headrace.adapters.dynamodb.table import marshal
from headrace.identity.api_keys import LIFETIME, MAX_KEYS, REMEMBERED, ApiKey, KeyKind, KeyText
from headrace.identity.ports import ApiKeys
from headrace.kernel.clock import SystemClock
from headrace.kernel.errors import Conflict, NotFound
from headrace.kernel.ids import RandomIds
from tests.component.identity.deployment import CLIENTS, Deployment
from tests.unit.identity.keys_made import FakeApiKeys, a_key

NOW = datetime.now(UTC).replace(microsecond=0)
LATER = NOW + timedelta(seconds=1)


def keys_of(deployment: Deployment) -> DynamoApiKeys:
    """Those that the deployment's functions see."""
    return DynamoApiKeys(deployment.tables["credentials"])


def given(
    deployment: Deployment, kind: KeyKind = KeyKind.STATIC, **changes: Any
) -> tuple[ApiKey, KeyText]:
    """A key that the deployment has."""
    key, text = a_key(
        kind,
        key_id=RandomIds().new(NOW),
        **({"created_at": NOW, "expires_at": NOW + LIFETIME} | changes),
    )
    keys_of(deployment).add(key)
    return key, text


# --- The port, of which the fake must keep the promises as well -------------------------------


@pytest.fixture(params=["dynamodb", "fake"])
def keys(request: pytest.FixtureRequest) -> ApiKeys:
    """Both answers to the port."""
    if request.param == "fake":
        return FakeApiKeys()
    return keys_of(request.getfixturevalue("deployment"))


def some(keys: ApiKeys, count: int = 1, **changes: Any) -> list[ApiKey]:
    """So many keys of one service, added."""
    made = [
        a_key(key_id=RandomIds().new(NOW + timedelta(milliseconds=number)), **changes)[0]
        for number in range(count)
    ]
    for key in made:
        keys.add(key)
    return made


def test_a_key_is_found_and_listed_as_it_was_added(keys: ApiKeys) -> None:
    made = some(keys, 3, organisation="clinic", name="nightly")
    assert keys.find(made[0].key_id) == made[0]
    assert keys.listed("acme-hr") == tuple(made)
    assert keys.listed("other") == ()
    assert keys.find("no-such-key") is None


def test_a_service_has_so_many_keys_at_once_and_room_for_another_once_one_is_revoked(
    keys: ApiKeys,
) -> None:
    made = some(keys, MAX_KEYS)
    with pytest.raises(Conflict):
        some(keys)
    keys.revoke(made[3].key_id, made[3].created_at)
    some(keys)
    with pytest.raises(Conflict):
        some(keys)


def test_keys_that_have_expired_take_no_place(keys: ApiKeys) -> None:
    old = a_key()[0].created_at - LIFETIME
    some(keys, MAX_KEYS, created_at=old, expires_at=old + timedelta(days=1))
    some(keys)


def test_keys_whose_end_an_exchange_put_off_keep_their_places(keys: ApiKeys) -> None:
    old = a_key()[0].created_at - timedelta(days=200)
    made = some(keys, MAX_KEYS, created_at=old, expires_at=old + timedelta(days=100))
    for key in made[1:]:
        text = KeyText.new(KeyKind.REFRESH, key.key_id)
        assert keys.exchange(key, key.exchanged(text, text, None, old + timedelta(days=99)))
    some(keys)  # in the place of the only one that has expired
    with pytest.raises(Conflict):
        some(keys)
    keys.revoke(made[1].key_id, NOW)
    some(keys)
    with pytest.raises(Conflict):
        some(keys)


def test_a_key_is_revoked_once_and_stays_so(keys: ApiKeys) -> None:
    (key,) = some(keys)
    keys.revoke(key.key_id, NOW)
    keys.revoke(key.key_id, LATER)
    assert keys.find(key.key_id) == replace(key, revoked_at=NOW)
    with pytest.raises(NotFound):
        keys.revoke("no-such-key", NOW)


def test_a_token_is_exchanged_once_and_known_as_spent(keys: ApiKeys) -> None:
    (key,) = some(keys)
    text = KeyText.new(KeyKind.REFRESH, key.key_id)
    after = replace(key, generation=2, sha256=text.sha256, previous_sha256=key.sha256)
    assert keys.exchange(key, after)
    assert not keys.exchange(key, after)
    assert keys.find(key.key_id) == after
    assert keys.was_spent(key.key_id, str(key.sha256))
    assert not keys.was_spent(key.key_id, text.sha256)


def test_a_revoked_key_is_not_exchanged(keys: ApiKeys) -> None:
    (key,) = some(keys)
    keys.revoke(key.key_id, NOW)
    assert not keys.exchange(key, replace(key, generation=2))
    assert not keys.was_spent(key.key_id, str(key.sha256))


def test_the_last_use_is_noted_every_ten_minutes(deployment: Deployment) -> None:
    keys = keys_of(deployment)
    (key,) = some(keys)
    keys.used(key, NOW)
    noted = keys.find(key.key_id)
    assert noted is not None and noted.last_used_at == NOW
    keys.used(noted, NOW + timedelta(minutes=9))
    assert keys.find(key.key_id) == noted
    keys.used(noted, NOW + timedelta(minutes=10))
    assert keys.find(key.key_id) != noted


def test_a_list_of_keys_is_read_in_one_go(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = keys_of(deployment)
    made = some(keys, MAX_KEYS)
    client = deployment.tables["credentials"].client
    monkeypatch.setattr(client, "get_item", None)
    assert keys.listed("acme-hr") == tuple(made)


def test_a_key_that_has_ended_goes_out_of_the_list_in_time(deployment: Deployment) -> None:
    table = deployment.tables["credentials"]

    def forgotten_at(key: ApiKey) -> set[datetime]:
        """When DynamoDB tidies away the key and its place in the list."""
        places = [(f"key#{key.key_id}", "key"), (f"service#{key.service}", f"key#{key.key_id}")]
        items = [table.get(*place) for place in places]
        return {datetime.fromtimestamp(item["ttl"], UTC) for item in items if item}

    keys = keys_of(deployment)
    (key,) = some(keys)
    assert forgotten_at(key) == {key.expires_at + REMEMBERED}
    text = KeyText.new(KeyKind.REFRESH, key.key_id)
    after = key.exchanged(text, text, None, key.created_at + timedelta(days=200))
    assert keys.exchange(key, after)
    assert forgotten_at(key) == {after.expires_at + REMEMBERED}
    keys.revoke(key.key_id, NOW)
    assert forgotten_at(key) == {NOW + REMEMBERED}
    # A place may be tidied away later than its key.
    table.client.delete_item(
        TableName=table.name, Key=marshal({"pk": f"key#{key.key_id}", "sk": "key"})
    )
    assert keys.listed(key.service) == ()
    assert keys.find(key.key_id) is None


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Sets the time that the functions see."""
    return lambda moment: monkeypatch.setattr(SystemClock, "now", lambda _: moment)


# --- The authorizer ---------------------------------------------------------------------------


def caller_of(deployment: Deployment, token: str, scheme: str = "Bearer") -> dict[str, str] | None:
    """The caller that the authorizer sees, or None if it denies."""
    answer = deployment.authorize(f"{scheme} {token}")
    effect = answer["policyDocument"]["Statement"][0]["Effect"]
    return dict(answer["context"]) if effect == "Allow" else None


def test_a_static_key_is_its_service_with_all_its_scopes(deployment: Deployment) -> None:
    key, text = given(deployment)
    caller = caller_of(deployment, text.text)
    assert caller is not None
    assert (caller["tenant"], caller["client_id"]) == ("acme", "acme-hr")
    assert caller["credential"] == key.key_id
    assert len(caller["scopes"].split()) == 3
    used = keys_of(deployment).find(key.key_id)
    assert used is not None and used.last_used_at is not None


@pytest.mark.abuse(66)
def test_a_key_is_nowhere_but_with_who_was_given_it(deployment: Deployment) -> None:
    _, text = given(deployment)
    stored = str(
        list(deployment.tables["credentials"].client.scan(TableName="credentials")["Items"])
    )
    assert text.secret not in stored
    assert text.secret not in repr(text)


@pytest.mark.abuse(59)
def test_a_static_key_ends_a_year_after_it_was_made(
    deployment: Deployment, now: Callable[[datetime], None]
) -> None:
    _, text = given(deployment)
    now(NOW + LIFETIME - timedelta(seconds=1))
    assert caller_of(deployment, text.text) is not None
    now(NOW + LIFETIME + timedelta(seconds=1))
    assert caller_of(deployment, text.text) is None


@pytest.mark.abuse(60)
def test_a_revoked_key_is_refused_at_the_next_call(deployment: Deployment) -> None:
    key, text = given(deployment)
    assert caller_of(deployment, text.text) is not None
    keys_of(deployment).revoke(key.key_id, NOW)
    assert caller_of(deployment, text.text) is None


def test_what_is_not_quite_a_key_is_refused(deployment: Deployment) -> None:
    _, text = given(deployment)
    _, refresh = given(deployment, KeyKind.REFRESH)
    last = "A" if text.text[-1] != "A" else "E"
    for wrong in (
        text.text[:-1],
        text.text[:-1] + last,
        text.text.upper(),
        KeyText.new(KeyKind.STATIC, text.key_id).text,
        KeyText.new(KeyKind.STATIC, RandomIds().new(NOW)).text,
        refresh.text,
        replace(refresh, kind=KeyKind.STATIC).text,
    ):
        assert caller_of(deployment, wrong) is None, wrong
    assert caller_of(deployment, text.text, "DPoP") is None


def test_a_key_of_a_service_that_is_no_longer_published_is_refused(deployment: Deployment) -> None:
    _, text = given(deployment, service="gone")
    assert caller_of(deployment, text.text) is None


def test_a_key_of_a_tenant_that_the_service_no_longer_serves_is_refused(
    deployment: Deployment,
) -> None:
    _, text = given(deployment, tenant="beta")
    assert caller_of(deployment, text.text) is None


def test_the_keys_of_what_is_no_service_any_more_are_refused(deployment: Deployment) -> None:
    """Consents do not concern it, and so would not bound what its keys open."""
    _, static = given(deployment)
    _, refresh = given(deployment, KeyKind.REFRESH)
    given_for = deployment.post_token(
        {"grant_type": "refresh_token", "refresh_token": refresh.text}
    ).json
    token = given_for["access_token"]
    exchange = {"grant_type": "refresh_token", "refresh_token": given_for["refresh_token"]}
    assert caller_of(deployment, static.text) is not None
    assert caller_of(deployment, token) is not None
    deployment.publish(replace(CLIENTS[0], service=None), *CLIENTS[1:])
    assert caller_of(deployment, static.text) is None
    assert caller_of(deployment, token) is None
    assert deployment.post_token(exchange).json["error"] == "invalid_grant"
    # One that is a service again has its keys again.
    deployment.publish(*CLIENTS)
    assert caller_of(deployment, static.text) is not None


def test_a_service_whose_tokens_must_be_bound_has_no_use_of_a_static_key(
    deployment: Deployment,
) -> None:
    _, text = given(deployment, service="bound")
    assert caller_of(deployment, text.text) is None


def test_the_networks_of_a_service_hold_for_its_keys(deployment: Deployment) -> None:
    _, text = given(deployment, service="walled", tenant="beta")
    answer = deployment.authorize(f"Bearer {text.text}", source_ip="198.51.100.7")
    assert answer["context"] == {"refusal": "network_not_allowed"}
