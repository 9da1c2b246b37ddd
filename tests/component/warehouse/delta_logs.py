"""Delta logs written by hand: what writers in reach here do not write, by the letter of the
protocol; and any Delta table read by a reader that is not ours."""

import base64
import json
import struct
import uuid
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, QueryBuilder
from pyroaring import BitMap64

from headrace.adapters.sql_text import literal

MAGIC = struct.pack("<i", 1681511377)


def read_by_delta_rs(table: Path | str) -> list[dict[str, Any]]:
    """All rows, by delta-rs with DataFusion."""
    engine = QueryBuilder().register("t", DeltaTable(str(table)))
    found: list[dict[str, Any]] = pa.table(engine.execute("SELECT * FROM t").read_all()).to_pylist()
    return found


def in_any_order(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Rows, comparable whatever their order and that of their columns."""
    return sorted(repr(sorted(row.items())) for row in rows)


def a_column(
    name: str, kind: object = "long", identity: int | None = None, physical: str = ""
) -> dict[str, Any]:
    """A field of the schema; with an id and a physical name where the table maps its columns."""
    mapping = {
        "delta.columnMapping.id": identity,
        "delta.columnMapping.physicalName": physical,
    }
    metadata = mapping if identity is not None else {}
    return {"name": name, "type": kind, "nullable": True, "metadata": metadata}


@dataclass
class HandWritten:
    """A Delta table of which each action is handed in."""

    folder: Path
    version: int = field(default=-1)

    def __post_init__(self) -> None:
        (self.folder / "_delta_log").mkdir(parents=True)

    def commit(self, *actions: Mapping[str, Any]) -> None:
        """The next version."""
        self.version += 1
        lines = "\n".join(json.dumps(action) for action in actions)
        (self.folder / f"_delta_log/{self.version:020d}.json").write_text(lines + "\n")

    def create(
        self,
        *columns: Mapping[str, Any],
        features: tuple[str, ...] = (),
        partitions: tuple[str, ...] = (),
        reader: int = 3,
        mapping: str = "none",
    ) -> None:
        """The first version: protocol and metadata."""
        protocol = {"minReaderVersion": reader, "minWriterVersion": 7}
        listed = {"readerFeatures": list(features), "writerFeatures": list(features)}
        self.commit(
            {"protocol": protocol | (listed if reader == 3 else {})},
            {"metaData": self.metadata(*columns, partitions=partitions, mapping=mapping)},
        )

    def metadata(
        self,
        *columns: Mapping[str, Any],
        partitions: tuple[str, ...] = (),
        mapping: str = "none",
    ) -> dict[str, Any]:
        """What the action ``metaData`` says."""
        return {
            "id": "5c1b6a3e-6d4f-4b0a-8f0e-2f6f3d1f7a11",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": columns}),
            "partitionColumns": list(partitions),
            "configuration": {"delta.columnMapping.mode": mapping},
            "createdTime": 0,
        }

    def file(
        self,
        name: str,
        select: str,
        options: str = "",
        *,
        deleted: Mapping[str, Any] | None = None,
        partition: Mapping[str, str | None] | None = None,
    ) -> dict[str, Any]:
        """Writes a Parquet file; the action that adds it."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({select}) TO {literal(str(path))} {options}")
            (rows,) = connection.execute(f"SELECT count(*) FROM ({select})").fetchone() or (0,)
        added: dict[str, Any] = {
            "path": name,
            "partitionValues": partition or {},
            "size": path.stat().st_size,
            "modificationTime": 0,
            "dataChange": True,
            "stats": json.dumps({"numRecords": rows}),
        }
        return {"add": added | ({"deletionVector": deleted} if deleted else {})}

    def vector_file(self, *rows: Iterable[int], prefix: str = "") -> list[dict[str, Any]]:
        """A file of deletion vectors, one for each of ``rows``; how an action names each."""
        identity = uuid.uuid4()
        content, named = b"\x01", []
        for deleted in rows:
            vector = a_vector(deleted)
            named.append(
                {
                    "storageType": "u",
                    "pathOrInlineDv": prefix + base64.z85encode(identity.bytes).decode(),
                    "offset": len(content),
                    "sizeInBytes": len(vector),
                    "cardinality": len(set(deleted)),
                }
            )
            content += struct.pack(">i", len(vector)) + vector
            content += struct.pack(">I", zlib.crc32(vector))
        path = self.folder / prefix / f"deletion_vector_{identity}.bin"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return named


def cut_checkpoint(table: Path, version: int, parts: int) -> list[Path]:
    """The checkpoint of the version as so many files instead of one; their places in order.

    Which action is in which part is the writer's business: here they are dealt out in turn, and a
    part has no columns for actions that it does not hold, as no reader may expect them.
    """
    log = table / "_delta_log"
    whole = log / f"{version:020d}.checkpoint.parquet"
    actions = pq.read_table(whole)
    places = []
    for number in range(parts):
        dealt = actions.take(pa.array(range(number, actions.num_rows, parts)))
        held = [name for name in dealt.column_names if dealt[name].null_count < dealt.num_rows]
        place = log / f"{version:020d}.checkpoint.{number + 1:010d}.{parts:010d}.parquet"
        pq.write_table(dealt.select(held), place)
        places.append(place)
    whole.unlink()
    told = {"version": version, "size": actions.num_rows, "parts": parts}
    (log / "_last_checkpoint").write_text(json.dumps(told))
    return places


def a_vector(rows: Iterable[int]) -> bytes:
    """The deletion vector of these rows, by the reference implementation's bindings."""
    bitmap = BitMap64(rows)
    bitmap.run_optimize()
    return MAGIC + bitmap.serialize()


def inline(rows: Iterable[int]) -> dict[str, Any]:
    """A deletion vector within the action itself."""
    vector = a_vector(rows)
    padded = vector + bytes(-len(vector) % 4)
    return {
        "storageType": "i",
        "pathOrInlineDv": base64.z85encode(padded).decode(),
        "sizeInBytes": len(vector),
        "cardinality": len(set(rows)),
    }
