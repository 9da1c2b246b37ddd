"""What the deployment says, from the environment that template.yaml sets."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from headrace.exports.model import Limits


@dataclass(frozen=True)
class Settings:
    """All settings. A function sees only those that its template entry gives it."""

    environment: Mapping[str, str]

    def _text(self, name: str, default: str = "") -> str:
        return self.environment.get(name, default)

    def required(self, name: str) -> str:
        """The setting. Raises KeyError, naming it: the template forgot it."""
        return self.environment[name]

    @property
    def metrics_namespace(self) -> str:
        """The namespace of metrics, one for each deployment."""
        return self._text("METRICS_NAMESPACE", "Headrace")

    @property
    def tenant_metrics(self) -> bool:
        """Are metrics kept by tenant as well."""
        return self._text("TENANT_METRICS", "true") == "true"

    @property
    def catalog_table(self) -> str:
        """DynamoDB table of the published catalog."""
        return self.required("CATALOG_TABLE")

    @property
    def operations_table(self) -> str:
        """DynamoDB table of operations, locks and quotas."""
        return self.required("OPERATIONS_TABLE")

    @property
    def credentials_table(self) -> str:
        """DynamoDB table of the clients' secrets, as hashes."""
        return self.required("CREDENTIALS_TABLE")

    @property
    def audit_table(self) -> str:
        """The table of the audit trail."""
        return self.required("AUDIT_TABLE")

    @property
    def audit_kept(self) -> timedelta:
        """How long the deployment keeps an event of the trail."""
        return timedelta(days=int(self._text("AUDIT_DAYS", "400")))

    @property
    def statistics_table(self) -> str:
        """The table of what is counted per service."""
        return self.required("STATISTICS_TABLE")

    @property
    def users_table(self) -> str:
        """DynamoDB table of users, roles, teams, and tries to log in."""
        return self.required("USERS_TABLE")

    @property
    def proofs_table(self) -> str:
        """DynamoDB table of the proofs of possession that were used."""
        return self.required("PROOFS_TABLE")

    @property
    def consents_table(self) -> str:
        """DynamoDB table of account holders, organisations and consents."""
        return self.required("CONSENTS_TABLE")

    @property
    def profiles_table(self) -> str:
        """DynamoDB table of profiles, what they are found by, and their groups."""
        return self.required("PROFILES_TABLE")

    @property
    def profiles_key(self) -> str:
        """KMS key that wraps the data keys of tenants that have no key of their own."""
        return self.required("PROFILES_KEY")

    @property
    def datasets_bucket(self) -> str:
        """S3 bucket of payloads, and of what imports leave."""
        return self.required("DATASETS_BUCKET")

    @property
    def datasets_state_machine(self) -> str:
        """ARN of the workflow of builds and imports."""
        return self.required("DATASETS_STATE_MACHINE")

    @property
    def templates_table(self) -> str:
        """DynamoDB table of active templates, and of walks over their rows."""
        return self.required("TEMPLATES_TABLE")

    @property
    def templates_bucket(self) -> str:
        """S3 bucket of the rows of walks."""
        return self.required("TEMPLATES_BUCKET")

    @property
    def template_reader(self) -> str:
        """The Lambda function that reads a template's rows for a walk."""
        return self.required("TEMPLATE_READER")

    @property
    def login_tries_per_address(self) -> int:
        """How often one address may try to log in within a window of ``identity.lockout``."""
        return int(self._text("LOGIN_TRIES_PER_ADDRESS", "100"))

    @property
    def files_bucket(self) -> str:
        """S3 bucket of the documents."""
        return self.required("FILES_BUCKET")

    @property
    def files_key(self) -> str:
        """KMS key of documents whose tenant has none of its own."""
        return self.required("FILES_KEY")

    @property
    def state_machine(self) -> str:
        """ARN of the export workflow."""
        return self.required("EXPORT_STATE_MACHINE")

    @property
    def delivery_state_machine(self) -> str:
        """ARN of the workflow that delivers webhooks."""
        return self.required("DELIVERY_STATE_MACHINE")

    @property
    def webhook_secrets_table(self) -> str:
        """DynamoDB table of the secrets that webhooks are signed with, sealed."""
        return self.required("WEBHOOK_SECRETS_TABLE")

    @property
    def webhook_key(self) -> str:
        """KMS key that seals them."""
        return self.required("WEBHOOK_KEY")

    @property
    def webhook_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Networks beside the Internet that webhooks may be delivered in. Raises ValueError."""
        return self._networks("WEBHOOK_NETWORKS")

    @property
    def issuer_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Networks beside the Internet that the keys of issuers and clients may be read in.
        Raises ValueError."""
        return self._networks("ISSUER_NETWORKS")

    @property
    def datasets_table(self) -> str:
        """DynamoDB table of data sets, their processes, and what environments know."""
        return self.required("DATASETS_TABLE")

    @property
    def exchange_key(self) -> str:
        """KMS key that seals what source environments are called with."""
        return self.required("EXCHANGE_KEY")

    @property
    def environment_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Networks beside the Internet that source environments may be in. Raises ValueError."""
        return self._networks("ENVIRONMENT_NETWORKS")

    @property
    def most_payload_bytes(self) -> int:
        """The largest payload that is fetched from another environment, or uploaded."""
        return int(self._text("MAX_PAYLOAD_MIB", "5120")) * 1024 * 1024

    def _networks(self, name: str) -> tuple[IPv4Network | IPv6Network, ...]:
        named = self._text(name, "none").split(",")
        return tuple(ip_network(one.strip()) for one in named if one.strip() not in ("", "none"))

    @property
    def scope_prefix(self) -> str:
        """What the scopes begin with (seed 000, section 4)."""
        return self._text("SCOPE_PREFIX", "youforce-data-api")

    @property
    def signing_keys(self) -> tuple[str, ...]:
        """KMS keys of access tokens: the one that signs first, then those still accepted."""
        return tuple(key for key in self._text("SIGNING_KEY_IDS").split(",") if key)

    @property
    def certificate_key(self) -> str:
        """KMS key of the certificate authority."""
        return self.required("CERTIFICATE_KEY")

    @property
    def trusted_issuers(self) -> str:
        """External issuers whose tokens are accepted, as JSON (docs/identity.md)."""
        return self._text("TRUSTED_ISSUERS")

    @property
    def dpop_nonces(self) -> bool:
        """Do proofs of possession need a nonce of ours."""
        return self._text("DPOP_NONCES", "off") == "required"

    @property
    def audience(self) -> str:
        """The audience of access tokens."""
        return self._text("TOKEN_AUDIENCE", "headrace")

    @property
    def link_lifetime(self) -> timedelta:
        """How long a download link works."""
        return timedelta(seconds=int(self._text("LINK_SECONDS", "300")))

    @property
    def limits(self) -> Limits:
        """What operations are held to."""
        return Limits(
            file_lifetime=timedelta(hours=float(self._text("FILE_LIFETIME_HOURS", "24"))),
            lease=timedelta(seconds=int(self._text("LEASE_SECONDS", "900"))),
            range_bytes=int(self._text("RANGE_MIB", "256")) * 1024 * 1024,
            max_ranges=int(self._text("MAX_RANGES", "40")),
            range_seconds=float(self._text("RANGE_SECONDS", "780")),
            longest_hold=timedelta(seconds=int(self._text("SNAPSHOT_SECONDS", "870"))),
            part_bytes=int(self._text("PART_MIB", "8")) * 1024 * 1024,
        )

    @property
    def region(self) -> str | None:
        """The region whose tenants' profiles are served here; None: those of all."""
        named = self._text("HOME_REGION", "all")
        return None if named in ("", "all") else named

    @property
    def public_base_url(self) -> str:
        """The URL that clients use, without a slash at its end; empty if it is not configured."""
        return self._text("PUBLIC_BASE_URL").rstrip("/")

    @property
    def mutual_tls_url(self) -> str:
        """The URL for clients with certificates; empty where there is no such domain."""
        return self._text("MUTUAL_TLS_URL")

    def base_url(self, request_context: Mapping[str, Any]) -> str:
        """The URL that paths are appended to, without a slash at its end.

        The configured one, else that of the API's own endpoint, which does not depend on the
        host header of the request: tokens name it as their issuer.
        """
        if configured := self.public_base_url:
            return configured
        region = self._text("AWS_REGION", "eu-west-1")
        api, stage = request_context["apiId"], request_context["stage"]
        return f"https://{api}.execute-api.{region}.amazonaws.com/{stage}"


@cache
def settings() -> Settings:
    """The settings of this process."""
    return Settings(os.environ)
