"""What KMS's failure to use a key means, for every adapter alike."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from headrace.adapters.answers import error_code
from headrace.kernel.errors import Unavailable

_UNUSABLE = frozenset(
    {
        "DependencyTimeoutException",
        "DisabledException",
        "KMSInternalException",
        "KMSInvalidStateException",
        "KeyUnavailableException",
        "LimitExceededException",
        "ThrottlingException",
    }
)


@contextmanager
def answer_of_key(what: str) -> Iterator[None]:
    """Turns what waiting or an operator can cure into Unavailable; the rest is a fault of ours."""
    try:
        yield
    except ClientError as error:
        if error_code(error) in _UNUSABLE:
            raise Unavailable(f"{what} cannot be used now.", retry_after=5) from error
        raise
    except BotoCoreError as error:  # no connection, no answer in time
        raise Unavailable(f"{what} cannot be used now.", retry_after=5) from error
