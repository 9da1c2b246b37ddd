"""What tools find, and what is answered to it."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path


@dataclass(frozen=True)
class Finding:
    """One thing that a tool objects to."""

    tool: str
    check: str
    """The tool's own name of what it looked for."""
    where: str
    """A file, or a resource of the template."""
    text: str
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.where}:{self.line}" if self.line else self.where
        return f"{self.tool} {self.check} {place}: {self.text}"


@dataclass(frozen=True)
class Answer:
    """Why a finding is none here."""

    tool: str
    check: str
    where: tuple[str, ...]
    """Patterns, as a shell has them, of the places that it is given for."""
    because: str

    def answers(self, finding: Finding) -> bool:
        """Is it given to this finding."""
        return (self.tool, self.check) == (finding.tool, finding.check) and any(
            fnmatchcase(finding.where, pattern) for pattern in self.where
        )


def answers_in(path: Path) -> tuple[Answer, ...]:
    """Those of a file. Raises KeyError for one that leaves something out."""
    return tuple(
        Answer(one["tool"], one["check"], tuple(one["where"]), one["because"])
        for one in tomllib.loads(path.read_text())["answer"]
    )


@dataclass(frozen=True)
class Judgement:
    """Findings held against answers."""

    open: tuple[Finding, ...]
    """Nobody has answered these."""
    answered: dict[Answer, tuple[Finding, ...]]

    @property
    def idle(self) -> tuple[Answer, ...]:
        """Answers to what no tool asks any more."""
        return tuple(answer for answer, findings in self.answered.items() if not findings)


def judged(findings: Iterable[Finding], answers: Iterable[Answer]) -> Judgement:
    """Each finding goes to the first answer that is given to it."""
    left: list[Finding] = []
    answered: dict[Answer, list[Finding]] = {answer: [] for answer in answers}
    for finding in findings:
        given = next((answer for answer in answered if answer.answers(finding)), None)
        (left if given is None else answered[given]).append(finding)
    return Judgement(tuple(left), {answer: tuple(found) for answer, found in answered.items()})
