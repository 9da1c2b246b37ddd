"""`python -m headrace_client` is the command `headrace`."""

from headrace_client.command.main import run

run()
