"""A worker's memory does not grow with its table."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.exports.model import Source
from tests.component.warehouse.places import a_lake

WORKER = """
import json, sys
from pathlib import Path
from headrace.exports.model import Compression, FileFormat, PartPosition, Source
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
