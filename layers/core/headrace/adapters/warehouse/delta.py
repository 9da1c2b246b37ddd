"""Delta tables, read from their log by the format's own rules.

The rules are those of PROTOCOL.md in delta-io/delta: readers of version 3 with the features in
``READ``. A table that asks for more is refused, as it cannot be known what would be wrong.
"""

import base64
import json
import re
import struct
import uuid
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from headrace.adapters.sql_text import identifier, literal
from headrace.adapters.warehouse.deletion_vectors import (
    DamagedVector,
    deleted_rows,
    framed_vector,
)
from headrace.adapters.warehouse.engine import Connection, listed
from headrace.adapters.warehouse.storage import Storage
from headrace.adapters.warehouse.table_files import DataFile, TableColumn, TableFiles
from headrace.kernel.errors import SourceChanged, SourceUnavailable

READ = frozenset(
    {
        "columnMapping",
        "deletionVectors",
        "timestampNtz",
        "typeWidening",
        "typeWidening-preview",
        "v2Checkpoint",
        "vacuumProtocolCheck",
    }
)
"""The reader features that are known here."""

_READER = 3
_LOOKED_BACK = 50
_GONE = "The source no longer holds the version asked for."
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.parquet")
_PART = re.compile(r"(\d{20})\.checkpoint\.(\d{10})\.(\d{10})\.parquet")
_V2 = re.compile(r"(\d{20})\.checkpoint\.[0-9a-f-]{36}\.(?:json|parquet)")

_TYPES = {
    "string": "VARCHAR",
    "long": "BIGINT",
    "integer": "INTEGER",
    "short": "SMALLINT",
    "byte": "TINYINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "timestamp_ntz": "TIMESTAMP",
}
_DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z")


@dataclass(frozen=True)
class _Log:
    """What a log's folder holds: versions with a commit, and the files of whole checkpoints."""

    commits: frozenset[int]
    checkpoints: Mapping[int, tuple[str, ...]]

    @property
    def latest(self) -> int | None:
        return max(self.commits | self.checkpoints.keys(), default=None)


def _log(storage: Storage, folder: str) -> _Log:
    commits: set[int] = set()
    checkpoints: dict[int, tuple[str, ...]] = {}
    parts: dict[tuple[int, int], list[str]] = {}
    for name in storage.files(f"{folder}_delta_log/"):
        if match := _COMMIT.fullmatch(name):
            commits.add(int(match[1]))
        elif match := _CHECKPOINT.fullmatch(name) or _V2.fullmatch(name):
            checkpoints[int(match[1])] = (name,)
        elif match := _PART.fullmatch(name):
            parts.setdefault((int(match[1]), int(match[3])), []).append(name)
    for (version, count), names in parts.items():
        if len(names) == count:
            checkpoints.setdefault(version, tuple(names))
    return _Log(frozenset(commits), checkpoints)


@dataclass
class _State:
    """The log's actions, replayed."""

    protocol: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    adds: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def replay(self, actions: Iterable[dict[str, Any]]) -> None:
        for action in actions:
            if found := action.get("protocol"):
                self.protocol = found
            elif found := action.get("metaData"):
                self.metadata = found
            elif found := action.get("remove"):
                self.adds.pop(_file_key(found), None)
            elif found := action.get("add"):
                self.adds[_file_key(found)] = found


def _vector(action: Mapping[str, Any]) -> Mapping[str, Any] | None:
    vector = action.get("deletionVector")
    # A checkpoint may hold a vector of nothing but NULLs where there is none.
    return vector if vector and vector.get("storageType") else None


def _file_key(action: Mapping[str, Any]) -> tuple[str, str]:
    vector = _vector(action)
    if vector is None:
        return action["path"], ""
    offset = "" if vector.get("offset") is None else f"@{vector['offset']}"
    return action["path"], f"{vector['storageType']}{vector['pathOrInlineDv']}{offset}"


class DeltaFormat:
    """Delta. A table's version is the number of the last commit in its log."""

    def version(self, storage: Storage, folder: str) -> str | None:
        """The version that the table in ``folder`` is at; None if there is no table."""
        latest = _log(storage, folder).latest
        return None if latest is None else str(latest)

    def changed_at(self, storage: Storage, folder: str) -> datetime | None:
        """When rows of the table in ``folder`` last changed, as its log says; None if there is no
        table.

        Commits that only rearrange rows do not count, nor those that change nothing. Where the
        newest ``_LOOKED_BACK`` are all of that kind, it is when the oldest of them was.
        """
        log = _log(storage, folder)
        found: datetime | None = None
        for version in sorted(log.commits, reverse=True)[:_LOOKED_BACK]:
            path = f"{folder}_delta_log/{version:020d}.json"
            text = storage.read(path)
            if text is None:
                break  # cleaned up a moment ago
            actions = list(_actions(text))
            found = _told_at(actions) or storage.modified(path) or found
            if any(map(_changes_rows, actions)):
                break
        if found is None and log.checkpoints:
            (newest, *_) = log.checkpoints[max(log.checkpoints)]
            found = storage.modified(f"{folder}_delta_log/{newest}")
        return found

    def table(
        self, storage: Storage, connection: Connection, folder: str, version: str
    ) -> TableFiles:
        """The table at ``version``; all its columns are refused if it cannot be read exactly.

        Raises SourceChanged if the version can no longer be read, SourceUnavailable.
        """
        log = _log(storage, folder)
        if log.latest is None or not version.isdecimal() or int(version) > log.latest:
            raise SourceChanged(_GONE)
        state = _state(storage, connection, folder, log, int(version))
        if not state.metadata or not state.protocol:
            raise SourceUnavailable("The log of a Delta table of the source is not whole.")
        table = _Table(storage, folder, state)
        if int(version) != log.latest:
            table.check_that_files_are_there()
        return table.files()


def _state(
    storage: Storage, connection: Connection, folder: str, log: _Log, version: int
) -> _State:
    """The log up to ``version``, from the last checkpoint before it on."""
    base = max((v for v in log.checkpoints if v <= version), default=-1)
    state = _State()
    if base >= 0:
        state.replay(_checkpointed(storage, connection, folder, log.checkpoints[base]))
    for commit in range(base + 1, version + 1):
        text = storage.read(f"{folder}_delta_log/{commit:020d}.json")
        if text is None:
            raise SourceChanged(_GONE)
        state.replay(_actions(text))
    return state


def _actions(text: bytes) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in text.splitlines() if line.strip())


def _changes_rows(action: Mapping[str, Any]) -> bool:
    file = action.get("add") or action.get("remove")
    return "cdc" in action or (file is not None and file.get("dataChange", True) is not False)


def _told_at(actions: Iterable[Mapping[str, Any]]) -> datetime | None:
    """The commit's own time, in milliseconds, which tables without ``inCommitTimestamp`` need not
    have, and copies of a folder keep.
    """
    for action in actions:
        told = action.get("commitInfo") or {}
        at = told.get("inCommitTimestamp") or told.get("timestamp")
        if isinstance(at, int) and at > 0:
            return datetime.fromtimestamp(at / 1000, UTC)
    return None


def _checkpointed(
    storage: Storage, connection: Connection, folder: str, names: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    log = f"{folder}_delta_log/"
    if names[0].endswith(".json"):
        text = storage.read(log + names[0]) or b""
        actions = list(_actions(text))
    else:
        actions = list(_of_parquet(connection, tuple(log + name for name in names)))
    yield from actions
    sidecars = tuple(f"{log}_sidecars/{a['sidecar']['path']}" for a in actions if "sidecar" in a)
    if sidecars:
        yield from _of_parquet(connection, sidecars)


_WANTED = {
    "protocol": ("minReaderVersion", "readerFeatures"),
    "metaData": ("schemaString", "partitionColumns", "configuration"),
    "add": ("path", "partitionValues", "deletionVector"),
    "sidecar": ("path",),
}


def _of_parquet(connection: Connection, paths: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The actions in Parquet files of a checkpoint, without the statistics."""
    read = f"read_parquet({listed(paths)}, union_by_name = true, hive_partitioning = false)"
    columns = {row[0]: row[1] for row in connection.execute(f"DESCRIBE FROM {read}").fetchall()}
    for action, wanted in _WANTED.items():
        if action not in columns:
            continue
        there = [name for name, _ in connection.sqltype(columns[action]).children]
        pairs = ", ".join(
            f"{literal(name)}, {action}.{identifier(name)}" for name in wanted if name in there
        )
        cursor = connection.execute(
            f"SELECT CAST(json_object({pairs}) AS VARCHAR) FROM {read} "  # noqa: S608
            f"WHERE {action} IS NOT NULL"
        )
        while rows := cursor.fetchmany(10_000):
            for (text,) in rows:
                found = json.loads(text)
                if any(value is not None for value in found.values()):
                    yield {action: found}


@dataclass(frozen=True)
class _Table:
    storage: Storage
    folder: str
    state: _State

    def files(self) -> TableFiles:
        """The table, as readers see it."""
        columns = tuple(self._columns())
        files = []
        refusal = self._refusal()
        if refusal is None:
            # In an order of their own: ranges of rows are cut by it, and a checkpoint written
            # meanwhile would have the log's actions in another.
            for _, add in sorted(self.state.adds.items()):
                file = self._file(add)
                if file is None:
                    refusal = "the table has files outside its folder, as a shallow clone has"
                    break
                files.append(file)
        table = TableFiles(columns, tuple(files))
        return table if refusal is None else table.refused(refusal)

    def check_that_files_are_there(self) -> None:
        """Raises SourceChanged if files are gone: of versions before the last they may be."""
        there = self.storage.tree(self.folder)
        for add in self.state.adds.values():
            path = self._path(add["path"])
            if path is not None and path not in there:
                raise SourceChanged(_GONE)

    def _refusal(self) -> str | None:
        protocol = self.state.protocol
        reader = int(protocol.get("minReaderVersion") or 0)
        unknown = set(protocol.get("readerFeatures") or ()) - READ
        if reader > _READER:
            return f"the table asks for readers of version {reader} of Delta"
        if unknown:
            return f"the table uses {', '.join(sorted(unknown))} of Delta, which is not read here"
        if self._mapping not in ("none", "name", "id"):
            return f"the table maps its columns by {self._mapping}"
        return None

    @property
    def _mapping(self) -> str:
        configuration = self.state.metadata.get("configuration") or {}
        return str(configuration.get("delta.columnMapping.mode") or "none")

    def _columns(self) -> Iterator[TableColumn]:
        partitions = set(self.state.metadata.get("partitionColumns") or ())
        for described in json.loads(self.state.metadata["schemaString"])["fields"]:
            name, kind = described["name"], described["type"]
            sql, reason = _sql_type(kind), None
            if sql is None:
                sql = kind if isinstance(kind, str) else str(kind.get("type"))
                reason = "there is no exact form for it"
            elif not isinstance(kind, str) and self._mapping != "none":
                reason = "fields within columns are not read from a table that maps its columns"
            elif name in partitions:
                reason = self._reason_of_partition(kind, self._physical(described))
            key = None if name in partitions else self._key(described)
            yield TableColumn(name, sql, bool(described.get("nullable", True)), key, reason)

    def _key(self, described: Mapping[str, Any]) -> int | str:
        if self._mapping == "id":
            return int(described["metadata"]["delta.columnMapping.id"])
        return self._physical(described)

    def _physical(self, described: Mapping[str, Any]) -> str:
        if self._mapping == "none":
            return str(described["name"])
        return str(described["metadata"]["delta.columnMapping.physicalName"])

    def _reason_of_partition(self, kind: object, physical: str) -> str | None:
        if kind == "binary":
            return "the log has no exact form for the values of a column of partitions of this type"
        values = (add["partitionValues"].get(physical) for add in self.state.adds.values())
        if kind == "timestamp" and any(value and not _INSTANT.fullmatch(value) for value in values):
            # What zone its times are in is known to whoever wrote them only.
            return "the log has its values, by which the table is partitioned, without a zone"
        return None

    def _file(self, add: Mapping[str, Any]) -> DataFile | None:
        path = self._path(add["path"])
        if path is None:
            return None
        fields = json.loads(self.state.metadata["schemaString"])["fields"]
        values = add.get("partitionValues") or {}
        constants = {
            described["name"]: values.get(self._physical(described)) or None
            for described in fields
            if described["name"] in (self.state.metadata.get("partitionColumns") or ())
        }
        vector = _vector(add)
        if vector is None:
            return DataFile(path, constants)
        return DataFile(path, constants, lambda: self._deleted(vector))

    def _path(self, encoded: str) -> str | None:
        """The file's path; None if it is not within the table's folder, or not to be told."""
        path = unquote(encoded)
        if (
            ":" in encoded.split("/", maxsplit=1)[0]
            or path.startswith("/")
            or ".." in path.split("/")
        ):
            return None
        # The engine would take it for a pattern.
        return None if set(path) & set("*?[") else self.folder + path

    def _deleted(self, vector: Mapping[str, Any]) -> "array[int]":
        stored = vector["pathOrInlineDv"]
        try:
            match vector["storageType"]:
                case "i":
                    return deleted_rows(base64.z85decode(stored), int(vector["cardinality"]))
                case "u":
                    prefix, coded = stored[:-20], stored[-20:]
                    name = f"deletion_vector_{uuid.UUID(bytes=base64.z85decode(coded))}.bin"
                    path = self._path(f"{prefix}/{name}" if prefix else name)
                    content = self.storage.read(path) if path else None
                    if content is None:
                        raise SourceChanged(_GONE)
                    framed = content[int(vector.get("offset") or 0) :]
                    return deleted_rows(framed_vector(framed), int(vector["cardinality"]))
                case _:
                    raise DamagedVector
        except (DamagedVector, ValueError, struct.error):
            raise SourceUnavailable(
                "A deletion vector of a table of the source cannot be read."
            ) from None


def _sql_type(kind: Any) -> str | None:
    """The engine's type for one of Delta's; None if it has none."""
    if isinstance(kind, str):
        if match := _DECIMAL.fullmatch(kind):
            return f"DECIMAL({match[1]},{match[2]})"
        return _TYPES.get(kind)
    match kind.get("type"):
        case "array":
            element = _sql_type(kind["elementType"])
            return f"{element}[]" if element else None
        case "map":
            key, value = _sql_type(kind["keyType"]), _sql_type(kind["valueType"])
            return f"MAP({key}, {value})" if key and value else None
        case "struct":
            fields = [(f["name"], _sql_type(f["type"])) for f in kind["fields"]]
            if not fields or not all(sql for _, sql in fields):
                return None
            return f"STRUCT({', '.join(f'{identifier(name)} {sql}' for name, sql in fields)})"
        case _:
            return None
