"""How a client proves itself at the endpoints that it calls as itself (RFC 6749 section 2.3).

A request proves its client in one way. Each way is a ``Method``; which one a request uses shows in
its form. A request that uses none, or whose proof fails, is of an invalid client, and the answer is
the same for a client that is known and for one that never was.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote_plus

from headrace.identity.model import CLIENT_ID, Client, secret_matches
from headrace.identity.mutual_tls import thumbprint
from headrace.identity.oauth import SentRequest, TokenRefused
from headrace.identity.ports import Certificates, Clients, ClientSecrets
from headrace.kernel.clock import Clock

NOT_AUTHENTICATED = "The client is unknown, or its proof is wrong."
METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth")
"""Those there are, as the metadata lists them (RFC 8414 section 2)."""
_BASIC = re.compile(r"basic +([A-Za-z0-9+/]+=*)", re.IGNORECASE)


@dataclass(frozen=True)
class Authenticated:
    """The client that a request is of, and the method of ``METHODS`` that showed it."""

    client: Client
    method: str


class Method(Protocol):
    """One way to prove a client."""

    @property
    def name(self) -> str:
        """One of ``METHODS``."""
        ...

    def used(self, sent: SentRequest, parameters: Mapping[str, str]) -> bool:
        """Does the request use it, going by its form alone."""
        ...

    def __call__(self, sent: SentRequest, parameters: Mapping[str, str]) -> Authenticated:
        """Raises TokenRefused (``invalid_client``), Unavailable."""
        ...


@dataclass(frozen=True)
class AuthenticateClient:
    """Says which client a request is of."""

    methods: Sequence[Method]

    def __call__(self, sent: SentRequest, parameters: Mapping[str, str]) -> Authenticated:
        """Raises TokenRefused: ``invalid_client``, or ``invalid_request`` for several proofs at
        once (RFC 6749 section 2.3); Unavailable."""
        used = [method for method in self.methods if method.used(sent, parameters)]
        if len(used) > 1:
            raise TokenRefused("invalid_request", "Prove the client in one way only.")
        if not used:
            raise refusal(sent)
        return used[0](sent, parameters)


def refusal(sent: SentRequest) -> TokenRefused:
    """The one answer to whatever does not prove its client."""
    by_header = sent.authorization is not None
    return TokenRefused("invalid_client", NOT_AUTHENTICATED, by_header=by_header)


@dataclass(frozen=True)
class SecretInHeader:
    """HTTP Basic (RFC 6749 section 2.3.1)."""

    clients: Clients
    secrets: ClientSecrets
    name = "client_secret_basic"

    def used(self, sent: SentRequest, parameters: Mapping[str, str]) -> bool:
        """Whatever stands in an Authorization header is meant for this."""
        return sent.authorization is not None

    def __call__(self, sent: SentRequest, parameters: Mapping[str, str]) -> Authenticated:
        """The client of the header."""
        client_id, secret = _basic(sent)
        if parameters.get("client_id") not in {None, client_id}:
            raise TokenRefused("invalid_request", "Header and form name different clients.")
        client = _by_secret(self.clients, self.secrets, client_id, secret)
        if client is None:
            raise refusal(sent)
        return Authenticated(client, self.name)


@dataclass(frozen=True)
class SecretInForm:
    """The form's ``client_id`` and ``client_secret`` (RFC 6749 section 2.3.1)."""

    clients: Clients
    secrets: ClientSecrets
    name = "client_secret_post"

    def used(self, sent: SentRequest, parameters: Mapping[str, str]) -> bool:
        """There is a secret in the form."""
        return "client_secret" in parameters

    def __call__(self, sent: SentRequest, parameters: Mapping[str, str]) -> Authenticated:
        """The client of the form."""
        client_id, secret = parameters.get("client_id", ""), parameters["client_secret"]
        client = _by_secret(self.clients, self.secrets, client_id, secret)
        if client is None:
            raise refusal(sent)
        return Authenticated(client, self.name)


@dataclass(frozen=True)
class ByCertificate:
    """``tls_client_auth`` (RFC 8705 section 2.1): the certificate of the connection has the
    client's subject. That its issuer is trusted, API Gateway has seen to.

    A certificate of ours is no such one, whatever its subject: it ends with the API key that it
    stands for, and is sent with each call.
    """

    clients: Clients
    certificates: Certificates
    clock: Clock
    name = "tls_client_auth"

    def used(self, sent: SentRequest, parameters: Mapping[str, str]) -> bool:
        """There is a certificate, and no other proof: one may have both for bound tokens."""
        others = {"client_secret", "client_assertion", "client_assertion_type"} & parameters.keys()
        return sent.certificate is not None and sent.authorization is None and not others

    def __call__(self, sent: SentRequest, parameters: Mapping[str, str]) -> Authenticated:
        """The client that the form names."""
        from headrace.identity.certificates import has_subject  # noqa: PLC0415 — slow to import

        client = self.clients.find(parameters.get("client_id", ""))
        if client is None or client.subject_dn is None or sent.certificate is None:
            raise refusal(sent)
        if not has_subject(sent.certificate, client.subject_dn, self.clock.now()):
            raise refusal(sent)
        if self.certificates.find(thumbprint(sent.certificate) or "") is not None:
            raise refusal(sent)
        return Authenticated(client, self.name)


def _by_secret(
    clients: Clients, secrets: ClientSecrets, client_id: str, secret: str
) -> Client | None:
    """Until the secret is right, the same one read and the same comparisons whether the client
    exists or not, so that neither the answer nor its time tells which client ids exist."""
    if not CLIENT_ID.fullmatch(client_id) or not secret_matches(secret, secrets.of(client_id)):
        return None
    return clients.find(client_id)


def _basic(sent: SentRequest) -> tuple[str, str]:
    """Client id and secret of an HTTP Basic header; each was form-encoded before base64."""
    match = _BASIC.fullmatch((sent.authorization or "").strip(" "))
    if match is None:
        raise refusal(sent)
    try:
        text = base64.b64decode(match[1], validate=True).decode("utf-8")
        client_id, colon, secret = text.partition(":")
        client_id = unquote_plus(client_id, errors="strict")
        secret = unquote_plus(secret, errors="strict")
    except (binascii.Error, UnicodeDecodeError):
        raise refusal(sent) from None
    if not (colon and client_id and secret):
        raise refusal(sent)
    return client_id, secret
