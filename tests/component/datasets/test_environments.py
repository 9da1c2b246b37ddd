"""Properties, the credential, and what other environments have: through the handlers."""

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from headrace.adapters.dynamodb.data_sets import DynamoDataSets
from headrace.datasets.environments import MOST_SOURCES
from headrace.datasets.model import DataSet, Options
from headrace.runtime import environments
from tests.component.datasets.environment import OTHER, TENANT, Answered, Deployed, deployed
from tests.component.datasets.sources import Answer, says, source
from tests.component.identity.key_server import send

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
CONF, PRD = "ohi.application.uri.CONF", "ohi.application.uri.PRD"
LIST = "/datasets/CLAIMS/4.24.1"
DATA_SET = {
    "code": "TEST_321",
    "description": "TEST_CONFIG_321",
    "env": "TEST",
    "numberOfItems": 1,
    "exactVersionMatch": False,
    "generatedDescription": "",
    "disableDeleteByOmission": False,
    "id": "654321",
    "inclusionDate": {"value": "2019-11-27"},
    "objectLastUpdatedDate": {"value": "2019-11-27T14:04:22.965+01:00"},
    "creationDate": {"value": "2019-11-27T13:59:30.411+01:00"},
    "lastPayloadBuiltDateTime": {"value": "2020-11-25T14:57:59.959+01:00"},
}
FOUND = {
    "environment": {"identifier": "TEST", "version": "4.24.1"},
    "dataSetMetaDataRestEntities": [DATA_SET],
}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    with deployed(monkeypatch) as environment:
        yield environment


def set_property(here: Deployed, name: str, value: str, **changes: Any) -> Answered:
    return here.call("set_property", "POST", body={"name": name, "value": value}, **changes)


def set_credential(here: Deployed, **changes: Any) -> Answered:
    body = {"username": "carrier@example.com", "password": "a shared secret"}
    return here.call("set_credential", "PUT", body=body, **changes)


def available(here: Deployed, definition: str = "CLAIMS", version: str = "4.24.1") -> Answered:
    path = {"dataSetDefinitionCode": definition, "dataSetVersion": version}
    return here.call("fetch_available_data_sets", "GET", path)


# --- properties -----------------------------------------------------------------------------------


def test_a_property_is_set_and_set_anew_and_taken_away(here: Deployed) -> None:
    first = set_property(here, CONF, "https://a.example.com/api/dataexchange/")
    assert (first.status, first.json["value"]) == (201, "https://a.example.com/api/dataexchange")
    two = "http://127.0.0.1:9/dataexchange ; https://b.example.com/dataexchange;"
    again = set_property(here, CONF, two)
    assert again.status == 200
    kept = "http://127.0.0.1:9/dataexchange;https://b.example.com/dataexchange"
    assert here.call("list_properties", "GET").json == {"items": [{"name": CONF, "value": kept}]}
    assert set_property(here, CONF, " ").json == {"name": CONF, "value": ""}
    assert here.call("list_properties", "GET").json == {"items": []}
    assert set_property(here, CONF, "").status == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ohi.application.uri.OTHER", "https://a.example.com/dataexchange"),
        ("ohi.dbconnection", "x"),
        (CONF, "http://dev.example.com/api/dataexchange"),
        (CONF, "https://a.example.com/x;file:///etc/passwd"),
        (CONF, "https://user:secret@a.example.com/dataexchange"),
        (CONF, "https://a.example.com/dataexchange?a=b"),
        (CONF, "https://a.example.com/dataexchange#part"),
        (CONF, "https://a.example.com/x;https://a.example.com/x/"),
        (CONF, ";".join(f"https://a{n}.example.com/x" for n in range(MOST_SOURCES + 1))),
        ("ohi.environment.identifier", "no identifier"),
        ("ohi.environment.identifier", "-"),
        ("ohi.datasetoperations.notification.endpoint.import", "http://a.example.com/"),
    ],
)
def test_a_property_that_there_is_not_or_a_value_that_is_none_is_refused(
    here: Deployed, name: str, value: str
) -> None:
    answer = set_property(here, name, value)
    assert answer.status == 422, answer.body
    assert here.items("datasets") == []


def test_a_wrong_value_is_not_repeated(here: Deployed) -> None:
    assert "secret" not in set_property(here, CONF, "https://u:secret@example.com/").body


def test_a_property_belongs_to_its_tenant(here: Deployed) -> None:
    set_property(here, CONF, "https://a.example.com/dataexchange")
    for answer in (
        here.call("list_properties", "GET", tenant=OTHER),
        set_property(here, CONF, "https://a.example.com/x", tenant=OTHER),
        set_credential(here, tenant=OTHER),
        here.call("get_environment", "GET", tenant=OTHER),
    ):
        assert (answer.status, answer.json["code"]) == (404, "not_found")
    assert {item["pk"] for item in here.items("datasets")} == {TENANT}


def test_the_property_names_the_environment_before_the_catalog_does(here: Deployed) -> None:
    wanted = {"identifier": "TARGET", "version": "4.24.1"}
    assert here.call("get_environment", "GET").json == wanted
    set_property(here, "ohi.environment.identifier", "ACCEPTANCE")
    assert here.call("get_environment", "GET").json["identifier"] == "ACCEPTANCE"


@pytest.mark.parametrize("module", ["set_property", "list_properties", "set_credential"])
def test_without_the_grant_nothing_is_set_or_shown(here: Deployed, module: str) -> None:
    scopes = ("datasetoperation:createandexport",)
    answer = here.call(module, "GET", body={"name": CONF, "value": ""}, scopes=scopes)
    assert (answer.status, answer.json["code"]) == (403, "insufficient_scope")


# --- the credential -------------------------------------------------------------------------------


def test_the_credential_is_sealed_and_shown_to_nobody(here: Deployed) -> None:
    answer = set_credential(here)
    assert (answer.status, answer.body) == (204, "")
    [kept] = here.items("datasets")
    assert kept["sk"] == "CREDENTIAL#DataExchangeClient"
    assert "shared" not in repr(kept)
    found = environments.credentials().of(TENANT, "DataExchangeClient")
    assert found is not None and found.password == "a shared secret"
    assert environments.credentials().of(OTHER, "DataExchangeClient") is None


def test_a_sealed_credential_opens_for_its_tenant_only(here: Deployed) -> None:
    set_credential(here)
    [kept] = here.items("datasets")
    here.tables["datasets"].put({**kept, "pk": OTHER})
    with pytest.raises(Exception, match="InvalidCiphertext"):
        environments.credentials().of(OTHER, "DataExchangeClient")


@pytest.mark.parametrize(
    "body",
    [
        {"username": "a:b", "password": "x"},
        {"username": "", "password": "x"},
        {"username": "a"},
        {"username": "a", "password": "x" * 1025},
        {"username": "a", "password": "my-secret", "more": 1},
    ],
    ids=["colon", "no name", "no password", "long", "more"],
)
def test_a_credential_that_is_none_is_refused_and_not_repeated(
    here: Deployed, body: dict[str, Any]
) -> None:
    answer = here.call("set_credential", "PUT", body=body)
    assert answer.status == 422
    assert "my-secret" not in answer.body
    assert here.items("datasets") == []


def test_setting_them_is_in_the_audit_trail_without_values(here: Deployed) -> None:
    set_property(here, CONF, "https://a.example.com/dataexchange")
    set_credential(here)
    trail = here.items("audit")
    assert {item["action"] for item in trail} == {"configure"}
    assert "example.com" not in repr(trail) and "secret" not in repr(trail)


# --- what sources have ----------------------------------------------------------------------------


def late(request: BaseHTTPRequestHandler) -> None:
    time.sleep(1.5)
    send(request, 200, b"{}")


def test_every_source_is_in_the_answer_with_its_data_sets_or_with_what_went_wrong(
    here: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "ANSWER_SECONDS", 0.7)
    answers: list[dict[str, Answer]] = [
        {LIST: says(FOUND)},
        {LIST: says({"code": "invalid_token"}, 401)},
        {LIST: says({"code": "GEN-MIGR-015"}, 409)},
        {LIST: late},
        {LIST: says({"something": "else"})},
        {},
    ]
    with ExitStack() as stack:
        sources = [stack.enter_context(source(one)) for one in answers]
        urls = [one.url for one in sources]
        refused = "https://10.1.2.3/dataexchange"
        set_credential(here)
        set_property(here, CONF, ";".join([*urls, refused]))
        answer = available(here)
    assert answer.status == 200
    found = answer.json["dataSetMetaDataResponse"]
    assert found[0]["dataSetMetaData"] == {"hostName": urls[0], "httpResponse": "200"}
    [data_set] = found[0]["dataSetMetaDataRestEntities"]
    moments = {
        "objectLastUpdatedDate": {"value": "2019-11-27T13:04:22.965Z"},
        "creationDate": {"value": "2019-11-27T12:59:30.411Z"},
        "lastPayloadBuiltDateTime": {"value": "2020-11-25T13:57:59.959Z"},
    }
    assert data_set == {**DATA_SET, **moments, "url": urls[0]}
    assert [one["dataSetMetaData"] for one in found[1:]] == [
        {"hostName": urls[1], "errorDetails": "HTTP 401 Unauthorized"},
        {"hostName": urls[2], "errorDetails": "HTTP 409 Conflict"},
        {"hostName": urls[3], "errorDetails": "No answer in time"},
        {"hostName": urls[4], "errorDetails": "The answer is not that of an environment"},
        {"hostName": urls[5], "errorDetails": "HTTP 404 Not Found"},
        {
            "hostName": refused,
            "errorDetails": "Not called: The name leads to an address that is not allowed.",
        },
    ]
    assert all("dataSetMetaDataRestEntities" not in one for one in found[1:])
    wanted = "Basic " + base64.b64encode(b"carrier@example.com:a shared secret").decode()
    assert [one.asked for one in sources] == [[(LIST, wanted)]] * len(sources)


def test_sources_are_asked_at_the_same_time(here: Deployed) -> None:
    together = threading.Barrier(4, timeout=8)

    def once_all_are_asked(request: BaseHTTPRequestHandler) -> None:
        together.wait()
        says(FOUND)(request)

    with ExitStack() as stack:
        urls = [stack.enter_context(source({LIST: once_all_are_asked})).url for _ in range(4)]
        set_credential(here)
        set_property(here, CONF, ";".join(urls))
        found = available(here).json["dataSetMetaDataResponse"]
    assert [one["dataSetMetaData"].get("httpResponse") for one in found] == ["200"] * 4
    assert [one["dataSetMetaData"]["hostName"] for one in found] == urls


def test_a_definition_says_which_property_has_its_sources(here: Deployed) -> None:
    with source({LIST: says(FOUND)}) as conf, source({"/datasets/PROVIDERS/4.24.1": late}) as prd:
        set_credential(here)
        set_property(here, CONF, conf.url)
        set_property(here, PRD, prd.url)
        [one] = available(here, "CLAIMS").json["dataSetMetaDataResponse"]
        assert one["dataSetMetaData"]["hostName"] == conf.url
        [one] = available(here, "PROVIDERS").json["dataSetMetaDataResponse"]
        assert one["dataSetMetaData"]["hostName"] == prd.url


def test_without_sources_nothing_is_available(here: Deployed) -> None:
    assert available(here).json == {"dataSetMetaDataResponse": []}


def test_without_a_credential_nobody_is_called(here: Deployed) -> None:
    with source({LIST: says(FOUND)}) as there:
        set_property(here, CONF, there.url)
        [one] = available(here).json["dataSetMetaDataResponse"]
    assert "DataExchangeClient is not set" in one["dataSetMetaData"]["errorDetails"]
    assert there.asked == []


def test_a_source_cannot_say_where_else_its_data_sets_are(here: Deployed) -> None:
    lying = {**FOUND, "dataSetMetaDataRestEntities": [{**DATA_SET, "url": "https://evil.example/"}]}
    with source({LIST: says(lying)}) as there:
        set_credential(here)
        set_property(here, CONF, there.url)
        answer = available(here)
    assert "evil" not in answer.body


def test_unknown_and_foreign_definitions_are_one_answer(here: Deployed) -> None:
    unknown = available(here, "NOTHING")
    assert (unknown.status, unknown.json["code"]) == (404, "OHI-IP-DATA-004")
    path = {"dataSetDefinitionCode": "CLAIMS", "dataSetVersion": "4.24.1"}
    foreign = here.call("fetch_available_data_sets", "GET", path, tenant=OTHER)
    assert (foreign.status, foreign.json["code"]) == (404, "OHI-IP-DATA-004")


@pytest.mark.parametrize("version", ["x", "4..1", "../1", "", "4/1"])
def test_what_is_no_version_is_refused(here: Deployed, version: str) -> None:
    assert available(here, "CLAIMS", version).status == 422


# --- what a source answers ------------------------------------------------------------------------


def a_data_set(code: str = "BRANDS", **changes: Any) -> DataSet:
    values: dict[str, Any] = {
        "tenant": TENANT,
        "definition": "CLAIMS",
        "code": code,
        "data_set_id": f"id-of-{code}",
        "description": "Brands",
        "options": Options(exact_version_match=True, inclusion_date="2026-01-31"),
        "created_at": NOON,
        "updated_at": NOON,
        "number_of_items": 3,
        "payload_key": "payloads/1.zip",
        "payload_built_at": NOON,
    }
    return DataSet(**(values | changes))


def listed(here: Deployed, definition: str = "CLAIMS", version: str = "4.24.1") -> Answered:
    path = {"dataSetDefinitionCode": definition, "dataSetVersion": version}
    return here.call("list_data_sets", "GET", path)


def keep(here: Deployed, *data_sets: DataSet) -> None:
    kept = DynamoDataSets(here.tables["datasets"])
    assert all(kept.add(one) for one in data_sets)


def test_a_source_answers_what_it_has_built_in_the_fields_of_the_seed(here: Deployed) -> None:
    not_built = a_data_set("LATER", payload_key=None, payload_built_at=None)
    keep(here, a_data_set(), not_built, a_data_set("OTHERS", definition="PROVIDERS"))
    answer = listed(here)
    assert answer.status == 200
    assert answer.json == {
        "environment": {"identifier": "TARGET", "version": "4.24.1"},
        "dataSetMetaDataRestEntities": [
            {
                "code": "BRANDS",
                "description": "Brands",
                "env": "TARGET",
                "numberOfItems": 3,
                "exactVersionMatch": True,
                "generatedDescription": "",
                "disableDeleteByOmission": False,
                "id": "id-of-BRANDS",
                "inclusionDate": {"value": "2026-01-31"},
                "objectLastUpdatedDate": {"value": "2026-11-23T12:00:00.000Z"},
                "creationDate": {"value": "2026-11-23T12:00:00.000Z"},
                "lastPayloadBuiltDateTime": {"value": "2026-11-23T12:00:00.000Z"},
            }
        ],
    }


@pytest.mark.parametrize(("version", "status"), [("4", 200), ("4.99", 200), ("5.24.1", 409)])
def test_a_source_of_another_major_version_is_in_conflict(
    here: Deployed, version: str, status: int
) -> None:
    answer = listed(here, version=version)
    assert answer.status == status
    if status == 409:
        assert answer.json["code"] == "GEN-MIGR-015"
        assert answer.json["severity"] == "Fatal"


def test_what_a_source_answers_is_what_a_target_reads(here: Deployed) -> None:
    keep(here, a_data_set(), a_data_set("NEWER", options=Options()))
    document = listed(here).json
    with source({LIST: says(document)}) as there:
        set_credential(here)
        set_property(here, CONF, there.url)
        [found] = available(here).json["dataSetMetaDataResponse"]
    shown = [{**one, "url": there.url} for one in document["dataSetMetaDataRestEntities"]]
    assert found["dataSetMetaDataRestEntities"] == shown
