"""Names, passwords and permissions of persons who log in."""

import pytest

from headrace.identity.users import (
    Permission,
    new_name,
    new_password,
    new_username,
    normal_password,
    normal_username,
    permissions_of,
)
from headrace.kernel.errors import InvalidRequest
from headrace.runtime.api import Scope
from tests.unit.identity.users_made import a_role

ADA = "ada@acme.example"
COMPOSED, DECOMPOSED = "\u00e9", "e\u0301"


def refused(password: str, username: str = ADA) -> str:
    with pytest.raises(InvalidRequest) as raised:
        new_password(password, username)
    assert password not in raised.value.detail
    return raised.value.detail


@pytest.mark.parametrize("password", ["a" * 11, "x y z " * 200, "short"])
def test_a_password_has_12_to_1024_characters(password: str) -> None:
    assert "12 to 1024" in refused(password)


@pytest.mark.parametrize(
    "password",
    ["correct battery", "twelve chars", "密码密码六七八九十一二三", "tab\tand\x00nul too"],
)
def test_length_is_all_that_is_asked_for(password: str) -> None:
    assert new_password(password, ADA) == password


def test_a_password_is_counted_and_hashed_in_its_composed_form() -> None:
    assert new_password("12345678901" + DECOMPOSED, ADA) == "12345678901" + COMPOSED
    assert "12 to" in refused("1234567890" + DECOMPOSED)
    assert normal_password(DECOMPOSED) == COMPOSED
    # What only looks alike is not the same: compatibility forms and blanks stay as they are.
    assert normal_password("ﬁ ") == "ﬁ "


@pytest.mark.parametrize("password", ["my-lovelace-pass", "LOVELACE lovelace", "xxLoVeLaCexxxxx"])
def test_a_password_does_not_contain_the_users_name(password: str) -> None:
    assert "name" in refused(password, "lovelace@acme.example")


def test_a_name_of_a_few_letters_may_stand_in_a_password() -> None:
    assert new_password("adamant granite", ADA)


@pytest.mark.parametrize(
    "password", ["Password1234", "PASSWORDPASSWORD", "aaaaaaaaaaaaaa", "ababababababab"]
)
def test_what_is_guessed_first_is_no_password(password: str) -> None:
    assert "guessed" in refused(password)


def test_names_are_compared_without_case_and_in_their_composed_form() -> None:
    assert normal_username("JOS" + DECOMPOSED.upper() + "@Acme.Example") == "jos\u00e9@acme.example"
    assert new_username("  Ada@ACME.example ") == ADA


@pytest.mark.parametrize(
    "name",
    ["ada", "@acme", "ada@", "a b@acme", "a@b@c", "a" * 250 + "@x.example", "a\x00@acme.example"],
)
def test_a_users_name_is_an_e_mail_address(name: str) -> None:
    with pytest.raises(InvalidRequest):
        new_username(name)


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\nb"])
def test_a_role_or_team_has_a_printable_name(name: str) -> None:
    with pytest.raises(InvalidRequest):
        new_name(name)
    assert new_name(" Integratör med api-export ") == "Integratör med api-export"


def test_each_permission_gives_a_scope_that_there_is_and_no_other_does() -> None:
    assert {permission.scope for permission in Permission} == set(Scope) - {
        Scope.METADATA_READ,
        Scope.DATA_READ,
        Scope.JOBS_MANAGE,
    }
    role = a_role(permissions=frozenset({Permission.READ_STATISTICS}))
    assert role.scopes("p") == {"p:statistics:read"}


def test_a_permission_is_named_as_the_operator_reads_it() -> None:
    named = permissions_of(["export templates through the API", "manage services"])
    assert named == {Permission.EXPORT_TEMPLATES, Permission.MANAGE_SERVICES}
    with pytest.raises(InvalidRequest, match="read statistics"):
        permissions_of(["Manage services"])
