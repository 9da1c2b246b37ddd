"""What each instance of a function has one of: a client per AWS service, and the clock."""

# ruff: noqa: PLC0415

import os
from collections.abc import Callable
from functools import cache
from typing import Any

from headrace.kernel.clock import Clock, SystemClock


def prepare(factory: Callable[[], object]) -> None:
    """Runs the factory once where Lambda initialises the function; elsewhere nothing happens.

    There the first run's imports and clients cost nobody's waiting: Lambda initialises with a
    whole processor, before a call or ahead of it, while a call has the share that the
    function's memory buys.
    """
    if "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ:
        factory()


@cache
def client(service: str) -> Any:
    """A client of an AWS service, one per process; retries as botocore's standard mode does."""
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "total_max_attempts": 4},
        connect_timeout=3,
        read_timeout=30,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        signature_version="s3v4" if service == "s3" else None,
        # The signature covers the SHA-256 that a part is sent with, and S3 holds the body against
        # that: to sign the body too would hash it once more. TLS protects what has no digest.
        s3={"payload_signing_enabled": False},
    )
    create: Any = boto3.client  # its stubs want a literal name
    return create(service, config=config)


@cache
def clock() -> Clock:
    """The clock."""
    return SystemClock()
