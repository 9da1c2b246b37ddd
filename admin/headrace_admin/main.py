"""``headrace-admin``: all its commands together."""

import sys

from cyclopts import App

from headrace_admin.outcome import EXIT_CODES

_EPILOGUE = "Exit codes:\n\n" + "\n".join(
    f"- {int(code)}: {said}" for code, said in EXIT_CODES.items()
)

COMMANDS = {
    "catalog:catalog": "Check, publish and show the catalog.",
    "clients:client": "Issue and revoke clients' secrets.",
    "access:access_request": "Record who asks for access, and decide about it.",
    "authority:ca": "Set up the certificate authority of client certificates.",
    "people:role": "Say what persons who log in may do.",
    "people:user": "Create and end the persons who log in.",
    "people:team": "Put persons together whom something is entrusted to.",
    "persons:profile": "Give a person what is kept of them, and erase it.",
    "sharing:account": "Make account holders known, whose data it is.",
    "sharing:organisation": "Make organisations known, to share data with.",
    "sharing:consent": "Say who shares with whom.",
    "sharing:membership": "Say which organisations a data broker acts for.",
    "webhooks:webhook": "Issue and revoke the secrets that webhooks are signed with.",
    "notices:notice": ("Issue and revoke the secrets that notices of data sets are signed with."),
    "operations:operations": "Watch who takes what.",
    "services:service": "Say who manages an external service, and watch its keys.",
    "auditing:audit": "Read the audit trail and the statistics.",
    "schedules:schedule": "Watch the recurring exports.",
    "templates:template": "Let tenants' partners read a template, or no more.",
    "sources:source": "Put the change log into a PostgreSQL source, and watch it.",
    "restore:restore": "Tables as they were at a moment, and what is missing since.",
}
"""Where each group of commands is, and what its help says. They are named, not imported: who runs
one does not wait for what all the others need."""

app = App(
    name="headrace-admin",
    help="The operator's side of Headrace: the catalog, clients' secrets, operations.",
    help_epilogue=_EPILOGUE,
    help_format="markdown",
    version_flags=[],
    result_action="return_value",
)
for _place, _help in COMMANDS.items():
    app.command(f"headrace_admin.{_place}", help=_help)


def run() -> None:
    """The command's entry point."""
    sys.exit(app())
