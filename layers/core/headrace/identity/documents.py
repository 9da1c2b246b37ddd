"""The forms and JSON documents of identity, named as their RFCs name them.

The texts under the fields are what the description of the API says of them.
"""

from typing import Literal, NotRequired, TypedDict

from headrace.kernel.view import documented


@documented
class TokenForm(TypedDict):
    """A request for a token, form-encoded: by client credentials (RFC 6749 section 4.4.2), or by
    the refresh token of an API key (section 6), which needs no other proof.

    A client proves itself by `client_id` and `client_secret` here, by HTTP Basic, by
    `client_assertion` (RFC 7523), or by `client_id` alone over a connection with its certificate
    (RFC 8705): one of them.
    """

    grant_type: Literal["client_credentials", "refresh_token"]
    """By what the token is asked for."""
    refresh_token: NotRequired[str]
    """The refresh token that was given out last; it is of no use afterwards."""
    client_id: NotRequired[str]
    """Your client's id, unless HTTP Basic carries it."""
    client_secret: NotRequired[str]
    """Your client's secret, unless HTTP Basic carries it or something else stands for it."""
    client_assertion_type: NotRequired[
        Literal["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    ]
    """Along with `client_assertion`."""
    client_assertion: NotRequired[str]
    """In place of a secret: a JWT that your client signed for this request (RFC 7523)."""
    scope: NotRequired[str]
    """The scopes that the token is for, separated by spaces; all that you have if left out."""
    tenant_id: NotRequired[str]
    """The tenant to act for; needed only by a client that serves several."""


@documented
class TokenDocument(TypedDict):
    """An access token (RFC 6749 section 5.1)."""

    access_token: str
    """A signed JWT; send it as `Authorization: Bearer …`."""
    token_type: Literal["Bearer", "DPoP"]
    """How the token is presented (RFC 6750, RFC 9449)."""
    expires_in: int
    """The seconds that it is valid."""
    scope: str
    """The scopes that it carries, separated by spaces."""
    refresh_token: NotRequired[str]
    """The next refresh token, if one was exchanged: keep it."""


@documented
class LoginDocument(TypedDict):
    """The tokens of a person who logged in."""

    username: str
    """The user name in its normal form."""
    access_token: str
    """A signed JWT; send it as `Authorization: Bearer …`, or `DPoP …` if it is bound to a key."""
    refresh_token: str
    """Exchanged at `/connect/token` for the next access token and the next refresh token."""
    token_type: Literal["Bearer", "DPoP"]
    """How the access token is presented (RFC 6750, RFC 9449)."""
    expires_in: int
    """The seconds that the access token is valid."""


@documented
class ExchangedDocument(TypedDict):
    """What a refresh token was exchanged for."""

    status: Literal["ACTIVE"]
    """The key works."""
    authToken: str
    """An access token, a signed JWT; send it as `Authorization: Bearer …`."""
    refreshToken: str
    """The next refresh token: keep it, the one before is of no use."""
    expires_in: int
    """The seconds that the access token is valid."""


@documented
class TokenErrorDocument(TypedDict):
    """Why no token was given (RFC 6749 section 5.2)."""

    error: Literal[
        "invalid_request",
        "invalid_client",
        "invalid_dpop_proof",
        "invalid_grant",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
        "use_dpop_nonce",
    ]
    """A code of RFC 6749."""
    error_description: str
    """A sentence that says what to do."""


@documented
class TokenQuestionForm(TypedDict):
    """A token that is asked about, or to be ended (RFC 7662 section 2.1, RFC 7009 section 2.1).

    The client proves itself as at the token endpoint.
    """

    token: str
    """An access token, an API key or a refresh token."""
    token_type_hint: NotRequired[str]
    """Not needed: the token's form tells its kind."""
    client_id: NotRequired[str]
    """Your client's id, unless HTTP Basic carries it."""
    client_secret: NotRequired[str]
    """Your client's secret, unless HTTP Basic carries it or something else stands for it."""
    client_assertion_type: NotRequired[
        Literal["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    ]
    """Along with `client_assertion`."""
    client_assertion: NotRequired[str]
    """In place of a secret: a JWT that your client signed for this request (RFC 7523)."""


@documented
class IntrospectionDocument(TypedDict):
    """How a token stands (RFC 7662 section 2.2); of one that is not active, no more is told."""

    active: bool
    """Would a call with it be taken now."""
    scope: NotRequired[str]
    """The scopes that it gives now, separated by spaces."""
    client_id: NotRequired[str]
    """Whose it is."""
    token_type: NotRequired[Literal["Bearer", "DPoP"]]
    """How it is presented; a refresh token has none."""
    exp: NotRequired[int]
    """When it expires, in seconds since 1970."""
    iat: NotRequired[int]
    """When it was made."""
    sub: NotRequired[str]
    """Whom it is about: the client."""
    aud: NotRequired[str]
    """Whom it is meant for."""
    iss: NotRequired[str]
    """Who gave it."""
    jti: NotRequired[str]
    """Its id."""
    tenant_id: NotRequired[str]
    """The tenant that it is for."""
    key_id: NotRequired[str]
    """The API key that it is, or that it was given for."""
    cnf: NotRequired[dict[str, str]]
    """What it is bound to (RFC 9449 section 6, RFC 8705 section 3.1)."""


@documented
class JwkDocument(TypedDict):
    """A public key (RFC 7517)."""

    kty: Literal["RSA"]
    """The kind of the key."""
    kid: str
    """Its id; a token's header names it."""
    use: Literal["sig"]
    """What it is for."""
    alg: Literal["RS256"]
    """The algorithm that it signs with."""
    n: str
    """The modulus."""
    e: str
    """The exponent."""


@documented
class JwksDocument(TypedDict):
    """The public keys that access tokens may be signed with (RFC 7517 section 5)."""

    keys: list[JwkDocument]
    """Every key that is accepted; the one that signs first."""


@documented
class AliasesDocument(TypedDict):
    """Endpoints for clients with certificates (RFC 8705 section 5)."""

    token_endpoint: str
    """Where tokens are given over mutual TLS."""


@documented
class IssuerDocument(TypedDict):
    """The metadata of the token issuer (RFC 8414 section 2)."""

    issuer: str
    """The `iss` of its tokens."""
    token_endpoint: str
    """Where tokens are given."""
    introspection_endpoint: str
    """Where a client sees how its tokens stand (RFC 7662)."""
    revocation_endpoint: str
    """Where it ends them (RFC 7009)."""
    jwks_uri: str
    """Where the public keys are."""
    scopes_supported: list[str]
    """Every scope there is."""
    response_types_supported: list[str]
    """None: there is no authorization endpoint."""
    grant_types_supported: list[str]
    """The grants that the token endpoint knows."""
    token_endpoint_auth_methods_supported: list[str]
    """How a client may prove itself there."""
    token_endpoint_auth_signing_alg_values_supported: list[str]
    """What it may sign assertions with (RFC 7523)."""
    introspection_endpoint_auth_methods_supported: list[str]
    """The same of the introspection endpoint."""
    introspection_endpoint_auth_signing_alg_values_supported: list[str]
    """The same of the introspection endpoint."""
    revocation_endpoint_auth_methods_supported: list[str]
    """The same of the revocation endpoint."""
    revocation_endpoint_auth_signing_alg_values_supported: list[str]
    """The same of the revocation endpoint."""
    tls_client_certificate_bound_access_tokens: bool
    """Whether tokens may be bound to client certificates (RFC 8705)."""
    mtls_endpoint_aliases: NotRequired[AliasesDocument]
    """Where clients with certificates call, if it is elsewhere."""
    service_documentation: str
    """Where this API is described."""
