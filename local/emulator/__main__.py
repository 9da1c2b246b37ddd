"""Runs MiniStack with our patches, in the foreground, until SIGTERM.

Started by local/platform.py in the platform's own environment; its settings come by environment
variables (docs/local-platform.md). Holds a lock on the file HEADRACE_PLATFORM_LOCK for as long as
it lives, so that whoever asks knows for certain whether it runs. SIGUSR1 saves the state now
(SIGTERM does, too), so that a crash later on loses less.
"""

import fcntl
import importlib
import importlib.metadata
import os
import signal
import sys
import threading
import time
from pathlib import Path

from local.emulator import extracted, front, patches, sources


def end_without_home(place: Path, lock: int) -> None:
    """Ends this process and the functions' when the lock is not at its place any more.

    Its home was deleted or moved then, and nobody could find them to stop them. They are killed:
    there is no place for the state, and what else an end writes would make the folder anew.
    """
    held = os.fstat(lock)
    while is_at(place, held):
        time.sleep(1)
    if os.getpgrp() == os.getpid():  # the group is of what we started
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def is_at(place: Path, held: os.stat_result) -> bool:
    """Whether this file is at the place."""
    try:
        return os.path.samestat(place.stat(), held)
    except FileNotFoundError:
        return False


def main() -> None:
    """Take the lock, patch, serve."""
    installed = importlib.metadata.version("ministack")
    if installed != patches.VERSION:
        sys.exit(f"ministack {installed} is installed; the patches are for {patches.VERSION}")
    place = Path(os.environ.pop("HEADRACE_PLATFORM_LOCK"))
    lock = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("this platform is already running")
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    threading.Thread(target=end_without_home, args=(place, lock), daemon=True).start()

    extracted.tidy()
    sources.install(patches.PATCHES)
    app = importlib.import_module("ministack.app")  # only now: the patches come first
    tls = front.Front(
        int(os.environ["HEADRACE_TLS_PORT"]),
        int(os.environ["GATEWAY_PORT"]),
        os.environ["HEADRACE_TLS_STAGE"],
        Path(os.environ["HEADRACE_TLS_FOLDER"]),
    )
    try:
        tls.start()
    except OSError as error:
        sys.exit(f"the TLS port is already in use: {error}")

    def save(*_: object) -> None:
        # Aside, so that the server goes on serving; what is saved when is told in the docs.
        states = app._build_persistence_save_dict()
        threading.Thread(target=app.save_all, args=(states,), daemon=True).start()

    signal.signal(signal.SIGUSR1, save)
    sys.argv = ["ministack"]
    app.main()


main()
