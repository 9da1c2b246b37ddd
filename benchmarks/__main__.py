"""`make bench`: every benchmark once. docs/benchmarks.md says what the figures mean."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

RUNS = (
    ("export_throughput", "--format", "csv"),
    ("export_throughput", "--format", "csv", "--compression", "gzip"),
    ("export_throughput", "--format", "ndjson"),
    ("export_throughput", "--format", "parquet"),
    ("cold_start",),
)

for number, (name, *arguments) in enumerate(RUNS):
    if number:
        print()
    print(f"$ python -m benchmarks.{name} {' '.join(arguments)}".rstrip(), flush=True)
    subprocess.run([sys.executable, str(HERE / f"{name}.py"), *arguments], check=True)
