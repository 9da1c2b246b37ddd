"""Runs MiniStack with our patches, in the foreground, until SIGTERM.

Started by local/platform.py in the platform's own environment; its settings come by environment
variables (docs/local-platform.md). Holds a lock on the file HEADRACE_PLATFORM_LOCK for as long as
it lives, so that whoever asks knows for certain whether it runs.
"""

import fcntl
import importlib.metadata
import os
import sys

from local.emulator import extracted, patches, sources


def main() -> None:
    """Take the lock, patch, serve."""
    installed = importlib.metadata.version("ministack")
    if installed != patches.VERSION:
        sys.exit(f"ministack {installed} is installed; the patches are for {patches.VERSION}")
    lock = os.open(os.environ.pop("HEADRACE_PLATFORM_LOCK"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("this platform is already running")
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())

    extracted.tidy()
    sources.install(patches.PATCHES)
    from ministack.app import main as serve  # noqa: PLC0415

    sys.argv = ["ministack"]
    serve()


main()
