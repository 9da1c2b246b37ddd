"""Names that the published catalog does not have."""

from collections.abc import Iterable

from headrace.catalog.suggestions import did_you_mean
from headrace.catalog.usecases import ShowCatalog
from headrace.kernel.errors import NotFound
from headrace_admin.deployment import Deployment
from headrace_admin.target import Target


def deployment_with(tenant: str, target: Target) -> Deployment:
    """The deployment, if its catalog has such a tenant. Raises NotFound."""
    deployment = target.deployment()
    known_tenant(deployment, tenant)
    return deployment


def known_tenant(deployment: Deployment, written: str) -> str:
    """The tenant. Raises NotFound."""
    catalogs = deployment.catalogs()
    if catalogs.tenant(written) is None:
        raise no_such("tenant", written, (one.tenant_id for one in catalogs.tenants()))
    return written


def known_client(deployment: Deployment, written: str) -> str:
    """The client. Raises NotFound."""
    if deployment.catalogs().client(written) is None:
        _, published = ShowCatalog(deployment.catalogs())()
        raise no_such("client", written, (one.client_id for one in published.clients))
    return written


def no_such(what: str, written: str, known: Iterable[str]) -> NotFound:
    """Says which one may be meant; else, how there comes to be one."""
    meant = did_you_mean(written, known) or f"; declare it under {what}s and publish first"
    return NotFound(f"The published catalog has no {what} {written}{meant}.")
