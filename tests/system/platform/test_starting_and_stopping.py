"""A platform keeps its state, recovers from a crash, and leaves another platform alone."""

import io
import json
import os
import shutil
import signal
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local import platform
from local.deployment import client
from local.home import Home, choose_port

pytestmark = pytest.mark.system


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    platform.stop(made)


def _start(home: Home) -> int:
    return platform.start(home, os.environ)


def _make_things(port: int) -> str:
    """A table with an item, a bucket with an object, a key; the key's id."""
    tables, objects = client("dynamodb", port), client("s3", port)
    tables.create_table(
        TableName="things",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    tables.put_item(TableName="things", Item={"pk": {"S": "kept"}})
    objects.create_bucket(
        Bucket="things", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    objects.put_object(Bucket="things", Key="kept", Body=b"bytes")
    key: str = client("kms", port).create_key()["KeyMetadata"]["KeyId"]
    return key


def _things_are_there(port: int, key: str) -> None:
    kept = client("dynamodb", port).get_item(TableName="things", Key={"pk": {"S": "kept"}})
    assert "Item" in kept
    body = client("s3", port).get_object(Bucket="things", Key="kept")["Body"].read()
    assert body == b"bytes"
    assert client("kms", port).describe_key(KeyId=key)["KeyMetadata"]["Enabled"]


def test_state_survives_a_stop_and_the_port_stays(home: Home) -> None:
    port = _start(home)
    key = _make_things(port)
    assert platform.stop(home)
    assert platform.running_port(home) is None
    assert _start(home) == port
    _things_are_there(port, key)


def test_after_a_crash_the_state_that_was_saved_last_is_there(home: Home) -> None:
    port = _start(home)
    key = _make_things(port)
    platform.save(home)
    deadline = time.monotonic() + 10
    while not (home.state / "kms.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    pid = platform.process_of(home)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while platform.process_of(home) is not None:
        time.sleep(0.01)
    _things_are_there(_start(home), key)


def test_a_crash_before_anything_was_saved_is_a_fresh_start(home: Home) -> None:
    _start(home)
    pid = platform.process_of(home)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while platform.process_of(home) is not None:
        time.sleep(0.01)
    assert client("dynamodb", _start(home)).list_tables()["TableNames"] == []


def test_a_platform_of_an_older_emulator_is_known_as_such(home: Home) -> None:
    _start(home)
    assert not platform.is_outdated(home)
    home.remember("emulator", "of yesterday")
    assert platform.is_outdated(home)


def test_stopping_twice_is_no_error(home: Home) -> None:
    _start(home)
    assert platform.stop(home)
    assert not platform.stop(home)


def test_two_platforms_run_side_by_side(tmp_path: Path) -> None:
    homes = [Home(tmp_path / "one"), Home(tmp_path / "two")]
    try:
        ports = [_start(home) for home in homes]
        assert ports[0] != ports[1]
        _make_things(ports[0])
        assert client("dynamodb", ports[1]).list_tables()["TableNames"] == []
        platform.stop(homes[0])
        assert platform.running_port(homes[1]) == ports[1]
    finally:
        for home in homes:
            platform.stop(home)


def test_two_homes_that_remember_the_same_port_do_not_take_each_other_s_platform(
    tmp_path: Path,
) -> None:
    homes = [Home(tmp_path / "one"), Home(tmp_path / "two")]  # one a copy of the other
    for home in homes:
        home.prepare()
        home.remember("port", choose_port(None) if home is homes[0] else homes[0].recall("port"))
    try:
        with ThreadPoolExecutor() as both:
            ports = list(both.map(_start, homes))
        assert [platform.running_port(home) for home in homes] == ports
        assert ports[0] != ports[1]
    finally:
        for home in homes:
            platform.stop(home)


def test_a_platform_that_is_there_and_not_at_its_port_is_ended_by_the_next_start(
    home: Home,
) -> None:
    _start(home)
    before = platform.process_of(home)
    home.remember("port", choose_port(None))  # as when two starts were interrupted
    port = _start(home)
    assert platform.process_of(home) not in (None, before)
    assert platform.running_port(home) == port


def test_a_platform_that_does_not_stop_is_killed(home: Home) -> None:
    _start(home)
    pid = platform.process_of(home)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    assert platform.stop(home, patience=0.5) == "killed after 0 s: what was not saved yet is lost"
    assert platform.process_of(home) is None


def test_a_platform_whose_home_was_deleted_ends_by_itself(home: Home) -> None:
    _start(home)
    pid = platform.process_of(home)
    assert pid is not None
    shutil.rmtree(home.root)
    deadline = time.monotonic() + 30
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not home.root.exists()


def test_a_home_that_was_moved_goes_on_from_what_was_saved(tmp_path: Path) -> None:
    before, after = Home(tmp_path / "before"), Home(tmp_path / "after")
    port = _start(before)
    key = _make_things(port)
    platform.stop(before)
    _start(before)
    before.root.rename(after.root)
    try:
        assert platform.was_moved(after)
        said = "killed, since its folder was moved: what was not saved yet is lost"
        assert platform.stop(after) in (said, None)  # it ends by itself, too, in a second
        assert not before.root.exists()
        _things_are_there(_start(after), key)
        assert not platform.was_moved(after)
    finally:
        platform.stop(after)


def _function(port: int) -> Any:
    """A function that tells its process, and can be slow."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr(
            "index.py",
            "import os, time\n"
            "def handler(event, context):\n"
            "    time.sleep(event.get('seconds', 0))\n"
            "    return os.getpid()\n",
        )
    roles, functions = client("iam", port), client("lambda", port)
    trust = {"Version": "2012-10-17", "Statement": []}
    role = roles.create_role(RoleName="any", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    functions.create_function(
        FunctionName="slow",
        Runtime="python3.13",
        Handler="index.handler",
        Role=role["Arn"],
        Timeout=60,
        Code={"ZipFile": package.getvalue()},
    )
    return functions


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_no_function_s_process_outlives_its_platform(home: Home, end: signal.Signals) -> None:
    functions = _function(_start(home))
    worker = json.loads(functions.invoke(FunctionName="slow", Payload="{}")["Payload"].read())
    functions.invoke(FunctionName="slow", InvocationType="Event", Payload='{"seconds": 50}')
    assert _runs(worker)
    if end == signal.SIGTERM:
        platform.stop(home)
    else:
        pid = platform.process_of(home)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        while platform.process_of(home) is not None:
            time.sleep(0.01)
        platform.kill_leftovers(home)
    deadline = time.monotonic() + 5
    while _runs(worker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _runs(worker)
