"""From a profile to a client of the service, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from headrace_client.client import HeadraceClient
from headrace_client.command.profile import (
    ALLOW_HTTP,
    CERTIFICATE_FILE,
    ENVIRONMENT,
    ON_BEHALF,
    PUBLIC_URL,
    Profile,
    Way,
    config_path,
    state_path,
)
from headrace_client.connection import ClientCertificate
from headrace_client.credentials import (
    ClientSecret,
    ConnectionCertificate,
    Credentials,
    KeyCertificate,
    PrivateKey,
    RefreshToken,
    StaticKey,
    key_id_of,
)
from headrace_client.errors import (
    AccessDenied,
    ApiError,
    AuthenticationError,
    CertificateRefused,
    HeadraceClientError,
)
from headrace_client.keys import PASSPHRASE, SigningKey, own_signing_key, signing_key
from headrace_client.refreshing import LOG_IN_AGAIN, RefreshFile
from headrace_client.transport import Transport

_NAMES: Mapping[Way, str] = {
    Way.SECRET: "client secret",
    Way.PRIVATE_KEY: "private key (private_key_jwt)",
    Way.TLS_CLIENT: "client certificate at the token endpoint (tls_client_auth)",
    Way.STATIC_KEY: "static API key",
    Way.REFRESH_KEY: "refresh key",
    Way.CERTIFICATE: "client certificate of an API key",
    Way.LOGIN: "login",
}
_WRONG_PROOF: Mapping[Way, str] = {
    Way.SECRET: "Compare client id and secret with what your operator gave you, or ask for a new "
    "secret.",
    Way.PRIVATE_KEY: "Does the operator have this key's public half, under the name that `headrace "
    "whoami` tells? Is this machine's clock right? If the service has another public address than "
    f"you call, name that in {PUBLIC_URL}.",
    Way.TLS_CLIENT: "Does the operator have your client id with this certificate's subject?",
    Way.STATIC_KEY: "Have a manager of the service make a new key, then use `headrace login "
    "--api-key`.",
    Way.REFRESH_KEY: LOG_IN_AGAIN,
    Way.CERTIFICATE: "Call the domain that asks for certificates, with the certificate that a "
    "manager of the service got for its key; if that was revoked, a new key is needed.",
    Way.LOGIN: LOG_IN_AGAIN,
}


@dataclass(frozen=True)
class Access:
    """What a profile gives, with its keys read."""

    profile: Profile
    environment: Mapping[str, str]

    @classmethod
    def of(
        cls, profile: Profile, environment: Mapping[str, str], on_behalf: str | None = None
    ) -> Access:
        """With the organisation that an option names, else that of the environment, else that of
        the profile."""
        named = on_behalf or environment.get(ON_BEHALF) or profile.on_behalf
        return cls(replace(profile, on_behalf=named), environment)

    @property
    def certificate(self) -> ClientCertificate | None:
        """The one that connections show."""
        held = self.profile
        if not held.certificate_file:
            return None
        key = Path(held.certificate_key_file) if held.certificate_key_file else None
        return ClientCertificate(
            Path(held.certificate_file), key, self.environment.get(PASSPHRASE) or None
        )

    def proof_key(self) -> SigningKey | None:
        """The key that tokens are bound to; one of the command's own is made when needed."""
        if not self.profile.binds:
            return None
        if self.profile.dpop_key_file:
            return self._key(self.profile.dpop_key_file)
        return own_signing_key(state_path(self.environment) / "dpop.pem")

    def credentials(self) -> Credentials:
        """What proves who calls. Raises SetupError, LocalFileError."""
        held = self.profile
        way = held.way
        client_id = held.client_id or ""
        if way is Way.SECRET:
            return ClientSecret(client_id, held.client_secret or "", held.tenant)
        if way is Way.PRIVATE_KEY:
            key = self._key(held.private_key_file or "")
            return PrivateKey(client_id, key, held.private_key_id or key.thumbprint, held.tenant)
        if way is Way.TLS_CLIENT:
            return ConnectionCertificate(client_id, held.tenant)
        service = held.service or held.client_id
        if way is Way.STATIC_KEY:
            return StaticKey(held.api_key or "", service)
        if way is Way.CERTIFICATE:
            return KeyCertificate(service)
        file = self.refresh_file()
        if held.api_key:
            file.begin(held.api_key)
        return RefreshToken(file, held.username or service or file.path.stem)

    def refresh_file(self) -> RefreshFile:
        """Where the refresh token of the profile is kept."""
        held = self.profile
        name = held.refresh_token_id or key_id_of(held.api_key or "")
        return RefreshFile(refresh_path(name, self.environment))

    def transport(self, on_repeat: Callable[[str], None] | None = None) -> Transport:
        """The service, for requests that carry no credentials."""
        return Transport(
            self.profile.api_url,
            proof_key=self.proof_key(),
            certificate=self.certificate,
            public_url=self.profile.public_url,
            allow_http=self.environment.get(ALLOW_HTTP) == "1",
            on_repeat=on_repeat,
        )

    def client(self, on_repeat: Callable[[str], None] | None = None) -> HeadraceClient:
        """A client of the service. Raises SetupError, LocalFileError."""
        return HeadraceClient(
            self.profile.api_url,
            credentials=self.credentials(),
            proof_key=self.proof_key(),
            certificate=self.certificate,
            on_behalf=self.profile.on_behalf,
            public_url=self.profile.public_url,
            allow_http=self.environment.get(ALLOW_HTTP) == "1",
            on_repeat=on_repeat,
        )

    def advise(self, error: HeadraceClientError) -> None:
        """Add to an error what helps with these credentials, unless it has its advice."""
        if error.hint is not None:
            return
        if isinstance(error, CertificateRefused):
            error.hint = (
                f"Name the certificate and its key in {CERTIFICATE_FILE} and "
                "HEADRACE_CERTIFICATE_KEY_FILE."
                if self.certificate is None
                else "Is it the certificate that you were given for this service, and not expired?"
            )
        elif isinstance(error, ApiError) and error.code in ("http_403", "http_404"):
            error.hint = (
                f"This is no answer of a Headrace API: is {self.profile.api_url} the right address?"
            )
        elif isinstance(error, AuthenticationError):
            error.hint = self._advice_on_refusal(error)
        elif isinstance(error, AccessDenied) and error.code == "insufficient_scope":
            error.hint = self._advice_on_scope()
        elif isinstance(error, AccessDenied) and error.code == "organisation_not_allowed":
            error.hint = (
                "--on-behalf is for data brokers, and names an organisation that has joined the "
                "broker."
            )

    def document(self) -> dict[str, str | None]:
        """What is used, without secrets."""
        held = self.profile
        way = held.way
        key = self.credentials() if way is Way.PRIVATE_KEY else None
        proof_key = self.proof_key()
        return {
            "apiUrl": held.api_url,
            "source": held.source,
            "way": way,
            "clientId": held.client_id or held.service,
            "username": held.username,
            "tenant": held.tenant,
            "keyId": self._key_id(way, key),
            "keyFile": held.private_key_file,
            "certificateFile": held.certificate_file,
            "refreshTokenFile": str(self.refresh_file().path)
            if way in (Way.REFRESH_KEY, Way.LOGIN)
            else None,
            "boundTo": None if proof_key is None else proof_key.thumbprint,
            "onBehalf": held.on_behalf,
        }

    def sentences(self) -> list[str]:
        """The same for people."""
        held = self.document()
        who = held["username"] or held["clientId"]
        said = [f"{held['apiUrl']}, by what {held['source']} says", _NAMES[self.profile.way]]
        if who:
            said[1] = f"{who}, by {said[1]}"
        for name, text in (
            ("tenant", "tenant {}"),
            ("keyId", "key {}"),
            ("keyFile", "signed by the key in {}"),
            ("certificateFile", "with the certificate in {}"),
            ("refreshTokenFile", "its refresh token is kept in {}"),
            ("boundTo", "tokens are bound to the key {} (DPoP)"),
            ("onBehalf", "on behalf of the organisation {}"),
        ):
            if held[name]:
                said.append(text.format(held[name]))
        return said

    def _key_id(self, way: Way, credentials: Credentials | None) -> str | None:
        if isinstance(credentials, PrivateKey):
            return credentials.key_id
        if way is Way.STATIC_KEY:
            return key_id_of(self.profile.api_key or "")
        return self.refresh_file().path.stem if way is Way.REFRESH_KEY else None

    def _key(self, path: str) -> SigningKey:
        return signing_key(Path(path), self.environment.get(PASSPHRASE) or None)

    def _advice_on_scope(self) -> str:
        """A token of ours has all scopes that its holder may have."""
        held = self.profile
        if held.username:
            return f"The role of {held.username} does not give it: your operator changes roles."
        who = held.client_id or held.service or "The caller"
        advice = f"{who} has not been given it: your operator grants scopes."
        if held.source in (ENVIRONMENT, str(config_path(self.environment))):
            return advice
        return f"{advice} --client names another client of {held.source}."

    def _advice_on_refusal(self, error: AuthenticationError) -> str:
        if error.code == "unauthorized_client":
            return "Call from a network that your operator has allowed."
        if self.profile.binds and error.code in ("invalid_dpop_proof", "use_dpop_nonce"):
            return (
                "Is this machine's clock right? If the service has another public address than "
                f"{self.profile.api_url}, name that in {PUBLIC_URL}."
            )
        if not self.profile.binds and "DPoP" in error.detail:
            if self.profile.way in (Way.STATIC_KEY, Way.CERTIFICATE):
                return (
                    "Bound tokens are wanted here: have a manager make a refresh key, for --dpop."
                )
            return "Bound tokens are wanted here: HEADRACE_DPOP=1, or `headrace login --dpop`."
        return _WRONG_PROOF[self.profile.way]


def refresh_path(token_id: str, environment: Mapping[str, str]) -> Path:
    """The file of a refresh token, and of those that follow it."""
    return state_path(environment) / "tokens" / f"{token_id}.json"
