"""The token request and its answers, as RFC 6749 writes them (sections 3.2, 4.4 and 5).

How the client proves itself is in ``client_authentication``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from headrace.kernel.caller import Caller
from headrace.kernel.errors import HeadraceError

FORM = "application/x-www-form-urlencoded"
MAX_REQUEST_BYTES = 16 * 1024
_MAX_PARAMETERS = 50


class TokenRefused(HeadraceError):
    """Why no token is given. ``error`` is a code of RFC 6749 section 5.2.

    ``by_header``: the client had tried HTTP Basic, so the answer names that scheme. ``nonce``: the
    one that the client's next proof needs (RFC 9449 section 8).
    """

    code = "token_refused"
    title = "No token is given"

    def __init__(
        self, error: str, detail: str, *, by_header: bool = False, nonce: str | None = None
    ) -> None:
        super().__init__(detail)
        self.error = error
        self.by_header = by_header
        self.nonce = nonce

    def document(self) -> dict[str, str]:
        """The JSON body."""
        return {"error": self.error, "error_description": self.detail}


@dataclass(frozen=True)
class TokenIssued:
    """A token given."""

    access_token: str = field(repr=False)
    expires_in: int
    scope: str
    token_type: str = "Bearer"  # noqa: S105 - a kind, not a secret
    refresh_token: str | None = field(default=None, repr=False)
    caller: Caller | None = None
    """Who was given it."""

    def document(self) -> dict[str, str | int]:
        """The JSON body."""
        refresh = {} if self.refresh_token is None else {"refresh_token": self.refresh_token}
        return {
            "access_token": self.access_token,
            "token_type": self.token_type,
            "expires_in": self.expires_in,
            "scope": self.scope,
            **refresh,
        }


@dataclass(frozen=True)
class SentRequest:
    """What came in at the token endpoint, not read yet."""

    content_type: str
    authorization: str | None = field(repr=False)
    body: bytes = field(repr=False)
    proofs: tuple[str, ...] = field(default=(), repr=False)
    """Every DPoP header."""
    url: str = ""
    """What it was sent to, as we are called in public."""
    certificate: str | None = None
    """The client's certificate in PEM, as API Gateway saw and checked it; never of a header."""
    issuer: str = ""
    """Who we are: what the URL of the token endpoint is appended to."""


def parameters_of(sent: SentRequest) -> Mapping[str, str]:
    """The parameters of the request's form. Raises TokenRefused.

    A parameter without a value counts as not sent; unknown ones are ignored; none may stand twice
    (RFC 6749 section 3.2). Nothing is read from the query, which gets into logs.
    """
    if sent.content_type.partition(";")[0].strip().lower() != FORM:
        raise TokenRefused("invalid_request", f"Send the parameters as {FORM}.")
    if len(sent.body) > MAX_REQUEST_BYTES:
        raise TokenRefused("invalid_request", "The request is too long.")
    try:
        pairs = parse_qsl(
            sent.body.decode("utf-8"),
            keep_blank_values=True,
            max_num_fields=_MAX_PARAMETERS,
            errors="strict",
        )
    except ValueError:
        raise TokenRefused("invalid_request", "The form cannot be read.") from None
    if len({name for name, _ in pairs}) != len(pairs):
        raise TokenRefused("invalid_request", "A parameter is sent more than once.")
    return {name: value for name, value in pairs if value}


def grant_type(parameters: Mapping[str, str], known: Sequence[str]) -> str:
    """The grant that is asked for, one of those that are known. Raises TokenRefused."""
    grant = parameters.get("grant_type")
    if grant is None:
        raise TokenRefused("invalid_request", "grant_type is missing.")
    if grant not in known:
        raise TokenRefused(
            "unsupported_grant_type", f"The grants supported here are {' and '.join(known)}."
        )
    return grant
