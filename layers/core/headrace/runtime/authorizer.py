"""The API Gateway authorizer: a REQUEST event in, a policy and a context out.

The policy is for this one request (results are not cached). What follows from the context:

- a caller: ``tenant``, ``client_id``, ``scopes``, and if there is one ``user``, ``organisation``,
  ``credential``; ``runtime.api`` reads them;
- a refusal: ``refusal`` with the code of a problem, perhaps ``retry_after``, and no caller. The
  policy allows, since a denial has one fixed status, and ``runtime.api`` answers with the problem
  before any handler runs. A reader that does not know the code finds no caller, and answers 401;
- a denial: ``challenge`` for WWW-Authenticate (RFC 6750 section 3), ``code`` and ``detail`` for the
  problem document, ``nonce`` for DPoP-Nonce where proofs need one. The template's ACCESS_DENIED
  response puts them in as they are, so all are texts of ours, never anything that the caller sent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from headrace.identity.authorizing import Allowed, Authorize, Denied, Presented, Refused
from headrace.identity.dpop import ALGORITHMS
from headrace.identity.mutual_tls import certificate_of
from headrace.kernel.caller import Caller
from headrace.runtime.observability import logger
from headrace.runtime.settings import settings

_REALM = 'realm="headrace"'
_NO_CREDENTIALS = "This call needs an access token in the Authorization header."


@dataclass(frozen=True)
class Authorizer:
    """A Lambda handler. ``wired``: the use case, for the deployment that the request came to."""

    wired: Callable[[Mapping[str, Any]], Authorize]

    def __call__(self, event: Mapping[str, Any], context: object) -> dict[str, Any]:
        """Answers the event. Raises only for what is broken on our side, which is a 500."""
        request = event["requestContext"]
        logger().set_correlation_id(str(request.get("requestId", "")))
        decision = self.wired(request)(presented(event))
        match decision:
            case Allowed(caller):
                return policy(event, "Allow", caller.client_id, facts_of(caller))
            case Refused(code, retry_after):
                logger().info("call refused", extra={"code": code})
                later = {} if retry_after is None else {"retry_after": str(retry_after)}
                return policy(event, "Allow", "nobody", {"refusal": code, **later})
            case Denied() as denied:
                logger().info("call denied", extra={"detail": denied.detail or "no credentials"})
                return policy(event, "Deny", "nobody", denial(denied))


def presented(event: Mapping[str, Any]) -> Presented:
    """What the call brings along. The source address is the one that API Gateway saw."""
    headers = event.get("multiValueHeaders") or {
        name: [value] for name, value in (event.get("headers") or {}).items()
    }
    query = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters") or {}
    context = event["requestContext"]

    def sent(wanted: str) -> tuple[str, ...]:
        return tuple(
            value for name, values in headers.items() if name.lower() == wanted for value in values
        )

    return Presented(
        authorization=sent("authorization"),
        query_names=frozenset(name.lower() for name in query),
        source_ip=str(context.get("identity", {}).get("sourceIp", "")),
        proofs=sent("dpop"),
        method=str(event.get("httpMethod", "")),
        url=f"{settings().base_url(context)}{event.get('path', '')}",
        certificate=certificate_of(context),
    )


def facts_of(caller: Caller) -> dict[str, str]:
    """The context of a caller, which ``runtime.api.caller_of`` reads: texts only, and no empty
    ones."""
    facts = {
        "tenant": caller.tenant,
        "client_id": caller.client_id,
        "scopes": " ".join(sorted(caller.scopes)),
        "user": caller.user,
        "organisation": caller.organisation,
        "credential": caller.credential,
    }
    return {name: value for name, value in facts.items() if value is not None}


def denial(denied: Denied) -> dict[str, str]:
    """The context of a denial; without a detail the caller sent no credentials at all, and gets a
    challenge without an error (RFC 6750 section 3.1, RFC 9449 section 7.1)."""
    if denied.scheme == "Basic":
        # RFC 7617 section 2.1; it has no place for errors.
        return {
            "challenge": f'Basic {_REALM}, charset="UTF-8"',
            "code": denied.code,
            "detail": denied.detail or _NO_CREDENTIALS,
        }
    error = f', error="{denied.code}", error_description="{denied.detail}"' if denied.detail else ""
    algorithms = f', algs="{" ".join(ALGORITHMS)}"' if denied.scheme == "DPoP" else ""
    nonce = {} if denied.nonce is None else {"nonce": denied.nonce}
    return {
        **nonce,
        "challenge": f"{denied.scheme} {_REALM}{algorithms}{error}",
        "code": denied.code,
        "detail": denied.detail or _NO_CREDENTIALS,
    }


def policy(
    event: Mapping[str, Any], effect: str, principal: str, facts: Mapping[str, str]
) -> dict[str, Any]:
    """The authorizer's answer. The policy covers the stage, whatever the path looks like: exact
    paths would have to be escaped, and it is used for no other request anyway."""
    api, stage = str(event["methodArn"]).split("/")[:2]
    return {
        "principalId": principal,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": effect,
                    "Resource": f"{api}/{stage}/*",
                }
            ],
        },
        "context": dict(facts),
    }
