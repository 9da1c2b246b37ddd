"""What the consents product needs of the world. Adapters answer these; tests have fakes."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from headrace.consents.model import (
    AccountHolder,
    Audience,
    AudienceKind,
    Change,
    Consent,
    Organisation,
)

MAX_CHANGES = 16
"""Consents that are written together at most."""


class Consents(Protocol):
    """The consents. What is over stays recorded, for whom has to be told that it ended."""

    def find(self, tenant: str, audience: Audience, party: str) -> Consent | None:
        """The consent as it is recorded; consistent."""
        ...

    def save(self, changes: Sequence[Change], moment: datetime) -> None:
        """Writes consents with one audience, all or none: up to ``MAX_CHANGES``.

        Raises Conflict if one is not as its ``before`` says.
        """
        ...

    def with_audience(
        self, tenant: str, audience: Audience, after: str | None, limit: int
    ) -> tuple[Consent, ...]:
        """Up to ``limit`` of an audience's consents by party, from the one after ``after``."""
        ...

    def of_party(self, tenant: str, kind: AudienceKind, party: str) -> tuple[Consent, ...]:
        """What a party consented to, with audiences of this kind."""
        ...


class Accounts(Protocol):
    """The account holders."""

    def find(self, tenant: str, account_id: str) -> AccountHolder | None:
        """The account holder; consistent."""
        ...

    def register(self, holder: AccountHolder) -> bool:
        """Makes one known; False if it is known already, and stays as it is."""
        ...

    def all(self, tenant: str) -> Iterator[AccountHolder]:
        """Those of a tenant, by id."""
        ...


class Organisations(Protocol):
    """The organisations."""

    def find(self, tenant: str, organisation_id: str) -> Organisation | None:
        """The organisation; consistent."""
        ...

    def put(self, organisation: Organisation) -> None:
        """Makes it known, or changes its name."""
        ...

    def all(self, tenant: str) -> Iterator[Organisation]:
        """Those of a tenant, by id."""
        ...


class Services(Protocol):
    """The services of the published catalog (seed 002)."""

    def kind(self, tenant: str, service_id: str) -> AudienceKind | None:
        """SERVICE or BROKER; None if the tenant has no such service."""
        ...
