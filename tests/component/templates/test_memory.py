"""A worker's memory does not grow with the template, though the rows are sorted."""

import json
import subprocess
import sys
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest

from headrace.adapters.warehouse import template_rows
from headrace.adapters.warehouse.engine import Limits, memory_here
from headrace.exports.sources import Source
from tests.component.templates.reading import a_reading, persons
from tests.component.warehouse.places import a_lake
from tests.world import ROOT

MOST_MIB = 180
"""Beyond what the process has when it begins."""
WORKER = """
import json, sys, tempfile
from pathlib import Path
from unittest.mock import Mock
from headrace.adapters.warehouse.template_rows import TemplateRows
from headrace.exports.sources import Source
from headrace.templates.model import Parameters
from tests.component.templates.reading import FakePublished, persons

def peak():
    # Not ru_maxrss: that starts at what the process had which started this one.
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024

options, table, scratch = json.loads(sys.argv[1])
tempfile.tempdir = scratch
source = Source("lake", "ducklake", options)
slots = Mock()
slots.taken.return_value = Mock(__enter__=Mock(return_value=Mock()), __exit__=Mock())
rows = TemplateRows(FakePublished(persons(source, table, "name"), source), slots)
version, before = rows.version("persons", 1), peak()
with rows.read("north", "persons", 1, version, Parameters()) as pieces:
    lines = sum(piece.count(b"\\n") for piece in pieces)
print(json.dumps([lines, peak() - before]))
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """The same rows, 100,000 and 1,500,000 of them, not in their order."""
    rows = (
        "SELECT 'north' AS tenant, i::INTEGER AS id, md5(i::VARCHAR) AS name, (i % 1000)::DECIMAL("
        "9,2) AS amount, TIMESTAMPTZ '2001-01-01 00:00:00+00' + to_seconds(i) AS changed, false AS "
        "anonymised FROM range({}) r(i)"
    )
    return a_lake(
        tmp_path_factory.mktemp("memory") / "lake",
        f"CREATE TABLE small AS {rows.format(100_000)}",
        f"CREATE TABLE large AS {rows.format(1_500_000)}",
    )


def test_memory_is_flat_and_nothing_is_left_on_the_disk(lake: Source, tmp_path: Path) -> None:
    def run(table: str) -> tuple[int, float]:
        argument = json.dumps([dict(lake.options), f"main.{table}", str(tmp_path)])
        done = subprocess.run(
            [sys.executable, "-c", WORKER, argument],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        rows, peak = json.loads(done.stdout.splitlines()[-1])
        return rows, peak

    rows, peak = run("small")
    more_rows, more_peak = run("large")
    assert (rows, more_rows) == (100_000, 1_500_000)
    assert more_peak < MOST_MIB, (peak, more_peak)
    assert list(tmp_path.glob("headrace-sort-*")) == []


def test_rows_that_need_more_memory_than_little_get_it(
    lake: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Too little to sort the small table; how far the engine comes with it, only it knows.
    monkeypatch.setattr(template_rows, "_LITTLE", "12MB")
    asked: list[str] = []

    def limits(memory: str, **more: Any) -> Limits:
        asked.append(memory)
        return Limits(memory, **more)

    monkeypatch.setattr(template_rows, "Limits", limits)
    with a_reading(persons(lake, "main.small", "name"), lake) as reading:
        rows = reading.walked()
    # The version is asked for first.
    assert asked == ["12MB", "12MB", memory_here()]
    names = [row["name"] for row in rows]
    assert names == sorted(md5(str(i).encode()).hexdigest() for i in range(100_000))
