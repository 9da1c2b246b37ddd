"""The release after this one, made of what is built, and deployed as `sam deploy` does."""

import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from local.deployment import Deployment
from local.home import CHECKOUT, Home
from tests.system.deployed import Platform

SERVICE = "POWERTOOLS_SERVICE_NAME: headrace"
LAST_STATE, LAST_STATE_NEXT = '"EndExport"', '"EndOfTheNextRelease"'


@dataclass(frozen=True)
class Releases:
    """This release, and the next: each function has other code and another setting, and the
    workflow of exports ends in a state of another name."""

    platform: Platform
    this: str = field(init=False)
    """This release's template, as it is deployed."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "this", self._deployment(self.platform.home).packed_template())

    def deploy_next(self) -> None:
        """Deploys the next release, over whatever runs."""
        home = self._next()
        with self.platform.home.alone():
            self._deployment(home).deploy()

    def deploy_this(self) -> None:
        """Deploys this release again, whose packages are still there: the way back."""
        with self.platform.home.alone():
            self._deployment(self.platform.home).deploy_packed(self.this)

    def deployed(self) -> set[str]:
        """What the functions call themselves: one name, when all of them are of one release."""
        functions = self.platform.aws("lambda")
        return {
            functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"][
                "POWERTOOLS_SERVICE_NAME"
            ]
            for name in self.platform.functions.values()
        }

    def workflow(self) -> str:
        """The workflow of exports as it is deployed."""
        described = self.platform.aws("stepfunctions").describe_state_machine(
            stateMachineArn=self.platform.outputs["ExportStateMachineArn"]
        )
        return str(described["definition"])

    def _deployment(self, built: Home) -> Deployment:
        _, _, port = self.platform.about["aws_endpoint_url"].rpartition(":")
        return Deployment(built, int(port), os.environ)

    def _next(self) -> Home:
        """Beside what is built, which the copy shares its layers with."""
        home = Home(self.platform.home.root / "next-release")
        shutil.rmtree(home.root, ignore_errors=True)
        here, there = (one.built_template.parent for one in (self.platform.home, home))
        shutil.copytree(here, there, copy_function=os.link)
        for functions in there.glob("*/exports"):
            (functions.parent / "release.py").write_text('"""The next release."""\n')
        workflows = home.root / "statemachines"
        shutil.copytree(CHECKOUT / "statemachines", workflows)
        _replace(workflows / "export.asl.json", LAST_STATE, LAST_STATE_NEXT)
        _replace(home.built_template, SERVICE, f"{SERVICE}-next")
        text = home.built_template.read_text()
        moved = re.sub(r"DefinitionUri: \S+/", f"DefinitionUri: {workflows}/", text)
        home.built_template.write_text(moved)
        return home


def _replace(path: Path, old: str, new: str) -> None:
    """In a file of its own, not in the one that a link leads to."""
    text = path.read_text()
    assert old in text, f"{path} has no {old}"
    path.unlink()
    path.write_text(text.replace(old, new))
