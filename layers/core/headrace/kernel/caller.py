"""Who calls."""

from dataclasses import dataclass

from headrace.kernel.errors import InsufficientScope


@dataclass(frozen=True)
class Caller:
    """An authenticated client, acting for one tenant. Comes from the authorizer alone."""

    tenant: str
    client_id: str
    scopes: frozenset[str]

    def check_scope(self, scope: str) -> None:
        """Raises InsufficientScope unless the token carries exactly this scope."""
        if scope not in self.scopes:
            raise InsufficientScope(
                f"This call needs the scope {scope}; ask for it when you get the token.",
                requiredScope=scope,
            )
