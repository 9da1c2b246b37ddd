"""``headrace-admin access-request``, on a deployment in moto."""

from pathlib import Path
from typing import Any

import boto3
import pytest

from headrace.adapters.dynamodb.access_requests import DynamoAccessRequests
from headrace.audit.model import Action, Event
from headrace.audit.usecases import ReadTrail
from headrace.identity.handing_over import TakeSecret
from headrace.identity.model import secret_matches
from headrace.kernel.clock import SystemClock
from headrace_admin import auditing
from headrace_admin.deployment import Deployment
from tests.component.admin.test_commands import CATALOG, Run, run  # noqa: F401 - the fixture

ORGANISATION = "0d6c1a0e-6f7a-4c0e-9e53-5b1a3f1f9a01"
EVIDENCE = "Dear vendor, you may push our athletes. Erika Mustermann, erika@northwind.example"


@pytest.fixture
def published(run: Run, tmp_path: Path) -> Run:  # noqa: F811
    catalog = CATALOG.replace(
        "name: Northwind}", f"name: Northwind, organization_id: {ORGANISATION}}}"
    )
    (tmp_path / "catalog" / "all.yaml").write_text(catalog)
    assert run("catalog", "publish").code == 0
    return run


def recorded(published: Run, *words: str) -> Any:
    words = words or ("bureau", "--tenant", ORGANISATION.upper())
    made = published("access-request", "record", *words, "--evidence", EVIDENCE, "--json")
    assert made.code == 0, made.err
    return made.json


def trail() -> list[Event]:
    events = ReadTrail(Deployment.on_aws("headrace").audit_trail())
    return list(events(auditing._span(None, None)))


def everything_stored() -> str:
    client = boto3.client("dynamodb")
    return repr(
        [client.scan(TableName=name)["Items"] for name in client.list_tables()["TableNames"]]
    )


def test_a_request_is_recorded_with_who_asks_for_which_tenant(published: Run) -> None:
    made = recorded(published)
    assert (made["clientId"], made["tenants"], made["state"]) == (
        "bureau",
        ["northwind"],
        "waiting",
    )
    assert made["recordedBy"].startswith("arn:aws:")
    assert (made["evidence"]["name"], made["evidence"]["size"]) == ("text", len(EVIDENCE))
    to_come = published(
        "access-request", "record", "burro", "--tenant", "northwind", "--evidence", "x", "--json"
    )
    assert to_come.json["clientId"] == "burro"
    assert "has no client burro yet: declare it" in to_come.err
    listed = published("access-request", "list", "--state", "waiting")
    assert made["requestId"] in listed.out
    assert EVIDENCE not in listed.out
    assert published("access-request", "list", "--state", "rejected").out == "none\n"
    assert published("access-request", "list", "--state", "rejected", "--json").json == {
        "accessRequests": []
    }


def test_the_evidence_lies_encrypted_and_opens_again(published: Run, tmp_path: Path) -> None:
    letter = tmp_path / "letter.eml"
    content = b"Subject: access\n\nErika Mustermann agrees. " + bytes(range(256)) * 4000
    letter.write_bytes(content)
    words = ("bureau", "--tenant", "northwind", "--evidence-file", str(letter))
    made = published("access-request", "record", *words, "--json").json
    assert made["evidence"]["name"] == "letter.eml"
    assert "Mustermann" not in everything_stored()
    opened = ("access-request", "evidence", made["requestId"], "--to-file", str(tmp_path / "out"))
    assert published(*opened).code == 0
    assert (tmp_path / "out").read_bytes() == content
    assert published(*opened).code == 2
    assert published("access-request", "evidence", "nothing").code == 3


def test_evidence_that_was_changed_in_the_table_does_not_open(published: Run) -> None:
    one, other = (recorded(published)["requestId"] for _ in range(2))
    table = Deployment.on_aws("headrace").access_requests().table
    moved = table.get(f"evidence#{one}", "part#0000")
    assert moved is not None
    table.put({**moved, "pk": f"evidence#{other}"})
    assert Deployment.on_aws("headrace").access_requests().evidence(one) == EVIDENCE.encode()
    with pytest.raises(Exception, match=r"^$"):
        Deployment.on_aws("headrace").access_requests().evidence(other)


@pytest.mark.abuse(30)
def test_who_is_approved_gets_a_link_of_seven_days_that_shows_the_secret_once(
    published: Run,
) -> None:
    request_id = recorded(published)["requestId"]
    approved = published("access-request", "approve", request_id, "--letter", "--json").json
    assert approved["state"] == "approved"
    assert approved["link"].startswith("https://api.example.com/v1/credentials/")
    assert approved["link"] in approved["letter"]
    deployment = Deployment.on_aws("headrace")
    taken = TakeSecret(deployment.handovers(), SystemClock())(approved["link"].rsplit("/", 1)[1])
    assert taken is not None
    client_id, secret = taken
    assert client_id == "bureau"
    assert secret_matches(secret, deployment.client_secrets().of("bureau"))
    [stored] = deployment.client_secrets().of("bureau")
    assert approved["secretId"] == stored.secret_id


def test_a_request_is_decided_once(published: Run) -> None:
    request_id = recorded(published)["requestId"]
    assert published("access-request", "approve", request_id).code == 0
    assert published("access-request", "approve", request_id).code == 4
    assert published("access-request", "reject", request_id, "--reason", "no").code == 4
    assert len(Deployment.on_aws("headrace").client_secrets().of("bureau")) == 1
    assert published("access-request", "approve", "nothing").code == 3


def test_of_two_who_approve_at_once_the_later_leaves_no_secret(
    published: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = recorded(published)["requestId"]
    decide = DynamoAccessRequests.decide

    def after_another(self: DynamoAccessRequests, request: Any) -> bool:
        monkeypatch.setattr(DynamoAccessRequests, "decide", decide)
        assert published("access-request", "approve", request_id).code == 0
        return decide(self, request)

    monkeypatch.setattr(DynamoAccessRequests, "decide", after_another)
    assert published("access-request", "approve", request_id).code == 4
    deployment = Deployment.on_aws("headrace")
    [kept] = deployment.client_secrets().of("bureau")
    found = deployment.access_requests().find(request_id)
    assert found is not None
    assert found.secret_id == kept.secret_id


def test_nobody_is_let_in_whom_the_catalog_does_not_know_for_the_tenant(published: Run) -> None:
    unknown = recorded(published, "new-vendor", "--tenant", "northwind")["requestId"]
    assert published("access-request", "approve", unknown).code == 3
    foreign = recorded(published, "bureau", "--tenant", "northwind", "--tenant", "harbour")
    refused = published("access-request", "approve", foreign["requestId"])
    assert (refused.code, "call for harbour" in refused.err) == (4, True)
    assert Deployment.on_aws("headrace").client_secrets().of("bureau") == ()
    nowhere = ("record", "bureau", "--tenant", "nowhere", "--evidence", EVIDENCE)
    assert published("access-request", *nowhere).code == 3


def test_a_client_that_has_a_credential_is_approved_without_another(published: Run) -> None:
    assert published("client", "create", "bureau").code == 0
    request_id = recorded(published)["requestId"]
    words = ("access-request", "approve", request_id, "--without-credential", "--json")
    approved = published(*words).json
    assert "link" not in approved
    assert len(Deployment.on_aws("headrace").client_secrets().of("bureau")) == 1


def test_who_is_rejected_gets_nothing_and_is_forgotten_after_ninety_days(published: Run) -> None:
    request_id = recorded(published)["requestId"]
    reject = ("access-request", "reject", request_id, "--reason", "No authorisation.", "--json")
    assert published(*reject).json["reason"] == "No authorisation."
    table = Deployment.on_aws("headrace").access_requests().table
    request = table.get("access-requests", f"request#{request_id}")
    part = table.get(f"evidence#{request_id}", "part#0000")
    assert request is not None
    assert part is not None
    assert request["ttl"] == part["ttl"]
    assert Deployment.on_aws("headrace").client_secrets().of("bureau") == ()


def test_what_was_done_is_in_the_trail_by_ids_alone(published: Run) -> None:
    request_id = recorded(published)["requestId"]
    assert EVIDENCE in published("access-request", "evidence", request_id).out
    approved = published("access-request", "approve", request_id, "--json").json
    events = trail()
    assert [event.action for event in sorted(events, key=lambda event: event.at)] == [
        Action.ACCESS_REQUEST,
        Action.ACCESS_REQUEST,
        Action.GRANT,
    ]
    assert {event.service for event in events} == {"bureau"}
    assert all(event.concerns["accessRequestId"] == request_id for event in events)
    assert events[-1].concerns["secretId"] == approved["secretId"]
    assert "Mustermann" not in repr(events)
    assert "arn:" not in repr(events)


@pytest.mark.parametrize("given", [(), ("--evidence", " "), ("--evidence-file", "missing.eml")])
def test_a_request_without_evidence_is_refused(published: Run, given: tuple[str, ...]) -> None:
    refused = published("access-request", "record", "bureau", "--tenant", "northwind", *given)
    assert refused.code == 2
    assert published("access-request", "list", "--json").json == {"accessRequests": []}


def test_evidence_has_a_limit(published: Run, tmp_path: Path) -> None:
    def kept(size: int) -> int:
        (tmp_path / "letter.eml").write_bytes(b"x" * size)
        words = ("record", "bureau", "--tenant", "northwind", "--evidence-file")
        return published("access-request", *words, str(tmp_path / "letter.eml")).code

    assert kept(4 * 1024 * 1024) == 0
    assert kept(4 * 1024 * 1024 + 1) == 2
