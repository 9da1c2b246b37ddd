"""``headrace-admin account``, ``organisation``, ``consent`` and ``membership``, in moto."""

from pathlib import Path

import pytest

from headrace_admin import sharing
from tests.component.admin.test_commands import Run, run  # noqa: F401 - the fixture

TENANT = ("--tenant", "northwind")
SERVICES = """\
clients:
  - {id: wellness, name: W, tenants: [northwind], service: {kind: external}}
  - {id: hub, name: H, tenants: [northwind], service: {kind: broker}}
"""


@pytest.fixture
def published(run: Run, tmp_path: Path) -> Run:  # noqa: F811
    (tmp_path / "catalog" / "services.yaml").write_text(SERVICES)
    assert run("catalog", "publish").code == 0
    return run


def write(tmp_path: Path, text: str) -> str:
    file = tmp_path / "accounts.csv"
    file.write_text(text)
    return str(file)


def shown(published: Run, *options: str) -> list[tuple[str, str, bool]]:
    listed = published("consent", "list", *TENANT, *options, "--json")
    assert listed.code == 0, listed.err
    return [(one["account"], one["state"], one["isSharing"]) for one in listed.json["consents"]]


def test_accounts_are_imported_with_their_consents(published: Run, tmp_path: Path) -> None:
    assert published("organisation", "put", "clinic", *TENANT, "--name", "Clinic").code == 0
    file = write(
        tmp_path,
        "account,service,organisation,to\n"
        "a,wellness,,\nb,wellness,,2099-01-01T00:00:00Z\nc,,clinic,\nd,,,\n",
    )
    first = published("account", "import", file, *TENANT, "--json")
    assert first.json == {"registered": 4, "known": 0, "consents": 3}
    again = published("account", "import", file, *TENANT)
    assert "0 accounts are new, 4 were known; 3 consents are active." in again.out
    assert shown(published, "--service", "wellness") == [
        ("a", "ACTIVE", True),
        ("b", "ACTIVE", True),
    ]
    assert shown(published, "--account", "c") == [("c", "ACTIVE", True)]
    accounts = published("account", "list", *TENANT, "--json").json["accounts"]
    assert [one["account"] for one in accounts] == ["a", "b", "c", "d"]
    assert "clinic        Clinic" in published("organisation", "list", *TENANT).out


def test_a_long_import_says_how_far_it_is(
    published: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "_AT_ONCE", 2)
    file = write(tmp_path, "account,service\na,wellness\nb,wellness\nc,wellness\na,wellness\n")
    done = published("account", "import", file, *TENANT, "--json")
    assert done.json == {"registered": 3, "known": 0, "consents": 3}
    assert done.err.splitlines() == [
        "2 of 3 accounts",
        "3 of 3 accounts",
        "2 of 3 consents",
        "3 of 3 consents",
    ]
    assert [one[0] for one in shown(published, "--service", "wellness")] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id\na\n", "column names"),
        ("account,colour\na,red\n", "column names"),
        ("account,service\na,wellness,x\n", "2: has no account, or more"),
        ("account,service\n,wellness\n", "2: has no account"),
        ("account\nx\na b\n", "accounts.csv:3: An account's id has"),
        ("account,service,organisation\na,wellness,clinic\n", "either --service or"),
        ("account,service,to\na,wellness,tomorrow\n", "2: --to takes a moment"),
    ],
)
def test_a_file_with_a_wrong_line_imports_nothing(
    published: Run, tmp_path: Path, text: str, said: str
) -> None:
    file = write(tmp_path, text)
    ended = published("account", "import", file, *TENANT)
    assert (ended.code, said in ended.err) == (2, True), ended.err
    assert published("account", "list", *TENANT, "--json").json["accounts"] == []


def test_what_is_not_there_is_not_found(published: Run, tmp_path: Path) -> None:
    file = write(tmp_path, "account,service\na,never\n")
    unknown = published("account", "import", file, *TENANT)
    assert (unknown.code, "accounts.csv:2: The published catalog has no" in unknown.err) == (
        3,
        True,
    )
    absent = published("account", "import", str(tmp_path / "none.csv"), *TENANT)
    assert absent.err.endswith("none.csv cannot be read: No such file or directory.\n")
    (tmp_path / "latin.csv").write_bytes(b"account\n\xe5\n")
    foreign = published("account", "import", str(tmp_path / "latin.csv"), *TENANT)
    assert (foreign.code, "is no text in UTF-8" in foreign.err) == (2, True)
    assert published("account", "list", "--tenant", "never").code == 3
    to_wellness = (*TENANT, "--service", "wellness")
    assert published("consent", "set", "a", *to_wellness).code == 3
    assert published("consent", "end", "a", *to_wellness).code == 3
    assert "--service, --organisation and --account" in published("consent", "list", *TENANT).err
    for named in ("--service", "--organisation", "--account"):
        assert published("consent", "list", *TENANT, named, "never").code == 3
    assert published("consent", "list", *to_wellness).code == 0
    assert published("membership", "set", "clinic", *TENANT, "--broker", "hub").code == 3
    assert published("membership", "list", *TENANT, "--broker", "wellness").code == 3


def test_a_consent_is_set_frozen_and_ended(published: Run, tmp_path: Path) -> None:
    published("account", "import", write(tmp_path, "account\na\n"), *TENANT)
    to_wellness = (*TENANT, "--service", "wellness")
    made = published("consent", "set", "a", *to_wellness, "--to", "2099-01-01T00:00:00Z", "--json")
    [consent] = made.json["consents"]
    assert (consent["to"], consent["changedBy"]) == ("2099-01-01T00:00:00.000Z", "operator")
    frozen = published("consent", "set", "a", *to_wellness, "--state", "FROZEN", "--json")
    assert frozen.json["consents"][0]["to"] == consent["to"]
    refused = published("consent", "set", "a", *to_wellness, "--state", "DRAFT")
    assert (refused.code, "FROZEN cannot become DRAFT" in refused.err) == (4, True)
    endless = published("consent", "set", "a", *to_wellness, "--to", "never", "--json")
    assert endless.json["consents"][0]["to"] is None
    for _ in range(2):
        assert published("consent", "end", "a", *to_wellness).code == 0
    assert shown(published, "--service", "wellness") == [("a", "DELETED", False)]
    assert shown(published, "--service", "wellness", "--state", "ACTIVE") == []


def test_a_membership_is_set_listed_and_ended(published: Run) -> None:
    published("organisation", "put", "clinic", *TENANT)
    in_hub = (*TENANT, "--broker", "hub")
    assert published("membership", "set", "clinic", *in_hub).code == 0
    listed = published("membership", "list", *in_hub, "--json").json["consents"]
    assert [(one["organisation"], one["isSharing"]) for one in listed] == [("clinic", True)]
    assert "clinic  broker hub   ACTIVE" in published("membership", "list", *in_hub).out
    assert published("membership", "end", "clinic", *in_hub).code == 0
    listed = published("membership", "list", *in_hub, "--json").json["consents"]
    assert [(one["organisation"], one["isSharing"]) for one in listed] == [("clinic", False)]
