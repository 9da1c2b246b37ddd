"""Addresses, profiles, exit codes: what is decided before anything is sent."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

import headrace_client
from headrace_client import HeadraceClient, HeadraceClientError, SetupError, errors
from headrace_client.command.outcome import EXIT_CODES, Exit, exit_of
from headrace_client.command.profile import config_path, find_profile
from headrace_client.datasets.model import Process
from headrace_client.model import Operation
from headrace_client.transport import is_loopback
from headrace_client.workspace import demand_safe_names


@pytest.mark.parametrize(
    "url",
    [
        "https://data.example.org",
        "https://data.example.org/stage/",
        "http://127.0.0.1:4566/restapis/abc/local/_user_request_",
        "http://abc.execute-api.localhost:4566/local",
        "http://[::1]:8080",
    ],
)
def test_usable_addresses(url: str) -> None:
    with HeadraceClient(url, "a", "b") as client:
        assert client.api_url == url.rstrip("/")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://data.example.org", "not encrypted"),
        ("http://localhost.evil.example", "not encrypted"),
        ("http://128.0.0.1", "not encrypted"),
        ("data.example.org", "needs https"),
        ("ftp://data.example.org", "needs https"),
        ("https://", "needs https"),
        ("https://a/b?c=d", "needs https"),
        ("https://user:pass@data.example.org", "must not contain credentials"),
        ("https://[::1", "not an address"),
    ],
)
def test_unusable_addresses(url: str, said: str) -> None:
    with pytest.raises(SetupError, match=said):
        HeadraceClient(url, "a", "b")


def test_plain_http_can_be_allowed_expressly() -> None:
    with HeadraceClient("http://data.internal", "a", "b", allow_http=True) as client:
        assert client.api_url == "http://data.internal"


def test_loopback_is_told_by_name_and_address() -> None:
    assert all(map(is_loopback, ["localhost", "x.localhost", "127.9.9.9", "::1"]))
    assert not any(map(is_loopback, ["localhost.org", "10.0.0.1", "0.0.0.0", "mylocalhost", ""]))


def test_the_secret_is_in_no_representation() -> None:
    profile = find_profile(
        None,
        None,
        {
            "HEADRACE_API_URL": "https://a",
            "HEADRACE_CLIENT_ID": "me",
            "HEADRACE_CLIENT_SECRET": "s3cret",
        },
    )
    assert profile.client_secret == "s3cret"
    assert "s3cret" not in repr(profile)
    with HeadraceClient("https://a", "me", "s3cret") as client:
        assert "s3cret" not in repr(client)


def test_half_an_environment_is_an_error_that_names_the_other_half() -> None:
    with pytest.raises(SetupError, match="lacks HEADRACE_API_URL and HEADRACE_CLIENT_SECRET"):
        find_profile(None, None, {"HEADRACE_CLIENT_ID": "me"})


def test_a_profile_file_comes_before_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "headrace.json"
    clients = [{"client_id": "7", "client_secret": "x", "tenant": "t", "daily_quota": 3}]
    file.write_text(json.dumps({"api_url": "https://file", "clients": clients}))
    environment = {
        "HEADRACE_API_URL": "https://env",
        "HEADRACE_CLIENT_ID": "me",
        "HEADRACE_CLIENT_SECRET": "y",
    }
    assert find_profile(file, None, environment).api_url == "https://file"
    assert find_profile(file, "7", environment).client_id == "7"
    assert find_profile(None, None, environment).api_url == "https://env"
    with pytest.raises(SetupError, match="--profile-file"):
        find_profile(None, "7", environment)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"clients": []}', '{"clients": [{}]}'])
def test_a_broken_profile_file_is_an_error_that_names_it(text: str, tmp_path: Path) -> None:
    file = tmp_path / "headrace.json"
    file.write_text(text)
    with pytest.raises(SetupError, match=r"headrace\.json"):
        find_profile(file, None, {})


def test_the_stored_profile_lies_where_xdg_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert config_path({"XDG_CONFIG_HOME": "/x"}) == Path("/x/headrace/config.json")
    monkeypatch.setenv("HOME", str(tmp_path))
    for ignored in ("", "relative/path"):
        found = config_path({"XDG_CONFIG_HOME": ignored})
        assert found == tmp_path / ".config" / "headrace" / "config.json"


def test_every_error_has_an_exit_code_that_is_documented() -> None:
    for kind in vars(errors).values():
        if not (inspect.isclass(kind) and issubclass(kind, HeadraceClientError)):
            continue
        if issubclass(kind, errors.ApiError):
            made: HeadraceClientError = kind(400, "c", "d")
        elif kind in (errors.OperationUnsuccessful, errors.WaitTimeout):
            operation = {
                "operationId": "o",
                "status": "failed",
                "configurationId": "c",
                "fileFormat": "csv",
            }
            made = kind(Operation.from_json(operation), "d")
        elif kind in (errors.ProcessUnsuccessful, errors.ProcessTimeout):
            made = kind(Process.from_json({"id": "p", "type": "build"}), "d")
        else:
            made = kind("d")
        assert exit_of(made) in EXIT_CODES
        assert exit_of(made) != Exit.OK


def test_the_package_offers_every_error() -> None:
    for name, kind in vars(errors).items():
        if inspect.isclass(kind) and issubclass(kind, HeadraceClientError):
            assert name in headrace_client.__all__


@pytest.mark.parametrize(
    "names",
    [["a", "A"], ["x" * 248], [".hidden"], ["a\x00b"], ["a\u202eb"], ["MANIFEST.json"], [".."]],
)
def test_unsafe_names_are_refused(names: list[str]) -> None:
    with pytest.raises(errors.VerificationError):
        demand_safe_names(names)


def test_plain_names_are_fine() -> None:
    demand_safe_names(["employees.csv", "lönner.csv.gz", "a b.parquet", "x" * 247])
