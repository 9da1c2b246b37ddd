"""What the API answers, as an example: made by the very views, of one export and its documents."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from headrace.audit.model import Action, Day, Failing
from headrace.audit.views import ErrorPage, StatisticsView
from headrace.consents.model import Audience, AudienceKind, Consent, State, Validity
from headrace.consents.views import ConsentPage, ConsentView
from headrace.datasets import messages
from headrace.datasets.audit_trail import Change, Found
from headrace.datasets.audit_views import AuditTrailPage
from headrace.datasets.environment_views import (
    DataSetList,
    EnvironmentView,
    PropertyList,
    PropertyView,
    TaskProcessingView,
    UploadView,
    available_data_sets,
)
from headrace.datasets.environments import SOURCES, Available, Environment, FromSource
from headrace.datasets.import_starts import ImportOptions
from headrace.datasets.model import DataSet, Options, Process, ProcessKind, Result
from headrace.datasets.ports import Upload
from headrace.datasets.task_processing import Standing, TaskState
from headrace.datasets.views import DataSetMessagePage, DataSetProcessView, DataSetView
from headrace.exports import views
from headrace.exports.model import (
    Baseline,
    Compression,
    DocumentRecord,
    ExportRequest,
    FileFormat,
    Job,
    Operation,
    OperationKind,
    Progress,
    Quota,
    Status,
    SyncStanding,
    new_operation,
)
from headrace.exports.schedule_views import ScheduleList
from headrace.exports.schedules import Reason, Schedule, ScheduledRun
from headrace.exports.scheduling import ScheduleStanding
from headrace.exports.slices import RowRange, SliceResult, UploadedPart
from headrace.exports.sources import ChangeWindow, Column, ColumnType, Configuration, Table
from headrace.exports.webhooks import Notice
from headrace.identity.api_keys import ApiKey, KeyKind
from headrace.identity.certificate_views import CertificateView
from headrace.identity.certifying import Certified
from headrace.identity.client_authentication import NOT_AUTHENTICATED
from headrace.identity.key_views import KeyList, ManagersView, created_key
from headrace.identity.logging_in import LoginGiven
from headrace.identity.model import IssuedCertificate
from headrace.identity.oauth import TokenIssued, TokenRefused
from headrace.identity.services import CreatedKey
from headrace.identity.usecases import issuer_document
from headrace.identity.users import Management
from headrace.kernel.caller import USER_CLIENT_ID, Caller
from headrace.kernel.deliveries import Answer
from headrace.kernel.paging import Page
from headrace.kernel.view import as_json
from headrace.profiles.group_views import (
    CategoryList,
    CategoryView,
    GroupChange,
    GroupList,
    GroupMembers,
    GroupView,
    MemberView,
    RemovedLinks,
)
from headrace.profiles.importing import Outcome
from headrace.profiles.model import Category, Group, HubTenant, Person, Profile, Sex, Sight
from headrace.profiles.tenant_views import TenantList, TenantView
from headrace.profiles.views import (
    ImportedLine,
    ProfileExistsView,
    ProfileList,
    ProfileView,
    SyncIdsDeleted,
)
from headrace.runtime.api import Scope
from headrace.templates.model import Cursor
from headrace.templates.views import TemplatePage, TemplateView, cursor_text
from openapi.problems import OPERATION_ID
from profiles.find_redirect_target import RedirectTarget
from reference.document import EXAMPLE_SCOPE_PREFIX, EXAMPLE_URL
from reference.get_root import Directory

SCOPES = tuple(f"{EXAMPLE_SCOPE_PREFIX}:{scope}" for scope in Scope)
JOB_ID = f"{OPERATION_ID}-0001"

_BEGUN = datetime(2026, 11, 23, 8, 30, 12, 345000, tzinfo=UTC)
_QUOTA = Quota(limit=3, used=1, resets_at=datetime(2026, 11, 23, 23, 0, tzinfo=UTC))
_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

_DEPARTMENTS = Table(
    name="departments",
    source="hr.departments",
    columns=(
        Column("id", "id", ColumnType.BIGINT, nullable=False),
        Column("name", "name", ColumnType.STRING, nullable=False),
        Column("budget", "budget", ColumnType.DECIMAL, nullable=True, precision=18, scale=2),
    ),
    primary_key=("id",),
    row_estimate=48,
)
_CONFIGURATION = Configuration(
    configuration_id="hr-full",
    tenant="northwind-care",
    client_id="demo-integrator",
    default=True,
    source="warehouse",
    tables=(_DEPARTMENTS,),
)


_DATA_SET = DataSet(
    tenant="northwind-care",
    definition="CLAIMS_CONFIGURATION",
    code="TEST_321",
    data_set_id=OPERATION_ID,
    description="TEST_CONFIG_321",
    options=Options(exact_version_match=True),
    created_at=_BEGUN,
    updated_at=_BEGUN,
    number_of_items=1,
)
_BUILD = Process(
    tenant="northwind-care",
    process_id=OPERATION_ID,
    kind=ProcessKind.BUILD,
    definition=_DATA_SET.definition,
    data_set=_DATA_SET.code,
    started_at=_BEGUN,
    started_by="demo-integrator",
    request={},
)


def _scheduled() -> Operation:
    request = ExportRequest("hr-full", ("departments",), FileFormat.CSV, Compression.GZIP)
    return new_operation(
        OPERATION_ID, "northwind-care", "demo-integrator", request, 7, "2026-11-23", _BEGUN
    )


def _running() -> Operation:
    operation = _scheduled()
    job = replace(
        operation.jobs[0],
        status=Status.RUNNING,
        attempt=1,
        read=Progress(24, 701),
        expected_rows=48,
        slices=(RowRange(0, 47, 48),),
        ranges=1,
        seconds_left=2,
    )
    return replace(
        operation,
        status=Status.RUNNING,
        sync_version="42@2026-11-23T08:30:13.406311Z",
        started_at=_BEGUN + timedelta(seconds=1),
        jobs=(job,),
        seconds_left=2,
    )


def _succeeded() -> Operation:
    ended = _BEGUN + timedelta(seconds=4)
    operation = _running()
    job: Job = replace(
        operation.jobs[0],
        status=Status.SUCCEEDED,
        slices_done=frozenset({0}),
        seconds_left=None,
        rows=48,
        size=1_403,
        sha256=_DIGEST,
        schema_hash=_DEPARTMENTS.schema_hash,
        schema_version=_DEPARTMENTS.schema_version,
        ended_at=ended,
    )
    return replace(
        operation,
        status=Status.SUCCEEDED,
        ended_at=ended,
        expires_at=ended + timedelta(hours=24),
        jobs=(job,),
        seconds_left=None,
    )


def _schedules() -> ScheduleList:
    nightly = Schedule(
        name="nightly",
        tenant="northwind-care",
        client_id="demo-integrator",
        configuration_id="hr-full",
        cron="0 2 * * *",
        time_zone="Europe/Amsterdam",
        kind=OperationKind.INCREMENTAL,
        compression=Compression.GZIP,
    )
    due = datetime(2026, 11, 23, 1, tzinfo=UTC)
    busy = Reason("operation_active", "Another operation of this client is active.")
    runs = (
        ScheduledRun("nightly", due).started(OPERATION_ID, OperationKind.INCREMENTAL),
        ScheduledRun("nightly", due - timedelta(days=1)).refused(busy).missed(),
    )
    return ScheduleList.of([ScheduleStanding(nightly, nightly.next_due(_BEGUN), runs)])


def _told() -> Operation:
    """The same, of a client that has a webhook."""
    operation = _succeeded()
    request = replace(operation.request, notice=Notice("hooks", EXAMPLE_URL))
    ended = operation.ended_at or _BEGUN
    owed = replace(operation, request=request).delivery(operation.status, None, ended)
    tried = owed.begun(ended, 0.5).ended(Answer(status=204)) if owed else None
    return replace(operation, request=request, deliveries=(tried,) if tried else ())


def _shown(operation: Operation) -> views.OperationView:
    return views.OperationView.shown(operation, _QUOTA, EXAMPLE_URL)


def _cancelled() -> Operation:
    ended = _BEGUN + timedelta(seconds=2)
    job = replace(_running().jobs[0], status=Status.CANCELLED, seconds_left=None)
    return replace(
        _running(),
        status=Status.CANCELLED,
        ended_at=ended,
        expires_at=ended + timedelta(hours=24),
        jobs=(job,),
        seconds_left=None,
    )


def _retried() -> Operation:
    return replace(_scheduled(), attempt=2, sync_version="42@2026-11-23T08:30:13.406311Z")


def _manifest() -> views.ManifestView:
    operation = _succeeded()
    written = SliceResult(0, 48, (UploadedPart(1, 1_403, _DIGEST, ""),), _DIGEST)
    return views.ManifestView.of(
        operation, (DocumentRecord(operation.jobs[0], (written,)),), EXAMPLE_URL
    )


def _page() -> views.OperationPage:
    return views.OperationPage(
        operations=(views.OperationSummary.of(_succeeded(), EXAMPLE_URL),),
        next=None,
        quota=views.QuotaView.of(_QUOTA),
    )


def _increment() -> Operation:
    request = ExportRequest(
        "hr-full",
        ("departments",),
        FileFormat.NDJSON,
        Compression.NONE,
        since="42@2026-11-23T08:30:13.406311Z",
    )
    return new_operation(
        OPERATION_ID, "northwind-care", "demo-integrator", request, 7, "2026-11-23", _BEGUN
    )


def _sync_version() -> views.SyncVersionView:
    baseline = Baseline(
        configuration_id="hr-full",
        entity=None,
        version="42@2026-11-23T08:30:13.406311Z",
        grants={},
        reached_at=_BEGUN + timedelta(seconds=4),
        operation_id=OPERATION_ID,
        kind=OperationKind.FULL,
    )
    window = ChangeWindow(
        "57@2026-11-23T09:12:40.118204Z",
        "12@2026-11-09T08:30:16.345000Z",
        _BEGUN - timedelta(days=14),
    )
    standing = SyncStanding("hr-full", None, baseline, window, window.latest)
    return views.SyncVersionView.of(standing)


def _metadata() -> views.MetadataView:
    return views.MetadataView.of(7, _CONFIGURATION, Page.of(_CONFIGURATION.tables, 10, 1))


def _template_page() -> TemplatePage:
    person = {"personId": 1042, "firstName": "Åsa", "lastName": "Lind", "birthDate": "1984-05-17"}
    cursor = cursor_text(Cursor(OPERATION_ID, 1))
    url = f"{EXAMPLE_URL}/api/ver3/services/exporttemplate/persons?cursor={cursor}&count=1"
    return TemplatePage(TemplateView("persons", "Persons"), _BEGUN, 0, 1, [person], url, 3)


def _consent() -> ConsentView:
    audience = Audience(AudienceKind.SERVICE, "wellness-app")
    validity = Validity(_BEGUN, datetime(2027, 12, 1, tzinfo=UTC))
    consent = Consent(
        "northwind-care", "acc-1042", audience, State.ACTIVE, validity, 1, _BEGUN, "wellness-app"
    )
    return ConsentView.of(consent, _BEGUN)


PROFILE_ID = "2f6b1c64-6f0c-4e5b-9d5e-1c1a5c7d9e10"
ORGANISATION_ID = "5f1c1b9e-4a0e-4d3b-9a55-0a3b1f6f2c11"
_NORTHWIND_CARE = HubTenant("northwind-care", ORGANISATION_ID, "Northwind Care", "aue")
_HARBOUR_HEALTH = HubTenant(
    "harbour-health", "c3a4d3de-8f0b-4d7e-8b7c-6f2f5b0f9a42", "Harbour Health", "euw"
)
CATEGORY_ID = "2b7f7a0e-3d56-4a52-9a3e-5b1f8a6c0d11"
GROUP_ID = "b5a1c0de-90f4-4c1e-8a7d-1e2f3a4b5c6d"
_TEAMS = Category("northwind-care", CATEGORY_ID, "Team", "teams")
_FIRST_TEAM = Group("northwind-care", GROUP_ID, "First team", CATEGORY_ID, "first-team")


def _profile() -> ProfileView:
    person = Person(
        "John",
        "Hancock",
        date(1970, 3, 31),
        Sex.MALE,
        "john.hancock@somedomain.com",
        "NHS-0042",
        is_created_by_user_over_18_years_old=True,
        is_guardian_consent_given=True,
        is_photo_video_consent_given=True,
    )
    at = datetime(2026, 11, 23, 7, 15, 17, tzinfo=UTC)
    profile = Profile("northwind-care", PROFILE_ID, person, at, at, "patient-4711")
    return ProfileView.of(profile, Sight())


def _tenant() -> TenantView:
    return TenantView.of(_NORTHWIND_CARE, None)


REFRESH_TOKEN = "hrr_01kaqb7m3y6c9r2t5v8x1z4d7h_" + "secret-part-of-43-characters".ljust(43, ".")
_API_KEY = ApiKey(
    key_id="01kaqb7m3y6c9r2t5v8x1z4d7h",
    service="payroll-bureau",
    tenant="northwind-care",
    kind=KeyKind.REFRESH,
    created_at=datetime(2026, 11, 23, 7, 15, tzinfo=UTC),
    created_by="01kaqb7m3y6c9r2t5v8x1z4d7j",
    expires_at=datetime(2027, 11, 23, 7, 15, tzinfo=UTC),
    name="nightly import",
    shown="hrr_01kaqb7m3y6c9r2t5v8x1z4d7h_dGhpcyBp",
)


def _in_pem(label: str) -> str:
    return f"-----BEGIN {label}-----\nMIIB…\n-----END {label}-----\n"


_TEST = "https://test.example.com/v1/dataexchange"
_ACCEPTANCE = "https://acceptance.example.com/v1/dataexchange"
_ENVIRONMENT = Environment("TEST", "4.24.1.0.0")
_AVAILABLE = Available(
    code="TEST_321",
    description="The brands of the new year",
    environment="TEST",
    data_set_id="01kaqb7m3y6c9r2t5v8x1z4d7j",
    number_of_items=12,
    exact_version_match=False,
    disable_delete_by_omission=False,
    inclusion_date=None,
    created_at=_BEGUN,
    updated_at=_BEGUN,
    payload_built_at=_BEGUN + timedelta(minutes=2),
)

_IMPORT = replace(
    _BUILD,
    kind=ProcessKind.IMPORT,
    request={"sourceEnvironment": "TEST", **ImportOptions(exact_version_match=True).request()},
)
_UNDO = replace(
    _IMPORT,
    process_id="01kaqb8k2m4p6r8t0v2x4z6d8f",
    kind=ProcessKind.UNDO,
    request={"undoes": OPERATION_ID, "force": False, "stopTaskProcessing": False},
)
_COUNTS = {"added": 0, "changed": 1, "deleted": 0, "unchanged": 11, "failed_items": 0}
_IMPORTED = _IMPORT.ended(Result.SUCCESS, _BEGUN + timedelta(seconds=4), {"counts": _COUNTS})
_CHANGE = Change(
    change="changed",
    table="GROUP CLIENTS",
    table_id=18039405,
    item="GROUP CLIENTS ACME",
    uuid="5e0f7c1a-3b0c-4a52-9f0e-5f0a0c4a1b7e",
    key=("ACME",),
    values={"description": {"old": "Acme", "new": "Acme Corporation"}},
)

_CERTIFIED = Certified(
    IssuedCertificate(
        key_id=_API_KEY.key_id,
        service=_API_KEY.service,
        not_before=_API_KEY.created_at,
        not_after=_API_KEY.expires_at,
        thumbprint="bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2",
        serial="5d1b7f0a94c86e23b01fa7d2c4e6983051ab27cd",
        key_fingerprint="0" * 64,
        pem=_in_pem("CERTIFICATE"),
    ),
    _in_pem("CERTIFICATE"),
)
_MANAGEMENT = Management(frozenset({"01kaqb7m3y6c9r2t5v8x1z4d7j"}), frozenset({"integration"}))


def _unknown_client() -> dict[str, str]:
    return TokenRefused("invalid_client", NOT_AUTHENTICATED).document()


def _not_asked() -> dict[str, str]:
    return TokenRefused("invalid_request", "token is missing.").document()


_QUESTION = {
    "token": "eyJhbGciOiJSUzI1NiIsImtpZCI6Ii4uLiJ9.eyJpc3MiOiIuLi4ifQ.c2lnbmF0dXJl",
    "client_id": "demo-integrator",
    "client_secret": "the secret that your operator gave you",
}

_PUSHED = {
    "tenantId": ORGANISATION_ID,
    "syncId": "patient-4711",
    "givenName": "John",
    "familyName": "Hancock",
    "dateOfBirth": "1970-03-31T00:00:00Z",
    "sex": "Male",
    "email": "john.hancock@somedomain.com",
    "externalId": "NHS-0042",
    "isCreatedByUserOver18YearsOld": True,
    "isGuardianConsentGiven": True,
    "isPhotoVideoConsentGiven": True,
}

_GROUP_PROFILES = {
    "tenantId": ORGANISATION_ID,
    "groupId": GROUP_ID,
    "profileIds": [PROFILE_ID],
}
_PROFILE_GROUPS = {
    "tenantId": ORGANISATION_ID,
    "profileId": PROFILE_ID,
    "groupIds": [GROUP_ID],
}
REQUESTS: Mapping[str, Mapping[str, Any]] = {
    "start_full_export": {
        "configurationId": "hr-full",
        "fileFormat": "csv",
        "compression": "gzip",
        "entity": "departments",
    },
    "start_incremental_export": {
        "syncVersion": "42@2026-11-23T08:30:13.406311Z",
        "configurationId": "hr-full",
        "fileFormat": "ndjson",
    },
    "create_data_set": {
        "code": "TEST_321",
        "description": "TEST_CONFIG_321",
        "exactVersionMatch": True,
        "configMigrationItems": [{"tableId": 2220, "recordId": 17}, {"tableId": 18039405}],
        "excludeOptions": [{"tableTopId": 18039405, "tableDependentId": 2220}],
    },
    "create_and_build": {"code": "FULL_2026_11", "description": "All there is in November"},
    "rebuild_data_set": {"description": "All there is in December"},
    "start_build": {"inclusionDate": "2023-12-31", "exactVersionMatch": True},
    "import_category": {"tenantId": ORGANISATION_ID, "syncId": "teams", "name": "Team"},
    "import_group": {
        "tenantId": ORGANISATION_ID,
        "syncId": "first-team",
        "name": "First team",
        "categorySyncId": "teams",
    },
    "replace_group_profiles": _GROUP_PROFILES,
    "remove_group_profiles": _GROUP_PROFILES,
    "add_profile_groups": _PROFILE_GROUPS,
    "replace_profile_groups": _PROFILE_GROUPS,
    "remove_profile_groups": _PROFILE_GROUPS,
    "merge_profiles": {
        "tenantId": ORGANISATION_ID,
        "fromProfileId": "9b0d0a3e-3d0e-4f7e-8a39-52f5a1b7c0d4",
        "toProfileId": PROFILE_ID,
    },
    "import_profiles": _PUSHED,
    "import_profile": _PUSHED,
    "read_template": {"count": 500, "offset": 0},
    "subscribe": {"account": "acc-1042", "to": "2027-12-01T00:00:00Z"},
    "exchange_refresh_token": {"refreshToken": REFRESH_TOKEN},
    "create_key": {"kind": "refresh", "name": "nightly import"},
    "set_managers": {"teams": ["integration"]},
    "certify_key": {"csr": _in_pem("CERTIFICATE REQUEST")},
    "set_property": {"name": f"{SOURCES}CONF", "value": f"{_TEST};{_ACCEPTANCE}"},
    "set_credential": {"username": "carrier@example.com", "password": "the same in all of them"},
    "import_file": {"uploadId": OPERATION_ID, "dryRun": True},
    "import_from_environment": {"sourceEnvironment": "TEST", "exactVersionMatch": True},
    "start_undo": {"force": False},
    "prepare_upload": {"fileName": "brands.zip", "size": 734_003_200},
    "search_audit_trail": {"resource": {"q": f"process.eq('{OPERATION_ID}')", "limit": 50}},
    "log_in": {"username": "integrator@emailaddress.com", "password": "your password"},
    "introspect_token": _QUESTION,
    "revoke_token": _QUESTION,
    "issue_token": {
        "grant_type": "client_credentials",
        "client_id": "demo-integrator",
        "client_secret": "the secret that your operator gave you",
        "scope": " ".join(SCOPES),
    },
}
"""An example of each body that a route takes."""

REPLIES: Mapping[tuple[str, int], Callable[[], Any]] = {
    ("start_full_export", 202): lambda: _shown(_scheduled()),
    ("create_data_set", 201): lambda: DataSetView.of(_DATA_SET),
    ("create_and_build", 201): lambda: DataSetProcessView.of(_BUILD, EXAMPLE_URL),
    ("rebuild_data_set", 201): lambda: DataSetProcessView.of(_BUILD, EXAMPLE_URL),
    ("start_build", 201): lambda: DataSetProcessView.of(_BUILD, EXAMPLE_URL),
    ("get_data_set_process", 200): lambda: DataSetProcessView.of(
        _BUILD.ended(Result.SUCCESS, _BEGUN + timedelta(seconds=4), {"bytes": 1403, "items": 1}),
        EXAMPLE_URL,
    ),
    ("list_data_set_messages", 200): lambda: DataSetMessagePage.of(
        Page.of((messages.EMPTY_DATA_SET(),), 50, 1)
    ),
    ("start_incremental_export", 202): lambda: _shown(_increment()),
    ("get_sync_version", 200): _sync_version,
    ("get_export_status", 200): lambda: _shown(_told()),
    ("retry_export", 202): lambda: _shown(_retried()),
    ("cancel_export", 200): lambda: _shown(_cancelled()),
    ("list_operations", 200): _page,
    ("list_schedules", 200): _schedules,
    ("get_manifest", 200): _manifest,
    ("get_metadata", 200): _metadata,
    ("read_template", 200): _template_page,
    ("issue_token", 200): lambda: TokenIssued(
        "eyJhbGciOiJSUzI1NiIsImtpZCI6Ii4uLiJ9.eyJpc3MiOiIuLi4ifQ.c2lnbmF0dXJl",
        3600,
        " ".join(SCOPES),
    ).document(),
    ("issue_token", 400): lambda: TokenRefused(
        "invalid_scope", "The client may not have a scope that was asked for."
    ).document(),
    ("exchange_refresh_token", 200): lambda: {
        "status": "ACTIVE",
        "authToken": "eyJhbGciOiJSUzI1NiIsImtpZCI6Ii4uLiJ9.eyJpc3MiOiIuLi4ifQ.c2lnbmF0dXJl",
        "refreshToken": REFRESH_TOKEN,
        "expires_in": 18000,
    },
    ("get_statistics", 200): lambda: StatisticsView.of(
        "wellness-app",
        [Day(date(2026, 11, 23), {Action.TOKEN: 3, Action.EXPORT: 1, Action.DOWNLOAD: 7})],
    ),
    ("list_errors", 200): lambda: ErrorPage.of(
        [
            Failing(
                at=datetime(2026, 11, 23, 8, 30, 13, tzinfo=UTC),
                action=Action.FAILURE,
                service="wellness-app",
                what="POST /data/v1/fulldata",
                status=409,
                code="operation_active",
                correlation_id="6f1d3c9e-5a54-4a36-9a1c-0d2b7c1f8e42",
            )
        ],
        None,
    ),
    ("list_keys", 200): lambda: KeyList.of((_API_KEY,), _API_KEY.created_at),
    ("create_key", 201): lambda: created_key(CreatedKey(_API_KEY, REFRESH_TOKEN)),
    ("certify_key", 200): lambda: CertificateView.of(_CERTIFIED),
    ("get_managers", 200): lambda: ManagersView.of(_MANAGEMENT),
    ("set_managers", 200): lambda: ManagersView.of(_MANAGEMENT),
    ("import_file", 201): lambda: DataSetProcessView.of(_IMPORT, EXAMPLE_URL),
    ("start_undo", 201): lambda: DataSetProcessView.of(_UNDO, EXAMPLE_URL),
    ("import_from_environment", 201): lambda: DataSetProcessView.of(_IMPORT, EXAMPLE_URL),
    ("prepare_upload", 201): lambda: UploadView.of(
        Upload(
            OPERATION_ID,
            "https://headrace-datasets.s3.eu-west-1.amazonaws.com/…&X-Amz-Signature=…",
            {"Content-Length": "734003200", "x-amz-server-side-encryption": "aws:kms"},
            _BEGUN + timedelta(hours=1),
        )
    ),
    ("get_task_processing", 200): lambda: TaskProcessingView.of(
        Standing(TaskState.STARTED), f"{EXAMPLE_URL}/taskprocessing"
    ),
    ("control_task_processing", 200): lambda: TaskProcessingView.of(
        Standing(TaskState.STOPPING), f"{EXAMPLE_URL}/taskprocessing"
    ),
    ("search_audit_trail", 200): lambda: AuditTrailPage.of(
        Found((_IMPORTED,), (_CHANGE,), has_more=False, total=1), 0, 50
    ),
    ("get_environment", 200): lambda: EnvironmentView.of(_ENVIRONMENT),
    ("list_data_sets", 200): lambda: DataSetList.of(_ENVIRONMENT, [_AVAILABLE]),
    ("fetch_available_data_sets", 200): lambda: available_data_sets(
        [
            FromSource(_TEST, [_AVAILABLE]),
            FromSource(_ACCEPTANCE, failure="HTTP 401 Unauthorized"),
        ]
    ),
    ("set_property", 200): lambda: PropertyView(f"{SOURCES}CONF", f"{_TEST};{_ACCEPTANCE}"),
    ("set_property", 201): lambda: PropertyView(f"{SOURCES}CONF", f"{_TEST};{_ACCEPTANCE}"),
    ("list_properties", 200): lambda: PropertyList(
        (PropertyView(f"{SOURCES}CONF", f"{_TEST};{_ACCEPTANCE}"),)
    ),
    ("issue_token", 401): _unknown_client,
    ("log_in", 200): lambda: LoginGiven(
        "integrator@emailaddress.com",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6Ii4uLiJ9.eyJpc3MiOiIuLi4ifQ.c2lnbmF0dXJl",
        f"hrl_{OPERATION_ID}_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
        3600,
        " ".join(SCOPES),
        Caller("northwind-care", USER_CLIENT_ID, frozenset(SCOPES)),
    ).document(),
    ("subscribe", 200): _consent,
    ("subscribe", 201): _consent,
    ("search_consents", 200): lambda: ConsentPage((_consent(),), None),
    ("list_profiles", 200): lambda: ProfileList((_profile(),), None),
    ("get_profile", 200): _profile,
    ("profile_exists", 200): lambda: ProfileExistsView(True),
    ("delete_sync_ids", 200): lambda: SyncIdsDeleted(1042, 0),
    ("import_profiles", 200): lambda: ImportedLine(
        1, Outcome.CREATED, "patient-4711", PROFILE_ID, {}
    ),
    ("list_tenants", 200): lambda: TenantList(
        (_tenant(), TenantView.of(_HARBOUR_HEALTH, "https://euw.example.com/v1"))
    ),
    ("get_tenant", 200): _tenant,
    ("list_categories", 200): lambda: CategoryList((CategoryView.of(_TEAMS),)),
    ("import_category", 200): lambda: CategoryView.of(_TEAMS),
    ("list_groups", 200): lambda: GroupList((GroupView.of(_FIRST_TEAM),)),
    ("import_group", 200): lambda: GroupView.of(_FIRST_TEAM),
    ("list_group_profiles", 200): lambda: GroupMembers(
        GROUP_ID, (MemberView(PROFILE_ID, "athlete-1042"),), None
    ),
    ("replace_group_profiles", 200): lambda: GroupChange(GROUP_ID, 2, 1),
    ("remove_group_profiles", 200): lambda: GroupChange(GROUP_ID, 0, 1),
    ("remove_tenant_sync_ids", 200): lambda: RemovedLinks(3, 12, 480, 0),
    ("find_redirect_target", 200): lambda: RedirectTarget(
        "b8f3b0a2-7f0e-4d57-9a2e-0f6f5a1f7c11",
        "https://hub.northwind.example/profiles/b8f3b0a2-7f0e-4d57-9a2e-0f6f5a1f7c11",
    ),
    ("get_jwks", 200): lambda: {
        "keys": [
            {
                "kty": "RSA",
                "n": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ",
                "e": "AQAB",
                "use": "sig",
                "alg": "RS256",
                "kid": "dGhlIHRodW1icHJpbnQgb2YgdGhlIGtleSBpdHNlbGY",
            }
        ]
    },
    ("introspect_token", 200): lambda: {
        "active": True,
        "scope": SCOPES[0],
        "token_type": "Bearer",
        "iss": EXAMPLE_URL,
        "aud": "headrace",
        "sub": "demo-integrator",
        "client_id": "demo-integrator",
        "tenant_id": "northwind-care",
        "iat": 1795422612,
        "exp": 1795426212,
        "jti": "01jd3x9v6p4m8c2t7r5w0k1nqz",
    },
    ("introspect_token", 400): _not_asked,
    ("introspect_token", 401): _unknown_client,
    ("revoke_token", 400): _not_asked,
    ("revoke_token", 401): _unknown_client,
    ("get_openid_configuration", 200): lambda: issuer_document(EXAMPLE_URL, SCOPES),
    ("get_root", 200): lambda: Directory.at(EXAMPLE_URL),
}
"""An example of each reply that has JSON of ours in it."""


def reply(name: str, status: int) -> Any:
    """The example of a reply as JSON. Raises KeyError if there is none."""
    return as_json(REPLIES[name, status]())
