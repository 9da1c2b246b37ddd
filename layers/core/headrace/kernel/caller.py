"""Who calls."""

from dataclasses import dataclass

from headrace.kernel.errors import InsufficientScope

USER_CLIENT_ID = "user"
"""The client that persons who log in call as. The catalog has no client of this id."""

EVERY_TENANT = "*"
"""The tenant of a token that is good for all of a client's tenants, each call naming one. No
tenant has this id."""


@dataclass(frozen=True)
class Caller:
    """An authenticated client, acting for one tenant. Comes from the authorizer alone."""

    tenant: str
    client_id: str
    scopes: frozenset[str]
    user: str | None = None
    """The id of the person that logged in; None where a program calls for itself."""
    organisation: str | None = None
    """The organisation on whose behalf a data broker calls (seed 002, ``grp``)."""
    credential: str | None = None
    """The id of the API key that the caller is known by, for the audit trail; never the key."""

    def check_scope(self, scope: str) -> None:
        """Raises InsufficientScope unless the token carries exactly this scope."""
        if scope not in self.scopes:
            raise InsufficientScope(
                f"This call needs the scope {scope}; ask for it when you get the token.",
                requiredScope=scope,
            )
