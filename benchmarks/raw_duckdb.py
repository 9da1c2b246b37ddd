"""One turn of DuckDB alone, with one thread, as a worker has: a plain COPY of the lake to a file.

python -m benchmarks.raw_duckdb ROWS FORMAT FILE    prints JSON, as ``peers`` does
"""

import json
import sys
import time

from benchmarks.data import EXPORTED, WHERE, named
from benchmarks.turn import TABLES, peak_mib
from local.sample.warehouse import attached

OPTIONS = {
    "csv": "FORMAT csv, HEADER",
    "json": "FORMAT json, ARRAY",
    "ndjson": "FORMAT json",
    "parquet": "FORMAT parquet",
}


def main() -> None:
    """Does one turn."""
    rows, file_format, file = sys.argv[1:]
    wall, cpu = time.perf_counter(), time.process_time()
    with attached(named(int(rows)).lake) as connection:
        connection.execute("SET threads = 1; SET enable_progress_bar = false")
        connection.execute(
            f"COPY (SELECT {', '.join(EXPORTED)} FROM lake.{TABLES['ducklake']} WHERE {WHERE}) "
            f"TO '{file}' ({OPTIONS[file_format]})"
        )
    taken = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    print(json.dumps(taken | {"peak": peak_mib()}))


if __name__ == "__main__":
    main()
