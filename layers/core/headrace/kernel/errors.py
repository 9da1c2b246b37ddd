"""The one error tree.

Each class has a stable ``code`` that callers may rely on; ``detail`` is a sentence that says what
to do next; ``members`` are further facts for the caller (plain JSON values, camelCase keys).
Only ``runtime.api`` knows the HTTP status of a class.

    HeadraceError
    ├── InvalidRequest            the request cannot be read at all
    │   ├── RefreshRefused        its refresh token, or what came with it, gives no tokens
    │   ├── FieldsInvalid         values are wrong, told by field as seed 004's API does it
    │   ├── InvalidCursor         it is none, or somebody else's
    │   ├── NotAcceptable         what it accepts is none of what there is
    │   └── BodyTooLarge
    ├── ValidationFailed          it can be read, and a value in it is wrong
    │   ├── IdempotencyKeyReused
    │   ├── SyncVersionUnknown
    │   ├── IncrementsUnavailable
    │   ├── PageTooLarge          an answer cannot hold so many rows
    │   ├── EmptyDataSet          nothing is there to build (seed 001)
    │   ├── NotAZip               the name of a file to import does not end in .zip
    │   └── PayloadRefused        a file to import is not as a payload has to be
    │       ├── PayloadTableUnknown
    │       └── PayloadIncompatible   its records are not of this environment's shape
    ├── NotAuthenticated
    │   ├── InvalidProof          of possession of a key (DPoP)
    │   │   └── NonceNeeded       the proof needs a nonce of ours
    │   └── LoginFailed           the user is unknown or disabled, or the password wrong
    ├── NotAuthorized
    │   ├── NotAnIntegrator       a role that may not log in through the API
    │   ├── InsufficientScope
    │   ├── NetworkNotAllowed
    │   ├── OrganisationNotAllowed
    │   ├── SomeGroupsOnly        the caller sees some groups' profiles, and asks for what needs all
    │   ├── TenantNotAllowed      none of the caller's tenants has this organisation id
    │   └── ConsentWithdrawn      somebody whose rows are in a file shares them no more
    ├── NotFound
    │   ├── NoProfilePage         the catalog has no address that a tenant's profiles are shown at
    │   ├── UnknownDefinition     of data sets
    │   └── UnknownDataSet        the definition has no such data set
    ├── MethodNotAllowed
    ├── WrongRegion               the deployment of another region serves the tenant
    ├── Conflict
    │   ├── OperationActive
    │   ├── OperationNotRetryable
    │   ├── OperationRunning
    │   ├── OperationUnfinished
    │   ├── JobUnfinished
    │   ├── CatalogChanged
    │   ├── DataSetExists         of this definition and code
    │   ├── BuildWhileBusy        another build or import runs
    │   ├── ImportWhileBusy       the same, told to who starts an import
    │   ├── NotUndoable           a process is no import, still runs, changed nothing, or was undone
    │   ├── OtherVersion          the application here is of another version than asked for
    │   ├── SyncIdTaken           another profile of the tenant has the sync id
    │   └── ConsentFixed          its state does not let a consent be changed so, or by this caller
    ├── Gone
    │   ├── FileExpired
    │   ├── CursorExpired
    │   ├── SyncVersionExpired
    │   └── ResyncRequired
    ├── QuotaExhausted
    ├── TooManyTries              to log in
    ├── Fenced                    a worker's work no longer counts: another attempt owns the job
    ├── Stopped                   a worker was told to stop, as the operation was cancelled
    ├── ValueNotExportable        a value that the format cannot carry exactly, so it is refused
    ├── SchemaChanged             a table is not as it was published: no retry helps
    ├── RangeTooLarge             a part of a table does not fit into its part of the upload
    └── Unavailable               a part we depend on does not answer; trying again may help
        ├── SourceUnavailable
        ├── SourceChanged
        ├── SliceTooLong          a slice of a table takes longer to read than a worker may run
        ├── SnapshotLost          nobody holds the snapshot open any more that a worker is to read
        ├── SourceBusy            as many workers read from the source as may at once
        ├── AddressRefused        a URL leads where no call of ours may go
        ├── TimedOut              whom we called did not answer in time
        ├── OtherEnvironmentRefused   an environment elsewhere answered with an error
        └── FileUnavailable
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class HeadraceError(Exception):
    """The root: an expected failure with a stable code and a sentence for the caller."""

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something failed"

    def __init__(self, detail: str, *, retry_after: int | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        self.members: Mapping[str, Any] = members


class InvalidRequest(HeadraceError):
    """The request cannot be read: not JSON, a parameter given twice, a broken cursor."""

    code = "invalid_request"
    title = "The request cannot be read"


class RefreshRefused(InvalidRequest):
    """A refresh token that gives no tokens; ``error`` is the code of RFC 6749 section 5.2.

    ``nonce``: what the next proof needs, if it is for want of that.
    """

    code = "refresh_refused"
    title = "No tokens are given"

    def __init__(self, detail: str, error: str, nonce: str | None = None) -> None:
        super().__init__(detail, error=error)
        self.nonce = nonce


class FieldsInvalid(InvalidRequest):
    """Values are wrong. ``errors``: what is wrong with each field, by its name, in the shape of
    ASP.NET's validation problem details, which clients of seed 004's API know."""

    code = "fields_invalid"
    title = "One or more validation errors occurred."

    def __init__(self, detail: str, errors: Mapping[str, Sequence[str]]) -> None:
        super().__init__(detail, errors={name: list(said) for name, said in errors.items()})

    @classmethod
    def of(cls, failed: "ValidationFailed") -> "FieldsInvalid":
        """The same, told so; fields begin with a capital, as the seed writes them."""
        told: dict[str, list[str]] = {}
        for one in failed.members.get("errors", ()):
            name = one["field"]
            told.setdefault(name[:1].upper() + name[1:], []).append(one["message"])
        return cls(failed.detail, told)


class BodyTooLarge(InvalidRequest):
    """The body is over the limit."""

    code = "body_too_large"
    title = "The body is too large"


class InvalidCursor(InvalidRequest):
    """It is no cursor, or not one that was given to this caller for this."""

    code = "invalid_cursor"
    title = "The cursor is none of yours"


class NotAcceptable(InvalidRequest):
    """The Accept header takes none of the formats that there are. ``formats``: which there are."""

    code = "not_acceptable"
    title = "There is no such format"


class ValidationFailed(HeadraceError):
    """The request is readable, but values in it are wrong. ``errors``: field and message each."""

    code = "validation_failed"
    title = "A value in the request is wrong"

    def __init__(
        self, detail: str, errors: Sequence[Mapping[str, str]] = (), **members: Any
    ) -> None:
        super().__init__(detail, **members)
        if errors:
            self.members = {**self.members, "errors": [dict(error) for error in errors]}


class IdempotencyKeyReused(ValidationFailed):
    """The Idempotency-Key was used before, with another body."""

    code = "idempotency_key_reused"
    title = "The Idempotency-Key belongs to another request"


class SyncVersionUnknown(ValidationFailed):
    """No version that this client was ever given for the configuration: foreign, or yet to come."""

    code = "sync_version_unknown"
    title = "The sync version is none of yours"


class IncrementsUnavailable(ValidationFailed):
    """The source keeps no changes, or not of these tables. ``tables`` names them."""

    code = "increments_unavailable"
    title = "There are no increments of this"


class PageTooLarge(ValidationFailed):
    """An answer cannot hold a page of so many rows. ``fits``: how many it can hold."""

    code = "page_too_large"
    title = "The page is too large"


class EmptyDataSet(ValidationFailed):
    """There is nothing to build."""

    code = "GEN-MIGR-010"
    title = "The data set is empty"


class NotAZip(ValidationFailed):
    """The name of a file to import does not end in .zip."""

    code = "GEN-MIGR-007"
    title = "The file is no ZIP archive"


class PayloadRefused(ValidationFailed):
    """A file to import is not as a payload has to be; nothing of it was taken."""

    code = "payload_refused"
    title = "The file is no payload of this definition"


class PayloadTableUnknown(PayloadRefused):
    """The payload holds a table that the definition does not have here. The code is seed 001's."""

    code = "GEN-MIGR-003"
    title = "The payload has an unknown table"


class PayloadIncompatible(PayloadRefused):
    """A table has other columns in the payload than here. The code is seed 001's."""

    code = "GEN-MIGR-006"
    title = "The payload does not fit this environment"


class NotAuthenticated(HeadraceError):
    """Nobody known is calling."""

    code = "invalid_token"
    title = "A valid access token is needed"


class InvalidProof(NotAuthenticated):
    """The proof of possession is missing or wrong (RFC 9449 section 7.1)."""

    code = "invalid_dpop_proof"
    title = "A valid DPoP proof is needed"


class NonceNeeded(InvalidProof):
    """The proof is good but for the nonce, which is missing or old (RFC 9449 sections 8 and 9)."""

    code = "use_dpop_nonce"
    title = "The DPoP proof needs a nonce"

    def __init__(self, detail: str, nonce: str) -> None:
        super().__init__(detail)
        self.nonce = nonce


class LoginFailed(NotAuthenticated):
    """User name and password do not fit; which of them, nobody is told."""

    code = "login_failed"
    title = "The user name or the password is wrong"


class NotAuthorized(HeadraceError):
    """The caller is known and may not do this."""

    code = "forbidden"
    title = "Not allowed"


class NotAnIntegrator(NotAuthorized):
    """The password was right, and the user's role is none that may log in through the API."""

    code = "not_an_integrator"
    title = "Not allowed to log in here"


class InsufficientScope(NotAuthorized):
    """The token lacks the scope that the route asks for (RFC 6750 section 3.1)."""

    code = "insufficient_scope"
    title = "The token lacks a scope"


class ConsentWithdrawn(NotAuthorized):
    """Somebody whose rows are in the files shares them no more with the caller."""

    code = "consent_withdrawn"
    title = "A consent was withdrawn"


class NetworkNotAllowed(NotAuthorized):
    """The call comes from a network that the client's catalog entry does not list."""

    code = "network_not_allowed"
    title = "Not allowed from this network"


class OrganisationNotAllowed(NotAuthorized):
    """The caller is no data broker, or the organisation it calls for is no member of it now."""

    code = "organisation_not_allowed"
    title = "Not allowed on behalf of this organisation"


class SomeGroupsOnly(NotAuthorized):
    """The caller sees the profiles of some groups only, and this is for who sees all of them."""

    code = "some_groups_only"
    title = "Only for who sees all profiles"


class TenantNotAllowed(NotAuthorized):
    """The caller may name no tenant of this organisation id; the same whether there is one."""

    code = "tenant_not_allowed"
    title = "Not allowed for this tenant"


class NotFound(HeadraceError):
    """There is no such thing for this caller; the same whether it exists elsewhere or not."""

    code = "not_found"
    title = "Not found"


class NoProfilePage(NotFound):
    """The catalog has no address that the tenant's profiles are shown at."""

    code = "no_profile_page"
    title = "The tenant's profiles are shown nowhere"


class UnknownDefinition(NotFound):
    """The caller's tenant has no data set definition of this code."""

    code = "OHI-IP-DATA-004"
    title = "Unknown data set definition"


class UnknownDataSet(NotFound):
    """The definition has no data set of this code."""

    code = "OHI-IP-DATA-001"
    title = "Unknown data set"


class MethodNotAllowed(HeadraceError):
    """The path exists, the method does not."""

    code = "method_not_allowed"
    title = "Method not allowed"


class WrongRegion(HeadraceError):
    """The tenant is served by another deployment. ``region`` and ``baseUrl``: which, and where."""

    code = "wrong_region"
    title = "Another region serves this tenant"


class Conflict(HeadraceError):
    """The state of the thing does not allow the request."""

    code = "conflict"
    title = "The state does not allow this"


class OperationActive(Conflict):
    """Another operation of the client is active. ``blockingOperationId`` names it."""

    code = "operation_active"
    title = "Another operation is active"


class OperationNotRetryable(Conflict):
    """Only failed and cancelled operations can be retried."""

    code = "operation_not_retryable"
    title = "The operation cannot be retried"


class OperationRunning(Conflict):
    """A running operation cannot be deleted; cancel it first."""

    code = "operation_running"
    title = "The operation is running"


class OperationUnfinished(Conflict):
    """The manifest exists once the operation has ended."""

    code = "operation_unfinished"
    title = "The operation is not finished"


class JobUnfinished(Conflict):
    """The job has no file (yet). ``jobStatus`` says where it stands."""

    code = "job_unfinished"
    title = "The job has no file"


class CatalogChanged(Conflict):
    """Somebody else published in between."""

    code = "catalog_changed"
    title = "The catalog changed meanwhile"


class DataSetExists(Conflict):
    """There is a data set of this definition and code already."""

    code = "data_set_exists"
    title = "There is such a data set already"


class BuildWhileBusy(Conflict):
    """Another build or import runs. ``blockingProcessId`` names it."""

    code = "GEN-MIGR-008"
    title = "Another build or import is in progress"


class ImportWhileBusy(Conflict):
    """The same, told to who starts an import."""

    code = "GEN-MIGR-009"
    title = "Another build or import is in progress"


class NotUndoable(Conflict):
    """It is no import, still runs, changed nothing, or was undone. ``undoneBy``: by which one."""

    code = "not_undoable"
    title = "There is nothing to undo"


class OtherVersion(Conflict):
    """The application here is of another version than one that could take its data sets."""

    code = "GEN-MIGR-015"
    title = "The application is of another version"


class SyncIdTaken(Conflict):
    """Another profile of the tenant has the sync id."""

    code = "sync_id_taken"
    title = "Another profile has the sync id"


class ConsentFixed(Conflict):
    """The consent's state does not allow the change, or not to this caller. ``state`` names it."""

    code = "consent_fixed"
    title = "The consent cannot be changed so"


class Gone(HeadraceError):
    """It was there and is no more."""

    code = "gone"
    title = "No longer there"


class FileExpired(Gone):
    """The files of the operation have expired."""

    code = "file_expired"
    title = "The file has expired"


class CursorExpired(Gone):
    """The rows that the cursor goes on with are kept no longer, or are not as they were."""

    code = "cursor_expired"
    title = "The cursor has expired"


class SyncVersionExpired(Gone):
    """The changes since that version are kept no longer. ``minValidSyncVersion``: since which."""

    code = "sync_version_expired"
    title = "The sync version is too old"


class ResyncRequired(Gone):
    """The changes of a table cannot be told from that version on. ``tables``: which, and why."""

    code = "resync_required"
    title = "A full export is needed"


class QuotaExhausted(HeadraceError):
    """The day's quota is used up. ``quota`` and ``retry_after`` say until when."""

    code = "quota_exhausted"
    title = "The daily quota is used up"


class TooManyTries(HeadraceError):
    """A password was tried too often, for this name or from this address. ``retry_after``."""

    code = "too_many_tries"
    title = "Too many tries"


class Fenced(HeadraceError):
    """A worker's work no longer counts: the job belongs to another attempt, or has ended."""

    code = "fenced"
    title = "Another attempt owns the job"


class Stopped(HeadraceError):
    """The worker was told to stop."""

    code = "stopped"
    title = "Stopped"


class ValueNotExportable(HeadraceError):
    """The source holds a value that the format cannot carry exactly (docs/types.md)."""

    code = "value_not_exportable"
    title = "A value cannot be carried exactly"


class SchemaChanged(HeadraceError):
    """A configured table or column is gone, or has another type: the catalog is out of date."""

    code = "schema_changed"
    title = "The source is not as it was published"


class RangeTooLarge(HeadraceError):
    """A range of a table is larger than its share of an upload's part numbers takes."""

    code = "range_too_large"
    title = "The table is too large as it was split"


class Unavailable(HeadraceError):
    """Something that we depend on does not answer. Trying again may help."""

    code = "unavailable"
    title = "Temporarily unavailable"


class SourceUnavailable(Unavailable):
    """The source cannot be read now."""

    code = "source_unavailable"
    title = "The source cannot be read"


class SourceChanged(Unavailable):
    """The source changed while it was read, or no longer holds the version asked for."""

    code = "source_changed"
    title = "The source changed while it was read"


class SliceTooLong(Unavailable):
    """A slice of a table takes longer to read than a worker may run; the source may be busy."""

    code = "slice_too_long"
    title = "The table takes too long to read"


class SnapshotLost(Unavailable):
    """The snapshot that a worker is to read in is not held (any more): the job begins anew."""

    code = "snapshot_lost"
    title = "The snapshot is not held any more"


class SourceBusy(Unavailable):
    """As many workers read from the source as may at once."""

    code = "source_busy"
    title = "The source is busy"


class AddressRefused(Unavailable):
    """A URL is not plain https, or its host is at an address that must not be called."""

    code = "address_refused"
    title = "The address is not called"


class TimedOut(Unavailable):
    """Whom we called did not answer in time."""

    code = "timed_out"
    title = "No answer in time"


class OtherEnvironmentRefused(Unavailable):
    """An environment elsewhere answered with an error; ``status``: its HTTP status."""

    code = "environment_refused"
    title = "Another environment refused"

    def __init__(self, status: int) -> None:
        super().__init__(f"The environment answered {status}.")
        self.status = status


class FileUnavailable(Unavailable):
    """The stored file cannot be read now, for example because its key is disabled."""

    code = "file_unavailable"
    title = "The file cannot be read"
