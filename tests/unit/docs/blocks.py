"""The commands that the pages show, block by block, and which test runs each.

A page of ``RUN_BY`` is run by the test named there, every block of it but those of ``NOT_RUN``. The
test fails if it leaves one out (``tests/system/docs/following.py``), or reads them all by itself.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.unit.docs.checkout import ROOT

_BLOCK = re.compile(r"^```(?P<language>sh|bash|console)\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """Commands that a page shows in one piece."""

    page: str
    """Its path in the checkout."""

    line: int
    language: str
    text: str

    @property
    def first(self) -> str:
        """Its first line, without comment, by which lists name it."""
        return re.split(r" +# ", self.text.partition("\n")[0])[0]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.first}"


def blocks(page: str) -> Iterator[Block]:
    """Those of a page, in order."""
    text = (ROOT / page).read_text("utf-8")
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page, line, found["language"], found["text"])


def pages() -> Iterator[str]:
    """README.md, CONTRIBUTING.md, and all of docs/."""
    yield from ("README.md", "CONTRIBUTING.md")
    for path in sorted((ROOT / "docs").rglob("*.md")):
        yield path.relative_to(ROOT).as_posix()


_INTEGRATORS = "tests/system/docs/test_integrators_pages.py"
_OPERATORS = "tests/system/docs/test_operators_pages.py"

RUN_BY = {
    "README.md": "tests/system/demo/test_demo.py",
    "docs/api-guide.md": "tests/system/reference/test_guide.py",
    "docs/audit.md": _OPERATORS,
    "docs/certificates.md": _INTEGRATORS,
    "docs/change-capture.md": _OPERATORS,
    "docs/client.md": "tests/component/client/test_documentation.py",
    "docs/consents.md": "tests/system/consents/test_page.py",
    "docs/datasets.md": _INTEGRATORS,
    "docs/debugger.md": _INTEGRATORS,
    "docs/identity.md": _INTEGRATORS,
    "docs/increments.md": _INTEGRATORS,
    "docs/services.md": _OPERATORS,
    "docs/templates.md": _OPERATORS,
    "docs/users.md": _OPERATORS,
    "docs/webhooks.md": _INTEGRATORS,
    "docs/your-own-data.md": "tests/system/test_your_own_data.py",
}

_MINUTES = "takes minutes to hours; its parts have tests of their own"
_AWS = "needs an account of AWS"

NOT_RUN = {
    "README.md": {"make demo": "run by tests/system/demo, and by whoever runs the tests"},
    "CONTRIBUTING.md": {
        "make install": "is done before any test runs, and make test would run itself",
        ".venv/bin/pytest tests/unit/exports": "would run tests within a test",
    },
    "docs/benchmarks.md": {"make bench": _MINUTES},
    "docs/certificates.md": {
        "headrace-admin ca create --truststore s3://BUCKET/headrace.pem": "works once on a "
        "deployment, and make up has done it"
    },
    "docs/cost.md": {"python -m benchmarks.cost": _MINUTES},
    "docs/datasets.md": {"make up": "run by tests/system/datasets/test_two_environments.py"},
    "docs/deploy.md": {
        "ACCOUNT_ID=$(aws sts get-caller-identity --query Account --output text)": _AWS,
        "make sam-build": _AWS,
        ".tools/sam/bin/sam deploy --config-env prod": _AWS,
        "aws cloudformation describe-stacks --stack-name headrace-dev \\": _AWS,
        ".venv/bin/headrace-admin catalog check my-catalog": _AWS,
        "API=$(aws cloudformation describe-stacks --stack-name headrace-dev \\": _AWS,
        "aws apigateway create-domain-name --domain-name data.example.com \\": _AWS,
        ".tools/sam/bin/sam delete --stack-name headrace-dev --no-prompts": _AWS,
    },
    "docs/identity.md": {
        ".venv/bin/pytest -q tests/unit/identity/jose": "would run tests within a test"
    },
    "docs/load.md": {"make load": _MINUTES},
    "docs/operations.md": {
        "aws cloudwatch describe-alarms --alarm-name-prefix STACK- --state-value ALARM": _AWS
    },
    "docs/reliability.md": {"make chaos": _MINUTES},
    "docs/runbooks.md": {
        "headrace-admin operations list --status failed": "tests/component/admin/test_commands.py "
        "and tests/system/exports/test_story.py run them",
        'aws lambda invoke --function-name "$SWEEP_FUNCTION" /dev/stdout': _AWS,
    },
    "docs/sam-local.md": {
        "make sam-local": _MINUTES,
        "make sam-local IMAGE=public.ecr.aws/lambda/python:3.13-x86_64": _MINUTES,
        "make up": _MINUTES,
    },
    "docs/security-tools.md": {"make security": _MINUTES},
    "docs/upgrade.md": {
        "headrace-admin restore tables --at 2026-11-26T12:00:00Z --table catalog "
        "--table operations --table consents": "the moment has to be of a deployment; "
        "tests/component/admin/test_restore.py runs them",
        "aws cloudformation describe-stacks --stack-name STACK --output json \\": _AWS,
        "aws dynamodb list-backups --backup-type SYSTEM --table-name OLD_NAME": _AWS,
    },
}
"""By page and first line: what no test can run here, and why. It is parsed
(``test_commands.py``)."""


def is_run(block: Block) -> bool:
    """Is it for the page's test."""
    return block.first not in NOT_RUN.get(block.page, {})
