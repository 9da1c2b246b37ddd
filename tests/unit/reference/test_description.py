"""The description of the API is valid, up to date, and says nothing that the code does not."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError
from openapi_spec_validator import OpenAPIV31SpecValidator

from headrace.kernel import errors
from headrace.kernel.errors import HeadraceError
from headrace.runtime.api import STATUSES, Scope, status_of
from headrace.runtime.task import failure_of
from openapi import generate, problems
from openapi.document import build, full_name, raised
from openapi.routes import ROOT, served
from reference.document import EXAMPLE_URL, text_for
from tests.unit.docs.checkout import template

DOCUMENT = build()


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and operation."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """The part, or what it refers to."""
    while "$ref" in part:
        found: Any = DOCUMENT
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


@cache
def calls_by_name() -> dict[str, list[ast.Call]]:
    """Every call in our code of what has a plain name, by that name; read once, as it takes a
    while."""
    found: dict[str, list[ast.Call]] = {}
    for file in (ROOT / "layers/core/headrace").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id=called)):
                    found.setdefault(called, []).append(node)
    return found


def check(schema: dict[str, Any], value: Any) -> None:
    """Raises ValidationError unless the value is as the schema of the document says."""
    whole = {**schema, "components": DOCUMENT["components"]}
    Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)


# --- the document ---------------------------------------------------------------------------


def test_it_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


@pytest.mark.parametrize("path", [generate.DOCUMENT, generate.SERVED, generate.POSTMAN], ids=str)
def test_the_committed_file_is_what_the_routes_make(path: Path) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == generate.files(ROOT)[path]


def test_the_yaml_and_the_json_hold_the_same() -> None:
    assert yaml.safe_load((ROOT / generate.DOCUMENT).read_text(encoding="utf-8")) == DOCUMENT
    assert json.loads((ROOT / generate.SERVED).read_text(encoding="utf-8")) == DOCUMENT


def test_every_route_is_described_under_its_modules_name() -> None:
    described = {
        (method.upper(), path): operation["operationId"]
        for path, method, operation in operations()
        if not operation.get("deprecated")
    }
    assert described == {
        (one.route.method, path): one.name_at(path)
        for one in served()
        for path in (one.route.path, *one.route.others)
    }


def test_every_operation_has_its_own_id() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))


def test_examples_of_bodies_and_replies_are_as_their_schemas_say() -> None:
    checked = 0
    for _, _, operation in operations():
        contents = [operation.get("requestBody", {})]
        contents += [resolved(reply) for reply in operation["responses"].values()]
        for content in contents:
            for media in content.get("content", {}).values():
                examples = [media["example"]] if "example" in media else []
                examples += [one["value"] for one in media.get("examples", {}).values()]
                for example in examples:
                    check(media["schema"], example)
                    checked += 1
    assert checked > 100


def test_examples_of_parameters_are_as_their_schemas_say() -> None:
    for _, _, operation in operations():
        for parameter in operation.get("parameters", ()):
            if "example" in parameter:
                check(parameter["schema"], parameter["example"])


def test_a_reply_that_is_wrong_would_be_seen() -> None:
    schema = {"$ref": "#/components/schemas/Quota"}
    check(schema, {"limit": 3, "used": 1, "remaining": 2, "resetsAt": "2026-11-23T23:00:00Z"})
    with pytest.raises(ValidationError, match="'used' is a required property"):
        check(schema, {"limit": 3, "remaining": 2, "resetsAt": "2026-11-23T23:00:00Z"})


# --- security -------------------------------------------------------------------------------


def test_each_operation_names_the_scope_that_its_handler_checks() -> None:
    scopes = {one.name_at(path): one.route.scope for one in served() for path in one.paths}
    for _, _, operation in operations():
        scope = scopes[operation["operationId"]]
        wanted = [{"clientCredentials": [full_name(scope)]}] if scope else []
        by_name = [one for one in operation["security"] if "basic" not in one]
        assert by_name == wanted


def test_a_name_and_a_password_are_for_data_sets_only() -> None:
    for path, _, operation in operations():
        by_basic = {"basic": []} in operation["security"]
        of_data_sets = operation["tags"] == ["datasets"]
        assert by_basic == of_data_sets, path


def test_every_scope_is_described() -> None:
    flow = DOCUMENT["components"]["securitySchemes"]["clientCredentials"]["flows"]
    assert set(flow["clientCredentials"]["scopes"]) == {full_name(scope) for scope in Scope}


def test_what_needs_a_token_may_be_refused_for_it() -> None:
    for _, _, operation in operations():
        if operation["security"]:
            assert {"401", "403", "503"} <= operation["responses"].keys()


# --- errors ---------------------------------------------------------------------------------


def test_errors_have_the_status_that_they_are_answered_with() -> None:
    for one in served():
        item = DOCUMENT["paths"][one.route.path][one.route.method.lower()]
        for kind in raised(one):
            response = resolved(item["responses"][str(status_of(kind))])
            media = response["content"]["application/problem+json"]
            assert kind.code in media["schema"]["allOf"][1]["properties"]["code"]["enum"]
            assert media["examples"][kind.code]["value"]["status"] == status_of(kind)


def test_every_error_that_a_caller_may_get_is_described() -> None:
    described = {one.kind for one in problems.DESCRIBED}
    within = {  # the workflow's own, the operator's, and roots that nothing raises itself
        errors.Fenced,
        errors.Stopped,
        errors.CatalogChanged,
        errors.NotAuthorized,
        errors.Conflict,
        errors.Gone,
    }
    assert {kind for kind in STATUSES if kind not in within} <= described


def test_no_error_is_said_to_be_known_that_no_route_has() -> None:
    reachable = {kind for one in served() for kind in raised(one)} | {errors.MethodNotAllowed}
    assert {one.kind for one in problems.DESCRIBED} == reachable


@pytest.mark.parametrize("one", problems.DESCRIBED, ids=lambda one: one.kind.code)
def test_an_error_names_every_member_that_the_code_gives_it(one: problems.Described) -> None:
    known = set(one.error.members)
    for members in members_given(one.kind.__name__):
        assert members <= known
    assert known <= problems.MEMBERS.keys()


def members_given(name: str) -> Iterator[set[str]]:
    """The members of each place in our code that makes an error of this class."""
    for call in calls_by_name().get(name, ()):
        yield {word.arg for word in call.keywords if word.arg} - {"retry_after"}


def test_there_are_errors_with_members_to_look_for() -> None:
    assert {"blockingOperationId"} in list(members_given("OperationActive"))


@pytest.mark.parametrize("kind", ["THROTTLED", "REQUEST_TOO_LARGE"])
def test_the_gateways_own_refusals_are_those_described(kind: str) -> None:
    response = template()["Resources"]["Api"]["Properties"]["GatewayResponses"][kind]
    said = json.loads(response["ResponseTemplates"]["application/json"])
    [one] = [one for one in problems.DESCRIBED if one.kind.code == said["code"]]
    assert said["status"] == response["StatusCode"] == status_of(one.kind)
    assert said["title"] == one.kind.title
    assert said["detail"] == one.error.detail


def test_every_status_is_one_that_the_guide_tells() -> None:
    guide = (ROOT / generate.GUIDE).read_text(encoding="utf-8")
    for one in problems.DESCRIBED:
        assert f"| {status_of(one.kind)} | `{one.kind.code}` |" in guide


def test_an_error_nobody_described_stops_the_making() -> None:
    class Novel(HeadraceError):
        code = "novel"

    with pytest.raises(LookupError, match="Novel"):
        problems.described(Novel)


# --- the command ----------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A place with the files as they are committed."""
    for path in generate.files(ROOT):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text((ROOT / path).read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def test_check_is_content_with_what_is_committed(checkout: Path) -> None:
    assert generate.main(["--check"], checkout) == 0


@pytest.mark.parametrize("path", generate.files(ROOT), ids=str)
def test_check_says_what_differs_and_generating_mends_it(
    checkout: Path, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = checkout / path
    right = file.read_text(encoding="utf-8")
    made = {generate.GUIDE: "| `quota_exhausted` |", generate.POSTMAN: "{{client_id}}"}
    wrong = right.replace(made.get(path, "quota_exhausted"), "something else")
    assert wrong != right
    file.write_text(wrong, encoding="utf-8")
    assert generate.main(["--check"], checkout) == 1
    said = capsys.readouterr().err
    assert str(path) in said
    assert "python -m openapi.generate" in said
    assert generate.main([], checkout) == 0
    assert file.read_text(encoding="utf-8") == right


# --- what is served -------------------------------------------------------------------------


def test_a_deployment_serves_its_own_urls_and_scopes() -> None:
    text = text_for("https://api.example.org/base", 'we"ird')
    served_document = json.loads(text)
    assert served_document["servers"][0]["url"] == "https://api.example.org/base"
    flow = served_document["components"]["securitySchemes"]["clientCredentials"]["flows"]
    assert flow["clientCredentials"]["tokenUrl"] == "https://api.example.org/base/connect/token"
    assert 'we"ird:jobs:manage' in flow["clientCredentials"]["scopes"]
    assert EXAMPLE_URL not in text
    assert not re.search(r"youforce-data-api:\w", text)


# --- the guide ------------------------------------------------------------------------------


def failure_codes() -> Iterator[str]:
    """Every code that the `error` of an operation or a job may have."""
    for call in calls_by_name()["Failure"]:
        match call.args:
            case [ast.Constant(value=str(code)), *_]:
                yield code
    caught = [name for name, one in vars(errors).items() if isinstance(one, type)]
    for name in (*caught, "States.Timeout", "Sandbox.Timedout", "MemoryError"):
        yield failure_of({"error": {"Error": name}}).code
    yield errors.ValueNotExportable.code


def test_the_guide_tells_why_operations_and_jobs_fail() -> None:
    guide = (ROOT / generate.GUIDE).read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(\w+)` \|", guide.partition("| `error.code` |")[2], re.MULTILINE))
    assert told == set(failure_codes())


def test_the_guide_tells_every_scope() -> None:
    guide = (ROOT / generate.GUIDE).read_text(encoding="utf-8")
    assert all(f"| `{full_name(scope)}` |" in guide for scope in Scope)
