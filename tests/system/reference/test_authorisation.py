"""No operation answers who may not ask, whatever is asked.

Schemathesis makes the calls, the same ones in every run, as in ``test_schemathesis``; ``EXAMPLES``
says how many for each operation. Each is made with a token that may do it, and again without one,
with ones that nobody gave, and with one that may do something else. Where the first is answered
with success, Schemathesis's own check (``ignored_auth``) does the like by itself.
"""

import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS
from schemathesis.core.failures import FailureGroup

from headrace.catalog.model import FURTHER_SCOPES, SCOPES, Tenant
from headrace.identity.users import Permission
from tests.system.conftest import NORTHWIND, Clients, People
from tests.system.deployed import Platform
from tests.system.reference.test_schemathesis import DESCRIPTION, answered

PREFIX = "youforce-data-api:"
OF_PERSONS = {"services:manage", "consents:manage", "statistics:read", "templates:read"}
"""The scopes of what persons do after a login."""
SHAPE = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
"""What must hold of refusals too."""


def with_bearer_tokens(description: dict[str, Any]) -> dict[str, Any]:
    """The description with bearer tokens in place of the way to get them: Schemathesis takes no
    note of the scheme ``oauth2``, and would check nothing."""
    changed: dict[str, Any] = json.loads(json.dumps(description))
    schemes = changed["components"]["securitySchemes"]
    schemes["clientCredentials"] = {"type": "http", "scheme": "bearer"}
    return changed


RAW: dict[str, Any] = with_bearer_tokens(dict(DESCRIPTION.raw_schema))
GUARDED = schemathesis.openapi.from_dict(RAW).include(
    func=lambda context: bool(context.operation.definition.raw.get("security"))
)

EXAMPLES = int(os.environ.get("EXAMPLES", "2"))
if EXAMPLES < 10:
    # A sample: `test_schemathesis` makes the calls at the edges of the schemas in every run.
    GUARDED.config.phases.coverage.enabled = False


@dataclass(frozen=True)
class Callers:
    """Tokens of a tenant that no other test has anything to do with."""

    program: str
    person: str
    strangers: dict[str, str]
    """Tokens of one scope each, by that scope."""

    def may(self, scope: str) -> str:
        """A token that may do what needs the scope."""
        return self.person if scope in OF_PERSONS else self.program

    def may_not(self, scope: str) -> str:
        """A good token, of somebody else, that may do something else only."""
        return next(token for other, token in self.strangers.items() if other != scope)


@pytest.fixture(scope="module")
def callers(clients: Clients, people: People) -> Iterator[Callers]:
    """Two with all rights, and two with one each."""
    name = f"guarded-{secrets.token_hex(3)}"
    clients.add_tenant(Tenant(name, "Guarded", "Europe/Amsterdam"), like=NORTHWIND)
    program = clients.special(name, "departments", scopes=(*SCOPES, *FURTHER_SCOPES))
    strangers = {
        scope: clients.special(NORTHWIND, "departments", scopes=(scope,))
        for scope in ("metadata:read", "data:read")
    }
    for one in (program, *strangers.values()):
        clients.keep(one)
    person = people.of(name, *Permission)
    yield Callers(
        program.token(),
        person.token(),
        {scope: stranger.token() for scope, stranger in strangers.items()},
    )


def needed(operation: Any) -> str:
    """The scope that the description says the operation needs, without the prefix."""
    [scope] = operation.definition.raw["security"][0]["clientCredentials"]
    return str(scope).removeprefix(PREFIX)


def again(reply: Any, authorization: str | None) -> requests.Response:
    """The answer to the same call with other credentials."""
    call = reply.request.copy()
    call.headers.pop("Authorization", None)
    if authorization is not None:
        call.headers["Authorization"] = authorization
    with requests.Session() as session:
        session.trust_env = False
        return session.send(call, allow_redirects=False, timeout=60)


def forged(token: str) -> str:
    """The token with other letters at the end of its signature, which mean other octets."""
    return token[:-8] + ("AAAAAAAA" if token[-8:-1] != "AAAAAAA" else "BBBBBBBA")


@pytest.mark.abuse(17)
@pytest.mark.abuse(19)
@GUARDED.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_nobody_is_answered_who_may_not_ask(
    case: Any, callers: Callers, platform: Platform
) -> None:
    scope = needed(case.operation)
    good = callers.may(scope)
    # With all rights, calls get to what a description cannot say: one of two parameters, a date.
    reply = answered(platform, good, case, ("positive_data_acceptance",))
    if reply.request.method != case.operation.method.upper():
        # No operation, so nobody's to guard; browsers ask by OPTIONS before they send credentials.
        assert reply.status_code == (204 if reply.request.method == "OPTIONS" else 405)
        assert not reply.content or reply.json()["code"] == "method_not_allowed"
        return
    if reply.request.headers.get("Authorization") != f"Bearer {good}":
        assert reply.status_code == 401  # Schemathesis left the credentials out, or sent its own
        return
    assert reply.status_code != 401, reply.text
    assert reply.status_code != 403 or reply.json()["code"] != "insufficient_scope", reply.text
    for credentials in (None, f"Bearer {forged(good)}", "Bearer x", "Basic bm9ib2R5OndydW5n"):
        refusal = again(reply, credentials)
        assert refusal.status_code == 401, (credentials, refusal.status_code, refusal.text)
        assert refusal.headers["WWW-Authenticate"]
        case.validate_response(refusal, checks=CHECKS.get_by_names(list(SHAPE)))
    refusal = again(reply, f"Bearer {callers.may_not(scope)}")
    assert (refusal.status_code, refusal.json()["code"]) == (403, "insufficient_scope")
    assert refusal.json()["requiredScope"] == f"{PREFIX}{scope}"
    case.validate_response(refusal, checks=CHECKS.get_by_names(list(SHAPE)))


def test_an_operation_that_anybody_may_call_would_be_found(
    callers: Callers, platform: Platform
) -> None:
    claimed = json.loads(json.dumps(RAW))
    claimed["paths"]["/.well-known/jwks.json"]["get"]["security"] = [{"clientCredentials": []}]
    operation = schemathesis.openapi.from_dict(claimed)["/.well-known/jwks.json"]["GET"]
    with pytest.raises(FailureGroup) as found:
        answered(platform, callers.program, operation.Case())
    assert [type(one).__name__ for one in found.value.exceptions] == ["IgnoredAuth"]
