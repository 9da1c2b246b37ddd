"""Who the demonstrations call as: the sample's clients, which another catalog need not have."""

import shlex

from headrace_client import SetupError
from headrace_client.command.profile import Profile, profile_in
from local.home import Home, LocalFailure


class SampleMissing(LocalFailure):
    """The published catalog is not the sample; the message says how to have it back."""

    def __init__(self, home: Home, lacking: str) -> None:
        folder = shlex.quote(str(home.root))
        super().__init__(
            f"{lacking}\n"
            "The demonstration shows the sample, and another catalog is published now. This brings "
            "the sample back (what is published now stays as an earlier version):\n"
            f"  .venv/bin/headrace-admin catalog publish catalog --local --home {folder}"
        )


def sample_client(home: Home, client: str) -> Profile:
    """What a client of the sample calls with. Raises SampleMissing."""
    try:
        return profile_in(home.outputs, client)
    except SetupError as error:
        raise SampleMissing(home, error.detail) from error
