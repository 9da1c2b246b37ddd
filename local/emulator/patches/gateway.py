"""The API: what its definition says, what it answers, what it logs."""

from local.emulator.sources import Patch

_API = "ministack.services.apigateway_v1"

PATCHES = (
    Patch(
        _API,
        "gateway responses in the API's body (SAM's GatewayResponses) are imported with it",
        old="""\
    scheme_map = _import_security_schemes(api_id, spec)
    default_security = spec.get("security")
""",
        new="""\
    scheme_map = _import_security_schemes(api_id, spec)
    for response_type, response in (spec.get("x-amazon-apigateway-gateway-responses") or {}).items():
        status, _headers, problem = _put_gateway_response(api_id, response_type, response)
        if status >= 400:
            raise ValueError(f"gateway response {response_type}: {problem!r}")
    default_security = spec.get("security")
""",  # noqa: E501
    ),
    Patch(
        _API,
        "ANY methods of the API's body are imported",
        old="""\
        if method.lower() in _OPENAPI_HTTP_METHODS:
            _import_operation(api_id, resource_id, method.upper(), operation,
                              scheme_map, default_security)
""",
        new="""\
        if method.lower() == "x-amazon-apigateway-any-method":
            method = "ANY"
        if method == "ANY" or method.lower() in _OPENAPI_HTTP_METHODS:
            _import_operation(api_id, resource_id, method.upper(), operation,
                              scheme_map, default_security)
""",
    ),
    Patch(
        _API,
        "a function that fails gives the gateway response of 5xx, and none of its error's words",
        old="""\
    lambda_response, err = _lambda_proxy_response(result)
    if err:
        return 502, {"Content-Type": "application/json"}, json.dumps({"message": err}).encode()

    status = lambda_response.get("statusCode", 200)
""",
        new="""\
    lambda_response, err = _lambda_proxy_response(result)
    if err:
        error = _gw_error("DEFAULT_5XX", "Internal server error")
        error.status = 502
        return error

    status = lambda_response.get("statusCode", 200)
""",
    ),
    Patch(
        _API,
        "the status of a function that fails",
        old="""\
    status = response.get("statusCode") or (403 if response_type == "DEFAULT_4XX" else 500)
""",
        new="""\
    status = response.get("statusCode") or getattr(error, "status", None) or (
        403 if response_type == "DEFAULT_4XX" else 500)
""",
    ),
    Patch(
        _API,
        "a policy's * stands for line breaks in a path too",
        old="""\
    return re.match(regex, arn) is not None
""",
        new="""\
    return re.match(regex, arn, re.DOTALL) is not None
""",
    ),
    Patch(
        _API,
        "a denial's gateway response sees what the authorizer said",
        old="""\
    decision = _evaluate_policy(policy_doc, method_arn)
    if decision != "Allow":
        return _deny_error(decision == "Deny"), None
    return None, auth_ctx
""",
        new="""\
    decision = _evaluate_policy(policy_doc, method_arn)
    if decision != "Allow":
        error = _deny_error(decision == "Deny")
        error.authorizer = auth_ctx
        return error, None
    return None, auth_ctx
""",
    ),
    Patch(
        _API,
        "$context.authorizer.* in the templates of gateway responses",
        old="""\
        # No integration answered, so the status variable renders empty (measured).
        "context.status": "",
    }
""",
        new="""\
        # No integration answered, so the status variable renders empty (measured).
        "context.status": "",
        **{f"context.authorizer.{k}": v for k, v in getattr(error, "authorizer", {}).items()},
    }
""",
    ),
    Patch(
        _API,
        "context.authorizer.* and context.error.* in the headers of gateway responses",
        old="""\
        value = _gateway_request_value(source, request)
        if value is not None:
""",
        new="""\
        value = _gateway_request_value(source, request)
        if source.startswith("context.authorizer."):
            value = getattr(error, "authorizer", {}).get(source[len("context.authorizer."):])
        elif source in ("context.error.message", "context.error.responseType"):
            value = error.message if source.endswith("message") else response_type
        if value is not None:
""",
    ),
    Patch(
        _API,
        "one request id for the authorizer, the function, the gateway response and the reply",
        old="""\
        "resource_path": "",
        "request_id": new_uuid(),
    }
    response = await _execute_in_scope(
""",
        new="""\
        "resource_path": "",
        "request_id": new_uuid(),
    }
    _request_id.set(request["request_id"])
    response = await _execute_in_scope(
""",
    ),
    Patch(
        _API,
        "the request id travels with the request",
        old="""\
class _GatewayError:
""",
        new="""\
import contextvars

_request_id = contextvars.ContextVar("request_id")


class _GatewayError:
""",
    ),
    Patch(
        _API,
        "the authorizer gets the request id",
        old="""\
                "resourcePath": resource["path"],
                "httpMethod": method,
                "apiId": api_id,
                "accountId": owner_account_id,
                # Same caller""",
        new="""\
                "resourcePath": resource["path"],
                "httpMethod": method,
                "apiId": api_id,
                "accountId": owner_account_id,
                "requestId": _request_id.get(),
                # Same caller""",
    ),
    Patch(
        _API,
        "the function gets the request id",
        old="""\
    request_time = datetime.datetime.utcnow().strftime("%d/%b/%Y:%H:%M:%S +0000")
    request_id = new_uuid()
""",
        new="""\
    request_time = datetime.datetime.utcnow().strftime("%d/%b/%Y:%H:%M:%S +0000")
    request_id = _request_id.get()
""",
    ),
    Patch(
        _API,
        "media types of a template are told with ~1 for the slash, as SAM wants them",
        old="""\
    for pat in binary_media_types or []:
        pat = pat.strip().lower()
""",
        new="""\
    for pat in binary_media_types or []:
        pat = pat.strip().lower().replace("~1", "/")
""",
    ),
    Patch(
        _API,
        "headers that a REST API renames when a function sets them are renamed here too",
        old="""\
    resp_body = lambda_response.get("body", "")
    # A base64 response body (isBase64Encoded) is decoded to raw bytes only when
""",
        new="""\
    resp_headers = {
        "x-amzn-Remapped-" + k if k.lower() in ("www-authenticate", "date", "connection", "server")
        else k: v for k, v in resp_headers.items()
    }
    resp_headers["x-amzn-requestid"] = _request_id.get()
    resp_body = lambda_response.get("body", "")
    # A base64 response body (isBase64Encoded) is decoded to raw bytes only when
""",
    ),
)
