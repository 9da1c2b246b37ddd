"""What an AWS service's failure to answer means, for every adapter alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from headrace.kernel.errors import Unavailable

_BUSY = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


def error_code(error: ClientError) -> str:
    """The service's code of the error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def gave_no_answer(error: ClientError) -> bool:
    """Is it the service's trouble of the moment, and no answer to what was asked."""
    response: Any = error.response
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or error_code(error) in _BUSY


@contextmanager
def answer_of(service: str) -> Iterator[None]:
    """Raises Unavailable for what botocore's own retries did not get past; other errors pass."""
    try:
        yield
    except (ConnectionError, HTTPClientError) as error:
        raise Unavailable(f"{service} does not answer; try again.", retry_after=5) from error
    except ClientError as error:
        if gave_no_answer(error):
            raise Unavailable(f"{service} is busy; try again.", retry_after=5) from error
        raise
