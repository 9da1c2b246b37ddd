"""POST /api/ver3/auth/login through its handler, and what the token is good for."""

from typing import Any

import jwt

from tests.component.identity.deployment import Deployment, Response

READ_TEMPLATES = "youforce-data-api:templates:read"
ADA = "ada@acme.example"


def assert_refused(reply: Response, status: int, code: str) -> Response:
    assert (reply.status, reply.json["code"]) == (status, code), reply.body
    assert reply.headers["Cache-Control"] == "no-store"
    return reply


def who(deployment: Deployment, token: str) -> dict[str, Any]:
    """The context of a call with the token; empty if it is denied."""
    answer = deployment.authorize(f"Bearer {token}")
    allowed = answer["policyDocument"]["Statement"][0]["Effect"] == "Allow"
    context: dict[str, Any] = answer["context"]
    return context if allowed else {}


def test_a_person_logs_in_and_calls_as_the_role_allows(deployment: Deployment) -> None:
    password = deployment.add_user(ADA)
    reply = deployment.post_login(" Ada@ACME.example".strip(), password)
    assert reply.status == 200, reply.body
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.json.keys() == {"username", "access_token", "token_type", "expires_in"}
    assert (reply.json["username"], reply.json["token_type"]) == (ADA, "Bearer")
    claims = jwt.decode(reply.json["access_token"], options={"verify_signature": False})
    user = deployment.directory.user(ADA)
    assert (claims["client_id"], claims["sub"], claims["user_id"]) == (
        "user",
        user.user_id,
        user.user_id,
    )
    assert claims["exp"] - claims["iat"] == reply.json["expires_in"] == 3600
    assert who(deployment, reply.json["access_token"]) == {
        "tenant": "acme",
        "client_id": "user",
        "scopes": READ_TEMPLATES,
        "user": user.user_id,
    }
