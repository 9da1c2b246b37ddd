"""Commands beside each other, told one after the other."""

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from local.home import CHECKOUT


def beside(shown: Sequence[str], *kept: Sequence[str]) -> tuple[int, ...]:
    """Runs all of them, and gives their codes. What ``shown`` says comes as it says it; after its
    end follows what each of the ``kept`` says, in their order. If this is interrupted, so are all
    of them, and waited for.
    """
    with contextlib.ExitStack() as stack:
        waiting = []
        for command in kept:
            said = stack.enter_context(tempfile.NamedTemporaryFile("w", prefix="headrace-kept-"))
            waiting.append((stack.enter_context(_running(command, said)), said))
        first = stack.enter_context(_running(shown)).wait()
        return first, *(_told(process, said) for process, said in waiting)


@contextlib.contextmanager
def _running(
    command: Sequence[str], says: IO[str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The command, which says what it says here or into the file; it is ended with the block."""
    errors = None if says is None else subprocess.STDOUT
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=says, stderr=errors)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _told(process: subprocess.Popen[bytes], said: IO[str]) -> int:
    """The code of the process, whose words are passed on until it ends."""
    ended = False
    with Path(said.name).open(errors="replace") as reading:
        while not ended:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
            ended = process.poll() is not None
            shutil.copyfileobj(reading, sys.stdout)
            sys.stdout.flush()
    return process.returncode
