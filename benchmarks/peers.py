"""One turn of a peer, in a process and an environment of its own: knows nothing of Headrace.

    .tools/bench/bin/python benchmarks/peers.py PEER FORMAT SOCKET-FOLDER QUERY FILE

Prints JSON: seconds of the clock and of processors, the peak in MiB. What is timed is from the
connection to the file's end, imports not counted. Each is used as its own documentation shows.
"""

# ruff: noqa: PLC0415  a peer is imported only for its own turn

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

BATCH = 10_000
USER, DATABASE = "postgres", "bench"

Work = Callable[[], object]


def fetchmany(file_format: str, folder: str, query: str, file: str) -> Work:
    """psycopg with a cursor of the server's, and the standard library's writers."""
    import csv

    import psycopg

    def work() -> None:
        with (
            psycopg.connect(host=folder, user=USER, dbname=DATABASE) as connection,
            connection.cursor(name="rows") as cursor,
            Path(file).open("w", encoding="utf-8", newline="") as out,
        ):
            cursor.execute(query)
            rows = cursor.fetchmany(BATCH)
            names = [column.name for column in cursor.description or ()]
            writer = csv.writer(out)
            if file_format == "csv":
                writer.writerow(names)
            while rows:
                if file_format == "csv":
                    writer.writerows(rows)
                else:
                    for row in rows:
                        line = dict(zip(names, row, strict=True))
                        out.write(json.dumps(line, default=str, ensure_ascii=False) + "\n")
                rows = cursor.fetchmany(BATCH)

    return work


def connectorx(file_format: str, folder: str, query: str, file: str) -> Work:
    """connectorx to Arrow, which pyarrow writes."""
    import connectorx as cx
    from pyarrow import csv, parquet

    url = f"postgresql://{USER}@{quote(folder, safe='')}:5432/{DATABASE}"

    def work() -> None:
        found = cx.read_sql(url, query, return_type="arrow")
        if file_format == "csv":
            csv.write_csv(found, file)
        else:
            parquet.write_table(found, file)

    return work


def dlt(file_format: str, folder: str, query: str, file: str) -> Work:
    """dlt's source sql_database by way of pyarrow, its destination filesystem."""
    scratch = Path(file + ".dlt")
    os.environ |= {
        "DLT_DATA_DIR": str(scratch / "data"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
        # One document, uncompressed, as of all others.
        "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
        "DATA_WRITER__DISABLE_COMPRESSION": "true",
    }
    import dlt as product
    import sqlalchemy as sa
    from dlt.sources.sql_database import sql_table

    engine = sa.create_engine(f"postgresql+psycopg://{USER}@/{DATABASE}?host={quote(folder)}")
    columns, _, condition = query.partition(" FROM employments WHERE ")
    names = [name.strip() for name in columns.removeprefix("SELECT ").split(",")]

    def work() -> None:
        source = sql_table(
            credentials=engine,
            table="employments",
            backend="pyarrow",
            chunk_size=50_000,
            included_columns=names,
            query_adapter_callback=lambda select, _: select.where(sa.text(condition)),
        )
        pipeline = product.pipeline(
            "bench",
            pipelines_dir=str(scratch / "pipelines"),
            destination=product.destinations.filesystem(bucket_url=(scratch / "out").as_uri()),
            dataset_name="bench",
        )
        pipeline.run(source, loader_file_format=file_format)

    def finish() -> None:
        work()
        made = sorted((scratch / "out" / "bench" / "employments").glob("*"))
        if len(made) != 1:
            raise SystemExit(f"dlt made {len(made)} files")
        made[0].rename(file)

    return finish


PEERS = {"fetchmany": fetchmany, "connectorx": connectorx, "dlt": dlt}


def main() -> None:
    """Does one turn."""
    peer, file_format, folder, query, file = sys.argv[1:]
    work = PEERS[peer]({"ndjson": "jsonl"}.get(file_format, file_format), folder, query, file)
    wall, before = time.perf_counter(), os.times()
    work()
    after = os.times()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    figures = {
        "wall": time.perf_counter() - wall,
        "cpu": sum(after[:4]) - sum(before[:4]),
        "peak": int(status.split("VmHWM:")[1].split()[0]) / 1024,
    }
    print("\n" + json.dumps(figures))


if __name__ == "__main__":
    main()
