"""The commands about templates: ``headrace-admin template``."""

from typing import Annotated

from cyclopts import App, Parameter

from headrace.audit.model import Action
from headrace.kernel.clock import SystemClock
from headrace.templates.activating import ActivateTemplate, DeactivateTemplate, ShowTemplates
from headrace_admin.catalog_views import print_standings, standing_json
from headrace_admin.deployment import Deployment
from headrace_admin.outcome import Exit, Printer, finished
from headrace_admin.published import known_tenant
from headrace_admin.recording import record
from headrace_admin.target import AWS, Target

template = App(name="template")

Named = Annotated[str, Parameter(help="The template's id in the catalog.")]
ForTenant = Annotated[str, Parameter(help="The tenant whose partners are meant.")]


@template.command(name="list")
def list_templates(
    *,
    tenant: Annotated[str | None, Parameter(show_default=False)] = None,
    target: Target = AWS,
) -> int:
    """Show which templates tenants have, and which of them are active.

    Parameters
    ----------
    tenant
        Those of this tenant only.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = target.deployment()
        show = ShowTemplates(deployment.templates(), deployment.activations())
        if tenant is None:
            tenants = [one.tenant_id for one in deployment.catalogs().tenants()]
        else:
            tenants = [known_tenant(deployment, tenant)]
        found = [standing for each in tenants for standing in show(each)]
        printer.result(
            {"templates": [standing_json(one) for one in found]},
            lambda out: print_standings(out, found),
        )
        return Exit.OK

    return finished(printer, work)


@template.command
def activate(template_id: Named, *, tenant: ForTenant, target: Target = AWS) -> int:
    """Let the tenant's partners read a template, from the next call on."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = target.deployment()
        of = known_tenant(deployment, tenant)
        make = ActivateTemplate(deployment.templates(), deployment.activations(), SystemClock())
        changed = make(of, template_id)
        # Also of what was active: a command that was killed before this is given again.
        _record(deployment, Action.ACTIVATE, of, template_id)
        said = "is active" if changed else "was active already"
        printer.result(
            {"template": template_id, "tenant": of, "active": True, "changed": changed},
            lambda out: out.print(f"The template {template_id} {said} for {of}.", markup=False),
        )
        return Exit.OK

    return finished(printer, work)


@template.command
def deactivate(template_id: Named, *, tenant: ForTenant, target: Target = AWS) -> int:
    """Let the tenant's partners read a template no more, from the next call on."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = target.deployment()
        # Not only tenants of the catalog: what one had that has left it can be taken back too.
        DeactivateTemplate(deployment.activations())(tenant, template_id)
        _record(deployment, Action.DEACTIVATE, tenant, template_id)
        printer.result(
            {"template": template_id, "tenant": tenant, "active": False, "changed": True},
            lambda out: out.print(
                f"The template {template_id} is active no more for {tenant}.", markup=False
            ),
        )
        return Exit.OK

    return finished(printer, work)


def _record(deployment: Deployment, action: Action, tenant: str, template_id: str) -> None:
    concerns = {"template": template_id}
    record(deployment, action, tenant=tenant, concerns=concerns)
