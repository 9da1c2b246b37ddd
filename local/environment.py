"""Which environment of the sample's applications a home is: what data sets are carried between."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from local.home import Home, LocalFailure
from local.sample.applications import FIRST_IDS


@dataclass(frozen=True)
class Environment:
    """An environment: its identifier, the version of its applications, and which data they have.

    A home keeps what it was told; ``HEADRACE_ENVIRONMENT``, ``HEADRACE_APPLICATION_VERSION`` and
    ``HEADRACE_SAMPLE`` change it.
    """

    identifier: str = "TEST"
    version: str = "4.24.1.0.0"
    sample: str = "test"

    @classmethod
    def of(cls, home: Home, environ: Mapping[str, str]) -> "Environment":
        """What the variables say, else what the home has kept. Raises LocalFailure."""
        kept = home.recall("environment")
        before = cls(**kept) if isinstance(kept, dict) else cls()
        now = cls(
            environ.get("HEADRACE_ENVIRONMENT") or before.identifier,
            environ.get("HEADRACE_APPLICATION_VERSION") or before.version,
            environ.get("HEADRACE_SAMPLE") or before.sample,
        )
        if now.sample not in FIRST_IDS:
            raise LocalFailure(
                f'HEADRACE_SAMPLE is "{now.sample}"; the sample has {" and ".join(FIRST_IDS)}'
            )
        return now

    def keep(self, home: Home) -> None:
        """Have the home know it from now on."""
        home.remember("environment", asdict(self))
