"""Two commands beside each other, told one after the other."""

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from local.home import CHECKOUT


def beside(shown: Sequence[str], kept: Sequence[str]) -> tuple[int, int]:
    """Runs both, and gives their codes. What ``kept`` says follows when ``shown`` has ended, which
    says it as it comes; after that both do. If this is interrupted, so is ``kept``, and waited for.
    """
    with tempfile.NamedTemporaryFile("w", prefix="headrace-kept-") as said:
        waiting = subprocess.Popen(kept, cwd=CHECKOUT, stdout=said, stderr=subprocess.STDOUT)
        try:
            first = subprocess.run(shown, cwd=CHECKOUT, check=False).returncode
            with Path(said.name).open(errors="replace") as reading:
                ended = False
                while not ended:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        waiting.wait(1)
                    ended = waiting.poll() is not None
                    shutil.copyfileobj(reading, sys.stdout)
                    sys.stdout.flush()
            return first, waiting.returncode
        finally:
            if waiting.poll() is None:
                waiting.terminate()
                waiting.wait()
