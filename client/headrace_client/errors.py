"""Everything that can go wrong on the integrator's side, as one tree.

HeadraceClientError
├── SetupError               no credentials, an unusable address or profile
├── ApiError                 the service answered with an error
│   ├── AuthenticationError      401, or the token endpoint refused the client
│   │   └── CredentialEnded          the refresh token is good no more
│   ├── AccessDenied             403: missing scope, network not allowed
│   │   └── ConsentWithdrawn         somebody whose rows are in the files shares them no more
│   ├── NotFound                 404
│   ├── Conflict                 409
│   │   ├── OperationActive          one operation at a time; names the one that blocks
│   │   └── ProcessActive            one build or import at a time; names the one that runs
│   ├── FileExpired              410
│   ├── ResyncRequired           410: the changes cannot be told, only a full export helps
│   │   └── SyncVersionExpired       nor are they kept any longer
│   ├── InvalidRequest           400, 405, 413, 422; names the fields
│   │   ├── SyncVersionUnknown       the version is none of this client's
│   │   └── IncrementsUnavailable    the source keeps no changes, or not of these tables
│   ├── TooManyRequests          429
│   │   └── QuotaExhausted           the day's operations are used up
│   └── ServiceError             5xx
├── NetworkError             no answer, after every repetition
├── CertificateRefused       the connection needs another client certificate
├── ProtocolError            an answer that this client does not understand
├── OperationUnsuccessful    the operation failed, was cancelled, or expired
├── ProcessUnsuccessful      the build, import or undoing of a data set failed
├── WaitTimeout              the operation did not end in the time that the caller set
├── ProcessTimeout           nor the process of a data set
├── NotBuilt                 the data set has no payload yet
├── NoDifference             the process has changed nothing that could be told
├── VerificationError        bytes that are not the ones the manifest promises
├── DestinationError         what a sync writes into refuses
│   └── DestinationInUse         another sync works on it
└── LocalFileError           disk full, no permission, directory in use
    └── DirectoryInUse
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from headrace_client.datasets.model import Process, ProcessMessage
    from headrace_client.model import Operation, Quota

_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str, limit: int = 2000) -> str:
    """Text of the service made safe for a terminal: no control characters, not endless."""
    return _CONTROL_CHARACTERS.sub("�", text[:limit])


class HeadraceClientError(Exception):
    """The root of the tree; its text is a sentence for a person.

    `code` is stable and meant for programs.
    """

    code = "client_error"
    hint: str | None = None
    """What to do about it, where more can be said than the sentence does."""

    @property
    def detail(self) -> str:
        """The sentence."""
        return str(self)


class SetupError(HeadraceClientError):
    """The client cannot be set up: credentials, address or profile are missing or unusable."""

    code = "not_configured"


class ApiError(HeadraceClientError):
    """The service answered with an error (RFC 9457 problem document, or RFC 6749 §5.2).

    `code` is the service's own (`operation_active`, …), or `http_<status>` where something in
    front of the service answered. `members` are the problem's further members, `retry_after`
    the seconds of the Retry-After header. `sent` says how many times the request went out:
    above 1, an earlier sending may have been carried out although its answer was lost.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        correlation_id: str | None = None,
        members: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
        sent: int = 1,
    ) -> None:
        super().__init__(printable(detail))
        self.status = status
        self.code = code
        self.correlation_id = correlation_id
        self.members: Mapping[str, Any] = dict(members or {})
        self.retry_after = retry_after
        self.sent = sent

    def reworded(self, detail: str, hint: str | None = None) -> Self:
        """The same error in a sentence that says more than the service's does."""
        made = type(self)(
            self.status,
            self.code,
            detail,
            correlation_id=self.correlation_id,
            members=self.members,
            retry_after=self.retry_after,
            sent=self.sent,
        )
        made.hint = hint
        return made

    @property
    def quota(self) -> Quota | None:
        """The quota as of this answer, where it carries one (409 and 429 do)."""
        from headrace_client.model import Quota  # noqa: PLC0415  the model imports this module

        held = self.members.get("quota")
        return Quota.from_json(held) if isinstance(held, Mapping) else None


class AuthenticationError(ApiError):
    """401: the token or the client's credentials were refused."""


class CredentialEnded(AuthenticationError):
    """400 `invalid_grant`: a refresh token that is good no more. Nothing but a new one helps."""


class AccessDenied(ApiError):
    """403: a scope is missing, or the caller's network is not allowed."""


class ConsentWithdrawn(AccessDenied):
    """403 `consent_withdrawn`: somebody whose rows are in an operation's files shares them no more.

    Its files are handed out to nobody any more; a new operation's are.
    """


class NotFound(ApiError):
    """404: no such thing for this caller."""


class Conflict(ApiError):
    """409: not possible in the present state (`code` says which rule)."""


class OperationActive(Conflict):
    """409 `operation_active`: another operation of this client is not finished."""

    @property
    def blocking_operation_id(self) -> str | None:
        """The operation that blocks."""
        held = self.members.get("blockingOperationId")
        return held if isinstance(held, str) else None


class ProcessActive(Conflict):
    """409 `GEN-MIGR-008`, `GEN-MIGR-009`: another build or import of data sets runs."""

    @property
    def blocking_process_id(self) -> str | None:
        """The process that runs."""
        held = self.members.get("blockingProcessId")
        return held if isinstance(held, str) else None


class FileExpired(ApiError):
    """410: the file was deleted after its time."""


class ResyncRequired(ApiError):
    """410 `resync_required`: what changed cannot be told; only a full export helps."""

    @property
    def tables(self) -> tuple[tuple[str, str], ...]:
        """Pairs of table and reason."""
        held = self.members.get("tables")
        if not isinstance(held, list):
            return ()
        return tuple(
            (str(entry.get("table", "")), str(entry.get("reason", "")))
            for entry in held
            if isinstance(entry, Mapping)
        )


class SyncVersionExpired(ResyncRequired):
    """410 `sync_version_expired`: the changes since that version are kept no longer."""


class InvalidRequest(ApiError):
    """400, 405, 413, 422: the request itself is wrong."""

    @property
    def field_errors(self) -> tuple[tuple[str, str], ...]:
        """Pairs of field and message; those of profiles come with the messages by field."""
        held = self.members.get("errors")
        if isinstance(held, Mapping):
            return tuple(
                (str(field), str(message))
                for field, messages in held.items()
                for message in (messages if isinstance(messages, list) else [messages])
            )
        if not isinstance(held, list):
            return ()
        return tuple(
            (str(entry.get("field", "")), str(entry.get("message", "")))
            for entry in held
            if isinstance(entry, Mapping)
        )


class SyncVersionUnknown(InvalidRequest):
    """422 `sync_version_unknown`: no version that this client's data ever stood at."""


class IncrementsUnavailable(InvalidRequest):
    """422 `increments_unavailable`: the source keeps no changes, or not of these tables."""

    @property
    def tables(self) -> tuple[str, ...]:
        """Those that have none; empty where it is not for single tables."""
        held = self.members.get("tables")
        return tuple(map(str, held)) if isinstance(held, list) else ()


class TooManyRequests(ApiError):
    """429 for another reason than the quota: too fast."""


class QuotaExhausted(TooManyRequests):
    """429 `quota_exhausted`: no operation is left for today; `quota` says when it resets."""


class ServiceError(ApiError):
    """5xx: the service's own trouble."""


class NetworkError(HeadraceClientError):
    """No answer came, however often the request was repeated."""

    code = "network"


class CertificateRefused(HeadraceClientError):
    """The service ended the TLS handshake: it wants a client certificate, or another one."""

    code = "certificate_refused"


class ProtocolError(HeadraceClientError):
    """The answer is not one of the documented ones."""

    code = "unexpected_answer"


class OperationUnsuccessful(HeadraceClientError):
    """The operation ended without files to download."""

    code = "operation_unsuccessful"

    def __init__(self, operation: Operation, detail: str) -> None:
        super().__init__(detail)
        self.operation = operation


class ProcessUnsuccessful(HeadraceClientError):
    """The process of a data set failed; `messages` say why."""

    code = "process_unsuccessful"

    def __init__(
        self, process: Process, detail: str, messages: tuple[ProcessMessage, ...] = ()
    ) -> None:
        super().__init__(detail)
        self.process = process
        self.messages = messages


class ProcessTimeout(HeadraceClientError):
    """The process of a data set has not ended; it goes on without us."""

    code = "wait_timeout"

    def __init__(self, process: Process, detail: str) -> None:
        super().__init__(detail)
        self.process = process


class NotBuilt(HeadraceClientError):
    """The data set was created and not built, so there is nothing to download."""

    code = "not_built"


class NoDifference(HeadraceClientError):
    """The process still runs, is no import, or was refused as a whole."""

    code = "no_difference"


class WaitTimeout(HeadraceClientError):
    """The operation is still not finished; it goes on without us."""

    code = "wait_timeout"

    def __init__(self, operation: Operation, detail: str) -> None:
        super().__init__(detail)
        self.operation = operation


class VerificationError(HeadraceClientError):
    """Bytes received, or the manifest itself, do not hold what was promised."""

    code = "verification_failed"


class DestinationError(HeadraceClientError):
    """The database or folder that a sync writes into refuses; nothing of this run was applied."""

    code = "destination"


class DestinationInUse(DestinationError):
    """Another sync works on the destination, or a program holds it open."""

    code = "destination_in_use"


class LocalFileError(HeadraceClientError):
    """The local disk or directory refuses."""

    code = "local_file"


class DirectoryInUse(LocalFileError):
    """Another `pull` works in this directory."""

    code = "directory_in_use"


_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: InvalidRequest,
    401: AuthenticationError,
    403: AccessDenied,
    404: NotFound,
    405: InvalidRequest,
    409: Conflict,
    410: FileExpired,
    413: InvalidRequest,
    422: InvalidRequest,
    429: TooManyRequests,
}
_BY_CODE: Mapping[tuple[int, str], type[ApiError]] = {
    (400, "invalid_grant"): CredentialEnded,
    (403, "consent_withdrawn"): ConsentWithdrawn,
    (409, "operation_active"): OperationActive,
    (409, "GEN-MIGR-008"): ProcessActive,
    (409, "GEN-MIGR-009"): ProcessActive,
    (410, "resync_required"): ResyncRequired,
    (410, "sync_version_expired"): SyncVersionExpired,
    (422, "sync_version_unknown"): SyncVersionUnknown,
    (422, "increments_unavailable"): IncrementsUnavailable,
    (429, "quota_exhausted"): QuotaExhausted,
}


def api_error(
    status: int,
    problem: Mapping[str, Any] | None,
    *,
    retry_after: float | None = None,
    correlation_id: str | None = None,
    sent: int = 1,
) -> ApiError:
    """The error class for an answer of `status` with this problem document (None: no JSON).

    Understands problem documents, the token endpoint's `error` / `error_description`, and the
    bare `message` of an API gateway in front of the service.
    """
    held = dict(problem or {})
    code = str(held.get("code") or held.get("error") or f"http_{status}")
    detail = str(
        held.get("detail")
        or held.get("error_description")
        or held.get("message")
        or held.get("title")
        or f"The service answered {status}."
    )
    given = held.get("correlationId")
    if code in ("invalid_client", "unauthorized_client", "invalid_dpop_proof"):
        kind: type[ApiError] = AuthenticationError  # RFC 6749 lets a server answer this with 400
    else:
        fallback = ServiceError if status >= 500 else ApiError
        kind = _BY_CODE.get((status, code)) or _BY_STATUS.get(status, fallback)
    standard = {"type", "title", "status", "detail", "code", "correlationId"}
    return kind(
        status,
        printable(code, 100),
        detail,
        correlation_id=given if isinstance(given, str) else correlation_id,
        members={name: value for name, value in held.items() if name not in standard},
        retry_after=retry_after,
        sent=sent,
    )
