"""The tools, each run as its authors ship it, and what they find.

They lie in ``.tools/security`` (``make security`` installs them), asl-validator in
``.tools/asl-validator``, schemathesis with the tests. No tool asks anything of a network.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

from tests.security.findings import Finding
from tests.security.front import front
from tests.security.policies import policies, resolved
from tests.system.npm import installed
from tests.unit.template.deployed import TEMPLATE

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
ANSWERS = HERE / "answers.toml"
BASELINE = HERE / "secrets.json"
RAN = HERE / "ran.json"
EXAMPLES = int(os.environ.get("EXAMPLES", "12"))
"""Calls that schemathesis makes of each operation, besides those at the edges."""

INSTALLED = ROOT / ".tools" / "security" / "bin"
SENT_BY_SCHEMATHESIS = (
    "tests/system/reference/test_schemathesis.py",
    "tests/system/reference/test_authorisation.py",
)
_LEAST_OPERATIONS = 100
CODE = ("layers", "functions", "client", "admin", "local")
"""What runs: the product, the two commands, the local platform. Tests are no part of it."""


class ToolFailed(Exception):
    """A tool did not come to an end that says anything."""


def said(
    command: Sequence[Any],
    *,
    given: str | None = None,
    fine: tuple[int, ...] = (0, 1),
    **variables: str,
) -> str:
    """What a command writes. Raises ToolFailed when it ends with another code than those."""
    path = f"{INSTALLED}:{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "NO_COLOR": "1", **variables}
    done = subprocess.run(
        command, cwd=ROOT, input=given, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode not in fine:
        raise ToolFailed(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def bandit() -> Iterator[Finding]:
    """Python code that is dangerous as a rule.

    What ruff's rules of the same number were answered at the line itself (``noqa: S608`` for
    B608) is answered here too: ruff has bandit's checks, and holds each ``noqa`` to a need.
    """
    report = json.loads(said([INSTALLED / "bandit", "-q", "-r", *CODE, "-f", "json"]))
    for error in report["errors"]:
        yield Finding("bandit", "unread", error["filename"], error["reason"])
    for one in report["results"]:
        if not _answered_there(Path(one["filename"]), one["line_range"], one["test_id"]):
            yield Finding(
                "bandit", one["test_id"], one["filename"], one["issue_text"], one["line_number"]
            )


def _answered_there(path: Path, lines: Sequence[int], check: str) -> bool:
    rule = re.compile(rf"noqa: [A-Z0-9, ]*\bS{check[1:]}\b")
    text = (ROOT / path).read_text().splitlines()
    here = text[lines[0] - 1 : lines[-1]]
    return any(rule.search(line) for line in here) or any(
        line.startswith("# ruff: noqa") and rule.search(line) for line in text
    )


def checkov() -> Iterator[Finding]:
    """The template, by what AWS and others advise."""
    report = json.loads(
        said(
            [
                *(INSTALLED / "checkov", "-f", "template.yaml", "--framework", "cloudformation"),
                *("--quiet", "--compact", "--skip-download", "-o", "json"),
            ]
        )
    )
    if report["summary"]["parsing_errors"]:
        raise ToolFailed("checkov cannot read template.yaml")
    for one in report["results"]["failed_checks"]:
        resource = one["resource"].rsplit(".", 1)[-1]
        yield Finding("checkov", one["check_id"], resource, one["check_name"])


def cfn_lint() -> Iterator[Finding]:
    """The template's grammar, types and values, by CloudFormation's own schemas."""
    lint = Path(sys.executable).with_name("cfn-lint")
    for one in json.loads(said([lint, "template.yaml", "-f", "json"], fine=(0, 2, 4, 6, 8, 12))):
        line = one["Location"]["Start"]["LineNumber"]
        yield Finding("cfn-lint", one["Rule"]["Id"], "template.yaml", one["Message"], line)


def parliament() -> Iterator[Finding]:
    """The policies of all roles: grammar, names of actions, and resources that are too wide."""
    return _of_policies("parliament")


def cloudsplaining() -> Iterator[Finding]:
    """The policies of all roles: what somebody who took one over could do without bounds."""
    return _of_policies("cloudsplaining")


def _of_policies(tool: str) -> Iterator[Finding]:
    command = [INSTALLED / "python", HERE / "iam.py", tool]
    for found in json.loads(said(command, given=json.dumps(policies()), fine=(0,))):
        yield Finding(*found)


def semgrep() -> Iterator[Finding]:
    """What this house forbids, by rules of its own (``tests/security/rules``)."""
    rules = HERE / "rules"
    quiet = ["--metrics=off", "--disable-version-check"]
    said([INSTALLED / "semgrep", "--test", *quiet, rules], fine=(0,))
    report = json.loads(
        said(
            [INSTALLED / "semgrep", "scan", *quiet, "--json", "--quiet", "--config", rules, *CODE],
            fine=(0,),
        )
    )
    if report["errors"]:
        raise ToolFailed(f"semgrep: {report['errors'][0]['message']}")
    for one in report["results"]:
        check = one["check_id"].rsplit(".", 1)[-1]
        text, line = one["extra"]["message"], one["start"]["line"]
        yield Finding("semgrep", check, one["path"], text, line)


def detect_secrets() -> Iterator[Finding]:
    """All files: what looks like a secret and is not known to be made up.

    Those that are known are in ``tests/security/secrets.json``, by their hashes. Who has looked at
    a new one that is none writes the file anew: ``python -m tests.security --know-secrets``.
    """
    known = json.loads(BASELINE.read_text())
    for path, found in looking_like_secrets().items():
        for one in found:
            if one["hashed_secret"] not in known.get(path, []):
                yield Finding("detect-secrets", one["type"], path, "not known", one["line_number"])


def looking_like_secrets() -> dict[str, Any]:
    """What detect-secrets takes for secrets, by file; made pages repeat what they are made of."""
    made = r"^(openapi/openapi\.yaml|functions/reference/openapi\.json"
    made += r"|docs/postman_collection\.json|tests/security/secrets\.json)$"
    command = [INSTALLED / "python", "-m", "detect_secrets", "scan", "--no-verify"]
    report = json.loads(said([*command, "--exclude-files", made], fine=(0,)))
    return dict(report["results"])


def asl_validator() -> Iterator[Finding]:
    """The state machines, as a deployment has them: grammar, paths, states that nothing reaches."""
    if shutil.which("npm") is None:
        raise ToolFailed("asl-validator needs node and npm (CONTRIBUTING.md)")
    validator = installed(HERE / "asl", ROOT / ".tools" / "asl-validator")
    with TemporaryDirectory() as folder:
        for name, resource in TEMPLATE["Resources"].items():
            if resource["Type"] != "AWS::Serverless::StateMachine":
                continue
            definition = Path(folder) / f"{name}.json"
            definition.write_text(_substituted(resource["Properties"]))
            command = [validator / "node_modules" / ".bin" / "asl-validator", "--json-path"]
            text = said([*command, definition], fine=(0, 1))
            if "is valid" not in text:
                yield Finding("asl-validator", "invalid", name, text)


def _substituted(properties: Mapping[str, Any]) -> str:
    text: str = (ROOT / properties["DefinitionUri"]).read_text()
    for name, value in properties["DefinitionSubstitutions"].items():
        text = text.replace(f"${{{name}}}", str(resolved(value)))
    return text


def sslyze() -> Iterator[Finding]:
    """The front of mutual TLS of the local platform, against Mozilla's intermediate profile.

    On AWS that front is API Gateway's, by the template's ``SecurityPolicy``.
    """
    with front() as scanned:
        text = said(
            [
                *(INSTALLED / "python", "-m", "sslyze", "--mozilla_config", "intermediate"),
                *("--cert", scanned.certificate, "--key", scanned.key, "--keyform", "PEM"),
                *("--certinfo_ca_file", scanned.server_certificate, scanned.address),
            ]
        )
    _, heading, verdict = text.partition("COMPLIANCE AGAINST TLS CONFIGURATION")
    if not heading or not re.search(r": (OK|FAILED) - ", verdict):
        raise ToolFailed(f"sslyze says nothing of the front: {text[-500:]}")
    for check, what in re.findall(r"^ +\* (\w+): (.+)$", verdict, re.MULTILINE):
        yield Finding("sslyze", check, "local/emulator/front.py", what)


def schemathesis() -> Iterator[Finding]:
    """The running API: whatever is sent, answers are as described, and go to who may ask only.

    ``make test`` has a sample; here are ``EXAMPLES`` calls (12) and those at the edges for each,
    on a local platform of its own.
    """
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        text = said(
            [
                *(sys.executable, "-m", "local", "test", "-q", "-o", "junit_family=xunit1"),
                *(f"--junit-xml={report}", *SENT_BY_SCHEMATHESIS),
            ],
            EXAMPLES=str(EXAMPLES),
        )
        if not report.exists():
            raise ToolFailed(f"no call was made: {text[-2000:]}")
        cases = list(ElementTree.parse(report).iter("testcase"))
    if len(cases) < _LEAST_OPERATIONS:
        raise ToolFailed(f"only {len(cases)} operations were called: {text[-2000:]}")
    for case in cases:
        for failure in (*case.iter("failure"), *case.iter("error")):
            test, _, operation = case.attrib["name"].partition("[")
            what = failure.attrib.get("message", "").strip().partition("\n")[0]
            yield Finding("schemathesis", test, operation.rstrip("]") or test, what[:300])


TOOLS: Mapping[str, Callable[[], Iterator[Finding]]] = {
    "bandit": bandit,
    "semgrep": semgrep,
    "cfn-lint": cfn_lint,
    "checkov": checkov,
    "parliament": parliament,
    "cloudsplaining": cloudsplaining,
    "asl-validator": asl_validator,
    "detect-secrets": detect_secrets,
    "sslyze": sslyze,
    "schemathesis": schemathesis,
}
