"""docs/webhooks.md: its sample verifies what we sign, and its message is one of ours."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from headrace.exports.webhooks import Delivery
from headrace.kernel.deliveries import headers, new_secret
from tests.builders import a_completion
from tests.unit.docs.checkout import ROOT

PAGE = (ROOT / "docs" / "webhooks.md").read_text()


def sample() -> Callable[[str, dict[str, str], bytes], bool]:
    """The page's function."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    verify: Callable[[str, dict[str, str], bytes], bool] = names["verify"]
    return verify


def test_the_sample_verifies_a_message_of_ours_and_no_other() -> None:
    verify, body = sample(), Delivery("north", "bureau", "hooks", a_completion()).body
    old, new, now = new_secret(), new_secret(), datetime.now(UTC)
    signed = headers("msg_1", now, body, [old, new])
    assert verify(old, signed, body)
    assert verify(new, signed, body)
    assert not verify(new_secret(), signed, body)
    assert not verify(new, signed, body + b" ")
    assert not verify(new, {**signed, "webhook-id": "msg_2"}, body)
    late = headers("msg_1", now - timedelta(minutes=6), body, [new])
    assert not verify(new, late, body)


def test_the_message_shown_has_the_members_of_ours() -> None:
    [shown] = re.findall(r'```json\n(\{"type".*?)```', PAGE, re.DOTALL)
    said = json.loads(shown)
    ours = json.loads(Delivery("north", "bureau", "hooks", a_completion()).body)
    assert (said.keys(), said["data"].keys()) == (ours.keys(), ours["data"].keys())
