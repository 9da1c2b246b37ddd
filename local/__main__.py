"""`python -m local COMMAND`: the Makefile's up, down, logs, clean, test and demonstrations."""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from local import platform
from local.beside import beside
from local.deployment import Deployment, outputs
from local.environment import Environment
from local.home import CHECKOUT, Home, LocalFailure
from local.packed import packed_beside
from local.sample.roster import Roster


@contextmanager
def step(name: str) -> Iterator[list[str]]:
    """Say what is being done, and when it is done how it went and how long it took."""
    print(f"  {name:<12}", end="", flush=True)
    begun = time.monotonic()
    said: list[str] = []
    try:
        yield said
    except BaseException as end:
        print("interrupted" if isinstance(end, KeyboardInterrupt) else "failed", flush=True)
        raise
    print(f"{' '.join(said) or 'done':<60}{time.monotonic() - begun:6.1f} s", flush=True)


def up(home: Home) -> None:
    """Start the platform, deploy what changed, and leave headrace.json behind."""
    begun = time.monotonic()
    home.demand_usable()
    platform.demand_settings(os.environ)
    Environment.of(home, os.environ)  # which says what is wrong before anything is built
    with home.alone():
        with step("platform") as said:
            before = home.recall("port")
            port = platform.running_port(home)
            if port is not None and (platform.is_outdated(home) or platform.was_moved(home)):
                platform.stop(home)
                port = None
            if port is None:
                port = platform.start(home, os.environ)
                said.append(f"started on {platform.endpoint(port)}")
                if before not in (None, port):
                    said.append(f"since {before} is taken")
            else:
                said.append(f"running on {platform.endpoint(port)}")
        deployment = Deployment(home, port, os.environ)
        if deployment.is_current():
            with step("deployment") as said:
                said.append("nothing changed")
        else:
            _deploy(deployment)
        deployed = outputs(port) or {}
        from local import provision  # noqa: PLC0415  (needs the product; logs do not)

        provision.provide(home, port, deployed, step)
        platform.save(home)
    print(f"up in {time.monotonic() - begun:.1f} s: {home.outputs}")


def _deploy(deployment: Deployment) -> None:
    """Build, and deploy; or deploy what another platform of this checkout has packed."""
    with packed_beside(deployment, os.environ) as packed:
        given = packed is not None and packed.is_there
        with step("build") as said:
            if packed is not None and given:
                deployment.make_bucket()
                packed.give(deployment.home, deployment.port)
                said.append("as another platform's")
            else:
                deployment.build()
        with step("deployment"):
            deployment.deploy(packed.template if packed is not None and given else None)
            if packed is not None and not given:
                packed.keep(deployment)


def down(home: Home) -> None:
    """Stop the platform, and the one that `make demo-datasets` starts beside it; their state is
    saved."""
    for one in _with_beside(home):
        with one.alone():
            if one != home:
                print(f"{one.root}")
            with step("platform") as said:
                said.append(platform.stop(one) or "was not running")
            with step("roster") as said:
                said.append("stopped" if Roster(one.roster).stop() else "was not running")


def clean(home: Home) -> None:
    """Stop the platform, and the one that `make demo-datasets` starts beside it; forget everything
    they knew."""
    for one in _with_beside(home):
        with one.alone():
            platform.stop(one)
            Roster(one.roster).stop()
            one.empty()
        print(f"forgotten: {one.root}")


def _with_beside(home: Home) -> list[Home]:
    return [home, home.beside] if home.beside.is_made else [home]


FIRST_HALF = tuple(f"tests/system/{name}" for name in ("chaos", "exports", "templates", "upgrade"))
SECOND_HALF = ("tests/system", *(f"--ignore={path}" for path in FIRST_HALF))
"""What is not in the first half; so that together they are all."""


def system_tests(arguments: list[str]) -> int:
    """Run these tests against a platform of their own, which is gone afterwards; pytest's code."""
    with tempfile.TemporaryDirectory(prefix="headrace-test-") as folder:
        home = Home(Path(folder).resolve())
        with Roster(home.roster).for_as_long_as_this_process():
            try:
                up(home)
                environ = {**os.environ, "HEADRACE_HOME": str(home.root)}
                done = subprocess.run(
                    [sys.executable, "-m", "pytest", *arguments],
                    cwd=CHECKOUT,
                    env=environ,
                    check=False,
                )
                if done.returncode:
                    print(f"the end of the platform's log:\n{platform.tail(home.platform_log)}")
                return done.returncode
            finally:
                # A second interruption, as by a terminal and `make test`, leaves nothing running.
                for interruption in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(interruption, signal.SIG_IGN)
                platform.stop(home)


def _half(tests: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "local", "test", *tests]


def all_system_tests() -> int:
    """All of tests/system; 0 if all are well. They wait for much of their time, and one platform
    stands still while another works: so there are two, each for a half."""
    with _packed_once():
        codes = beside(_half(FIRST_HALF), _half(SECOND_HALF))
    return _judged(("first half", "second half"), codes)


def all_tests() -> int:
    """Every test; 0 if all are well. The system tests run beside the others, which let them go
    first: they wait for much of their time, and so are the last to end."""
    pytest = ["nice", "-n", "5", sys.executable]
    pytest += ["-m", "pytest", "-n", "2", "tests/unit", "tests/component"]
    with _packed_once():
        codes = beside(pytest, _half(FIRST_HALF), _half(SECOND_HALF))
    return _judged(("unit and component", "first half of the system", "second half"), codes)


@contextmanager
def _packed_once() -> Iterator[None]:
    """Has the platforms that are started meanwhile deploy what the first of them packs."""
    with tempfile.TemporaryDirectory(prefix="headrace-packed-") as folder:
        os.environ["HEADRACE_PACKED"] = folder
        yield


def _judged(names: Sequence[str], codes: Sequence[int]) -> int:
    for name, code in zip(names, codes, strict=True):
        print(f"{name} tests: {f'failed ({code})' if code else 'passed'}")
    return 1 if any(codes) else 0


def main() -> int:
    """Run one command; 0, or 1 with the reason on standard error."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    demos = ("demo", "demo-datasets", "demo-templates", "demo-profiles")
    commands = ["up", "down", "logs", "clean", *demos, "test", "all-tests"]
    parser.add_argument("command", choices=commands)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of test: what pytest is told")
    told = parser.parse_args()
    command: str = told.command
    home = Home.of(os.environ)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    try:
        if command == "up":
            up(home)
        elif command == "down":
            down(home)
        elif command == "clean":
            clean(home)
        elif command == "logs":
            from local.logs import follow  # noqa: PLC0415

            with contextlib.suppress(KeyboardInterrupt):
                follow(home, os.environ.get("FUNCTION", ""))
        elif command == "test":
            return system_tests(told.arguments) if told.arguments else all_system_tests()
        elif command == "all-tests":
            return all_tests()
        elif command == "demo-datasets":
            up(home)
            from local import demo_datasets  # noqa: PLC0415

            demo_datasets.run(home)
        elif command == "demo-templates":
            up(home)
            from local import demo_templates  # noqa: PLC0415

            demo_templates.run(home)
        elif command == "demo-profiles":
            up(home)
            from local import demo_profiles  # noqa: PLC0415

            demo_profiles.run(home)
        else:
            up(home)
            from local.demo import run  # noqa: PLC0415

            run(home)
    except LocalFailure as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        said = platform.after_interruption(home) if command in ("up", *demos) else ""
        print(f"\n{said}", file=sys.stderr)
        return 130
    return 0


sys.exit(main())
