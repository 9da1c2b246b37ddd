"""``headrace-admin role``, ``user`` and ``team``, on a deployment in moto."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from headrace.adapters.argon2id import Argon2idPasswords
from headrace.kernel.errors import TooManyTries
from headrace.profiles.model import Group
from headrace_admin import people
from headrace_admin.deployment import Deployment
from tests.component.admin.test_commands import Run, run  # noqa: F401 - the fixture

ADA, BOB = "ada@northwind.example", "bob@northwind.example"
TENANT = ("--tenant", "northwind")
PASSWORD = "a long enough one"


@pytest.fixture
def published(run: Run) -> Run:  # noqa: F811
    assert run("catalog", "publish").code == 0
    put = ("role", "put", "Integratör", *TENANT, "--integrator")
    assert run(*put, "--permission", "export templates through the API").code == 0
    return run


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What stands on standard input, as from a pipe."""
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def create(run: Run, username: str = ADA, *options: str) -> Any:  # noqa: F811
    return run("user", "create", username, *TENANT, "--role", "Integratör", *options)


def stored(username: str = ADA) -> Any:
    return Deployment.on_aws("headrace").user_directory().user(username)


def test_a_role_is_put_shown_changed_and_deleted(published: Run) -> None:
    put = published("role", "put", "clerk", *TENANT, "--permission", "manage services", "--json")
    assert put.json == {
        "tenant": "northwind",
        "role": "clerk",
        "integrator": False,
        "permissions": ["manage services"],
        "groups": None,
    }
    listed = published("role", "list", *TENANT).out
    assert "Integratör  yes         export templates through the API" in listed
    assert "clerk       no          manage services" in listed
    assert published("role", "delete", "clerk", *TENANT).code == 0
    assert published("role", "delete", "clerk", *TENANT).code == 3
    wrong = published("role", "put", "clerk", *TENANT, "--permission", "fly")
    assert (wrong.code, '"manage services"' in wrong.err) == (2, True)


def test_a_role_sees_the_groups_that_it_is_given_until_it_is_opened_again(published: Run) -> None:
    groups = Deployment.on_aws("headrace").groups()
    for number, name in enumerate(("Juniors", "Seniors")):
        groups.put_group(Group("northwind", f"group-{number}", name))
    put = ("role", "put", "coach", *TENANT, "--permission", "read profiles")
    assert published(*put, "--group", "juniors", "--json").json["groups"] == ["group-0"]
    assert published(*put, "--group", "group-1", "--json").json["groups"] == ["group-1"]
    assert published(*put, "--group", "nobody").code == 3
    # To leave the groups out shows no more than before.
    forgotten = published(*put)
    assert (forgotten.code, "1 groups only" in forgotten.err) == (2, True)
    assert "group-1" in published("role", "list", *TENANT).out
    assert published(*put, "--every-group", "--json").json["groups"] is None


def test_a_tenant_that_is_not_published_has_no_persons(published: Run) -> None:
    for words in (("role", "list"), ("user", "list"), ("team", "list")):
        assert published(*words, "--tenant", "nowhere").code == 3


def test_a_password_comes_by_a_pipe_and_is_shown_nowhere(
    published: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, f"{PASSWORD}\n")
    made = create(published)
    assert (made.code, made.out) == (0, f"{ADA} can log in as Integratör.\n")
    assert PASSWORD not in made.out + made.err
    assert Argon2idPasswords().verify(stored().password_hash, PASSWORD)
    listed = published("user", "list", *TENANT, "--json")
    assert [user["username"] for user in listed.json["users"]] == [ADA]
    assert "argon2" not in listed.out


def test_a_generated_password_is_shown_once(published: Run) -> None:
    made = create(published, ADA, "--generate", "--json")
    password = made.json["password"]
    assert len(password) == 24
    assert Argon2idPasswords().verify(stored().password_hash, password)
    changed = published("user", "set-password", ADA, "--generate")
    assert f"username  {ADA}\npassword  " in changed.out
    assert password not in changed.out
    assert not Argon2idPasswords().verify(stored().password_hash, password)


def test_a_prompt_asks_twice(published: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    answers = iter([PASSWORD, PASSWORD, PASSWORD, "something else"])
    monkeypatch.setattr(people, "getpass", lambda _: next(answers))
    assert create(published).code == 0
    refused = create(published, BOB)
    assert (refused.code, refused.err) == (2, "The two are not the same.\n")


@pytest.mark.parametrize(
    ("username", "password", "code"),
    [
        ("no address", PASSWORD, 2),
        (BOB, "short", 2),
        (ADA, PASSWORD, 4),
        (ADA.upper(), PASSWORD, 4),
    ],
)
def test_a_user_that_cannot_be_is_refused(
    published: Run, monkeypatch: pytest.MonkeyPatch, username: str, password: str, code: int
) -> None:
    assert create(published, ADA, "--generate").code == 0
    typed(monkeypatch, password)
    refused = create(published, username)
    assert refused.code == code
    assert password not in refused.out + refused.err


def test_a_user_is_disabled_enabled_given_a_role_and_deleted(published: Run) -> None:
    create(published, ADA, "--generate")
    assert published("user", "disable", ADA).code == 0
    assert not stored().is_active
    assert "disabled" in published("user", "list", *TENANT).out
    assert published("user", "enable", ADA).code == 0
    assert stored().is_active
    published("role", "put", "clerk", *TENANT)
    assert published("user", "set-role", ADA, "clerk").out == f"{ADA} is clerk.\n"
    assert published("user", "set-role", ADA, "king").code == 3
    assert published("role", "delete", "clerk", *TENANT).code == 4
    assert published("user", "delete", ADA).code == 0
    for words in (("disable",), ("enable",), ("delete",), ("set-password", "--generate")):
        assert published("user", words[0], ADA, *words[1:]).code == 3


def test_a_locked_user_is_unlocked(published: Run) -> None:
    create(published, ADA, "--generate")
    tries, now = Deployment.on_aws("headrace").login_tries(), datetime.now(UTC)
    for _ in range(10):
        tries.count(ADA, "192.0.2.7", now)
    with pytest.raises(TooManyTries):
        tries.count(ADA, "192.0.2.7", now)
    assert published("user", "unlock", ADA).code == 0
    tries.count(ADA, "192.0.2.7", now)


def test_a_team_has_members_who_are_listed(published: Run) -> None:
    for username in (ADA, BOB):
        create(published, username, "--generate")
        assert published("team", "add", "hr", username, *TENANT).code == 0
    teams = json.loads(published("team", "list", *TENANT, "--json").out)["teams"]
    assert [member["username"] for member in teams[0]["members"]] == [ADA, BOB]
    assert published("team", "add", "hr", "nobody@northwind.example", *TENANT).code == 3
    assert ADA not in published("team", "remove", "hr", ADA, *TENANT).out
    assert published("team", "remove", "hr", ADA, *TENANT).code == 3
    published("user", "delete", BOB)
    assert "hr    nobody" in published("team", "list", *TENANT).out
    assert published("team", "delete", "hr", *TENANT).code == 0
    assert published("team", "delete", "hr", *TENANT).code == 3
