"""HTTP Basic authentication (RFC 7617), for the calls between environments (seed 001).

A user comes with name and password, a client with id and secret. What such a call may do is what
the access restrictions of data sets allow its caller, and nothing else: whoever has another right
besides uses it by an access token.
"""

import base64
import binascii
from dataclasses import dataclass, field

from headrace.identity.authorizing import BasicRefused, Credentials, Presented, Recognized
from headrace.identity.model import CLIENT_ID, Networks, secret_matches
from headrace.identity.password_check import CheckPassword
from headrace.identity.ports import Clients, ClientSecrets, Roles
from headrace.identity.users import MAX_PASSWORD, MAX_USERNAME, Permission
from headrace.kernel.caller import USER_CLIENT_ID, Caller
from headrace.kernel.errors import LoginFailed

NOT_VALID = "The user name or client id and the password or secret do not fit."
NEEDS_A_TOKEN = "This client does not call with its secret: ask for an access token with it."  # noqa: S105
RESTRICTIONS = (Permission.DATA_EXCHANGE, Permission.CREATE_AND_EXPORT)


@dataclass(frozen=True)
class _Pair:
    """What the header says, before anything is believed."""

    name: str
    password: str = field(repr=False)

    @classmethod
    def read(cls, text: str) -> "_Pair":
        """Raises BasicRefused: not base64 of UTF-8, or longer than any name and password."""
        try:
            name, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise BasicRefused(NOT_VALID) from None
        if not (colon and 0 < len(name) <= MAX_USERNAME and 0 < len(password) <= MAX_PASSWORD):
            raise BasicRefused(NOT_VALID)
        return cls(name, password)


@dataclass(frozen=True)
class BasicCredentials:
    """Callers with name and password, or id and secret, in the header of each call.

    A name with an ``@`` is a user's, every other is a client's: neither can have the other form.
    """

    check_password: CheckPassword
    roles: Roles
    clients: Clients
    secrets: ClientSecrets
    scope_prefix: str

    def knows(self, credentials: Credentials) -> bool:
        """By the scheme."""
        return credentials.basic

    def __call__(self, credentials: Credentials, presented: Presented) -> Recognized:
        """The user or client, with those of its scopes that the access restrictions give.

        Raises BasicRefused, TooManyTries, Unavailable.
        """
        pair = _Pair.read(credentials.token)
        if "@" in pair.name:
            return Recognized(self._user(pair, presented.source_ip), Networks())
        return self._client(pair)

    def _user(self, pair: _Pair, source_ip: str) -> Caller:
        try:
            user = self.check_password(pair.name, pair.password, source_ip)
        except LoginFailed:
            raise BasicRefused(NOT_VALID) from None
        role = self.roles.find(user.tenant, user.role)
        permitted = role.scopes(self.scope_prefix) if role and role.integrator else frozenset()
        scopes = permitted & self._restrictions
        return Caller(user.tenant, USER_CLIENT_ID, scopes, user=user.user_id)

    def _client(self, pair: _Pair) -> Recognized:
        known = CLIENT_ID.fullmatch(pair.name) is not None
        stored = self.secrets.of(pair.name) if known else ()
        client = self.clients.find(pair.name) if known else None
        if not secret_matches(pair.password, stored) or client is None:
            raise BasicRefused(NOT_VALID)
        if client.needs_proof or client.needs_certificate or len(client.tenants) != 1:
            raise BasicRefused(NEEDS_A_TOKEN)
        [tenant] = client.tenants
        scopes = client.scopes & self._restrictions
        return Recognized(Caller(tenant, client.client_id, scopes), client.networks)

    @property
    def _restrictions(self) -> frozenset[str]:
        return frozenset(f"{self.scope_prefix}:{one.scope}" for one in RESTRICTIONS)
