"""What a function says in a call, on the way from its process to the emulator."""

import queue
import time

_PATIENCE_S = 10.0


def log_of(lines: "queue.Queue[str]", request_id: str, patience: float = _PATIENCE_S) -> str:
    """What is said until the mark of this call, which its process writes before it answers.

    Only who fills ``lines`` from the process's pipe may be late, which on a busy machine it is. So
    a mark of an earlier call, whose log was given up after so many seconds of patience, may come
    first: it ends nothing.
    """
    said, deadline = [], time.monotonic() + patience
    while (left := deadline - time.monotonic()) > 0:
        try:
            line = lines.get(timeout=left)
        except queue.Empty:
            break
        text, mark, whose = line.rpartition("\0")
        if text or not mark:
            said.append(text or whose)
        if mark and whose == request_id:
            break
    return "\n".join(said)
