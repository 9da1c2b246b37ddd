"""What every command is told: which deployment, and how to print."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from headrace_admin.deployment import DEFAULT_STACK, Deployment, home_folder


@Parameter(name="*")
@dataclass(frozen=True)
class Target:
    """Which deployment, and how to print."""

    stack: Annotated[str, Parameter(env_var="HEADRACE_STACK")] = DEFAULT_STACK
    """The CloudFormation stack, in the account and region of the usual AWS environment."""

    local: Annotated[bool, Parameter(negative="")] = False
    """Work on the local platform that `make up` started, whatever the AWS environment says."""

    home: Annotated[Path | None, Parameter(env_var="HEADRACE_HOME", show_default=False)] = None
    """The local platform's folder; `.local` if not named."""

    json: Annotated[bool, Parameter(negative="")] = False
    """Print one JSON document on stdout, for scripts."""

    def deployment(self) -> Deployment:
        """The deployment. Raises DeploymentNotFound."""
        return Deployment.local(self.folder) if self.local else Deployment.on_aws(self.stack)

    @property
    def folder(self) -> Path:
        """The local platform's folder."""
        return (self.home or home_folder()).resolve()


AWS = Target()
"""Where a command works if it is told nothing."""
