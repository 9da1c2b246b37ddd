"""Headrace from the integrator's side.

    from headrace_client import HeadraceClient, Pull, Wanted

    with HeadraceClient("https://data.example.org", "client-id", "client-secret") as client:
        pulled = Pull(client, Path("data"))(Wanted(file_format=FileFormat.CSV))
        for file in pulled.download.files:
            print(file.path, file.rows, file.sha256)

`HeadraceClient` has the calls of the API; `Pull` is all of them in the order that ends with
verified files in a directory, safe to be killed and run again; `Sync` keeps a copy of the tables
up to date, in what `sync_destination` names. `client.data_sets` carries configuration from one
environment to another, `client.templates` reads what the operator activated, and `client.profiles`
pushes persons into a tenant. Errors are in `headrace_client.errors`, what happens
during a pull in `headrace_client.events`.
"""

from headrace_client.client import HeadraceClient
from headrace_client.connection import ClientCertificate
from headrace_client.credentials import (
    ClientSecret,
    ConnectionCertificate,
    Credentials,
    KeyCertificate,
    PrivateKey,
    RefreshToken,
    StaticKey,
)
from headrace_client.datasets.calls import DataSets
from headrace_client.datasets.model import (
    Change,
    ChangeKind,
    Exclusion,
    ImportOptions,
    Process,
    ProcessMessage,
    Result,
    Selection,
    Source,
)
from headrace_client.datasets.run import Ended, Run
from headrace_client.download import Download, DownloadedFile
from headrace_client.errors import (
    AccessDenied,
    ApiError,
    AuthenticationError,
    CertificateRefused,
    Conflict,
    ConsentWithdrawn,
    CredentialEnded,
    DestinationError,
    DestinationInUse,
    DirectoryInUse,
    FileExpired,
    HeadraceClientError,
    IncrementsUnavailable,
    InvalidRequest,
    LocalFileError,
    NetworkError,
    NoDifference,
    NotBuilt,
    NotFound,
    OperationActive,
    OperationUnsuccessful,
    ProcessActive,
    ProcessTimeout,
    ProcessUnsuccessful,
    ProtocolError,
    QuotaExhausted,
    ResyncRequired,
    ServiceError,
    SetupError,
    SyncVersionExpired,
    SyncVersionUnknown,
    TooManyRequests,
    VerificationError,
    WaitTimeout,
)
from headrace_client.keys import SigningKey, own_signing_key, signing_key
from headrace_client.model import (
    Compression,
    Content,
    Failure,
    FieldMetadata,
    FileFormat,
    Job,
    Manifest,
    ManifestFile,
    Metadata,
    Operation,
    OperationKind,
    OperationPage,
    Part,
    Quota,
    Status,
    SyncStanding,
    TableMetadata,
)
from headrace_client.profiles.calls import Profiles, Pushed
from headrace_client.pull import Pull, Pulled, Wanted
from headrace_client.refreshing import RefreshFile
from headrace_client.retrying import RetryPolicy
from headrace_client.sync.address import destination as sync_destination
from headrace_client.sync.run import Action, Sync, Synced
from headrace_client.templates.calls import Templates
from headrace_client.templates.model import RowFormat, Selected, TemplateFile, TemplatePage
from headrace_client.version import VERSION as __version__

__all__ = [
    "AccessDenied",
    "Action",
    "ApiError",
    "AuthenticationError",
    "CertificateRefused",
    "Change",
    "ChangeKind",
    "ClientCertificate",
    "ClientSecret",
    "Compression",
    "Conflict",
    "ConnectionCertificate",
    "ConsentWithdrawn",
    "Content",
    "CredentialEnded",
    "Credentials",
    "DataSets",
    "DestinationError",
    "DestinationInUse",
    "DirectoryInUse",
    "Download",
    "DownloadedFile",
    "Ended",
    "Exclusion",
    "Failure",
    "FieldMetadata",
    "FileExpired",
    "FileFormat",
    "HeadraceClient",
    "HeadraceClientError",
    "ImportOptions",
    "IncrementsUnavailable",
    "InvalidRequest",
    "Job",
    "KeyCertificate",
    "LocalFileError",
    "Manifest",
    "ManifestFile",
    "Metadata",
    "NetworkError",
    "NoDifference",
    "NotBuilt",
    "NotFound",
    "Operation",
    "OperationActive",
    "OperationKind",
    "OperationPage",
    "OperationUnsuccessful",
    "Part",
    "PrivateKey",
    "Process",
    "ProcessActive",
    "ProcessMessage",
    "ProcessTimeout",
    "ProcessUnsuccessful",
    "Profiles",
    "ProtocolError",
    "Pull",
    "Pulled",
    "Pushed",
    "Quota",
    "QuotaExhausted",
    "RefreshFile",
    "RefreshToken",
    "Result",
    "ResyncRequired",
    "RetryPolicy",
    "RowFormat",
    "Run",
    "Selected",
    "Selection",
    "ServiceError",
    "SetupError",
    "SigningKey",
    "Source",
    "StaticKey",
    "Status",
    "Sync",
    "SyncStanding",
    "SyncVersionExpired",
    "SyncVersionUnknown",
    "Synced",
    "TableMetadata",
    "TemplateFile",
    "TemplatePage",
    "Templates",
    "TooManyRequests",
    "VerificationError",
    "WaitTimeout",
    "Wanted",
    "__version__",
    "own_signing_key",
    "signing_key",
    "sync_destination",
]
