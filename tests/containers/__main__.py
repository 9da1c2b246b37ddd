"""Every function in a real container: `sam local invoke`, `start-lambda` and `start-api`.

    python -m tests.containers [FUNCTION...] [--sample] [--image NAME]

It has a local platform of its own, or the one that HEADRACE_HOME names. The code is 0 when every
reply is as it has to be, 1 when one is not, and 3 when there is no Docker and none can be had:
then nothing was tried.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from local.home import CHECKOUT, Home
from local.platform import running_port
from tests.containers import image
from tests.containers.engine import EngineFailed, NoDocker, engine
from tests.containers.page import PAGE, written
from tests.containers.running import Outcome, all_of, described, over_http
from tests.containers.sam import LAYERED, Containers, SamFailed, reachable

SAMPLE = ("IssueToken", "Authorize", "GetMetadata", "PlanExport")
"""What CI has time for: without and with a caller, and with the layer that has DuckDB."""

NO_DOCKER = 3


def main(arguments: Sequence[str]) -> int:
    """Runs them and says how each did."""
    parser = argparse.ArgumentParser(prog="python -m tests.containers", description=__doc__)
    parser.add_argument("functions", nargs="*", metavar="FUNCTION", help="logical ids; all if none")
    parser.add_argument("--sample", action="store_true", help=f"only {', '.join(SAMPLE)}")
    parser.add_argument("--image", default="", help="a base image in place of the one made here")
    told = parser.parse_args(arguments)
    wanted = tuple(SAMPLE if told.sample else told.functions)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    try:
        return _run(wanted, told.image)
    except NoDocker as none:
        print(f"\nNOT RUN, NO FUNCTION WAS TRIED IN A CONTAINER: {none}", file=sys.stderr)
        return NO_DOCKER
    except (EngineFailed, SamFailed) as failed:
        print(f"\n{failed}", file=sys.stderr)
        return 1


def _run(wanted: Sequence[str], base: str) -> int:
    began = time.monotonic()
    with ExitStack() as stack:
        docker = stack.enter_context(engine(os.environ))
        print(f"  docker      {described(docker)}", flush=True)
        if base:
            if not docker.has_image(base):
                docker.pull(base)
        else:
            base = image.made(docker)
        print(f"  image       {base}", flush=True)
        # SAM knows these by the names of layers, and not by what is in them.
        docker.remove_images(LAYERED)
        stack.callback(docker.remove_images, LAYERED)
        home, port = stack.enter_context(_platform(os.environ))
        address = stack.enter_context(reachable(docker, base, port))
        containers = Containers(home, port, docker, base, address)
        containers.prepare()
        print(f"  ready       after {time.monotonic() - began:.0f} s", flush=True)
        try:
            outcomes = all_of(containers, wanted)
            routes = [] if wanted else over_http(containers)
        except SamFailed:
            print(f"the log, of which this is the end, lies in {containers.log}")
            raise
    taken = time.monotonic() - began
    wrong = [one for one in (*outcomes, *routes) if one.wrong]
    if not wanted and not wrong:
        PAGE.write_text(written(outcomes, routes, taken, PAGE.read_text()))
        print(f"written: {PAGE.relative_to(CHECKOUT)}")
    print(_summed_up(outcomes, routes, wrong, taken))
    return int(bool(wrong))


def _summed_up(
    outcomes: Sequence[Outcome], routes: Sequence[Outcome], wrong: Sequence[Outcome], taken: float
) -> str:
    tried = f"{len(outcomes)} functions and {len(routes)} calls by HTTP"
    how = "all as they have to be" if not wrong else f"{len(wrong)} are not as they have to be"
    return f"{tried} in containers, {how} ({taken:.0f} s)"


@contextmanager
def _platform(environ: Mapping[str, str]) -> Iterator[tuple[Home, int]]:
    """A platform of our own, gone afterwards; or the one that is named, left as it was found."""
    with ExitStack() as stack:
        if environ.get("HEADRACE_HOME"):
            home = Home.of(environ)
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-test-"))
            home = Home(Path(folder).resolve())
        ran = running_port(home) is not None
        try:
            _local("up", home)
            port = running_port(home)
            assert port is not None
            yield home, port
        finally:
            if not ran:
                _local("down", home)


def _local(command: str, home: Home) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local", command],
        cwd=CHECKOUT,
        env={**os.environ, "HEADRACE_HOME": str(home.root)},
        check=False,
    )
    if done.returncode:
        raise SamFailed(f"the local platform: python -m local {command} ended with an error")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
