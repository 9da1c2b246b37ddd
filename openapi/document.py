"""The OpenAPI 3.1 document, made of the routes alone."""

import inspect
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from headrace.datasets.environments import VERSION
from headrace.datasets.model import CODE
from headrace.exports.model import Status
from headrace.identity.model import CLIENT_ID
from headrace.kernel import errors, ids
from headrace.kernel.errors import HeadraceError
from headrace.runtime.api import QueryParameter, Route, Scope
from openapi import examples, problems
from openapi.routes import ROOT, Declared, served
from openapi.schemas import Schemas, markdown
from reference import assets
from reference.document import EXAMPLE_SCOPE_PREFIX, EXAMPLE_URL

PRODUCTS: Mapping[str, str] = {
    "identity": "Access tokens, and what is needed to verify them.",
    "consents": "Whose data you may see: accounts that share with a service or an organisation.",
    "exports": "What you may export, and exporting it.",
    "templates": "Templates that the operator has activated for you, page by page.",
    "profiles": "Persons whom you push into a tenant, and the groups that they are seen by.",
    "datasets": "Configuration that is carried between the environments of an application.",
    "audit": "What a service did, for those who manage it.",
    "reference": "This description.",
}
"""The products that have routes, in the order in which an integrator meets them."""

SCHEME, BASIC = "clientCredentials", "basic"
BY_BASIC = (Scope.DATA_EXCHANGE, Scope.CREATE_AND_EXPORT)
"""The scopes that a name and a password with each call give."""
_BASIC = {
    "type": "http",
    "scheme": "basic",
    "description": "For calls between environments: a user's name and password, or a client's id "
    "and secret, with each call.",
}

SCOPES: Mapping[Scope, str] = {
    Scope.METADATA_READ: "See which tables and fields you may export",
    Scope.DATA_READ: "Download documents and their manifests",
    Scope.JOBS_MANAGE: "Start, watch, retry, cancel and delete exports",
    Scope.TEMPLATES_READ: "Export templates through the API (persons who log in)",
    Scope.SERVICES_MANAGE: "Manage services and their keys (persons who log in)",
    Scope.CONSENTS_MANAGE: "Manage consents (services their own; persons who log in)",
    Scope.STATISTICS_READ: "Read services' statistics (persons who log in)",
    Scope.DATA_EXCHANGE: "Create, build, download and import data sets (dataexchange IP)",
    Scope.CREATE_AND_EXPORT: "Create and build full data sets in one call",
    Scope.PROFILES_READ: "Find profiles, and see groups and tenants",
    Scope.PROFILES_WRITE: "Import profiles, and assign them to groups",
}

_DESCRIPTION = """\
Headrace hands out, in bulk, the tables that you are entitled to.

Get a token, see what there is, start an export, ask how it stands until it has succeeded, and \
download one document for each table. Every error is a problem document (RFC 9457) with a stable \
`code`; every reply has an `X-Correlation-Id` by which we find it in our logs. Clients should \
ignore fields that they do not know.
"""

_PATH_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "operationId": {
        "description": "The operation, as the reply to its start named it",
        "schema": {"type": "string", "pattern": f"^{ids.OPERATION_ID.pattern}$"},
        "example": problems.OPERATION_ID,
    },
    "jobId": {
        "description": "The job, as its operation's status names it",
        "schema": {"type": "string", "pattern": f"^{ids.JOB_ID.pattern}$"},
        "example": examples.JOB_ID,
    },
    "serviceId": {
        "description": "The service, by its client id",
        "schema": {"type": "string", "pattern": f"^{CLIENT_ID.pattern}$"},
        "example": "wellness-app",
    },
    "profileId": {
        "description": "The profile, by our id of it",
        "schema": {"type": "string", "format": "uuid"},
        "example": examples.PROFILE_ID,
    },
    "groupId": {
        "description": "The group, by our id",
        "schema": {"type": "string", "format": "uuid"},
        "example": examples.GROUP_ID,
    },
    "tenantId": {
        "description": "The tenant, by its organisation id",
        "schema": {"type": "string", "format": "uuid"},
        "example": examples.ORGANISATION_ID,
    },
    "account": {
        "description": "The account, by the id that the data has of it",
        "schema": {"type": "string", "pattern": "^[!-$&-~]{1,128}$"},
        "example": "acc-1042",
    },
    "token": {
        "description": "What the link ends with",
        "schema": {"type": "string", "maxLength": 256},
        "example": "1rXGS7bVQ8u0mXkqkz0hJ4m3Jc0o2bq8n0dQyq5m7hE",
    },
    "keyId": {
        "description": "The API key, as the list names it",
        "schema": {"type": "string", "pattern": f"^{ids.OPERATION_ID.pattern}$"},
        "example": problems.OPERATION_ID,
    },
    "dataSetDefinitionCode": {
        "description": "The data set definition, by its code",
        "schema": {"type": "string", "minLength": 1, "maxLength": 100},
        "example": "CLAIMS_CONFIGURATION",
    },
    "dataSetVersion": {
        "description": "The version of the application that is to take the data sets",
        "schema": {"type": "string", "pattern": f"^{VERSION.pattern}$"},
        "example": "4.24.1.0.0",
    },
    "dataSetCode": {
        "description": "The data set",
        "schema": {"type": "string", "pattern": f"^{CODE.pattern}$"},
        "example": "TEST_321",
    },
    "dataSetId": {
        "description": "The data set, by its id",
        "schema": {"type": "string", "pattern": f"^{ids.OPERATION_ID.pattern}$"},
        "example": problems.OPERATION_ID,
    },
    "dataSetProcessId": {
        "description": "The process, as the reply to its start named it",
        "schema": {"type": "string", "pattern": f"^{ids.OPERATION_ID.pattern}$"},
        "example": problems.OPERATION_ID,
    },
    "templateId": {
        "description": "The template, by the id that the operator gave you",
        "schema": {"type": "string", "minLength": 1, "maxLength": 64},
        "example": "persons",
    },
    "asset": {
        "description": "The file",
        "schema": {"type": "string", "enum": list(assets.NAMES)},
        "example": "docs.css",
    },
}

_REQUEST_HEADERS: Mapping[str, Mapping[str, Any]] = {
    "Idempotency-Key": {
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "pattern": "^[!-~]([ -~]*[!-~])?$",
        },
        "example": "2026-11-23-nightly",
    },
    "DPoP": {"schema": {"type": "string", "maxLength": 4096}},
}

_HEADERS: Mapping[str, Mapping[str, Any]] = {
    "X-Correlation-Id": {
        "description": "Names the request in our logs.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "The seconds after which it may work.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "What is asked for (RFC 6750 section 3).",
        "schema": {"type": "string"},
    },
}

_HEADER_SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "Location": {"required": True, "schema": {"type": "string", "format": "uri"}},
    "Retry-After": {"schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"schema": {"type": "string"}},
    "DPoP-Nonce": {"schema": {"type": "string"}},
    "Link": {"schema": {"type": "string"}},
    "X-Total-Count": {"schema": {"type": "integer", "minimum": 0}},
    "Content-Disposition": {"required": True, "schema": {"type": "string"}},
    "ETag": {"required": True, "schema": {"type": "string"}},
    "Cache-Control": {"required": True, "schema": {"type": "string"}},
}

_PHRASES = {
    200: "The file.",
    204: "Done; there is nothing to say.",
    303: "The document is at `Location`.",
    304: "You have it already.",
    410: "The link does not work any more.",
}
"""What replies say that have no schema of their own to say it."""


def build() -> dict[str, Any]:
    """The document."""
    routes = sorted(served(), key=lambda one: (list(PRODUCTS).index(one.product), one.route.path))
    schemas = Schemas.of(_taken(routes), _answered(routes))
    # Nobody sees a deleted operation: it is 404 from then on.
    schemas.shared["Status"]["enum"].remove(Status.DELETED)
    refusals = problems.Responses()
    paths: dict[str, dict[str, Any]] = {}
    for one in routes:
        for path in one.paths:
            described = _operation(one, path, schemas)
            for status, refusal in refusals.of(raised(one)).items():
                own = described["responses"].setdefault(status, refusal)
                if own is not refusal:
                    # An error of a protocol, and a problem of ours: they differ in their type.
                    own["content"] = own.get("content", {}) | refusals.content(refusal)
            paths.setdefault(path, {})[one.route.method.lower()] = described
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Headrace API",
            "version": _version(),
            "summary": "Bulk data, from the systems that hold it to those entitled to it",
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": EXAMPLE_URL, "description": "This deployment"}],
        "tags": [{"name": product, "description": text} for product, text in PRODUCTS.items()],
        "paths": paths,
        "components": {
            "schemas": {**schemas.shared, "Problem": problems.PROBLEM},
            "responses": dict(sorted(refusals.named.items())),
            "headers": {name: dict(header) for name, header in _HEADERS.items()},
            "securitySchemes": {SCHEME: _security_scheme(), BASIC: _BASIC},
        },
    }
    plain: dict[str, Any] = json.loads(json.dumps(document))  # enumerations become their values
    return plain


def _version() -> str:
    project = tomllib.loads((ROOT / "layers/core/pyproject.toml").read_text(encoding="utf-8"))
    version: str = project["project"]["version"]
    return version


def _taken(routes: Iterable[Declared]) -> list[type]:
    found = (kind for one in routes for kind in _bodies(one.route).values())
    return list(dict.fromkeys(kind for kind in found if kind is not None))


def _bodies(route: Route) -> dict[str, type | None]:
    """What bodies are, by their content type."""
    return {
        **dict.fromkeys(route.body_types, route.body),
        route.form_type: route.form,
        "application/x-ndjson": route.lines,
    }


def _answered(routes: Iterable[Declared]) -> list[type]:
    found = (kind for one in routes for kind in one.route.replies.values())
    return list(dict.fromkeys(kind for kind in found if kind not in {None, dict, str, bytes}))


def _security_scheme() -> dict[str, Any]:
    return {
        "type": "oauth2",
        "description": "A client's id and secret give a token that lasts an hour.",
        "flows": {
            "clientCredentials": {
                "tokenUrl": f"{EXAMPLE_URL}/connect/token",
                "scopes": {full_name(scope): SCOPES[scope] for scope in Scope},
            }
        },
    }


def security(scope: Scope | None) -> list[dict[str, list[str]]]:
    """Who may call a route that needs this scope: one of these is enough."""
    if scope is None:
        return []
    by_token = {SCHEME: [full_name(scope)]}
    return [by_token, {BASIC: []}] if scope in BY_BASIC else [by_token]


def full_name(scope: Scope) -> str:
    """The scope as it stands in a token of the example."""
    return f"{EXAMPLE_SCOPE_PREFIX}:{scope}"


def _operation(one: Declared, path: str, schemas: Schemas) -> dict[str, Any]:
    route = one.route
    is_alias = path in route.aliases
    described: dict[str, Any] = {
        "operationId": one.name_at(path),
        "tags": [one.product],
        "summary": route.summary,
        "description": markdown(inspect.getdoc(one.endpoint.function) or ""),
        "security": security(route.scope),
    }
    if is_alias:
        described["description"] = f"The same as `{route.method} {route.path}`."
        described["deprecated"] = True
    parameters = [
        *({"name": name, "in": "path", "required": True, **_PATH_PARAMETERS[name]}
          for name in re.findall(r"{(\w+)}", path)),
        *(_query(parameter) for parameter in route.query),
        *({"name": name, "in": "header", "description": text, **_REQUEST_HEADERS[name]}
          for name, text in route.request_headers.items()),
    ]  # fmt: skip
    if parameters:
        described["parameters"] = parameters
    if body := _request_body(one, schemas):
        described["requestBody"] = body
    described["responses"] = {str(status): _reply(one, status, schemas) for status in route.replies}
    return described


def _query(parameter: QueryParameter) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "string",
        "minLength": parameter.minimum,
        "maxLength": parameter.maximum,
        "pattern": f"^{parameter.pattern}$" if parameter.pattern else None,
    }
    if parameter.type is int:
        schema = {
            "type": "integer",
            "minimum": parameter.minimum or 0,
            "maximum": parameter.maximum,
        }
    if parameter.many:
        items = {name: value for name, value in schema.items() if value is not None}
        schema = {"type": "array", "items": items}
    if parameter.default is not None:
        schema["default"] = parameter.default
    return {
        "name": parameter.name,
        "in": "query",
        **({"required": True} if parameter.needed else {}),
        "description": parameter.description,
        "schema": {name: value for name, value in schema.items() if value is not None},
    }


def _request_body(one: Declared, schemas: Schemas) -> dict[str, Any] | None:
    route = one.route
    taken = {kind: what for kind, what in _bodies(route).items() if what is not None}
    if not taken:
        return None
    content: dict[str, Any] = {
        content_type: {"schema": schemas.by_type[kind]} for content_type, kind in taken.items()
    }
    # Of a route with both, a form is what a file is in: no example shows that.
    next(iter(content.values()))["example"] = dict(examples.REQUESTS[one.name])
    required = any(schemas.needs_a_value(kind) for kind in taken.values())
    return {"required": required, "content": content}


def _reply(one: Declared, status: int, schemas: Schemas) -> dict[str, Any]:
    route = one.route
    headers: dict[str, Any] = {
        name: {"description": text, **_HEADER_SCHEMAS[name]}
        for name, text in route.reply_headers.get(status, {}).items()
    }
    headers["X-Correlation-Id"] = {"$ref": "#/components/headers/X-Correlation-Id"}
    kind = route.replies[status]
    said = schemas.description(kind) or _PHRASES[status]
    described: dict[str, Any] = {"description": said, "headers": headers}
    if kind is not None:
        content_type = route.content_types.get(status, "application/json")
        described["content"] = {content_type: _content(one, status, kind, schemas)}
        for other in route.other_types.get(status, ()):
            described["content"][other] = {"schema": {"type": "string"}}
    return described


def _content(one: Declared, status: int, kind: type, schemas: Schemas) -> dict[str, Any]:
    if kind is dict:
        return {"schema": {"type": "object"}}
    if kind is str:
        return {"schema": {"type": "string"}}
    if kind is bytes:
        return {"schema": {"type": "string", "format": "binary"}}
    return {
        "schema": schemas.by_type[kind],
        "example": examples.reply(one.name, status),
    }


def raised(one: Declared) -> tuple[type[HeadraceError], ...]:
    """The errors that a call of the route may lead to: its own, and those of what it uses."""
    route = one.route
    kinds = list(route.errors)
    if route.scope is not None:
        kinds += [
            errors.NotAuthenticated,
            errors.InsufficientScope,
            errors.NetworkNotAllowed,
            errors.OrganisationNotAllowed,
            errors.Unavailable,  # the tables may be busy
        ]
    if route.query or route.body or "Idempotency-Key" in route.request_headers:
        kinds.append(errors.InvalidRequest)
    if route.body or route.query:
        kinds.append(errors.ValidationFailed)
    if route.told_by_field:
        told = errors.FieldsInvalid
        kinds = [told if issubclass(one, errors.ValidationFailed) else one for one in kinds]
    if route.method in {"POST", "PUT", "PATCH", "DELETE"}:
        kinds.append(errors.BodyTooLarge)
    kinds += [problems.Throttled, HeadraceError]
    return tuple(dict.fromkeys(kinds))
