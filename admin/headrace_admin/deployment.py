"""The deployment that a command works on: found by its stack on AWS, or the local platform."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
)

from headrace.adapters.dynamodb.access_requests import DynamoAccessRequests
from headrace.adapters.dynamodb.api_keys import DynamoApiKeys
from headrace.adapters.dynamodb.audit_trail import DynamoTrail
from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
from headrace.adapters.dynamodb.certificates import DynamoCertificates
from headrace.adapters.dynamodb.client_secrets import DynamoClientSecrets
from headrace.adapters.dynamodb.consents import (
    DynamoAccounts,
    DynamoConsents,
    DynamoOrganisations,
)
from headrace.adapters.dynamodb.data_set_processes import DynamoNotices, DynamoProcesses
from headrace.adapters.dynamodb.groups import DynamoGroups
from headrace.adapters.dynamodb.handovers import DynamoHandovers
from headrace.adapters.dynamodb.login_tries import DynamoLoginTries
from headrace.adapters.dynamodb.managers import DynamoManagers
from headrace.adapters.dynamodb.operations import DynamoOperations
from headrace.adapters.dynamodb.profiles import DynamoProfiles
from headrace.adapters.dynamodb.schedules import DynamoScheduleRuns
from headrace.adapters.dynamodb.services import CatalogServices
from headrace.adapters.dynamodb.statistics import DynamoStatistics
from headrace.adapters.dynamodb.table import Table
from headrace.adapters.dynamodb.templates import CatalogTemplates, DynamoActivations
from headrace.adapters.dynamodb.tenant_keys import DynamoTenantKeys
from headrace.adapters.dynamodb.users import DynamoRoles, DynamoTeams, DynamoUsers
from headrace.adapters.dynamodb.webhook_secrets import DynamoWebhookSecrets
from headrace.adapters.kms.certificate_key import KmsCertificateKey
from headrace.adapters.kms.data_keys import KmsDataKeys
from headrace.adapters.kms.seal import KmsSeal
from headrace.identity.user_administration import UserDirectory
from headrace.kernel.clock import SystemClock
from headrace.kernel.errors import Conflict, HeadraceError, Unavailable
from headrace_admin.log_lines import LogLines

DEFAULT_STACK = "headrace"
_DUMMY = "local"
"""Key id and secret for the local platform, which accepts any."""


class DeploymentNotFound(HeadraceError):
    """There is no deployment where the command was told to look."""

    code = "deployment_not_found"
    title = "No deployment there"


class DeploymentTooOld(Conflict):
    """The deployment's functions are of an earlier release than this command."""

    code = "deployment_too_old"
    title = "The deployment is of an earlier release"


class AwsRefused(Unavailable):
    """AWS answered with an error, or not at all."""

    code = "aws_refused"
    title = "AWS did not do it"


@dataclass(frozen=True)
class Deployment:
    """The parts of a deployment that the operator's commands touch."""

    name: str
    outputs: Mapping[str, str]
    session: boto3.Session
    endpoint: str | None = None
    catalog_variables: Mapping[str, str] = field(default_factory=dict)
    """What catalog files may name by ``${NAME}``, as far as the local platform says."""

    @classmethod
    def on_aws(cls, stack: str) -> "Deployment":
        """By the stack's outputs, with the usual AWS environment. Raises DeploymentNotFound."""
        try:
            session = boto3.Session()
            cloudformation = session.client("cloudformation", config=_CONFIG)
            described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        except (NoCredentialsError, NoRegionError, ProfileNotFound) as error:
            raise DeploymentNotFound(
                f"{error} Set the usual AWS environment (AWS_PROFILE, AWS_REGION), or use --local "
                "for the local platform."
            ) from None
        except ClientError as error:
            if "does not exist" in str(error):
                raise DeploymentNotFound(
                    f"There is no stack {stack} in {session.region_name} for these credentials; "
                    "name yours with --stack."
                ) from None
            raise explained(error) from None
        except BotoCoreError as error:
            raise explained(error) from None
        outputs = {
            output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])
        }
        return cls(f"stack {stack}", outputs, session)

    @classmethod
    def local(cls, home: Path) -> "Deployment":
        """The local platform that keeps its things in ``home``. Raises DeploymentNotFound."""
        place = home / "headrace.json"
        try:
            about = json.loads(place.read_text())
            apart = botocore.session.Session()
            # AWS_PROFILE names an account on AWS, which must not be touched, nor be needed.
            apart.session_var_map["profile"] = (None, None, None, None)
            session = boto3.Session(
                botocore_session=apart,
                aws_access_key_id=_DUMMY,
                aws_secret_access_key=_DUMMY,
                region_name=about["region"],
            )
            return cls(
                f"local platform {home}",
                about["outputs"],
                session,
                about["aws_endpoint_url"],
                about.get("catalog_variables", {}),
            )
        except FileNotFoundError:
            raise DeploymentNotFound(
                f"There is no local platform in {home}: {place.name} is missing. "
                "Start one with make up, or name its folder with --home."
            ) from None
        except (ValueError, KeyError) as error:
            raise DeploymentNotFound(
                f"{place} does not describe a platform ({error!r}); make up writes it anew."
            ) from None

    @contextmanager
    def surroundings(self) -> Iterator[None]:
        """Within, what finds AWS by the environment, as sources do, finds this deployment's."""
        if self.endpoint is None:
            yield
            return
        before = dict(os.environ)
        for name in [name for name in before if name.startswith(("AWS_", "BOTO_"))]:
            del os.environ[name]
        os.environ |= {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": _DUMMY,
            "AWS_SECRET_ACCESS_KEY": _DUMMY,
            "AWS_DEFAULT_REGION": str(self.session.region_name),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def must_read(self, catalog_format: int) -> None:
        """Raises DeploymentTooOld if the functions do not read a catalog of this format."""
        if int(self.outputs.get("CatalogFormat", "1")) < catalog_format:
            raise DeploymentTooOld(
                f"The functions of the {self.name} do not read what this release publishes. "
                "Deploy the release first, then publish."
            )

    def catalogs(self) -> DynamoCatalogs:
        """The published catalogs."""
        return DynamoCatalogs(self._table("CatalogTableName"))

    def user_directory(self) -> UserDirectory:
        """Users, roles and teams."""
        table = self._table("UsersTableName")
        return UserDirectory(DynamoUsers(table), DynamoRoles(table), DynamoTeams(table))

    def profiles(self) -> DynamoProfiles:
        """The profiles of persons."""
        table, keys = self._table("ProfilesTableName"), KmsDataKeys(self.client("kms"))
        kms_key, stack_key = self.catalogs().kms_key, self.output("ProfilesKeyArn")
        return DynamoProfiles(
            table, DynamoTenantKeys(table, keys, kms_key, stack_key, SystemClock())
        )

    def groups(self) -> DynamoGroups:
        """The groups of profiles."""
        return DynamoGroups(self._table("ProfilesTableName"))

    def managers(self) -> DynamoManagers:
        """Who manages which service."""
        return DynamoManagers(self._table("CredentialsTableName"))

    def api_keys(self) -> DynamoApiKeys:
        """The keys of services."""
        return DynamoApiKeys(self._table("CredentialsTableName"))

    def login_tries(self) -> DynamoLoginTries:
        """How often was tried to log in."""
        return DynamoLoginTries(self._table("UsersTableName"))

    def client_secrets(self) -> DynamoClientSecrets:
        """The hashes of clients' secrets."""
        return DynamoClientSecrets(self._table("CredentialsTableName"))

    def handovers(self) -> DynamoHandovers:
        """The secrets that wait behind a link."""
        return DynamoHandovers(self._table("CredentialsTableName"))

    def access_requests(self) -> DynamoAccessRequests:
        """Requests for access, with their evidence."""
        return DynamoAccessRequests(
            self._table("CredentialsTableName"),
            KmsDataKeys(self.client("kms")),
            self.output("FilesKeyArn"),
        )

    def operator(self) -> str:
        """Who calls, as AWS names them."""
        return str(self.client("sts").get_caller_identity()["Arn"])

    @property
    def public_url(self) -> str:
        """The URL that clients use. Raises DeploymentNotFound."""
        return self.output("PublicUrl").rstrip("/")

    def accounts(self) -> DynamoAccounts:
        """The account holders."""
        return DynamoAccounts(self._table("ConsentsTableName"))

    def templates(self) -> CatalogTemplates:
        """The templates of the published catalog."""
        return CatalogTemplates(self._table("CatalogTableName"))

    def activations(self) -> DynamoActivations:
        """For which tenants they are active."""
        return DynamoActivations(self._table("TemplatesTableName"))

    def organisations(self) -> DynamoOrganisations:
        """The organisations."""
        return DynamoOrganisations(self._table("ConsentsTableName"))

    def consents(self) -> DynamoConsents:
        """Who shares with whom."""
        return DynamoConsents(self._table("ConsentsTableName"))

    def services(self) -> CatalogServices:
        """The services of the published catalog."""
        return CatalogServices(self._table("CatalogTableName"))

    def certificates(self) -> DynamoCertificates:
        """The certificate authority's certificate, and those that it issued."""
        return DynamoCertificates(self._table("CredentialsTableName"))

    def certificate_key(self) -> KmsCertificateKey:
        """The certificate authority's key. Raises Unavailable."""
        return KmsCertificateKey.read(self.client("kms"), self.output("CertificateKeyArn"))

    def put_object(self, bucket: str, key: str, body: bytes) -> None:
        """Writes an object of the operator's own."""
        self.client("s3").put_object(Bucket=bucket, Key=key, Body=body)

    def audit_trail(self) -> DynamoTrail:
        """The audit trail."""
        kept = timedelta(days=int(self.output("AuditDays")))
        return DynamoTrail(self._table("AuditTableName"), kept)

    def statistics(self) -> DynamoStatistics:
        """What is counted per service; what failed, to read only."""
        return DynamoStatistics(self._table("StatisticsTableName"), timedelta(0))

    def schedule_runs(self) -> DynamoScheduleRuns:
        """The runs of the published schedules."""
        return DynamoScheduleRuns(self._table("OperationsTableName"))

    def webhook_secrets(self) -> DynamoWebhookSecrets:
        """What webhooks are signed with, sealed."""
        return DynamoWebhookSecrets(
            self._table("WebhookSecretsTableName"),
            KmsSeal(self.client("kms"), self.output("WebhookKeyArn")),
        )

    def operations(self) -> DynamoOperations:
        """Operations, to look at: the lease matters to those who write."""
        return DynamoOperations(self._table("OperationsTableName"), timedelta(0))

    def processes(self) -> DynamoProcesses:
        """Builds, imports and undoings, to look at."""
        return DynamoProcesses(self._table("DataSetsTableName"), SystemClock())

    def notices(self) -> DynamoNotices:
        """What environments are told of their ends, to look at."""
        return DynamoNotices(self._table("DataSetsTableName"))

    def log_lines(self) -> LogLines:
        """What the functions wrote down."""
        return LogLines(self.client("logs"), self.output("LogGroupName"))

    def _table(self, output: str) -> Table:
        return Table(self.client("dynamodb"), self.output(output))

    def output(self, name: str) -> str:
        """An output of the stack. Raises DeploymentNotFound."""
        if name not in self.outputs:
            raise DeploymentNotFound(
                f"The {self.name} has no output {name}; is it a Headrace stack of this release?"
            )
        return self.outputs[name]

    def client(self, service: str) -> Any:
        """A client of the deployment's AWS."""
        create: Any = self.session.client  # its stubs want a literal name
        return create(service, endpoint_url=self.endpoint, config=_CONFIG)


_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=5, read_timeout=30
)


def explained(error: Exception) -> HeadraceError:
    """An error of AWS as a sentence."""
    if isinstance(error, ClientError):
        said: Any = error.response.get("Error", {})
        hint = ""
        if said.get("Code") in ("ExpiredToken", "ExpiredTokenException"):
            hint = " Log in again."
        elif "AccessDenied" in str(said.get("Code")):
            hint = " The permissions that each command needs are listed in docs/admin.md."
        elif said.get("Code") == "ResourceNotFoundException":
            hint = " Was the deployment removed meanwhile?"
        return AwsRefused(f"{said.get('Code')}: {said.get('Message')}{hint}")
    return AwsRefused(f"{error} Is the address right, and does the service run?")


def home_folder() -> Path:
    """Where ``make up`` keeps the local platform: HEADRACE_HOME, else ``.local`` here."""
    named = os.environ.get("HEADRACE_HOME", "")
    return Path(named) if named else Path(".local")
