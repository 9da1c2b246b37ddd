"""A worker's memory does not grow with its table."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.exports.sources import Source
from tests.component.warehouse.places import WAREHOUSE, a_lake

WORKER = """
import json, sys
from pathlib import Path
from headrace.exports.model import Compression, FileFormat
from headrace.exports.slices import PartPosition
from headrace.exports.sources import Source
from tests.component.warehouse.places import WAREHOUSE, a_table_of
options, table, file_format, compression = json.loads(sys.argv[1])
source = Source("lake", "ducklake", options)
configured, version = a_table_of(source, table), WAREHOUSE.current_version(source)
with WAREHOUSE.stream(
    source, version, configured, None, FileFormat(file_format), Compression(compression),
    PartPosition(),
) as stream:
    size = sum(len(chunk) for chunk in stream)
# Not ru_maxrss: that starts at what the process had which started this one.
peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
print(json.dumps([stream.rows, size, int(peak)]))
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """The same rows, 100,000 and 1,500,000 of them."""
    rows = (
        "SELECT i, md5(i::VARCHAR) AS v, md5((i + 1)::VARCHAR) AS w, (i % 1000000)::DECIMAL(12,2) "
        "AS amount, TIMESTAMPTZ '2001-01-01 00:00:00+00' + to_seconds(i) AS at "
        "FROM range({}) r(i)"
    )
    return a_lake(
        tmp_path_factory.mktemp("memory") / "lake",
        f"CREATE TABLE small AS {rows.format(100_000)}",
        f"CREATE TABLE large AS {rows.format(1_500_000)}",
    )


@pytest.mark.parametrize(
    ("file_format", "compression"), [("csv", "none"), ("ndjson", "zstd"), ("parquet", "none")]
)
def test_memory_is_flat(lake: Source, file_format: str, compression: str) -> None:
    def run(table: str) -> tuple[int, int, float]:
        argument = json.dumps([dict(lake.options), table, file_format, compression])
        done = subprocess.run(
            [sys.executable, "-c", WORKER, argument],
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        rows, size, peak = json.loads(done.stdout)
        return rows, size, peak / 1024

    small, large = run("main.small"), run("main.large")
    assert large[0] == 15 * small[0]
    assert large[1] > 10 * small[1]
    # MiB, pyarrow's 60 for the tests' own readers among them; buffers fill up, and stay so.
    assert large[2] < small[2] + 48
    assert large[2] < 300


CHANGES_WORKER = """
import json, sys
from dataclasses import replace
from pathlib import Path
from headrace.adapters.warehouse.changes import DuckLakeChanges
from headrace.exports.model import Compression, FileFormat
from headrace.exports.sources import Source
from tests.component.warehouse.places import a_table_of
options, since, version, file_format = json.loads(sys.argv[1])
source = Source("lake", "ducklake", options)
table = replace(a_table_of(source, "main.t"), primary_key=("i",))
with DuckLakeChanges(keys_at_once=20_000).stream_changes(
    source, since, version, table, FileFormat(file_format), Compression.NONE
) as stream:
    size = sum(len(chunk) for chunk in stream)
peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
print(json.dumps([stream.rows, size, int(peak)]))
"""


def test_memory_is_flat_in_the_number_of_changes(tmp_path: Path) -> None:
    rows = (
        "SELECT i, md5(i::VARCHAR) AS v, md5((i + 1)::VARCHAR) AS w, repeat('x', 200) AS x "
        "FROM range({}, {}) r(i)"
    )
    folder = tmp_path / "lake"
    versions = []
    for statement in (
        f"CREATE TABLE t AS {rows.format(0, 300_000)}",
        "UPDATE t SET v = 'new' WHERE i % 15 = 0",
        "UPDATE t SET v = 'newer' WHERE i % 3 > 0",
        f"INSERT INTO t {rows.format(300_000, 600_000)}",
    ):
        source = a_lake(folder, statement)
        versions.append(WAREHOUSE.current_version(source))

    def run(step: int) -> tuple[int, float]:
        argument = json.dumps([dict(source.options), *versions[step - 1 : step + 1], "csv"])
        done = subprocess.run(
            [sys.executable, "-c", CHANGES_WORKER, argument],
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        changes, _, peak = json.loads(done.stdout)
        return changes, peak / 1024

    few, peak = run(1)
    assert few == 20_000
    for step, changes in ((2, 200_000), (3, 300_000)):
        many, its_peak = run(step)
        assert many == changes
        # MiB. DuckLake holds the positions of deleted rows, which is its own affair.
        assert its_peak < peak + 72
        assert its_peak < 330
