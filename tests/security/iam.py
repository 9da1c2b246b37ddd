"""What parliament and cloudsplaining say to policies; run by the Python that they lie in.

Takes an object of policies by name, gives a list of findings: tool, check, where, text.
"""

import json
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from cloudsplaining.scan.policy_document import PolicyDocument

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of a way of loading its data that parliament still has
    from parliament import analyze_policy_string

RISKS = (
    "allows_privilege_escalation",
    "allows_data_exfiltration_actions",
    "contains_statement_using_not_action",
    "credentials_exposure",
    "permissions_management_without_constraints",
    "service_wildcard",
    "tagging_actions_without_constraints",
    "write_actions_without_constraints",
)
"""What cloudsplaining asks of a policy."""


def parliament(where: str, policy: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Grammar, names of actions, resources that an action cannot have, and stars."""
    for found in analyze_policy_string(json.dumps(policy)).findings:
        yield "parliament", found.issue, where, json.dumps(found.detail)


def cloudsplaining(where: str, policy: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """What somebody who has taken over the role could do without bounds."""
    document = PolicyDocument(dict(policy))
    for risk in RISKS:
        if found := getattr(document, risk):
            yield "cloudsplaining", risk, where, json.dumps(found)


if __name__ == "__main__":
    asked = {"parliament": parliament, "cloudsplaining": cloudsplaining}[sys.argv[1]]
    json.dump(
        [one for name, policy in json.load(sys.stdin).items() for one in asked(name, policy)],
        sys.stdout,
    )
