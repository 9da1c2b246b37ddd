"""Objects of S3."""

from local.emulator.sources import Patch

_S3 = "ministack.services.s3"

PATCHES = (
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
