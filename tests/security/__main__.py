"""Security tools over the code and the template: every finding is mended, or answered.

    python -m tests.security [TOOL...]
    python -m tests.security --know-secrets     # what looks like one now was looked at, and is none

Answers are in ``answers.toml``, each with the tool's check, the places and the reason. The run
fails for a finding without an answer, and for an answer to what is found no more. A tool that
leaves nothing open is noted in ``ran.json``, with the day, for docs/security-tools.md.
"""

import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.security.findings import Answer, Finding, answers_in, judged
from tests.security.tools import (
    ANSWERS,
    BASELINE,
    EXAMPLES,
    RAN,
    TOOLS,
    ToolFailed,
    looking_like_secrets,
)


def main(arguments: Sequence[str]) -> int:
    """Runs the tools of these names, or all of them; 0 when nothing is open."""
    if list(arguments) == ["--know-secrets"]:
        return know_secrets()
    unknown = [name for name in arguments if name not in TOOLS]
    if unknown:
        print(f"No such tool: {', '.join(unknown)}. There are {', '.join(TOOLS)}.")
        return 2
    answers = answers_in(ANSWERS)
    left = [not clean(name, answers) for name in arguments or TOOLS]
    return int(any(left))


def know_secrets() -> int:
    """Writes the hashes of all that looks like a secret."""
    known = {
        path: sorted({one["hashed_secret"] for one in found})
        for path, found in looking_like_secrets().items()
    }
    BASELINE.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    return 0


def clean(name: str, answers: Sequence[Answer]) -> bool:
    """Whether a tool leaves nothing open; says what it found."""
    began = time.monotonic()
    try:
        findings: list[Finding] = list(TOOLS[name]())
    except ToolFailed as error:
        print(f"{name:16} DID NOT RUN: {error}")
        return False
    judgement = judged(findings, [answer for answer in answers if answer.tool == name])
    seconds = time.monotonic() - began
    print(f"{name:16} {len(findings)} found, {len(judgement.open)} open  ({seconds:.0f} s)")
    for finding in judgement.open:
        print(f"  {finding}")
    for answer in judgement.idle:
        print(f"  answered, but found no more: {answer.check} in {', '.join(answer.where)}")
    if judgement.open or judgement.idle:
        return False
    note_of_run(name, len(findings))
    return True


def note_of_run(name: str, found: int, path: Path = RAN) -> None:
    """Keeps the day, and how much was found; of schemathesis also how many calls were asked for."""
    kept = json.loads(path.read_text()) if path.exists() else {}
    kept[name] = {"on": datetime.now(UTC).date().isoformat(), "found": found}
    if name == "schemathesis":
        kept[name]["examples"] = EXAMPLES
    path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
