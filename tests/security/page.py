"""docs/security-tools.md: which tools are run, what they look at, and what is answered to them.

python -m tests.security.page [--check]
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.security.findings import Answer, answers_in
from tests.security.tools import ANSWERS, RAN, ROOT, TOOLS

PAGE = ROOT / "docs" / "security-tools.md"

BEGINNING = """\
# Security tools

```sh
make security                     # all of them, in 15 to 30 minutes, most of them schemathesis's
make security TOOL=checkov        # one
make security TOOL=schemathesis EXAMPLES=200    # more calls for each operation
```

Each finding is mended, or answered below with the reason. The command ends with an error for a
finding that nobody has answered, for an answer to what is found no more, and for a tool that did
not run. The tools are in an environment of their own, `.tools/security` (schemathesis is with the
tests), and ask nothing of a network once they are there. Which bad calls the API gets in its tests
is in [security.md](security.md).

Made by `make openapi` from `tests/security/answers.toml`, the tools' descriptions, and
`tests/security/ran.json`, in which `make security` notes each tool that left nothing open.

## The tools

| tool | looks at | last run | found, all answered |
| --- | --- | --- | --- |
"""

ANSWERED = """
## What is answered

"""


def page() -> str:
    """The page's text."""
    return BEGINNING + "\n".join(_tools()) + "\n" + ANSWERED + "\n".join(_answers())


def _tools() -> Iterator[str]:
    ran = json.loads(RAN.read_text())
    for name, tool in TOOLS.items():
        purpose = (tool.__doc__ or "").partition("\n\n")[0]
        yield f"| `{name}` | {' '.join(purpose.split())} | {_last(ran.get(name))} |"


def _last(run: Mapping[str, Any] | None) -> str:
    """Two cells: the day, and how much was found."""
    if run is None:
        return "not yet |"
    calls = f", {run['examples']} calls for each operation" if "examples" in run else ""
    return f"{run['on']}{calls} | {run['found']}"


def _answers() -> Iterator[str]:
    answers = answers_in(ANSWERS)
    for name in TOOLS:
        given = [answer for answer in answers if answer.tool == name]
        if given:
            yield f"### {name}\n"
            yield "| check | where | why it stays |\n| --- | --- | --- |"
            yield from map(_row, given)
            yield ""


def _row(answer: Answer) -> str:
    places = ", ".join(f"`{pattern}`" for pattern in answer.where)
    return f"| `{answer.check}` | {places} | {answer.because} |"


def main(arguments: Sequence[str]) -> int:
    """Writes the page; with ``--check`` says whether it is as it should be."""
    if list(arguments) == ["--check"]:
        if PAGE.read_text() == page():
            return 0
        print(f"{PAGE.relative_to(ROOT)} is not what the answers say: make openapi")
        return 1
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
