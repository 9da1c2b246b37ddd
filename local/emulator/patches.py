"""What Headrace changes in MiniStack 1.5.33, and why; docs/local-platform.md tells it in prose.

Each entry names the very lines that it replaces. Comments in the replacements are ours.
"""

from local.emulator.sources import Patch

VERSION = "1.5.33"

_RUNTIME = "ministack.core.lambda_runtime"
_LAMBDA = "ministack.services.lambda_svc"
_API = "ministack.services.apigateway_v1"
_APP = "ministack.app"
_STATES = "ministack.services.stepfunctions"
_S3 = "ministack.services.s3"
_STACK = "ministack.services.cloudformation.provisioners"

_ACCESS = (
    Patch(
        "ministack.core.iam_evaluator",
        "the dummy keys that our tools and tests use are the account's owner",
        old="""\
        or access_key_id == "test"
""",
        new="""\
        or access_key_id in ("test", "testing", "local")
""",
    ),
    Patch(
        "ministack.app",
        "what comes over the loopback interface counts as secure transport",
        old="""\
                           headers.get("x-forwarded-proto", "").split(",")[0].strip().lower() == "https")
""",  # noqa: E501
        new="""\
                           True)
""",
    ),
    Patch(
        "ministack.app",
        "policies may ask what a key of KMS is used for",
        old="""\
                if service == "s3"
                else None
            )
            if service == "logs":
""",
        new="""\
                if service == "s3"
                else {
                    f"kms:EncryptionContext:{name}": value
                    for name, value in (json.loads(body or b"{}").get("EncryptionContext") or {}).items()
                }
                if service == "kms"
                else None
            )
            if service == "logs":
""",  # noqa: E501
    ),
)

_FUNCTIONS = (
    Patch(
        _RUNTIME,
        "unpack a code package once for each content, not for each worker",
        old="""\
        os.makedirs(code_dir)
        with open(os.path.join(self._tmpdir, "code.zip"), "wb") as f:
            f.write(self.code_zip)
        with zipfile.ZipFile(os.path.join(self._tmpdir, "code.zip")) as zf:
            zf.extractall(code_dir)
""",
        new="""\
        from local.emulator.extracted import extracted
        code_dir = extracted(self.code_zip)
""",
    ),
    Patch(
        _RUNTIME,
        "unpack a layer once for each content, not for each worker",
        old="""\
                    layer_dir = os.path.join(self._tmpdir, f"layer_{len(layers_dirs)}")
                    os.makedirs(layer_dir)
                    lzip = os.path.join(self._tmpdir, f"layer_{len(layers_dirs)}.zip")
                    try:
                        with open(lzip, "wb") as lf:
                            lf.write(layer_data)
                        with zipfile.ZipFile(lzip) as lzf:
                            # Validate paths to prevent zip-slip attacks
                            for member in lzf.namelist():
                                resolved = os.path.realpath(os.path.join(layer_dir, member))
                                if not resolved.startswith(os.path.realpath(layer_dir) + os.sep) and resolved != os.path.realpath(layer_dir):
                                    raise RuntimeError(f"Zip entry escapes target dir: {member}")
                            lzf.extractall(layer_dir)
                    except""",  # noqa: E501
        new="""\
                    try:
                        layer_dir = extracted(layer_data)
                    except""",
    ),
    Patch(
        _RUNTIME,
        "a temporary folder for each worker, as each execution environment has its own",
        old="""\
        spawn_env = {**os.environ, **env_vars}
        # Inject standard""",
        new="""\
        spawn_env = {**os.environ, **env_vars, "TMPDIR": os.path.join(self._tmpdir, "tmp")}
        os.makedirs(spawn_env["TMPDIR"])
        # Inject standard""",
    ),
    Patch(
        _RUNTIME,
        "an error of a handler has its class as errorType and a stack trace, as on AWS",
        old="""\
            _real_stdout.write(json.dumps({"status": "error", "error": str(e), "trace": traceback.format_exc()}) + "\\\\n")
        _real_stdout.flush()
""",  # noqa: E501
        new="""\
            _real_stdout.write(json.dumps({
                "status": "error", "error": str(e), "trace": traceback.format_exc(),
                "type": type(e).__name__, "stack": traceback.format_tb(e.__traceback__)[1:],
            }) + "\\\\n")
        # Ends this invocation's log, so that nobody has to wait whether more will come.
        sys.stderr.write("\\\\0\\\\n")
        sys.stderr.flush()
        _real_stdout.flush()
""",
    ),
    Patch(
        _RUNTIME,
        "a function that cannot be imported says where, in its log",
        old="""\
        _real_stdout.write(json.dumps({"status": "error", "error": str(e)}) + "\\\\n")
        _real_stdout.flush()
        return
""",
        new="""\
        _real_stdout.write(json.dumps({
            "status": "error", "error": f"{type(e).__name__}: {e}", "trace": traceback.format_exc(),
        }) + "\\\\n")
        _real_stdout.flush()
        return
""",
    ),
    Patch(
        _RUNTIME,
        "the trace of a failed import reaches who logs it",
        old="""\
            raise RuntimeError(f"Worker init failed: {response.get('error')}")
""",
        new="""\
            failure = RuntimeError(f"Unable to import the handler: {response.get('error')}")
            failure.trace = response.get("trace", "")
            raise failure
""",
    ),
    Patch(
        _RUNTIME,
        "a handler's error does not end its process, as on AWS",
        old="""\
            if response.get("status") == "error":
                proc, self._proc = self._proc, None
                _signal(proc)
                _collect(proc, time.monotonic() + _REAP_GRACE)
            response["cold_start"] = cold
""",
        new="""\
            if response.get("status") == "error" and "type" not in response:
                proc, self._proc = self._proc, None
                _signal(proc)
                _collect(proc, time.monotonic() + _REAP_GRACE)
            response["cold_start"] = cold
""",
    ),
    Patch(
        _RUNTIME,
        "an invocation's log ends at its end mark, not after 50 ms of silence",
        old="""\
        while True:
            elapsed = time.time() - start
            if elapsed >= hard_cap:
                break
            try:
                lines.append(self._stderr_queue.get_nowait())
                last_received_at = time.time()
            except queue.Empty:
""",
        new="""\
        while True:
            elapsed = time.time() - start
            if elapsed >= hard_cap:
                break
            try:
                line = self._stderr_queue.get_nowait()
                if line.endswith("\\0"):
                    if line != "\\0":
                        lines.append(line[:-1])
                    break
                lines.append(line)
                last_received_at = time.time()
            except queue.Empty:
""",
    ),
    Patch(
        _RUNTIME,
        "a time-out kills at once, as on AWS: no grace in which a late writer could finish",
        old="""\
                proc, self._proc = self._proc, None
                _signal(proc)
                _collect(proc, time.monotonic() + _REAP_GRACE)
                return {
                    "status": "error",
                    "error": f"Task timed out""",
        new="""\
                proc, self._proc = self._proc, None
                proc.kill()
                _collect(proc, time.monotonic() + _REAP_GRACE)
                return {
                    "status": "error",
                    "error": f"Task timed out""",
    ),
    Patch(
        _RUNTIME,
        "at most so many processes of a function; what comes beyond waits instead of being refused",
        old="""\
    with _lock:
        entries = _workers.setdefault(key, [])
        for worker in entries:
            if not worker.in_use:
                worker.in_use = True
                worker.last_used = time.time()
                return worker, "reused"
        if cap and len(entries) >= cap:
            return None, "func_cap"
""",
        new="""\
    with _lock:
        while True:
            entries = _workers.setdefault(key, [])
            for worker in entries:
                if not worker.in_use:
                    worker.in_use = True
                    worker.last_used = time.time()
                    return worker, "reused"
            if not cap or len(entries) < cap:
                break
            _worker_is_free.wait(timeout=1.0)
""",
    ),
    Patch(
        _RUNTIME,
        "the number of processes of one function",
        old="_LOCAL_MAX_WORKERS = 0\n",
        new="""\
_LOCAL_MAX_WORKERS = int(os.environ["HEADRACE_WORKERS"])
_worker_is_free = threading.Condition(_lock)
# Starting is nearly all processor time: more at once than cores only makes each slower.
_starting = threading.BoundedSemaphore(max(2, os.cpu_count() or 2))
""",
    ),
    Patch(
        _RUNTIME,
        "only as many cold starts at once as there are cores",
        old="""\
                self._spawn()
                cold = True
                self._cold = False
            else:
""",
        new="""\
                with _starting:
                    self._spawn()
                cold = True
                self._cold = False
            else:
""",
    ),
    Patch(
        _RUNTIME,
        "a free process wakes who waits for one",
        old="""\
    with _lock:
        worker.in_use = False
""",
        new="""\
    with _lock:
        worker.in_use = False
        # All of them: the one that waits longest may wait for another function's.
        _worker_is_free.notify_all()
""",
    ),
    Patch(
        _LAMBDA,
        "the error's class and stack, and Runtime.ExitError of a process that died, as on AWS",
        old="""\
            error_type = "Runtime.HandlerError"
            if _RIE_TIMEOUT_TEXT_RE.fullmatch(error_msg):
                error_type = "Sandbox.Timedout"
            return {
                "body": {
                    "errorMessage": error_msg,
                    "errorType": error_type,
                },
""",
        new="""\
            error_type = result.get("type") or "Runtime.ExitError"
            if "type" not in result and _RIE_TIMEOUT_TEXT_RE.fullmatch(error_msg):
                error_type = "Sandbox.Timedout"
            return {
                "body": {
                    "errorMessage": error_msg,
                    "errorType": error_type,
                    "requestId": request_id,
                    **({"stackTrace": result["stack"]} if "stack" in result else {}),
                },
""",
    ),
    Patch(
        _LAMBDA,
        "in a log group of several functions, a stream's name has the function's",
        old="""\
        stream_name = f"{now.year:04d}/{now.month:02d}/{now.day:02d}/[{qualifier}]{new_uuid().replace('-', '')}"
        now_ms = int(time.time() * 1000)
""",  # noqa: E501
        new="""\
        shared = fn_name if logging_cfg.get("LogGroup") else ""
        stream_name = f"{now.year:04d}/{now.month:02d}/{now.day:02d}/{shared}[{qualifier}]{new_uuid().replace('-', '')}"
        now_ms = int(time.time() * 1000)
""",  # noqa: E501
    ),
    Patch(
        _LAMBDA,
        "a process that cannot start does not end its siblings in mid-work",
        old="""\
        invalidate_worker(func_name, qualifier=qualifier, account=get_account_id(), region=get_region())
        worker = None  # invalidate_worker already dropped it from the pool
        return {
            "body": {"errorMessage": str(e), "errorType": type(e).__name__},
            "error": True,
            "log": "",
        }
""",  # noqa: E501
        new="""\
        worker.kill()  # it stays in its pool and starts anew at its next invocation
        return {
            "body": {"errorMessage": str(e), "errorType": "Runtime.InitError"},
            "error": True,
            "log": getattr(e, "trace", ""),
        }
""",
    ),
)

_GATEWAY = (
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

_MUTUAL_TLS = (
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

_DEPLOYMENT = (
    Patch(
        _STACK,
        "a changed API definition overwrites the API in place: its id and its stages stay",
        old="""\
        created = _apigw_rest_api_create(logical_id or physical_id, new_props, stack_name)
        _delete_predecessor(_apigw_rest_api_delete, physical_id, old_props)
        return created
""",
        new="""\
        stores = (_apigw_v1._stages_v1, _apigw_v1._deployments_v1, _apigw_v1._deployed_gateway_responses)
        kept = [store.get(physical_id) for store in stores]
        _apigw_rest_api_delete(physical_id, old_props)
        created = _apigw_rest_api_create(logical_id or physical_id, new_props, stack_name)
        for store, value in zip(stores, kept):
            if created[0] == physical_id and value is not None:
                store[physical_id] = value
        return created
""",  # noqa: E501
    ),
)

_WORKFLOW = (
    Patch(
        _STATES,
        "starting a running execution again with the same name and input is the same start",
        old="""\
    if exec_arn in _executions:
        return error_response_json(
            "ExecutionAlreadyExists",
""",
        new="""\
    known = _executions.get(exec_arn)
    if known and known["status"] == "RUNNING" and known["input"] == data.get("input", "{}"):
        return json_response({"executionArn": exec_arn, "startDate": known["startDate"]})
    if exec_arn in _executions:
        return error_response_json(
            "ExecutionAlreadyExists",
""",
    ),
    Patch(
        _STATES,
        "an execution that was stopped stays stopped, whatever its last task does",
        old="""\
def _fail_execution(execution, error, cause):
    execution["status"] = "FAILED"
""",
        new="""\
class _ExecutionOver(_ExecutionError):
    pass  # not an error of the workflow's: nothing retries or catches it


_failed_beside = contextvars.ContextVar("_failed_beside", default=())


def _is_over(execution):
    # A child of a distributed Map is over when the execution that maps is.
    if execution["status"] != "RUNNING" or any(one.is_set() for one in _failed_beside.get()):
        return True
    run = _map_runs.get(execution.get("mapRunArn"))
    parent = _executions.get(run["executionArn"]) if run else None
    return parent is not None and _is_over(parent)


def _fail_execution(execution, error, cause):
    if execution["status"] != "RUNNING":
        return
    execution["status"] = "FAILED"
""",
    ),
    Patch(
        _STATES,
        "no further state of a Map or Parallel starts when the execution is over",
        old="""\
    current_input = copy.deepcopy(input_data)

    while current_name:
        state_def = states.get(current_name)
""",
        new="""\
    current_input = copy.deepcopy(input_data)

    while current_name:
        if _is_over(execution):
            raise _ExecutionOver("States.Aborted", "The execution is over")
        state_def = states.get(current_name)
""",
    ),
    Patch(
        _STATES,
        "neither Retry nor Catch goes on after the execution is over",
        old="""\
        except _ExecutionError as err:
            last_error = err
            _add_event(execution, "TaskFailed", {
""",
        new="""\
        except _ExecutionError as err:
            if _is_over(execution):
                raise _ExecutionOver("States.Aborted", "The execution is over") from err
            last_error = err
            _add_event(execution, "TaskFailed", {
""",
    ),
    Patch(
        _STATES,
        "neither Retry nor Catch of a Map or Parallel goes on after the execution is over",
        old="""\
        try:
            return attempt()
        except _ExecutionError as err:
            retrier, retrier_idx = _find_matching_retrier(
""",
        new="""\
        try:
            return attempt()
        except _ExecutionOver:
            raise
        except _ExecutionError as err:
            retrier, retrier_idx = _find_matching_retrier(
""",
    ),
    Patch(
        _STATES,
        "a distributed Map of an execution that is over does not report failed items",
        old="""\
    failed = sum(1 for f in failures if f is not None)
    limits = []
""",
        new="""\
    if _is_over(execution):
        run.update(status="ABORTED", stopDate=now_iso())
        raise _ExecutionOver("States.Aborted", "The execution is over")
    failed = sum(1 for f in failures if f is not None)
    limits = []
""",
    ),
    Patch(
        _STATES,
        "the first branch of a Parallel that fails ends it; no further state of the others starts",
        old="""\
    threads = [
        threading.Thread(
            target=contextvars.copy_context().run,
            args=(run_branch, i, b),
            daemon=True,
        )
        for i, b in enumerate(branches)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()

    for err in errors:
""",
        new="""\
    import queue

    failed, ended = threading.Event(), queue.SimpleQueue()

    def run_beside(idx, branch):
        _failed_beside.set((*_failed_beside.get(), failed))
        run_branch(idx, branch)
        ended.put(errors[idx])

    for i, b in enumerate(branches):
        threading.Thread(
            target=contextvars.copy_context().run, args=(run_beside, i, b), daemon=True
        ).start()
    for _ in branches:
        err = ended.get()
        if err is not None:
            failed.set()
            raise err if isinstance(err, _ExecutionError) else _ExecutionError(
                "States.BranchFailed", str(err))

    for err in errors:
""",
    ),
    Patch(
        _STATES,
        "the TimeoutSeconds of a whole execution",
        old="""\
    all_states = definition.get("States", {})
    current_name = definition.get("StartAt")
    if not current_name or current_name not in all_states:
        _fail_execution(""",
        new="""\
    if "TimeoutSeconds" in definition:
        def time_out():
            if execution["status"] == "RUNNING":
                execution.update(status="TIMED_OUT", stopDate=now_iso(), error="States.Timeout")
                _add_event(execution, "ExecutionTimedOut", {})
                _emit_execution_status_event(execution)

        timer = threading.Timer(definition["TimeoutSeconds"], contextvars.copy_context().run, [time_out])
        timer.daemon = True
        timer.start()

    all_states = definition.get("States", {})
    current_name = definition.get("StartAt")
    if not current_name or current_name not in all_states:
        _fail_execution(""",  # noqa: E501
    ),
    Patch(
        _STATES,
        "a task's retries wait MaxDelaySeconds at most, with jitter where asked",
        old="""\
                sleep_sec = interval * (backoff ** count)
                _scaled_sleep(min(sleep_sec, 60))
""",
        new="""\
                _scaled_sleep(_retry_delay(retrier, interval * (backoff ** count)))
""",
    ),
    Patch(
        _STATES,
        "a Map's or Parallel's retries do so as well",
        old="""\
                _scaled_sleep(min(interval * (retrier.get("BackoffRate", 2.0) ** count), 60))
""",
        new="""\
                _scaled_sleep(_retry_delay(retrier, interval * (retrier.get("BackoffRate", 2.0) ** count)))
""",  # noqa: E501
    ),
    Patch(
        _STATES,
        "how long a retry waits",
        old="""\
def _find_matching_retrier(retriers, error, retry_counts):
""",
        new="""\
def _retry_delay(retrier, seconds):
    import random

    seconds = min(seconds, retrier.get("MaxDelaySeconds", seconds))
    return random.uniform(0, seconds) if retrier.get("JitterStrategy") == "FULL" else seconds


def _find_matching_retrier(retriers, error, retry_counts):
""",
    ),
)

_OBJECTS = (
    Patch(
        _S3,
        "writing with a KMS key that is disabled or gone is refused",
        old="""\
            out["x-amz-server-side-encryption-aws-kms-key-id"] = kms
        return out, None
""",
        new="""\
            out["x-amz-server-side-encryption-aws-kms-key-id"] = kms
            refusal = _kms_refusal(kms)
            if refusal is not None:
                return None, refusal
        return out, None
""",
    ),
    Patch(
        _S3,
        "reading what a disabled KMS key encrypted is refused",
        old="""\
    obj = bucket["objects"][key]
    sse_gate = _check_sse_read_headers(headers, obj)
    if sse_gate is not None:
        return sse_gate
    restore_phase = _sync_restore(bucket_name, key, obj)
    sc = obj.get("storage_class") or "STANDARD"
    if sc in _ARCHIVE_STORAGE_CLASSES and restore_phase != "restored":
""",
        new="""\
    obj = bucket["objects"][key]
    sse_gate = _check_sse_read_headers(headers, obj)
    if sse_gate is not None:
        return sse_gate
    kms = _stored_sse_headers(obj).get("x-amz-server-side-encryption-aws-kms-key-id")
    refusal = _kms_refusal(kms) if kms else None
    if refusal is not None:
        return refusal
    restore_phase = _sync_restore(bucket_name, key, obj)
    sc = obj.get("storage_class") or "STANDARD"
    if sc in _ARCHIVE_STORAGE_CLASSES and restore_phase != "restored":
""",
    ),
    Patch(
        _S3,
        "a range is read from its place in the file, not cut out of the whole object",
        old="""\
        slice_body = body[start : end + 1]
        resp_headers["Content-Length"] = str(len(slice_body))
        resp_headers["Content-Range"] = f"bytes {start}-{end}/{obj['size']}"
        _apply_response_overrides(resp_headers, query_params)
""",
        new="""\
        slice_body = _read_range(bucket_name, key, obj, start, end)
        resp_headers["Content-Length"] = str(len(slice_body))
        resp_headers["Content-Range"] = f"bytes {start}-{end}/{obj['size']}"
        _apply_response_overrides(resp_headers, query_params)
""",
    ),
    Patch(
        _S3,
        "the whole object is not read for a range",
        old="""\
    body = _read_body(bucket_name, key, obj)

    # partNumber: return a single part of a completed multipart object as 206
""",
        new="""\
    body = None if range_header else _read_body(bucket_name, key, obj)

    # partNumber: return a single part of a completed multipart object as 206
""",
    ),
    Patch(
        _S3,
        "how a range is read",
        old="""\
def _read_body(bucket_name: str, key: str, obj: dict) -> bytes:
""",
        new="""\
def _read_range(bucket_name, key, obj, start, end):
    if obj.get("body") is not None:
        return obj["body"][start : end + 1]
    with open(_object_disk_path(bucket_name, key), "rb") as f:
        f.seek(start)
        return f.read(end + 1 - start)


def _read_body(bucket_name: str, key: str, obj: dict) -> bytes:
""",
    ),
    Patch(
        _S3,
        "a completed upload's ETag is made of its parts' ETags, not of all bytes once more",
        old="""\
        md5_digests += hashlib.md5(stored["body"]).digest()
""",
        new="""\
        md5_digests += bytes.fromhex(stored["etag"].strip('"'))
""",
    ),
    Patch(
        _S3,
        "every part but the last has 5 MiB or more",
        old="""\
    # A declared x-amz-mp-object-size that differs from the parts' total is refused.
""",
        new="""\
    if any(len(part_body) < 5 * 1024 * 1024 for part_body in combined_parts[:-1]):
        return _error(
            "EntityTooSmall",
            "Your proposed upload is smaller than the minimum allowed size",
            400,
            f"/{bucket_name}/{key}",
        )

    # A declared x-amz-mp-object-size that differs from the parts' total is refused.
""",
    ),
    Patch(
        _S3,
        "what S3 answers when KMS refuses",
        old="""\
def _stored_sse_headers(obj: dict) -> dict:
""",
        new="""\
def _kms_refusal(key_id):
    from ministack.services import kms

    record = kms._resolve_key(key_id)
    if record is None:
        return _error("KMS.NotFoundException", f"Key '{key_id}' does not exist", 400)
    problem = kms._check_key_state(record)
    if problem is None:
        return None
    kind = "KMS.DisabledException" if record["KeyState"] == "Disabled" else "KMS.KMSInvalidStateException"
    return _error(kind, f"{record['Arn']} is {record['KeyState']}.", 400)


def _stored_sse_headers(obj: dict) -> dict:
""",  # noqa: E501
    ),
)

PATCHES: tuple[Patch, ...] = (
    _ACCESS + _FUNCTIONS + _GATEWAY + _MUTUAL_TLS + _DEPLOYMENT + _WORKFLOW + _OBJECTS
)
