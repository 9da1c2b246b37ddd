"""Build and deploy the real template onto the platform, when something changed."""

import contextlib
import hashlib
import os
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError

from local.home import CHECKOUT, Home, LocalFailure
from local.platform import API_ID, REGION, STAGE, aws_environment, endpoint, tail

STACK = "headrace"
PACKAGES = "headrace-packages"
"""The bucket that `sam deploy` uploads the functions' packages to."""

SOURCES = (
    "template.yaml", "samconfig.toml", "functions", "layers", "statemachines", "openapi",
    "requirements/sam.txt", "requirements/platform.txt",
)  # fmt: skip
_HEALTHY = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
_DEPLOYABLE = (*_HEALTHY, "UPDATE_ROLLBACK_COMPLETE")
_NOT_SOURCES = re.compile(r"__pycache__|\.egg-info$|\.pyc$|^\.(mypy|ruff)_cache$")


class DeploymentFailed(LocalFailure):
    """`sam` ended with an error; the message has the end of what it said."""


def api_url(port: int) -> str:
    """The URL that clients use: no DNS trick and no Host header needed."""
    return f"{endpoint(port)}/_aws/execute-api/{API_ID}/{STAGE}"


def client(service: str, port: int) -> Any:
    """A boto3 client of this platform."""
    connect: Callable[..., Any] = boto3.client  # its types demand a literal name
    return connect(
        service,
        endpoint_url=endpoint(port),
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # the emulator takes any
    )


def source_files(checkout: Path) -> Iterator[Path]:
    """The files that make the deployment, in a fixed order."""
    for name in SOURCES:
        path = checkout / name
        if path.is_file():
            yield path
        for folder, folders, files in os.walk(path):
            folders[:] = sorted(name for name in folders if not _NOT_SOURCES.search(name))
            for file in sorted(files):
                if not _NOT_SOURCES.search(file):
                    yield Path(folder) / file


def fingerprint(checkout: Path, *, public_url: str) -> str:
    """A digest of all that a deployment depends on: names, contents, and where it is deployed."""
    digest = hashlib.sha256(public_url.encode())
    for path in source_files(checkout):
        digest.update(f"\0{path.relative_to(checkout)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def outputs(port: int) -> dict[str, str] | None:
    """The deployed stack's outputs, or None when there is no healthy stack."""
    try:
        stack = client("cloudformation", port).describe_stacks(StackName=STACK)["Stacks"][0]
    except (ClientError, BotoCoreError):
        return None
    if stack["StackStatus"] not in _HEALTHY:
        return None
    return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}


@dataclass(frozen=True)
class Deployment:
    """One deployment of a checkout onto one home's platform.

    ``overrides``: parameters besides; with any, the next ``make up`` deploys again, without them.
    """

    home: Home
    port: int
    environ: Mapping[str, str]
    checkout: Path = CHECKOUT
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def _public_url(self) -> str:
        return api_url(self.port)

    def is_current(self) -> bool:
        """Whether what runs is what the checkout says."""
        deployed = self.home.recall("deployed")
        return (
            deployed == fingerprint(self.checkout, public_url=self._public_url)
            and outputs(self.port) is not None
        )

    def build(self) -> None:
        """`sam build`: only what changed is built again."""
        self.home.deploy_log.write_text("")
        self._sam(
            "build",
            "--cached",
            "--parallel",
            *("--template-file", self.checkout / "template.yaml"),
        )

    def deploy(self, template: Path | None = None) -> dict[str, str]:
        """`sam deploy` of what was built, or of a template whose code is uploaded; the stack's
        outputs."""
        digest = fingerprint(self.checkout, public_url=self._public_url)
        self.home.forget("deployed")
        self._discard_broken_stack()
        self.make_bucket()
        self._sam(
            "deploy",
            *("--config-file", self.checkout / "samconfig.toml"),
            *("--config-env", "local"),
            *("--template-file", template or self.home.built_template),
            *("--stack-name", STACK),
            *("--s3-bucket", PACKAGES),
            *("--region", REGION),
            *("--tags", f"ms-custom-id={API_ID}"),
            "--no-confirm-changeset",
            "--no-fail-on-empty-changeset",
            "--no-progressbar",
            *(
                "--parameter-overrides",
                *(f"{key}={value or '""'}" for key, value in self._asked().items()),
            ),
        )
        deployed = outputs(self.port)
        if deployed is None:
            raise DeploymentFailed(f"no healthy stack after the deployment: {self.home.deploy_log}")
        if not self.overrides:
            self.home.remember("deployed", digest)
        return deployed

    def make_bucket(self) -> None:
        """Have the bucket for packages, if it is not there."""
        s3 = client("s3", self.port)
        with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(
                Bucket=PACKAGES, CreateBucketConfiguration={"LocationConstraint": REGION}
            )

    def deploy_parameters(self) -> dict[str, str]:
        """`sam deploy` of what is deployed, with ``parameters()``: nothing is packed and uploaded
        again. The stack's outputs."""
        return self.deploy_packed(self.packed_template())

    def packed_template(self) -> str:
        """The template as it is deployed: it names what was packed and uploaded for it."""
        deployed = client("cloudformation", self.port).get_template(
            StackName=STACK, TemplateStage="Original"
        )
        body: str = deployed["TemplateBody"]
        return body

    def deploy_packed(self, packed: str) -> dict[str, str]:
        """`sam deploy` of such a template, whose packages are still there; the stack's outputs."""
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", dir=self.home.root) as template:
            template.write(packed)
            template.flush()
            return self.deploy(Path(template.name))

    def _discard_broken_stack(self) -> None:
        """Delete a stack that no deployment can mend: one that never came up, or half saved."""
        cloudformation = client("cloudformation", self.port)
        try:
            status = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
        except ClientError:
            return
        if status not in _DEPLOYABLE:
            cloudformation.delete_stack(StackName=STACK)
            cloudformation.get_waiter("stack_delete_complete").wait(
                StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
            )

    def parameters(self) -> dict[str, str]:
        """samconfig's parameters for `local` (`sam` would drop them beside ours) and ours."""
        path = self.checkout / "samconfig.toml"
        config = tomllib.loads(path.read_text()) if path.exists() else {}
        given = config.get("local", {}).get("deploy", {}).get("parameters", {})
        pairs = given.get("parameter_overrides", [])
        if isinstance(pairs, str):
            pairs = pairs.split()
        named = dict(pair.split("=", 1) for pair in pairs)
        ours = {"PublicBaseUrl": self._public_url, "StageName": STAGE}
        return named | ours | dict(self.overrides)

    def _asked(self) -> dict[str, str]:
        """``parameters()``, and the template's own of those that were otherwise before: what a
        deployment does not ask for, CloudFormation leaves as it is."""
        cloudformation = client("cloudformation", self.port)
        try:
            (stack,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
        except ClientError:
            return self.parameters()
        named = defaults((self.checkout / "template.yaml").read_text())
        before = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
        changed = {name: of for name, of in named.items() if before.get(name, of) != of}
        return changed | self.parameters()

    def _sam(self, command: str, *arguments: object) -> None:
        environ = aws_environment(self.environ, self.port)
        # `sam build` looks for the functions' own Python, with pip, on PATH.
        environ["PATH"] = f"{self.checkout / '.venv' / 'bin'}{os.pathsep}{environ['PATH']}"
        sam = CHECKOUT / ".tools" / "sam" / "bin" / "sam"
        with self.home.deploy_log.open("a") as log:
            done = subprocess.run(
                [sam, command, *map(str, arguments)],
                cwd=self.home.root,  # where it makes its .aws-sam
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
            )
        if done.returncode:
            raise DeploymentFailed(
                f"sam {command} failed ({done.returncode}); the end of {self.home.deploy_log}:\n"
                + tail(self.home.deploy_log)
            )


class _Parameters(yaml.SafeLoader):
    """Reads a template, whose functions are nobody's business here."""


_Parameters.add_multi_constructor("!", lambda loader, tag, node: None)


def defaults(template: str) -> dict[str, str]:
    """What the parameters of a template are that nobody names."""
    parameters = yaml.load(template, _Parameters)["Parameters"]
    return {name: str(one["Default"]) for name, one in parameters.items() if "Default" in one}
