"""The page behind another system's button: the same for everybody, and harmless in itself."""

import re
from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest

from profiles.redirect_page import page
from profiles.show_redirect import handler


def answered(**query: list[str]) -> dict[str, Any]:
    return handler(
        {"multiValueQueryStringParameters": query, "requestContext": {"requestId": "r"}}, None
    )


def test_the_page_is_the_same_for_every_link() -> None:
    there = answered(tenantId=["0d6c1a0e-6f7a-4c0e-9e53-5b1a3f1f9a01"], syncId=["A-1042"])
    nowhere = answered(tenantId=["<script>alert(1)</script>"], syncId=["\" onload='x"])
    assert there["statusCode"] == 200
    assert there["headers"]["Content-Type"] == "text/html; charset=utf-8"
    assert there["body"] == nowhere["body"] == answered()["body"] == page()


def test_the_page_runs_its_own_script_and_no_other() -> None:
    headers = answered()["headers"]
    policy = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
    for kind, element in (("script-src", "script"), ("style-src", "style")):
        [text] = re.findall(rf"<{element}>(.*?)</{element}>", page(), re.DOTALL)
        assert policy[kind] == f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert " on" not in re.sub(r"<(script|style)>.*?</\1>", "", page(), flags=re.DOTALL).replace(
        " one", ""
    )


def test_nobody_is_told_which_link_led_to_the_profile_and_nothing_is_kept() -> None:
    headers = answered()["headers"]
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.abuse(130)
@pytest.mark.parametrize("name", ["next", "url", "returnUrl", "profileUrl"])
@pytest.mark.parametrize("evil", ["//evil.example", "\\\\evil.example", "javascript:alert(1)"])
def test_a_link_that_says_where_to_go_is_refused(name: str, evil: str) -> None:
    refused = answered(tenantId=["t"], syncId=["s"], **{name: [evil]})
    assert refused["statusCode"] == 400
    assert evil not in refused["body"]
    assert "Location" not in refused["headers"]
