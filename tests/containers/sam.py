"""SAM's local commands on the built template, against a running local platform.

The template is the one that `sam build` left, with four variables more: `sam local` hands a
function those that the template names and no others, and a function has to be told where AWS is.
Each gets what the deployment gave it, and the credentials of its own role.
"""

import asyncio
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from local.deployment import STACK, client
from local.home import CHECKOUT, Home, choose_port
from local.platform import REGION, aws_environment, endpoint, tail
from tests.containers.engine import Engine, EngineFailed, NoDocker

SAM = CHECKOUT / ".tools" / "sam" / "bin" / "sam"
ADDED = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
LAYERED = "samcli/lambda-python"
"""The images that SAM makes of a base image and layers: it knows them by the layers' names."""

_HOST = "host.docker.internal"


class SamFailed(Exception):
    """A command of SAM's ended, or does not answer; the message has what it said."""


@dataclass(frozen=True)
class Containers:
    """The deployed functions, ready to be run in containers."""

    home: Home
    port: int
    engine: Engine
    image: str
    address: str
    """Where containers reach the platform: ``http://…``."""

    @property
    def template(self) -> Path:
        """The built template with the variables added; beside it, so that its paths hold."""
        return self.home.built_template.with_name("in-containers.yaml")

    @property
    def variables(self) -> Path:
        """What each function has in its environment, by its logical id."""
        return self.home.built_template.with_name("in-containers.json")

    @property
    def log(self) -> Path:
        """What SAM and the functions in its containers say."""
        return self.home.root / "containers.log"

    @cached_property
    def functions(self) -> dict[str, str]:
        """The names of the deployed functions by their logical ids."""
        pages = client("cloudformation", self.port).get_paginator("list_stack_resources")
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for page in pages.paginate(StackName=STACK)
            for resource in page["StackResourceSummaries"]
            if resource["ResourceType"] == "AWS::Lambda::Function"
        }

    def prepare(self, changes: Mapping[str, Mapping[str, str]] | None = None) -> None:
        """Writes the template and the variables; ``changes`` to those of a function."""
        functions, tokens = client("lambda", self.port), client("sts", self.port)
        template = yaml.safe_load(self.home.built_template.read_text())
        common = template["Globals"]["Function"]
        common["Environment"]["Variables"] |= dict.fromkeys(ADDED, "")
        layers = {
            one["LayerName"]: one["LatestMatchingVersion"]["LayerVersionArn"]
            for one in functions.list_layers()["Layers"]
        }
        resources = template["Resources"].values()
        for having in (common, *(one.get("Properties", {}) for one in resources)):
            if "Layers" in having:
                having["Layers"] = [layers[one["Ref"]] for one in having["Layers"]]
        self.template.write_text(yaml.safe_dump(template, sort_keys=False))
        given = {}
        for logical_id, name in self.functions.items():
            deployed = functions.get_function_configuration(FunctionName=name)
            role = tokens.assume_role(RoleArn=deployed["Role"], RoleSessionName=logical_id)
            key = role["Credentials"]
            given[logical_id] = {
                **deployed["Environment"]["Variables"],
                "AWS_ENDPOINT_URL": self.address,
                "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
                "AWS_SESSION_TOKEN": key["SessionToken"],
                **(changes or {}).get(logical_id, {}),
            }
        self.variables.touch(mode=0o600)
        self.variables.write_text(json.dumps(given))

    def invoke(self, logical_id: str, event: Path) -> Any:
        """What `sam local invoke` prints of the function's reply. Raises SamFailed."""
        with self.log.open("a") as log:
            done = subprocess.run(
                [SAM, "local", "invoke", logical_id, "--event", event, *self._options],
                cwd=self.home.root,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                check=False,
            )
        if done.returncode:
            raise SamFailed(f"sam local invoke {logical_id}: {tail(self.log, 15)}")
        # Before it, SAM tells how far it is with fetching layers.
        return json.loads(done.stdout.strip().rpartition("\n")[2])

    @contextmanager
    def serving(self, command: str, *options: str) -> Iterator[str]:
        """`sam local start-api` or `start-lambda`, until the block ends; its address."""
        port = choose_port(None)
        with self.log.open("a") as log:
            process = subprocess.Popen(
                [SAM, "local", command, "--port", str(port), *options, *self._options],
                cwd=self.home.root,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            deadline = time.monotonic() + 120
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SamFailed(f"sam local {command}: {tail(self.log, 15)}")
                time.sleep(0.1)
            yield endpoint(port)
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def _options(self) -> Sequence[str | Path]:
        return (
            *("--template-file", self.template),
            *("--env-vars", self.variables),
            *("--invoke-image", self.image),
            *("--layer-cache-basedir", self.home.root / "layers"),
            *("--region", REGION),
            "--skip-pull-image",
        )

    @property
    def _environment(self) -> dict[str, str]:
        return aws_environment(os.environ, self.port) | self.engine.environment


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def reachable(engine: Engine, image: str, port: int) -> Iterator[str]:
    """Where containers reach the platform's port, until the block ends.

    The platform listens on the loopback interface alone. Docker Desktop leads its name for the
    host there by itself; an engine on this machine has a bridge, whose address gets a relay.
    Raises EngineFailed, or NoDocker of an engine of our own, when no container can be run.
    """
    asked = ["run", "--rm", f"--add-host={_HOST}:host-gateway", "--entrypoint=", image]
    program = f"import socket; print(socket.gethostbyname('{_HOST}'))"
    try:
        host = engine.said([*asked, "python3.13", "-c", program]).strip()
    except EngineFailed as error:
        if not engine.is_ours:
            raise
        # A sandbox may let an engine start and no container run.
        raise NoDocker(f"an engine of our own starts, and runs no container: {error}") from error
    try:
        listening = socket.create_server((host, 0))
    except OSError:
        yield f"http://{host}:{port}"
        return
    loop = asyncio.new_event_loop()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_carried(reader, there[1]), _carried(there[0], writer))

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(asyncio.start_server(served, sock=listening), loop).result()
    try:
        yield f"http://{host}:{listening.getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _carried(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All bytes of one direction; its end is the other's end too."""
    with suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    with suppress(OSError):
        writer.close()
