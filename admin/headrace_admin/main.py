"""``headrace-admin``: all its commands together."""

import sys

from cyclopts import App

from headrace_admin.access import access_request
from headrace_admin.auditing import audit
from headrace_admin.authority import ca
from headrace_admin.catalog import catalog
from headrace_admin.clients import client
from headrace_admin.notices import notice
from headrace_admin.operations import operations
from headrace_admin.outcome import EXIT_CODES
from headrace_admin.people import role, team, user
from headrace_admin.persons import profile
from headrace_admin.restore import restore
from headrace_admin.schedules import schedule
from headrace_admin.services import service
from headrace_admin.sharing import account, consent, membership, organisation
from headrace_admin.sources import source
from headrace_admin.templates import template
from headrace_admin.webhooks import webhook

_EPILOGUE = "Exit codes:\n\n" + "\n".join(
    f"- {int(code)}: {said}" for code, said in EXIT_CODES.items()
)

app = App(
    name="headrace-admin",
    help="The operator's side of Headrace: the catalog, clients' secrets, operations.",
    help_epilogue=_EPILOGUE,
    help_format="markdown",
    version_flags=[],
    result_action="return_value",
)
app.command(catalog)
app.command(client)
app.command(access_request)
app.command(ca)
app.command(role)
app.command(user)
app.command(team)
app.command(profile)
app.command(account)
app.command(organisation)
app.command(consent)
app.command(membership)
app.command(webhook)
app.command(notice)
app.command(operations)
app.command(service)
app.command(audit)
app.command(schedule)
app.command(template)
app.command(source)
app.command(restore)


def run() -> None:
    """The command's entry point."""
    sys.exit(app())
