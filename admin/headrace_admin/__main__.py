"""``python -m headrace_admin``."""

from headrace_admin.main import run

run()
