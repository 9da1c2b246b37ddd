"""The page, the description and the refusals of the running API, without a browser."""

import json
import re
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest

from openapi.routes import served
from reference.assets import IMPORTED
from reference.document import text_for
from tests.system.deployed import Integrator, Platform


class _Links(HTMLParser):
    """Everything that a page loads or links to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in {"src", "href"} and value]


def links(page: str) -> list[str]:
    """The links of a page, but for data that it carries itself."""
    parser = _Links()
    parser.feed(page)
    return [link for link in parser.found if not link.startswith("data:")]


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
def test_the_page_finds_its_assets_under_the_path_that_the_api_lies_at(
    platform: Platform, path: str
) -> None:
    assert urlsplit(platform.api_url).path not in {"", "/"}, "a stage path is the point"
    address = platform.api_url + path
    page = platform.http.get(address)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    types = {}
    for link in links(page.text):
        asset = platform.http.get(urljoin(address, link))
        assert asset.status_code == 200, link
        assert asset.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        again = {"If-None-Match": asset.headers["ETag"]}
        assert platform.http.get(urljoin(address, link), headers=again).status_code == 304
        types[urlsplit(link).path.rpartition("/")[2]] = asset.headers["Content-Type"]
    assert types == {
        "swagger-ui.css": "text/css; charset=utf-8",
        "docs.css": "text/css; charset=utf-8",
        "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
        "initializer.js": "text/javascript; charset=utf-8",
    }


def test_nothing_of_the_page_comes_from_another_host(platform: Platform) -> None:
    page = platform.http.get(platform.api_url + "/docs")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert not re.search(r"https?:|\*|unsafe", policy)
    for link in links(page.text):
        assert urlsplit(link).netloc == ""
        text = platform.http.get(urljoin(platform.api_url + "/docs", link)).text
        if link.partition("?")[0].endswith(".css"):
            loaded = re.findall(r"url\(\s*[\"']?([^\"')]{0,60})|@import", text)
            assert all(one.startswith("data:") for one in loaded)
    for name in ("initializer.js", *IMPORTED):
        script = platform.http.get(f"{platform.api_url}/docs/{name}").text
        assert not re.search(r"https?:|//[a-z]", script.replace("// ", ""))


def test_the_description_served_is_the_committed_one_for_this_deployment(
    platform: Platform,
) -> None:
    reply = platform.http.get(platform.api_url + "/openapi.json")
    assert reply.json() == json.loads(text_for(platform.api_url, "youforce-data-api"))
    assert reply.json()["servers"][0]["url"] == platform.api_url


def test_the_root_leads_to_pages_that_there_are(platform: Platform) -> None:
    root = platform.http.get(platform.api_url + "/").json()
    assert platform.http.get(root["docs"]).status_code == 200
    assert platform.http.get(root["openapi"]).status_code == 200
    assert platform.http.get(root["metadata"]).status_code == 401


@pytest.mark.abuse(137)
@pytest.mark.parametrize("path", sorted({path for one in served() for path in one.paths}))
def test_a_method_that_a_path_does_not_have_is_405(platform: Platform, path: str) -> None:
    here = {one.route.method for one in served() if path in one.paths}
    url = platform.api_url + re.sub(r"{\w+}", "01jd3x9v6p4m8c2t7r5w0k1nqz", path)
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - here:
        reply = platform.http.request(method, url)
        assert reply.status_code == 405
        assert set(reply.headers["Allow"].split(", ")) == here | {"OPTIONS"}
        assert reply.json()["code"] == "method_not_allowed"
    assert platform.http.head(url).status_code == 405
    options = platform.http.options(url)
    assert (options.status_code, options.text) == (204, "")


@pytest.mark.abuse(138)
def test_a_body_over_a_mebibyte_is_413(platform: Platform, integrator: Integrator) -> None:
    body = json.dumps({"entity": "x" * 1024 * 1024})
    token = platform.http.post(platform.api_url + "/connect/token", content=body)
    for reply in (integrator.call("POST", "/data/v1/fulldata", content=body), token):
        assert reply.status_code == 413
        assert reply.json()["code"] == "body_too_large"


@pytest.mark.abuse(141)
@pytest.mark.parametrize(
    "path",
    [
        "/canary-7f3a",
        "/data/v1/jobs/canary-7f3a",
        "/data/v1/fulldata/canary-7f3a/status",
        "/data/v1/operations/canary-7f3a/manifest",
        "/data/v1/metadata?configurationId=canary-7f3a",
        "/docs/canary-7f3a",
    ],
)
def test_what_there_is_not_is_404_and_not_repeated(integrator: Integrator, path: str) -> None:
    reply = integrator.get(path)
    assert reply.status_code == 404
    assert reply.json()["code"] == "not_found"
    assert "canary" not in reply.text + str(reply.headers)


def test_awkward_input_is_refused_and_breaks_nothing(integrator: Integrator) -> None:
    for path, status in (
        (f"/data/v1/metadata?configurationId={'a' * 4000}", 422),
        ("/data/v1/metadata?configurationId=%00", 404),
        ("/data/v1/metadata?configurationId=%ff", 404),
        ("/data/v1/metadata?pageSize=1&pageSize=2", 400),
        (f"/data/v1/metadata?pageSize={'9' * 5000}", 422),
        ("/data/v1/metadata?pageSize=%D9%A1", 422),
        (f"/data/v1/jobs/{'a' * 4000}", 404),
        ("/data/v1/jobs/%00", 404),
        ("/data/v1/operations?cursor=%F0%9F%92%A9", 400),
    ):
        assert integrator.get(path).status_code == status, path[:80]
    for body, status in (
        (b"[" * 100_000, 400),
        (b"\xff\xfe", 400),
        (b"NaN", 400),
        (b'{"entity": NaN}', 400),
        (b'{"entity": "a", "Entity": "b"}', 400),
        (b"[]", 400),
        (b'{"entity": "\\ud800"}', 422),
        (b'{"entity": 1}', 422),
        (b'{"nobody": 1}', 422),
        (b'{"entity": "\\u0000"}', 404),
    ):
        assert integrator.call("POST", "/data/v1/fulldata", content=body).status_code == status, (
            body[:80]
        )
