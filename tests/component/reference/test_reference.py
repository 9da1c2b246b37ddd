"""The API's own pages, handler by handler, and what it says of what it does not have."""

import hashlib
import json
import re
from typing import Any

import pytest

from openapi.routes import served
from reference import get_docs_asset, get_openapi, get_root, refuse_route, show_docs
from reference.assets import IMPORTED, LINKED, NAMES, asset
from reference.document import text
from tests.unit.docs.checkout import ROOT

KNOWN = {(one.route.method, path) for one in served() for path in one.paths}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def an_event(name: str, **changes: Any) -> dict[str, Any]:
    """The sample event of a function; ``path`` and ``method`` also in its context."""
    event: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    if "path" in changes:
        event["requestContext"]["path"] = f"/v1{changes['path']}"
    if "httpMethod" in changes:
        event["requestContext"]["httpMethod"] = changes["httpMethod"]
    return event | changes


def refused(method: str, path: str) -> dict[str, Any]:
    """The answer to a pair of method and path that no function has."""
    proxy = path.removeprefix("/")
    reply: dict[str, Any] = refuse_route.handler(
        an_event(
            "refuse_route",
            httpMethod=method,
            path=path,
            pathParameters={"proxy": proxy} if proxy else None,
        ),
        None,
    )
    return reply


# --- the page -------------------------------------------------------------------------------


def test_the_page_loads_its_assets_from_beside_itself() -> None:
    page = show_docs.handler(an_event("show_docs"), None)
    assert page["statusCode"] == 200
    assert page["headers"]["Content-Type"] == "text/html; charset=utf-8"
    links = re.findall(r'(?:src|href)="([^"]+)"', page["body"])
    assert [re.sub(r"\?v=[0-9a-f]{16}$", "", link) for link in links] == [
        "data:,",
        "docs/swagger-ui.css",
        "docs/docs.css",
        "docs/swagger-ui-bundle.js",
        "docs/initializer.js",
    ]


def test_the_page_with_a_slash_behind_it_finds_them_too() -> None:
    page = show_docs.handler(an_event("show_docs", path="/docs/"), None)
    assert 'src="initializer.js?v=' in page["body"]
    assert "docs/" not in page["body"].replace("docs/api", "")


def test_nothing_in_the_page_runs_but_files_of_this_host() -> None:
    page = show_docs.handler(an_event("show_docs"), None)
    directives = dict(
        directive.split(" ", 1)
        for directive in page["headers"]["Content-Security-Policy"].split("; ")
    )
    assert directives["default-src"] == "'none'"
    assert set(" ".join(directives.values()).split()) == {"'none'", "'self'", "data:"}
    assert directives["script-src"] == "'self'"
    assert not re.search(r"<script(?![^>]* src=)|<style|style=| on\w+=", page["body"])


@pytest.mark.parametrize("name", LINKED)
def test_an_asset_is_text_and_may_be_kept_for_good_under_its_version(name: str) -> None:
    version = re.search(
        rf"{re.escape(name)}\?v=(\w+)", show_docs.handler(an_event("show_docs"), None)["body"]
    )
    assert version is not None
    reply = asked_for(name, version[1])
    assert reply["statusCode"] == 200
    assert not reply.get("isBase64Encoded")
    assert reply["headers"]["Cache-Control"] == "public, max-age=31536000, immutable"
    digest = hashlib.sha256(reply["body"].encode()).hexdigest()
    assert reply["headers"]["ETag"] == f'"{digest[:16]}"' == f'"{version[1]}"'


@pytest.mark.parametrize("name", IMPORTED)
def test_what_scripts_import_is_asked_for_again_each_time(name: str) -> None:
    reply = asked_for(name, None)
    assert (reply["statusCode"], reply["headers"]["Cache-Control"]) == (200, "no-cache")
    assert asked_for(name, None, **{"If-None-Match": reply["headers"]["ETag"]})["statusCode"] == 304


def test_scripts_import_what_there_is_and_nothing_lies_there_unused() -> None:
    ours = [name for name in NAMES if name.endswith(".js") and name != "swagger-ui-bundle.js"]
    imported = {
        found
        for name in ours
        for found in re.findall(r"""from\s+["']([^"']+)["']""", asset(name).text)
    }
    assert imported == {f"./{name}" for name in IMPORTED}


def test_the_line_for_curl_hides_every_member_of_a_body_that_is_secret() -> None:
    document = json.loads(text())
    schemas = document["components"]["schemas"]
    sent = {
        name
        for item in document["paths"].values()
        for operation in item.values()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        for name in schemas[content["schema"]["$ref"].rpartition("/")[2]]["properties"]
    }
    secret = {one for one in sent if re.search(r"(secret|assertion|password|token)$", one.lower())}
    hidden = re.search(r'MEMBERS = "([^"]+)"', asset("curl.js").text)
    assert hidden is not None
    assert set(hidden[1].split("|")) == secret


@pytest.mark.parametrize("version", [None, "0123456789abcdef"])
def test_an_asset_of_another_version_is_asked_for_again(version: str | None) -> None:
    assert asked_for("docs.css", version)["headers"]["Cache-Control"] == "no-cache"


def asked_for(name: str, version: str | None, **headers: str) -> dict[str, Any]:
    """The answer to a request for an asset."""
    event = an_event("get_docs_asset", path=f"/docs/{name}", pathParameters={"asset": name})
    event["multiValueQueryStringParameters"] = {"v": [version]} if version else None
    reply: dict[str, Any] = get_docs_asset.handler(event | {"headers": headers}, None)
    return reply


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("{tag}", 304),
        ("W/{tag}", 304),
        ('"other", {tag}', 304),
        ("*", 304),
        ('"other"', 200),
        ("", 200),
    ],
)
def test_what_the_caller_has_already_is_not_sent_again(sent: str, status: int) -> None:
    tag = asked_for("docs.css", None)["headers"]["ETag"]
    reply = asked_for("docs.css", None, **{"If-None-Match": sent.format(tag=tag)})
    assert reply["statusCode"] == status
    assert reply["headers"]["ETag"] == tag
    assert bool(reply["body"]) is (status == 200)


@pytest.mark.parametrize(
    "name", ["nope.js", "docs.html", "../assets.py", "docs.css.map", "LICENSE"]
)
def test_no_other_file_is_handed_out(name: str) -> None:
    reply = asked_for(name, None)
    assert reply["statusCode"] == 404
    assert json.loads(reply["body"])["code"] == "not_found"
    assert name not in reply["body"]


def test_swagger_ui_is_the_version_that_we_pin() -> None:
    [pin] = (ROOT / "layers/reference/requirements.txt").read_text().split()
    version = pin.removeprefix("flask-swagger-ui==")
    assert f'"{version}"' in asked_for("swagger-ui-bundle.js", None)["body"]


# --- the description ------------------------------------------------------------------------


def test_the_description_names_this_deployment() -> None:
    reply = get_openapi.handler(an_event("get_openapi"), None)
    assert reply["headers"]["Content-Type"] == "application/json"
    [server] = json.loads(reply["body"])["servers"]
    assert server["url"] == "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/v1"
    again = an_event("get_openapi", headers={"if-none-match": reply["headers"]["ETag"]})
    assert get_openapi.handler(again, None)["statusCode"] == 304


def test_the_root_says_where_to_begin() -> None:
    reply = get_root.handler(an_event("get_root"), None)
    base = "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/v1"
    links = json.loads(reply["body"])
    assert links["docs"] == f"{base}/docs"
    paths = {f"{base}{path}" for _, path in KNOWN}
    assert set(links.values()) <= paths


# --- what there is not ----------------------------------------------------------------------


@pytest.mark.abuse(137)
@pytest.mark.parametrize("path", sorted({path for _, path in KNOWN}))
def test_a_method_that_a_path_does_not_have_is_405_and_says_which_it_has(path: str) -> None:
    given = re.sub(r"{\w+}", "01jd3x9v6p4m8c2t7r5w0k1nqz", path)
    allowed = [method for method in METHODS if (method, path) in KNOWN]
    assert allowed
    for method in METHODS:
        if method in {*allowed, "OPTIONS"}:
            continue
        reply = refused(method, given)
        assert reply["statusCode"] == 405
        assert reply["headers"]["Allow"] == ", ".join([*allowed, "OPTIONS"])
        assert reply["headers"]["Content-Type"] == "application/problem+json"
        assert json.loads(reply["body"])["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", sorted({path for _, path in KNOWN}))
def test_options_gets_the_methods_and_no_permission_for_other_sites(path: str) -> None:
    given = re.sub(r"{\w+}", "01jd3x9v6p4m8c2t7r5w0k1nqz", path)
    reply = refused("OPTIONS", given)
    assert (reply["statusCode"], reply["body"]) == (204, "")
    assert reply["headers"]["Allow"].endswith(", OPTIONS")
    assert not [name for name in reply["headers"] if name.lower().startswith("access-control")]


@pytest.mark.abuse(141)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "path",
    [
        "/canary-7f3a",
        "/data/v1/canary-7f3a",
        "/data/v1/fulldata//status",
        "/data/v1/fulldata/canary-7f3a/status/more",
        "/docs/canary-7f3a/deeper",
        "/data/v2/metadata",
        "/<script>alert(1)</script>",
    ],
)
def test_a_path_that_there_is_not_is_404_and_not_repeated(method: str, path: str) -> None:
    reply = refused(method, path)
    assert reply["statusCode"] == 404
    assert json.loads(reply["body"])["code"] == "not_found"
    assert "canary" not in json.dumps(reply)
    assert "<script>" not in json.dumps(reply)


def test_a_path_with_a_slash_too_many_is_404_for_the_method_that_it_has_without() -> None:
    assert refused("POST", "/data/v1/fulldata/")["statusCode"] == 404
    assert refused("PUT", "/data/v1/fulldata/")["statusCode"] == 405


@pytest.mark.abuse(141)
def test_a_405_repeats_nothing_of_the_request() -> None:
    reply = refused("POST", "/data/v1/jobs/canary-7f3a")
    assert reply["statusCode"] == 405
    assert "canary" not in json.dumps(reply)


def test_a_query_that_is_too_long_is_refused_before_anybody_looks_at_it() -> None:
    assert asked_for("docs.css", "0" * 64)["statusCode"] == 200
    reply = asked_for("docs.css", "0" * 65)
    assert reply["statusCode"] == 422
    [error] = json.loads(reply["body"])["errors"]
    assert error == {"field": "v", "message": "must have this many characters: 0 to 64"}
