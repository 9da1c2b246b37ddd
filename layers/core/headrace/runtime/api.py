"""HTTP, and nothing else knows it: routes, requests, replies, and errors as problem documents.

One Lambda serves one route, so there is no router: a module under ``functions/`` declares its
``Route`` and decorates its handler with it. The same declaration writes the OpenAPI file.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl

from headrace.audit.model import Action, Event, Failing
from headrace.kernel.caller import Caller
from headrace.kernel.errors import (
    BodyTooLarge,
    CatalogChanged,
    Conflict,
    Fenced,
    FieldsInvalid,
    Gone,
    HeadraceError,
    InvalidRequest,
    MethodNotAllowed,
    NetworkNotAllowed,
    NonceNeeded,
    NotAcceptable,
    NotAuthenticated,
    NotAuthorized,
    NotFound,
    OrganisationNotAllowed,
    QuotaExhausted,
    RefreshRefused,
    Stopped,
    TooManyTries,
    Unavailable,
    ValidationFailed,
    WrongRegion,
)
from headrace.kernel.view import as_json
from headrace.runtime import metrics
from headrace.runtime.observability import logger
from headrace.runtime.settings import settings

MAX_BODY_BYTES = 1024 * 1024
MOST_INLINE_BYTES = 4 * 1024 * 1024
"""Of what is answered as bytes: Lambda allows 6 MiB, and base64 makes four of three."""

_MOST_TOLD = 100

STATUSES: Mapping[type[HeadraceError], int] = {
    BodyTooLarge: 413,
    NotAcceptable: 406,
    InvalidRequest: 400,
    ValidationFailed: 422,
    NotAuthenticated: 401,
    NotAuthorized: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    WrongRegion: 421,
    Conflict: 409,
    CatalogChanged: 409,
    Gone: 410,
    QuotaExhausted: 429,
    TooManyTries: 429,
    Unavailable: 503,
    Fenced: 409,
    Stopped: 409,
}


class Scope(StrEnum):
    """The scopes, without their prefix: those of clients (seed 000, section 4), then those that
    the roles of users give (``identity.users.Permission``)."""

    METADATA_READ = "metadata:read"
    DATA_READ = "data:read"
    JOBS_MANAGE = "jobs:manage"
    TEMPLATES_READ = "templates:read"
    SERVICES_MANAGE = "services:manage"
    CONSENTS_MANAGE = "consents:manage"
    STATISTICS_READ = "statistics:read"
    DATA_EXCHANGE = "dataexchange"
    """The access restriction "dataexchange IP" (seed 001)."""
    CREATE_AND_EXPORT = "datasetoperation:createandexport"
    """The access restriction "datasetoperation createandexport API" (seed 001)."""
    PROFILES_READ = "profiles:read"
    PROFILES_WRITE = "profiles:write"

    @property
    def full(self) -> str:
        """As it stands in a token."""
        return f"{settings().scope_prefix}:{self}"


@dataclass(frozen=True)
class QueryParameter:
    """A query parameter: a whole number between bounds, or a text whose length is.

    ``pattern`` only tells the shape of a text; a handler that needs it looks itself.
    """

    name: str
    description: str
    type: type = str
    default: Any = None
    minimum: int | None = None
    maximum: int | None = None
    pattern: str | None = None
    many: bool = False
    """May it stand several times, and with several values each, divided by commas: a tuple."""
    needed: bool = False

    def read(self, text: str) -> Any:
        """The value. Raises ValidationFailed."""
        if self.type is str:
            self._check(len(text), "must have this many characters:")
            return text
        try:
            number = int(text) if text.isascii() and text.isdigit() else None
        except ValueError:  # more digits than Python converts
            number = None
        self._check(number, "must be a whole number,")
        return number

    def _check(self, number: int | None, wanted: str) -> None:
        low, high = self.minimum or 0, self.maximum
        if number is None or number < low or (high is not None and number > high):
            raise ValidationFailed(
                "A query parameter is wrong.",
                [{"field": self.name, "message": f"{wanted} {low} to {high}"}],
            )


@dataclass(frozen=True)
class Call:
    """One request, as a handler sees it."""

    caller: Caller | None
    path: Mapping[str, str]
    query: Mapping[str, Any]
    headers: Mapping[str, str]
    body: Any
    raw_body: bytes
    context: Mapping[str, Any]
    all_headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    resource: str = ""
    """The path as the route has it, with its parameters' names: one function may serve several."""

    def every(self, header: str) -> tuple[str, ...]:
        """Every value of a header, by its name in small letters, as often as it was sent."""
        return self.all_headers.get(header, ())

    @property
    def base_url(self) -> str:
        """The URL that the paths of links are appended to."""
        return settings().base_url(self.context)

    @property
    def source_ip(self) -> str:
        """The address that API Gateway saw; never one that a header claims."""
        return str(self.context.get("identity", {}).get("sourceIp", ""))

    @property
    def known_caller(self) -> Caller:
        """The caller of a route that needs one."""
        if self.caller is None:
            raise NotAuthenticated("This call needs an access token.")
        return self.caller

    @property
    def idempotency_key(self) -> str | None:
        """The caller's Idempotency-Key, if it sent one. Raises InvalidRequest."""
        key = self.headers.get("idempotency-key")
        if key is not None and not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
            raise InvalidRequest("The Idempotency-Key must have 1 to 255 printable characters.")
        return key


@dataclass(frozen=True)
class Reply:
    """What a handler answers. ``body``: bytes, a view (dataclass), plain JSON, or nothing."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    caller: Caller | None = None
    """Who turned out to call, of a route that takes anybody; for the audit trail."""
    concerns: Mapping[str, str] = field(default_factory=dict)
    """The ids of what came to be by the call, by what they are ids of; for the audit trail."""
    action: Action | None = None
    """What the audit trail calls it, if that is not what it calls all of the route's."""


@dataclass(frozen=True)
class Route:
    """One method on one path: what it needs, what it answers, and how the docs describe it.

    ``body`` is a JSON body that is read and checked; ``form`` only tells the shape of a form that
    the handler reads itself. Of a route with both, the Content-Type says which one comes.
    ``other_types``: by status, what a reply may be instead, as its request's Accept prefers.
    ``request_headers`` and, by status, ``reply_headers`` say what a header is for. ``action``:
    what the audit trail calls it; None if it has no place there.
    """

    method: str
    path: str
    summary: str
    scope: Scope | None = None
    tag: str = "exports"
    query: tuple[QueryParameter, ...] = ()
    body: type | None = None
    form: type | None = None
    replies: Mapping[int, Any] = field(default_factory=dict)
    reply_headers: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    errors: tuple[type[HeadraceError], ...] = ()
    aliases: tuple[str, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)
    request_headers: Mapping[str, str] = field(default_factory=dict)
    content_types: Mapping[int, str] = field(default_factory=dict)
    other_types: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    action: Action | None = None
    form_type: str = "application/x-www-form-urlencoded"
    most_bytes: int = MAX_BODY_BYTES
    """The largest body that it takes."""
    too_large: str = "The body may have 1 MiB at most."
    """What a caller with a larger one is told."""
    names_in_any_case: bool = False
    """Are the names of query parameters read whatever their case is, as ASP.NET does (seed 004)."""
    body_types: tuple[str, ...] = ("application/json",)
    """The content types that a JSON body is described with; it is read whatever it says it is."""
    lines: type | None = None
    """What each line of a body is (NDJSON), which the handler reads itself."""
    told_by_field: bool = False
    """Are wrong values answered with 400 and by their fields' names, as seed 004's API does it."""
    only_named: bool = False
    """Is a query refused that gives parameters which the route does not name."""

    def __call__(self, function: Callable[[Call], Reply]) -> "Endpoint":
        """Makes the function the handler of this route."""
        return Endpoint(self, function)


@dataclass(frozen=True)
class Endpoint:
    """A Lambda handler: an API Gateway proxy event in, a proxy reply out, whatever happens."""

    route: Route
    function: Callable[[Call], Reply]

    def __call__(self, event: Mapping[str, Any], context: object) -> dict[str, Any]:
        """Answers the event. Never raises."""
        correlation_id = str(event.get("requestContext", {}).get("requestId", ""))
        logger().set_correlation_id(correlation_id)
        try:
            call = self.call(event)
            reply = self.function(call)
            self._record(call, reply, correlation_id)
        except HeadraceError as error:
            told = self._told(error)
            logger().info("refused", extra={"code": told.code, "route": self.route.path})
            self._measure(event, told)
            reply = problem(told, correlation_id)
        except Exception:
            logger().exception("failed", extra={"route": self.route.path})
            metrics.emit({metrics.ERRORS: 1}, product=self._product)
            reply = problem(
                HeadraceError(
                    "The request failed on our side. Try again; if it fails again, "
                    "report the correlation id."
                ),
                correlation_id,
            )
        if reply.status >= 400:
            self._note(event, reply, correlation_id)
        return rendered(reply, correlation_id)

    def _told(self, error: HeadraceError) -> HeadraceError:
        if self.route.told_by_field and isinstance(error, ValidationFailed):
            return FieldsInvalid.of(error)
        return error

    @property
    def _product(self) -> str:
        return self.function.__module__.partition(".")[0]

    def _measure(self, event: Mapping[str, Any], error: HeadraceError) -> None:
        if not isinstance(error, QuotaExhausted):
            return
        caller = known_caller(event.get("requestContext") or {})
        metrics.emit(
            {metrics.QUOTA_REFUSALS: 1},
            product=self._product,
            tenant=caller.tenant if caller is not None else None,
        )

    def _record(self, call: Call, reply: Reply, correlation_id: str) -> None:
        """Raises Unavailable: then the caller does not get what nobody would know it got."""
        caller = reply.caller or call.caller
        if self.route.action is None or caller is None or reply.status >= 400:
            return
        from headrace.runtime import auditing  # noqa: PLC0415 — only where there is an action

        auditing.record_event()(
            Event(
                at=auditing.now(),
                action=reply.action or self.route.action,
                tenant=caller.tenant,
                service=call.path.get("serviceId", caller.client_id),
                correlation_id=correlation_id,
                user=caller.user,
                organisation=caller.organisation,
                credential=caller.credential,
                concerns={**_ids(call.path), **reply.concerns},
            )
        )

    def _note(self, event: Mapping[str, Any], reply: Reply, correlation_id: str) -> None:
        """Of programs that are known only: whoever is not must not fill the list of another."""
        caller = reply.caller or known_caller(event.get("requestContext") or {})
        if caller is None or caller.user is not None:
            return
        from headrace.runtime import auditing  # noqa: PLC0415 — only where something fails

        document = reply.body if isinstance(reply.body, Mapping) else {}
        auditing.note(
            Failing(
                at=auditing.now(),
                action=Action.FAILURE if reply.status < 500 else Action.ERROR,
                service=caller.client_id,
                what=f"{self.route.method} {self.route.path}",
                status=reply.status,
                code=str(document.get("code") or document.get("error") or ""),
                correlation_id=correlation_id,
                credential=caller.credential,
            )
        )

    def call(self, event: Mapping[str, Any]) -> Call:
        """The request in the event, checked. Raises HeadraceError."""
        context = event.get("requestContext") or {}
        headers = {k.lower(): v for k, v in (event.get("headers") or {}).items()}
        caller = caller_of(context) if self.route.scope is not None else None
        if caller is not None and self.route.scope is not None:
            caller.check_scope(self.route.scope.full)
        raw_body = body_of(event, self.route.most_bytes, self.route.too_large)
        return Call(
            caller=caller,
            path=event.get("pathParameters") or {},
            query=self._query(event),
            headers=headers,
            body=self._body(raw_body, headers.get("content-type", "")),
            raw_body=raw_body,
            context=context,
            all_headers=_all_headers(event.get("multiValueHeaders") or {}),
            resource=str(event.get("resource") or ""),
        )

    def _query(self, event: Mapping[str, Any]) -> dict[str, Any]:
        given = event.get("multiValueQueryStringParameters") or {}
        values: dict[str, Any] = {}
        if self.route.only_named:
            self._check_names(given)
        sent = {one.name: self._given(given, one.name) for one in self.route.query}
        if left_out := [one.name for one in self.route.query if one.needed and not sent[one.name]]:
            raise ValidationFailed(
                "A query parameter is wrong.",
                [{"field": name, "message": "is needed"} for name in left_out],
            )
        for parameter in self.route.query:
            texts = sent[parameter.name]
            if parameter.many:
                each = (one for text in texts for one in text.split(",") if one)
                values[parameter.name] = tuple(parameter.read(one) for one in each)
                continue
            if len(texts) > 1:
                raise InvalidRequest(f"The query gives {parameter.name} more than once.")
            values[parameter.name] = parameter.read(texts[0]) if texts else parameter.default
        return values

    def _check_names(self, given: Mapping[str, list[str]]) -> None:
        """Raises InvalidRequest, which names those there are."""
        names, sent = [one.name for one in self.route.query], set(given)
        known = set(names)
        if self.route.names_in_any_case:
            known, sent = {one.lower() for one in known}, {one.lower() for one in sent}
        if sent - known:
            raise InvalidRequest(
                "The query gives parameters that this route does not have; it has "
                f"{', '.join(names)}."
            )

    def _given(self, given: Mapping[str, list[str]], name: str) -> list[str]:
        if not self.route.names_in_any_case:
            return given.get(name) or []
        alike = (texts for one, texts in given.items() if one.lower() == name.lower())
        return [text for texts in alike for text in texts]

    def _body(self, raw: bytes, content_type: str) -> Any:
        if self.route.body is None:
            return None
        if self.route.form is not None and content_type.lower().startswith(self.route.form_type):
            return None
        return checked(self.route.body, json_object(raw))


def _all_headers(sent: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    """By their names in small letters: two that differ in case only are one header, sent twice."""
    every: dict[str, tuple[str, ...]] = {}
    for name, values in sent.items():
        every[name.lower()] = (*every.get(name.lower(), ()), *values)
    return every


def checked[T](kind: type[T], values: Mapping[str, Any]) -> T:
    """The values as this type. Raises ValidationFailed, which names what is wrong: the first
    ``_MOST_TOLD``, as a body of 1 MiB may have more in it than an answer of Lambda's holds."""
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 — slow to import

    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise ValidationFailed(
            "The body has values that are wrong; see errors.",
            [
                {
                    "field": ".".join(str(step) for step in e["loc"]),
                    # What a check of ours says stands behind these words of pydantic's.
                    "message": e["msg"].removeprefix("Value error, "),
                }
                for e in error.errors(include_input=False, include_url=False)[:_MOST_TOLD]
            ],
        ) from None


def caller_of(context: Mapping[str, Any]) -> Caller:
    """The caller that the authorizer established.

    Raises NotAuthenticated, NetworkNotAllowed, OrganisationNotAllowed, TooManyTries, Unavailable.
    """
    facts = context.get("authorizer") or {}
    if facts.get("refusal") == NetworkNotAllowed.code:
        raise NetworkNotAllowed("The client may not call from this network.")
    if facts.get("refusal") == OrganisationNotAllowed.code:
        raise OrganisationNotAllowed("The caller may not act on behalf of this organisation.")
    if facts.get("refusal") == TooManyTries.code:
        raise TooManyTries(
            "Too many tries; wait, and then try again.",
            retry_after=int(facts.get("retry_after", "1")),
        )
    if facts.get("refusal") == Unavailable.code:
        raise Unavailable("The token cannot be checked now; try again.", retry_after=5)
    if not facts.get("tenant") or not facts.get("client_id"):
        raise NotAuthenticated("This call needs an access token.")
    return Caller(
        tenant=facts["tenant"],
        client_id=facts["client_id"],
        scopes=frozenset(str(facts.get("scopes", "")).split()),
        user=facts.get("user"),
        organisation=facts.get("organisation"),
        credential=facts.get("credential"),
    )


def known_caller(context: Mapping[str, Any]) -> Caller | None:
    """The caller, or None where the authorizer established none."""
    try:
        return caller_of(context)
    except HeadraceError:
        return None


def _ids(path: Mapping[str, str]) -> dict[str, str]:
    """What the path names, beside the service that has a place of its own."""
    return {name: value for name, value in path.items() if name != "serviceId"}


def body_of(event: Mapping[str, Any], most_bytes: int, too_large: str) -> bytes:
    """The body's bytes. Raises BodyTooLarge, InvalidRequest."""
    text = event.get("body") or ""
    if len(text) > most_bytes * 4 // 3 + 4:
        raise BodyTooLarge(too_large)
    try:
        raw = base64.b64decode(text) if event.get("isBase64Encoded") else text.encode()
    except ValueError:
        raise InvalidRequest("The body cannot be decoded.") from None
    if len(raw) > most_bytes:
        raise BodyTooLarge(too_large)
    return raw


def json_object(raw: bytes) -> dict[str, Any]:
    """The body as a JSON object; no body is an empty one.

    The seed's field names begin with a capital letter (``ConfigurationId``), ours with a small
    one: both are read. Raises InvalidRequest.
    """
    if not raw.strip():
        return {}
    try:
        value = json.loads(raw, object_pairs_hook=_pairs, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is not JSON in UTF-8.") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return {name[:1].lower() + name[1:]: item for name, item in value.items()}


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name[:1].lower() + name[1:] for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("a field is given twice")
    return dict(pairs)


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def form(raw: bytes) -> dict[str, str]:
    """The fields of a form-encoded body. Raises InvalidRequest if one is given twice."""
    try:
        pairs = parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise InvalidRequest("The body is not form-encoded UTF-8.") from None
    if len({name for name, _ in pairs}) != len(pairs):
        raise InvalidRequest("A field is given twice.")
    return dict(pairs)


def status_of(error: type[HeadraceError]) -> int:
    """The HTTP status of an error: that of the nearest class that has one, else 500."""
    for ancestor in error.__mro__:
        if ancestor in STATUSES:
            return STATUSES[ancestor]
    return 500


def problem(error: HeadraceError, correlation_id: str) -> Reply:
    """The error as a problem document (RFC 9457)."""
    status = status_of(type(error))
    headers = {"Cache-Control": "no-store"}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="headrace"'
    if error.code == "insufficient_scope":
        scope = error.members.get("requiredScope", "")
        headers["WWW-Authenticate"] = (
            f'Bearer realm="headrace", error="insufficient_scope", scope="{scope}"'
        )
    if isinstance(error, (NonceNeeded, RefreshRefused)) and error.nonce is not None:
        headers["DPoP-Nonce"] = error.nonce
    if allowed := error.members.get("allow"):
        headers["Allow"] = allowed
    document = {
        "type": f"urn:headrace:problem:{error.code}",
        "title": error.title,
        "status": status,
        "detail": error.detail,
        "code": error.code,
        "correlationId": correlation_id,
        **as_json(error.members),
    }
    return Reply(status, document, headers, "application/problem+json")


def rendered(reply: Reply, correlation_id: str) -> dict[str, Any]:
    """The reply in the form that API Gateway's proxy integration wants."""
    headers = {
        "X-Correlation-Id": correlation_id,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        **reply.headers,
    }
    if reply.body is None:
        return {"statusCode": reply.status, "headers": headers, "body": ""}
    headers["Content-Type"] = reply.content_type
    if isinstance(reply.body, bytes):
        return {
            "statusCode": reply.status,
            "headers": headers,
            "body": base64.b64encode(reply.body).decode(),
            "isBase64Encoded": True,
        }
    text = (
        reply.body
        if isinstance(reply.body, str)
        else json.dumps(as_json(reply.body), ensure_ascii=False, separators=(",", ":"))
    )
    return {"statusCode": reply.status, "headers": headers, "body": text}
