"""How errors are described: for each class of the error tree, one that could have happened.

The examples are instances, so their statuses, codes, titles and headers are those of the product.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from headrace.datasets import messages
from headrace.exports.model import Status
from headrace.exports.row_access import WITHDRAWN
from headrace.exports.views import QuotaView
from headrace.identity.issuing import SPENT_BEFORE
from headrace.kernel import errors
from headrace.kernel.errors import HeadraceError
from headrace.kernel.view import camel
from headrace.runtime.api import problem, status_of
from openapi.schemas import REFERENCE, Schema
from reference.document import EXAMPLE_SCOPE_PREFIX

CORRELATION_ID = "8d2f1f6e-3b0c-4a52-9f0e-5f0a0c4a1b7e"
OPERATION_ID = "01jd3x9v6p4m8c2t7r5w0k1nqz"

_MIDNIGHT = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)


class Throttled(errors.QuotaExhausted):
    """Calls come too fast. API Gateway refuses them itself, in the words of template.yaml."""

    code = "throttled"
    title = "Too many requests"


@dataclass(frozen=True)
class Described:
    """An error that could have happened, and what its caller should know and do."""

    error: HeadraceError
    meaning: str

    @property
    def kind(self) -> type[HeadraceError]:
        """Its class."""
        return type(self.error)


DESCRIBED: tuple[Described, ...] = (
    Described(
        errors.InvalidRequest("The body is not JSON in UTF-8."),
        "The request cannot be read: the body is no JSON, a parameter stands twice, a cursor or "
        "an `Idempotency-Key` is broken. Mend the program.",
    ),
    Described(
        errors.InvalidCursor("The cursor is none of yours; take it from a page's next link."),
        "The `cursor` was not given to this caller for this template. Take it from a page's next "
        "link, or begin anew without it.",
    ),
    Described(
        errors.NotAcceptable(
            "There is application/json and text/csv and application/x-ndjson; name one of them in "
            "Accept.",
            formats=["application/json", "text/csv", "application/x-ndjson"],
        ),
        "The `Accept` header takes none of `formats`.",
    ),
    Described(
        errors.RefreshRefused(SPENT_BEFORE, error="invalid_grant"),
        "The refresh token gives no tokens: it was exchanged before, or its key was revoked or has "
        "expired (`error` is `invalid_grant`); or something that came with it is wrong. `error` is "
        "the code that `/connect/token` would answer.",
    ),
    Described(
        errors.NotAuthenticated("The token has expired."),
        "No access token, or one that does not hold. Get a new one and repeat the call.",
    ),
    Described(
        errors.InvalidProof("The DPoP proof is missing or not well formed."),
        "The proof of possession in the `DPoP` header is missing, wrong or used before. Make a new "
        "one for each call.",
    ),
    Described(
        errors.NonceNeeded(
            "The DPoP proof needs the nonce of the header DPoP-Nonce.",
            "5b1e2f.1rXGS7bVQ8u0mXkqkz0hJ4m3Jc0o2bq8n0dQyq5m7hE",
        ),
        "The proof of possession needs the nonce that `DPoP-Nonce` brings. Make a new one with it.",
    ),
    Described(
        errors.LoginFailed("User name and password do not fit."),
        "The user name or the password is wrong, or the user is disabled; which, nobody is told.",
    ),
    Described(
        errors.NotAnIntegrator(
            "This user's role may not log in through the API; ask your operator."
        ),
        "The password is right, and the user's role is not an integrator's. Ask your operator.",
    ),
    Described(
        errors.InsufficientScope(
            f"This call needs the scope {EXAMPLE_SCOPE_PREFIX}:jobs:manage; ask for it when you "
            "get the token.",
            requiredScope=f"{EXAMPLE_SCOPE_PREFIX}:jobs:manage",
        ),
        "The token lacks the scope `requiredScope`. Ask for it with the token; if that is "
        "refused, your operator has to grant it.",
    ),
    Described(
        errors.NetworkNotAllowed("The client may not call from this network."),
        "The call comes from a network that your operator has not allowed this client.",
    ),
    Described(
        errors.OrganisationNotAllowed("The caller may not act on behalf of this organisation."),
        "The call names an organisation (`grp`) on whose behalf it may not be made: the client is "
        "no data broker, or the organisation is no member of it, or the key is fixed to another.",
    ),
    Described(
        errors.TenantNotAllowed(
            "None of your tenants has this organisation id; GET /tenants lists those that you may "
            "name."
        ),
        "`TenantId` is none of the organisation ids that you may name, whether there is such a "
        "tenant or not.",
    ),
    Described(
        errors.SomeGroupsOnly(
            "You see the profiles of some groups only, so you cannot say what groups there are."
        ),
        "You see the profiles of some groups only, and the call is for who sees all of them.",
    ),
    Described(
        errors.WrongRegion(
            "The tenant is served in the region euw. Call https://euw.example.com/v1 for it.",
            region="euw",
            baseUrl="https://euw.example.com/v1",
        ),
        "The deployment of another region serves the tenant. Send the call to `baseUrl`, with a "
        "token that you got there.",
    ),
    Described(
        errors.ConsentWithdrawn(WITHDRAWN),
        "Only of services: somebody whose rows are in the files shares them no more, so they are "
        "handed out no more. Start a new operation: an increment from the last version that you "
        "have applied, or a full export.",
    ),
    Described(
        errors.NotFound("There is no such operation."),
        "There is nothing of that name for you, whether it exists for others or not.",
    ),
    Described(
        errors.NoProfilePage("The catalog has no address that the tenant's profiles are shown at."),
        "The tenant's hub has no page for profiles that the operator would know of.",
    ),
    Described(
        messages.UNKNOWN_DEFINITION.refusing(
            errors.UnknownDefinition, definition="CLAIMS_CONFIGURATION"
        ),
        "There is no data set definition of this code for you.",
    ),
    Described(
        messages.UNKNOWN_DATA_SET.refusing(
            errors.UnknownDataSet, data_set="TEST_321", definition="CLAIMS_CONFIGURATION"
        ),
        "The definition has no data set of this code.",
    ),
    Described(
        errors.MethodNotAllowed(
            "This path answers POST, OPTIONS; see /docs.", allow="POST, OPTIONS"
        ),
        "The path exists, the method does not; `Allow` lists those that do.",
    ),
    Described(
        errors.OperationActive(
            "Another operation of this client is active; wait for it or cancel it, then start "
            "again. This call cost nothing of the quota.",
            retry_after=5,
            blockingOperationId=OPERATION_ID,
            quota=QuotaView(limit=3, used=1, remaining=2, resets_at=_MIDNIGHT),
        ),
        "A client runs one operation at a time; `blockingOperationId` names it. Wait for its end "
        "or cancel it. The call cost nothing of the quota.",
    ),
    Described(
        errors.Conflict("Somebody else changed it just now; look at it again."),
        "Somebody else changed the same thing at this moment. Look at it, then try again.",
    ),
    Described(
        errors.DataSetExists("There is a data set of this code already; take another code."),
        "The definition has a data set of this code already. Take another one, or build that one.",
    ),
    Described(
        messages.BUILD_WHILE_BUSY.refusing(
            errors.BuildWhileBusy, {"blockingProcessId": OPERATION_ID}
        ),
        "An environment builds or imports one data set at a time; `blockingProcessId` names the "
        "process. Wait for its end.",
    ),
    Described(
        messages.IMPORT_WHILE_BUSY.refusing(
            errors.ImportWhileBusy, {"blockingProcessId": OPERATION_ID}
        ),
        "An environment builds or imports one data set at a time; `blockingProcessId` names the "
        "process. Wait for its end.",
    ),
    Described(
        errors.NotUndoable("The import was undone already.", undoneBy=OPERATION_ID),
        "Only an import that has ended and changed something can be undone, and once; `undoneBy` "
        "names the process that did.",
    ),
    Described(
        errors.ConsentFixed(
            "The consent is FROZEN; only your operator can change it.", state="FROZEN"
        ),
        "The state of the consent, `state`, does not allow the change, or not to you.",
    ),
    Described(
        errors.OperationNotRetryable(
            "The operation is succeeded; only a failed or cancelled one can be retried.",
            operationStatus="succeeded",
        ),
        "Only failed and cancelled operations can be retried.",
    ),
    Described(
        errors.OperationRunning(
            "The operation is still running; cancel it first, then delete it.",
            operationStatus="running",
        ),
        "An active operation cannot be deleted. Cancel it first.",
    ),
    Described(
        errors.OperationUnfinished(
            "The operation is running; its manifest is there when it has ended.",
            operationStatus="running",
            retry_after=2,
        ),
        "The manifest is there once the operation has ended.",
    ),
    Described(
        errors.JobUnfinished(
            "The job is running; ask for the operation's status until it has succeeded.",
            jobStatus="running",
            retry_after=2,
        ),
        "The job has no document, or not yet; `jobStatus` says how it stands.",
    ),
    Described(
        errors.FileExpired("The files of this operation have expired; start a new export."),
        "The documents were removed when their time was over. Start a new export.",
    ),
    Described(
        errors.CursorExpired("The rows of this cursor have expired; begin anew with offset 0."),
        "The rows that the cursor goes on with are kept no longer, or the template was changed "
        "since they were read. Begin anew, with `offset` 0.",
    ),
    Described(
        errors.SyncVersionExpired(
            "The changes since this version are not kept any more; start a full export, and go on "
            "from its version.",
            minValidSyncVersion="12",
        ),
        "The changes since that version are not kept any more; `minValidSyncVersion` is the "
        "oldest that they are kept from. Start a full export.",
    ),
    Described(
        errors.ResyncRequired(
            "What is granted has changed since that version; start a full export, and go on from "
            "its version.",
            tables=[
                {
                    "table": "departments",
                    "reason": "Columns or rows of the table are granted otherwise than at that "
                    "version.",
                }
            ],
        ),
        "The changes of some tables cannot be told from that version on; `tables` says which, and "
        "why. Start a full export.",
    ),
    Described(
        errors.BodyTooLarge("The body may have 1 MiB at most."),
        "The body is over 1 MiB, or a file that comes with a call over 4 MiB; `detail` says what "
        "to do.",
    ),
    Described(
        errors.ValidationFailed(
            "The body has values that are wrong; see errors.",
            [
                {
                    "field": "fileFormat",
                    "message": "Input should be 'csv', 'json', 'ndjson' or 'parquet'",
                }
            ],
        ),
        "The request can be read, and values in it are wrong; `errors` names each.",
    ),
    Described(
        errors.FieldsInvalid(
            "The body has values that are wrong; see errors.",
            {"DateOfBirth": ["Must be a date that is not in the future."]},
        ),
        "Values in the request are wrong; `errors` says of each field what is wrong with it.",
    ),
    Described(
        errors.PageTooLarge(
            "An answer cannot hold so many of these rows; ask for a count of 4500.", fits=4500
        ),
        "An answer cannot hold a page of `count` rows as large as these. Ask for `fits` of them, "
        "or let the answer be compressed: `Accept-Encoding: gzip`.",
    ),
    Described(
        messages.EMPTY_DATA_SET.refusing(errors.EmptyDataSet),
        "The data set has no items, so there is nothing to build.",
    ),
    Described(
        messages.NOT_A_ZIP.refusing(errors.NotAZip),
        "The name of the file does not end in `.zip` (or `.xml`, where payloads are XML).",
    ),
    Described(
        errors.SyncVersionUnknown(
            "This is no version that data of yours stands at; take the one that "
            "GET /data/v1/incrementals/syncversion answers, or start a full export.",
            [{"field": "syncVersion", "message": "is not known"}],
        ),
        "No export of yours has brought your data to that version.",
    ),
    Described(
        errors.IncrementsUnavailable(
            "Tables without a primary key have no increments; export them in full, each as "
            "`entity`.",
            tables=["audit"],
        ),
        "The source keeps no record of what changes, or not of all tables. Export them in full.",
    ),
    Described(
        errors.IdempotencyKeyReused(
            "This Idempotency-Key started another request; use a new key for a new request."
        ),
        "The `Idempotency-Key` was used before, with another body.",
    ),
    Described(
        errors.QuotaExhausted(
            "The client's operations of today are used up; start again after the reset.",
            quota=QuotaView(limit=3, used=3, remaining=0, resets_at=_MIDNIGHT),
            retry_after=52_188,
        ),
        "The day's operations are used up; `quota` and `Retry-After` say until when.",
    ),
    Described(
        errors.Conflict("The service has 20 keys that work already; revoke one."),
        "It cannot be done as things stand: something was changed at the same moment, or there are "
        "as many as there may be. The detail says what to do.",
    ),
    Described(
        errors.TooManyTries("Too many tries; wait, and then try again.", retry_after=30),
        "A password was tried too often, for this name or from this address. Wait as `Retry-After` "
        "says: until then the right password is refused too.",
    ),
    Described(
        Throttled("Slow down and try again.", retry_after=1),
        "Calls come too fast. Wait as `Retry-After` says.",
    ),
    Described(
        HeadraceError(
            "The request failed on our side. Try again; if it fails again, report the "
            "correlation id."
        ),
        "Something failed on our side. Try again; if it stays, quote the `correlationId`.",
    ),
    Described(
        messages.WRONG_VERSION.refusing(
            errors.OtherVersion, built_by="4.24.1.0.0", version="3.21.2.0.0"
        ),
        "The application here is of another major version: data sets of one are not for the other.",
    ),
    Described(
        errors.Fenced("Somebody else changed one of the profiles just now; try again."),
        "Somebody else changed the same at this moment. Look at it again, then repeat.",
    ),
    Described(
        errors.Unavailable(
            "The rows are still being read: 2000 are there. Ask for the same page again.",
            retry_after=2,
            rows=2000,
        ),
        "Something that we depend on does not answer, or rows of a template are still being read: "
        "`rows` says how many are there. Wait as `Retry-After` says, and repeat.",
    ),
    Described(
        errors.SourceUnavailable("The source cannot be read now.", retry_after=30),
        "The system that holds the data does not answer. Try again later.",
    ),
    Described(
        errors.FileUnavailable("The file cannot be read now; try again later.", retry_after=60),
        "The document cannot be read now, for example because its key is disabled.",
    ),
)
"""In the order in which the guide tells them."""

_QUOTA: Schema = {"$ref": REFERENCE + "Quota", "description": "The client's quota as it stands."}
_OPERATION_STATUS: Schema = {
    "enum": [str(status) for status in Status if status is not Status.DELETED],
    "type": "string",
    "description": "How the operation stands.",
}

MEMBERS: Mapping[str, Schema] = {
    "errors": {
        "description": "What is wrong, value by value; of profiles, groups and tenants by field.",
        "anyOf": [
            {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "field": {"type": "string", "description": "Which one."},
                        "message": {"type": "string", "description": "What is wrong with it."},
                    },
                    "required": ["field", "message"],
                },
            },
            {
                "type": "object",
                "additionalProperties": {"type": "array", "items": {"type": "string"}},
            },
        ],
    },
    "error": {"type": "string", "description": "The code of RFC 6749 section 5.2 for it."},
    "requiredScope": {"type": "string", "description": "The scope that the call needs."},
    "region": {"type": "string", "description": "The region that serves the tenant."},
    "baseUrl": {
        "type": ["string", "null"],
        "description": "Where that region is called; null where the catalog does not say.",
    },
    "allow": {"type": "string", "description": "The methods that the path answers."},
    "blockingOperationId": {
        "type": "string",
        "description": "The operation that has to end first.",
    },
    "blockingProcessId": {
        "type": "string",
        "description": "The data set process that has to end first.",
    },
    "quota": _QUOTA,
    "operationStatus": _OPERATION_STATUS,
    "minValidSyncVersion": {
        "type": "string",
        "description": "The oldest version that changes can be told from.",
    },
    "tables": {
        "type": "array",
        "description": "The tables that are meant; of some problems with the reason of each.",
        "items": {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "properties": {
                        "table": {"type": "string", "description": "Which one."},
                        "reason": {"type": "string", "description": "Why."},
                    },
                    "required": ["table", "reason"],
                },
            ]
        },
    },
    "state": {"type": "string", "description": "The state of the consent."},
    "severity": {
        "enum": ["Informative", "Warning", "Fatal"],
        "type": "string",
        "description": "Of a message about data sets: how bad it is.",
    },
    "undoneBy": {"type": "string", "description": "The process that has undone the import."},
    "formats": {
        "type": "array",
        "items": {"type": "string"},
        "description": "The media types that there are.",
    },
    "fits": {"type": "integer", "minimum": 1, "description": "How many rows a page can have."},
    "rows": {
        "type": "integer",
        "minimum": 0,
        "description": "How many rows of a template can be read already.",
    },
    "jobStatus": {**_OPERATION_STATUS, "description": "How the job stands."},
}
"""The members that a problem may have beyond those of RFC 9457, and their schemas."""

PROBLEM: Schema = {
    "type": "object",
    "description": "What went wrong (RFC 9457). Programs go by `code`; the words may change.",
    "properties": {
        "type": {"type": "string", "description": "`urn:headrace:problem:` and the code."},
        "title": {"type": "string", "description": "What kind of problem it is."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "A sentence that says what to do."},
        "code": {"type": "string", "description": "A stable code."},
        "correlationId": {
            "type": "string",
            "description": "Names the request in our logs; quote it when you ask for help.",
        },
        **MEMBERS,
    },
    "required": ["type", "title", "detail", "code", "correlationId"],
}


def described(kind: type[HeadraceError]) -> Described:
    """An error of this class. Raises LookupError if nobody thought of one."""
    for one in DESCRIBED:
        if one.kind is kind:
            return one
    raise LookupError(f"openapi/problems.py does not describe {kind.__name__}")


@dataclass(frozen=True)
class Responses:
    """What errors look like: by name, each kind of response that some route has."""

    named: dict[str, Any] = field(default_factory=dict)

    def content(self, reference: Mapping[str, str]) -> dict[str, Any]:
        """What a response has in it, by its reference."""
        found: dict[str, Any] = self.named[reference["$ref"].rpartition("/")[2]]["content"]
        return found

    def of(self, kinds: Iterable[type[HeadraceError]]) -> dict[str, Any]:
        """References to the responses, by status, that these errors lead to."""
        by_status: dict[int, list[Described]] = {}
        for kind in dict.fromkeys(kinds):
            by_status.setdefault(status_of(kind), []).append(described(kind))
        references = {}
        for status, ones in sorted(by_status.items()):
            ones.sort(key=DESCRIBED.index)
            name = "Or".join(camel(f"_{one.kind.code}") for one in ones)
            self.named[name] = _response(ones)
            references[str(status)] = {"$ref": f"#/components/responses/{name}"}
        return references


def _response(ones: list[Described]) -> dict[str, Any]:
    replies = {one.kind.code: problem(one.error, CORRELATION_ID) for one in ones}
    headers = {name for reply in replies.values() for name in reply.headers} - {"Cache-Control"}
    return {
        "description": "\n".join(f"- `{one.kind.code}`: {one.meaning}" for one in ones)
        if len(ones) > 1
        else ones[0].meaning,
        "headers": {
            name: {"$ref": f"#/components/headers/{name}"}
            for name in sorted({"X-Correlation-Id", *headers})
        },
        "content": {
            "application/problem+json": {
                "schema": {
                    "allOf": [
                        {"$ref": REFERENCE + "Problem"},
                        {"type": "object", "properties": {"code": {"enum": list(replies)}}},
                    ]
                },
                "examples": {code: {"value": reply.body} for code, reply in replies.items()},
            }
        },
    }
