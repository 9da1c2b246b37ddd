"""docs/schedules.md tells every reason that is ours."""

import re

from tests.unit.docs.checkout import ROOT


def test_every_reason_of_a_run_is_told() -> None:
    exports = ROOT / "layers" / "core" / "headrace" / "exports"
    code = "".join((exports / f"{name}.py").read_text() for name in ("schedules", "scheduling"))
    reasons = set(re.findall(r'Reason\(\s*"(\w+)"', code))
    assert {"scheduler_outage", "no_baseline"} <= reasons
    page = (ROOT / "docs" / "schedules.md").read_text()
    assert reasons <= set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
