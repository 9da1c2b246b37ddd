"""The person of the sample, whom several pages have log in."""

from local.home import CHECKOUT
from local.provision import SAMPLE_ROLE


def test_who_follows_the_page_about_users_leaves_the_sample_s_role_as_it_is() -> None:
    # `role put` replaces what a role was: the person would lose what other pages need.
    page = (CHECKOUT / "docs" / "users.md").read_text("utf-8")
    assert "headrace-admin role put" in page
    assert SAMPLE_ROLE not in page
