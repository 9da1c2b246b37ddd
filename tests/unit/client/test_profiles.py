"""Profiles as they are read from files."""

from pathlib import Path

import pytest

from headrace_client.errors import InvalidRequest, LocalFileError, SetupError
from headrace_client.profiles.reading import profiles_in


def a_file(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_cells_that_are_empty_are_left_out_and_flags_are_flags(tmp_path: Path) -> None:
    text = (
        "\ufeffSyncId,GivenName,Email,isGuardianConsentGiven\nA-1,true,,TRUE\nA-2,Bob,b@x.y,maybe\n"
    )
    assert list(profiles_in(a_file(tmp_path, "a.csv", text), "t1")) == [
        (
            2,
            {
                "syncId": "A-1",
                "givenName": "true",
                "isGuardianConsentGiven": True,
                "tenantId": "t1",
            },
        ),
        (
            3,
            {
                "syncId": "A-2",
                "givenName": "Bob",
                "email": "b@x.y",
                "isGuardianConsentGiven": "maybe",
                "tenantId": "t1",
            },
        ),
    ]


def test_a_line_that_names_its_tenant_keeps_it(tmp_path: Path) -> None:
    file = a_file(tmp_path, "a.ndjson", '{"TenantId": "t2", "SyncId": "A-1"}\n\n{"syncId": "A-2"}')
    assert list(profiles_in(file, "t1")) == [
        (1, {"tenantId": "t2", "syncId": "A-1"}),
        (3, {"syncId": "A-2", "tenantId": "t1"}),
    ]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.ndjson", "{}\n[]\n", 2),
        ("b.ndjson", "{\n", 1),
        ("c.csv", "syncId\nA-1,B\n", 2),
    ],
)
def test_a_line_that_is_no_profile_is_told(tmp_path: Path, name: str, text: str, line: int) -> None:
    with pytest.raises(SetupError, match=f"{name}:{line}: "):
        list(profiles_in(a_file(tmp_path, name, text), None))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LocalFileError):
        list(profiles_in(tmp_path / "none.csv", None))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("syncId;givenName\nA-1;Ann\n", "a.csv:1: has semicolons between its names"),
        ("syncId,givenname\nA-1,Ann\n", "has the name 'givenname', .* Is it givenName?"),
        ("syncId,shoe\nA-1,44\n", "has the name 'shoe', .* There are syncId, givenName, "),
        ("", "a.csv is empty"),
    ],
    ids=["semicolons", "misspelt", "unknown", "empty"],
)
def test_names_that_are_not_a_profile_s_are_told(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SetupError, match=said):
        list(profiles_in(a_file(tmp_path, "a.csv", text), "t1"))


@pytest.mark.parametrize("name", ["a.csv", "a.ndjson"])
def test_a_file_of_another_encoding_is_told(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes("syncId,givenName\nA-1,Åsa\n".encode("latin-1"))
    with pytest.raises(SetupError, match="no text in UTF-8"):
        list(profiles_in(file, "t1"))


def test_a_csv_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    file = a_file(tmp_path, "a.csv", f"syncId\n{'x' * 200_000}\n")
    with pytest.raises(SetupError, match="is no CSV: "):
        list(profiles_in(file, "t1"))


def test_what_is_wrong_of_a_search_is_told_by_its_field() -> None:
    refused = InvalidRequest(400, "fields_invalid", "A query parameter is wrong.")
    refused.members = {"errors": {"ModifiedFromUtc": ["must be a moment"]}}
    assert refused.field_errors == (("ModifiedFromUtc", "must be a moment"),)
