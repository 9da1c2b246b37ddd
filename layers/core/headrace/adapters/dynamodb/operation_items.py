"""How operations, their jobs and their slices are kept as items; see ``operations``."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from headrace.adapters.dynamodb.table import Item
from headrace.exports.model import (
    Compression,
    Content,
    ExportRequest,
    Failure,
    FileFormat,
    Job,
    Occasion,
    Operation,
    Progress,
    SharingSnapshot,
    Snapshot,
    Status,
    read_so_far,
)
from headrace.exports.slices import KeyRange, RowRange, SliceResult, TableRange, UploadedPart
from headrace.exports.webhooks import Notice
from headrace.kernel.clock import from_rfc3339, rfc3339


def operation_sk(operation: Operation) -> str:
    """Where the operation is in its client's partition."""
    return f"operation#{operation.operation_id}"


def _moment(item: Mapping[str, Any], name: str) -> datetime | None:
    return from_rfc3339(item[name]) if item.get(name) else None


def _failure(item: Mapping[str, Any]) -> Failure | None:
    failure = item.get("failure")
    return Failure(failure["code"], failure["detail"]) if failure else None


def _snapshot(item: Mapping[str, Any]) -> Snapshot | None:
    held = item.get("held_snapshot")
    return Snapshot(held["name"], held["version"]) if held else None


def _occasion(item: Mapping[str, Any]) -> Occasion | None:
    if not item.get("schedule"):
        return None
    return Occasion(item["schedule"], from_rfc3339(item["schedule_due"]))


def operation_item(operation: Operation) -> Item:
    """What is written of an operation when it begins; its jobs are items of their own."""
    request = operation.request
    return {
        "sk": operation_sk(operation),
        "operation_id": operation.operation_id,
        "since": request.since,
        "status": str(operation.status),
        "attempt": operation.attempt,
        "configuration_id": request.configuration_id,
        "tables": list(request.tables),
        "expected_rows": [
            -1 if j.expected_rows is None else j.expected_rows for j in operation.jobs
        ],
        "file_format": str(request.file_format),
        "compression": str(request.compression),
        "entity": request.entity,
        "schedule": operation.occasion.schedule if operation.occasion else None,
        "schedule_due": rfc3339(operation.occasion.due) if operation.occasion else None,
        "webhook": request.notice.endpoint if request.notice else None,
        "base_url": request.notice.base_url if request.notice else None,
        "catalog_version": operation.catalog_version,
        "quota_day": operation.quota_day,
        "created_at": rfc3339(operation.created_at),
        **({"organisation": operation.organisation} if operation.organisation else {}),
    }


def operation_of(
    tenant: str, client_id: str, item: Mapping[str, Any], job_items: Mapping[str, Item]
) -> Operation:
    """The operation with its jobs. ``job_items``: what is kept of them, by ``sk``."""
    operation_id = item["operation_id"]
    operation = Operation(
        operation_id=operation_id,
        tenant=tenant,
        client_id=client_id,
        request=ExportRequest(
            configuration_id=item["configuration_id"],
            tables=tuple(item["tables"]),
            file_format=FileFormat(item["file_format"]),
            compression=Compression(item["compression"]),
            entity=item.get("entity"),
            since=item.get("since"),
            notice=Notice(item["webhook"], item["base_url"]) if item.get("webhook") else None,
        ),
        catalog_version=item["catalog_version"],
        quota_day=item["quota_day"],
        created_at=from_rfc3339(item["created_at"]),
        status=Status(item["status"]),
        attempt=item["attempt"],
        sync_version=item.get("sync_version"),
        held=item.get("held", False),
        snapshot=_snapshot(item),
        started_at=_moment(item, "started_at"),
        ended_at=_moment(item, "ended_at"),
        expires_at=_moment(item, "expires_at"),
        refunded=item.get("refunded", False),
        failure=_failure(item),
        occasion=_occasion(item),
        organisation=item.get("organisation"),
        sharing=SharingSnapshot(**item["sharing"]) if item.get("sharing") else None,
    )
    jobs = []
    expected = item.get("expected_rows") or [-1] * len(item["tables"])
    for index, table in enumerate(item["tables"], start=1):
        job_id = f"{operation_id}-{index:04d}"
        job = _job(operation, job_id, table, job_items.get(f"job#{job_id}"))
        if job.expected_rows is None and expected[index - 1] >= 0:
            job = replace(job, expected_rows=expected[index - 1])
        jobs.append(replace(job, read=_read(operation, job_id, job_items)))
    return replace(operation, jobs=tuple(jobs))


def job_item(job: Job) -> Item:
    """What is written of a job when it is claimed."""
    return {
        "job_id": job.job_id,
        "status": str(job.status),
        "attempt": job.attempt,
        "claims": job.claims,
        "held": job.held,
        "slices": [_table_range_item(one) for one in job.slices],
        "ranges": job.ranges,
        "expected_rows": job.expected_rows,
        "started_at": rfc3339(job.started_at) if job.started_at else None,
        "key": job.key,
        "upload_id": job.upload_id,
        "staging": job.staging,
        "staged_version": job.staged_version,
        "schema_hash": job.schema_hash,
        "schema_version": job.schema_version,
        "content": str(job.content),
    }


def _job(operation: Operation, job_id: str, table: str, item: Item | None) -> Job:
    """The job as the operation's present attempt sees it.

    A job that another attempt left unfinished, or finished at another version, is to be run
    again; one that the operation's end found unfinished ended with it. So a retry and an end
    are one write each, however many jobs there are.
    """
    if item is None:
        job = Job(job_id=job_id, table=table)
    else:
        job = Job(
            job_id=job_id,
            table=table,
            status=Status(item["status"]),
            attempt=item["attempt"],
            claims=item.get("claims", 0),
            slices=tuple(map(_table_range, item["slices"])),
            ranges=item["ranges"],
            slices_done=frozenset(item.get("slices_done", ())),
            expected_rows=item.get("expected_rows"),
            started_at=_moment(item, "started_at"),
            rows=item.get("rows"),
            size=item.get("size"),
            sha256=item.get("sha256"),
            schema_hash=item.get("schema_hash"),
            schema_version=item.get("schema_version"),
            key=item.get("key"),
            upload_id=item.get("upload_id"),
            staging=item.get("staging"),
            staged_version=item.get("staged_version"),
            held=item.get("held", False),
            snapshot=_snapshot(item),
            content=Content(item.get("content", Content.FULL)),
            failure=_failure(item),
            ended_at=_moment(item, "ended_at"),
        )
        kept = job.status is Status.SUCCEEDED and item.get("sync_version") == operation.told_version
        if item["operation_attempt"] != operation.attempt and not kept:
            job = Job(
                job_id=job_id,
                table=table,
                attempt=job.attempt,
                key=job.key,
                upload_id=job.upload_id,
                staging=job.staging,
            )
    return job.within(operation.status, operation.failure)


def progress_prefix(job_id: str) -> str:
    """Where it is kept how far the ranges of a job are."""
    return f"job#{job_id}#progress#"


def _read(operation: Operation, job_id: str, items: Mapping[str, Item]) -> Progress:
    """What was read of a job in the operation's present attempt."""
    attempts: dict[int, list[Progress]] = {}
    for sk, item in items.items():
        own = sk.startswith(progress_prefix(job_id))
        # Of a transaction that was refused, moto keeps the item with its keys and nothing else.
        if own and item.get("operation_attempt") == operation.attempt:
            told = Progress(item["rows"], item["size"])
            attempts.setdefault(item["attempt"], []).append(told)
    return read_so_far(attempts)


def _table_range_item(table_range: TableRange) -> list[Any] | dict[str, Any]:
    if isinstance(table_range, RowRange):
        return [table_range.first, table_range.last, table_range.rows]
    return {
        "after": _listed(table_range.after),
        "upto": _listed(table_range.upto),
        "rows": table_range.rows,
    }


def _listed(bound: tuple[str, ...] | None) -> list[str] | None:
    return None if bound is None else list(bound)


def _table_range(kept: list[Any] | dict[str, Any]) -> TableRange:
    if isinstance(kept, list):
        return RowRange(*kept)
    return KeyRange(_bound(kept["after"]), _bound(kept["upto"]), kept["rows"])


def _bound(kept: list[str] | None) -> tuple[str, ...] | None:
    return None if kept is None else tuple(kept)


def slice_item(job: Job, result: SliceResult) -> Item:
    """What a worker made of a slice of rows."""
    return {
        "sk": f"slice#{job.job_id}#{job.attempt}#{result.index:05d}",
        "index": result.index,
        "rows": result.rows,
        "sha256": result.sha256,
        "parts": [[p.number, p.size, p.sha256, p.etag] for p in result.parts],
    }


def slice_of(item: Mapping[str, Any]) -> SliceResult:
    """The inverse of ``slice_item``."""
    return SliceResult(
        index=item["index"],
        rows=item["rows"],
        parts=tuple(UploadedPart(*part) for part in item["parts"]),
        sha256=item.get("sha256"),
    )
