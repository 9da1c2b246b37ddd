"""Whom the demonstrations call as, where another catalog is published."""

import json
from pathlib import Path

import pytest

from local.home import Home
from local.sample.caller import SampleMissing, sample_client


def a_home(folder: Path, *clients: str) -> Home:
    """A home whose headrace.json lists these clients."""
    listed = [{"client_id": name, "client_secret": "made-up"} for name in clients]
    text = json.dumps({"api_url": "http://127.0.0.1:1", "clients": listed})
    (folder / "headrace.json").write_text(text)
    (folder / "headrace.json").chmod(0o600)
    return Home(folder)


def test_the_sample_s_client_is_taken_wherever_it_is_listed(tmp_path: Path) -> None:
    home = a_home(tmp_path, "shop-reader", "demo-integrator")
    assert sample_client(home, "demo-integrator").client_id == "demo-integrator"


@pytest.mark.parametrize("clients", [(), ("shop-reader",)], ids=["none", "others"])
def test_another_catalog_is_told_with_the_way_back(
    tmp_path: Path, clients: tuple[str, ...]
) -> None:
    with pytest.raises(SampleMissing) as missing:
        sample_client(a_home(tmp_path, *clients), "demo-integrator")
    assert "another catalog is published now" in str(missing.value)
    assert f"catalog publish catalog --local --home {tmp_path}" in str(missing.value)
