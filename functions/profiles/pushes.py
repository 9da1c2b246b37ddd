"""How pushes of groups and of categories, which are made the same way, are refused."""

from headrace.kernel.errors import (
    BodyTooLarge,
    Conflict,
    InvalidRequest,
    NotFound,
    SomeGroupsOnly,
    TenantNotAllowed,
    ValidationFailed,
    WrongRegion,
)

ERRORS = (
    InvalidRequest,
    BodyTooLarge,
    ValidationFailed,
    TenantNotAllowed,
    WrongRegion,
    SomeGroupsOnly,
    NotFound,
    Conflict,
)
