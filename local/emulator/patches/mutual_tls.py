"""The API's own domain, which asks for client certificates."""

from local.emulator.sources import Patch

_API = "ministack.services.apigateway_v1"
_APP = "ministack.app"
_STACK = "ministack.services.cloudformation.provisioners"

PATCHES = (
    Patch(
        _APP,
        "a disabled default endpoint answers nobody, nor does a domain with mutual TLS without it",
        old="""\
    if parsed is None:
        return None
    api_id, tentative_stage, execute_path = parsed

    # WebSocket @connections""",
        new="""\
    if parsed is None:
        return None
    from local.emulator import front
    front.take(headers)
    refused = 403, {"Content-Type": "application/json"}, b'{"message":"Forbidden"}'
    apis, by_domain = _get_module("apigateway_v1"), _parse_execute_api_url(host, path) is None
    if by_domain:
        domain = apis._domain_names.get_scoped(*apis.find_domain_scope(host.split(":")[0].lower()))
        if domain["mutualTlsAuthentication"] and not front.came_with_certificate():
            return refused
    elif (scope := apis.find_api_scope(parsed[0])) is not None:
        if apis._rest_apis.get_scoped(*scope, parsed[0]).get("disableExecuteApiEndpoint"):
            return refused
    api_id, tentative_stage, execute_path = parsed

    # WebSocket @connections""",
    ),
    Patch(
        _STACK,
        "an API's default endpoint is disabled by its property, or by its body as SAM writes it",
        old="""\
        "minimumCompressionSize": props.get("MinimumCompressionSize"),
        "policy": props.get("Policy"),
        "tags": {t["Key"]: t["Value"] for t in props.get("Tags", [])},
    }
    if props.get("Name"):
""",
        new="""\
        "minimumCompressionSize": props.get("MinimumCompressionSize"),
        "policy": props.get("Policy"),
        "tags": {t["Key"]: t["Value"] for t in props.get("Tags", [])},
    }
    told = [props.get("DisableExecuteApiEndpoint", False)]
    for server in (props.get("Body") or {}).get("servers", []):
        told.append(server.get("x-amazon-apigateway-endpoint-configuration", {}).get("disableExecuteApiEndpoint"))
    data["disableExecuteApiEndpoint"] = any(one in (True, "true") for one in told)
    if props.get("Name"):
""",  # noqa: E501
    ),
    Patch(
        _API,
        "the authorizer gets the certificate of the connection",
        old="""\
                    "userAgent": _header_ci(headers, "user-agent") or "",
                },
            },
        }
""",
        new="""\
                    "userAgent": _header_ci(headers, "user-agent") or "",
                    **_front.identity(),
                },
            },
        }
""",
    ),
    Patch(
        _API,
        "the function gets the certificate of the connection",
        old="""\
                "userAgent": headers.get("user-agent", ""),
            },
            "resourcePath": resource["path"],
""",
        new="""\
                "userAgent": headers.get("user-agent", ""),
                **_front.identity(),
            },
            "resourcePath": resource["path"],
""",
    ),
    Patch(
        _API,
        "where that certificate is",
        old="""\
class _GatewayError:
    \"""",
        new="""\
from local.emulator import front as _front


class _GatewayError:
    \"""",
    ),
)
