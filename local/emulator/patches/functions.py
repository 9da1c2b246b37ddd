"""Functions of Lambda and their processes."""

from local.emulator.sources import Patch

_RUNTIME = "ministack.core.lambda_runtime"
_LAMBDA = "ministack.services.lambda_svc"

PATCHES = (
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
        sys.stderr.write("\\\\0" + context.aws_request_id + "\\\\n")
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
        "an invocation's log ends at its own end mark, and not after 50 ms of silence",
        old="""\
            # by every warm invocation. Typical completion is 1–10ms.
            response["log"] = self._drain_stderr_bounded()
""",
        new="""\
            # by every warm invocation. Typical completion is 1–10ms.
            if response.get("status") == "ok" or "type" in response:
                from local.emulator.marked_logs import log_of
                response["log"] = log_of(self._stderr_queue, request_id)
            else:  # its process died, or never began
                response["log"] = self._drain_stderr_bounded()
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
