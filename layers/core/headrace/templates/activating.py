"""What the operator does with templates: see how they stand for a tenant, activate them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from headrace.kernel.clock import Clock
from headrace.kernel.errors import NotFound
from headrace.templates.definitions import ApplicationVersion, Template
from headrace.templates.ports import Activations, Templates


@dataclass(frozen=True)
class Standing:
    """How a template stands for a tenant. ``template``: None if the catalog has it no more."""

    tenant: str
    template_id: str
    template: Template | None
    exists: bool
    """Has the tenant it at all."""
    active_since: datetime | None

    @property
    def is_readable(self) -> bool:
        """Can the tenant's partners read it."""
        return self.exists and self.active_since is not None


@dataclass(frozen=True)
class ShowTemplates:
    """How all templates that are for a tenant stand for it, and what else is active."""

    templates: Templates
    activations: Activations

    def __call__(self, tenant: str) -> Sequence[Standing]:
        """By id."""
        version = self.templates.application_version(tenant)
        published = {one.template_id: one for one in self.templates.all_now()[1]}
        active = self.activations.active(tenant)
        meant = {
            template_id
            for template_id, one in published.items()
            if one.tenants is None or tenant in one.tenants
        }
        return tuple(
            Standing(
                tenant=tenant,
                template_id=template_id,
                template=(one := published.get(template_id)),
                exists=one is not None and one.exists_for(tenant, version),
                active_since=active.get(template_id),
            )
            for template_id in sorted(meant | active.keys())
        )


@dataclass(frozen=True)
class ActivateTemplate:
    """Lets a tenant's partners read a template."""

    templates: Templates
    activations: Activations
    clock: Clock

    def __call__(self, tenant: str, template_id: str) -> bool:
        """False if they could already. Raises NotFound: the tenant does not have it."""
        found = self.templates.find(template_id)
        if found is None:
            _, every = self.templates.all_now()
            there_are = ", ".join(one.template_id for one in every) or "none"
            raise NotFound(
                f"The published catalog has no template {template_id}; there are: {there_are}."
            )
        _, template = found
        version = self.templates.application_version(tenant)
        if not template.exists_for(tenant, version):
            raise NotFound(_why_not(template, tenant, version))
        return self.activations.activate(tenant, template_id, self.clock.now())


@dataclass(frozen=True)
class DeactivateTemplate:
    """Lets a tenant's partners read a template no more, whether the catalog still has it or not."""

    activations: Activations

    def __call__(self, tenant: str, template_id: str) -> None:
        """Raises NotFound: it was not active."""
        if not self.activations.deactivate(tenant, template_id):
            raise NotFound(f"The template {template_id} is not active for {tenant}.")


def _why_not(template: Template, tenant: str, version: ApplicationVersion | None) -> str:
    if template.tenants is not None and tenant not in template.tenants:
        return f"The template {template.template_id} is not for {tenant}."
    has = "of no known version" if version is None else f"of version {version}"
    return (
        f"The template {template.template_id} is for applications from version "
        f"{template.minimum_version} on, and that of {tenant} is {has}."
    )
