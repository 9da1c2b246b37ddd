"""A secret behind a link, as deployed: twenty who press at once, and one who gets it."""

import pytest

from headrace.identity.handing_over import HandOver
from headrace.kernel.clock import SystemClock
from tests.system.deployed import Platform, at_once

pytestmark = pytest.mark.system


@pytest.mark.abuse(30)
def test_of_twenty_who_press_the_button_at_once_one_sees_the_secret(platform: Platform) -> None:
    hand_over = HandOver(platform.deployment.handovers(), SystemClock())
    token, _ = hand_over("demo-integrator", "s1", "hr_never-a-secret-of-anybody")
    link = f"{platform.deployment.public_url}/credentials/{token}"
    assert platform.http.get(link).status_code == 200
    replies = at_once(20, lambda _: platform.http.post(link))
    assert sorted(reply.status_code for reply in replies) == [200] + [410] * 19
    assert sum("hr_never-a-secret" in reply.text for reply in replies) == 1
    assert platform.http.get(link).status_code == 410
