"""DuckDB as a worker has it: in memory, one thread, no disk, no network of its own accord."""

import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import duckdb

from headrace.adapters.sql_text import literal
from headrace.kernel.errors import SourceUnavailable

Connection = duckdb.DuckDBPyConnection


def memory_here() -> str:
    """What the engine may take of this worker's memory: two fifths, which leaves room for what it
    does not count (its writers' buffers, Python, the parts under way).

    It is a bound and not a need: 600,000 rows of 13 columns take 130 MiB of a process whatever it
    is; rows of 10 KB take 300 and more, and a DuckDB file is cached as far as it goes.
    """
    lambda_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
    return f"{int(lambda_mb) * 2 // 5}MB" if lambda_mb else "512MB"


@dataclass(frozen=True)
class Limits:
    """What an engine may take: memory, and time."""

    memory: str = field(default_factory=memory_here)
    patience_s: float = 10.0
    """How long to wait for a source that a writer holds."""
    scratch: str | None = None
    """A directory for what a sort has no memory for, sealed with a key that the engine keeps to
    itself; None: a query that needs more than its memory fails."""


def is_remote(path: str) -> bool:
    """Does the path lie in S3."""
    return path.startswith("s3://")


_GLOB = re.compile(r"[*?\[]")


def as_glob(path: str) -> str:
    """The path as the engine has to be told it: it takes every path for a pattern."""
    return _GLOB.sub(lambda mark: f"[{mark[0]}]", path)


def listed(paths: Iterable[str]) -> str:
    """SQL of a list of these very files."""
    return f"[{', '.join(literal(as_glob(path)) for path in paths)}]"


def connect(
    limits: Limits, *, ordered: bool = True, joins: bool = False, statistics: bool = True
) -> Connection:
    """A fresh engine; ``ordered``: rows come in their order; ``joins``: it holds what stands right
    of a JOIN in memory, and what stands left of it streams, whatever it guesses of their sizes;
    ``statistics``: those of a table may be believed (DuckLake's are of its latest snapshot, and
    what it has at another may lie beyond them: 3 became 259).

    One thread, as more only cost memory below two processors; nothing spills to a disk unless
    ``limits.scratch`` says where. Extensions and secrets come from nowhere but here.
    """
    disabled = ["build_side_probe_side"] if joins else []
    if not statistics:
        disabled += ["statistics_propagation", "compressed_materialization"]
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": 1,
            "memory_limit": limits.memory,
            "temp_directory": limits.scratch or "",
            "preserve_insertion_order": ordered,
            "disabled_optimizers": ",".join(disabled),
            # Where a worker runs, the home directory may not exist or be read-only.
            "home_directory": tempfile.gettempdir(),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_persistent_secrets": False,
            # To prove an extension's signature takes 90 ms, every time. The packages are pinned,
            # a test proves the signatures of what they hold, and none loads after ``lock_down``.
            "allow_unsigned_extensions": True,
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    # Where Python was started without a file, DuckDB takes it for a person's session and draws its
    # progress on standard output, which is a worker's log.
    connection.execute("SET enable_progress_bar = false")
    if limits.scratch is not None:
        load_extension(connection, "httpfs")  # the engine itself can only open what is sealed
        connection.execute("SET temp_file_encryption = true")
    return connection


def load_extension(connection: Connection, name: str) -> None:
    """Loads the extension from its package ``duckdb-extension-NAME``; fetches nothing."""
    package = find_spec(f"duckdb_extension_{name}")
    locations = package.submodule_search_locations if package else None
    for location in locations or ():
        folder = Path(location) / "extensions" / f"v{duckdb.__version__}"
        file = folder / f"{name}.duckdb_extension"
        if file.is_file():
            connection.execute(f"LOAD {literal(str(file))}")
            return
    raise SourceUnavailable(
        f"DuckDB {duckdb.__version__} needs its extension {name}: "
        f"install the package duckdb-extension-{name.replace('_', '-')} of that version."
    )


def allow_s3(connection: Connection) -> None:
    """Lets the engine read s3:// with the AWS credentials, region and endpoint of the environment.

    Raises SourceUnavailable if there are no credentials.
    """
    import boto3  # noqa: PLC0415  only sources in S3 need it, and it takes half a second

    session = boto3.Session()
    credentials = session.get_credentials()
    if credentials is None:
        raise SourceUnavailable("The source lies in S3, and there are no AWS credentials.")
    frozen = credentials.get_frozen_credentials()
    options = {
        "KEY_ID": frozen.access_key,
        "SECRET": frozen.secret_key,
        "REGION": session.region_name or "us-east-1",
    }
    if frozen.token:
        options["SESSION_TOKEN"] = frozen.token
    flags = ""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        url = urlsplit(endpoint)
        options |= {"ENDPOINT": url.netloc, "URL_STYLE": "path"}
        flags = f", USE_SSL {'true' if url.scheme == 'https' else 'false'}"
    load_extension(connection, "httpfs")
    settings = ", ".join(f"{name} {literal(value or '')}" for name, value in options.items())
    connection.execute(f"CREATE SECRET (TYPE s3, {settings}{flags})")
    # An engine lives for one call and sees one version: no need to ask for a file's size twice.
    connection.execute("SET enable_http_metadata_cache = true")
    connection.execute("SET parquet_metadata_cache = true")


_IN_A_SECRET = {
    "host": "HOST",
    "port": "PORT",
    "dbname": "DATABASE",
    "user": "USER",
    "password": "PASSWORD",
}
"""The parameters of libpq that DuckDB's secrets have; they stand in no text of its own then."""


def keep_secret(connection: Connection, parameters: Mapping[str, str]) -> str:
    """Keeps what is secret of libpq's parameters; the rest, as the text to attach a database by."""
    secret = ", ".join(
        f"{_IN_A_SECRET[name]} {literal(value)}"
        for name, value in parameters.items()
        if name in _IN_A_SECRET
    )
    connection.execute(f"CREATE OR REPLACE SECRET (TYPE postgres, {secret})")
    return " ".join(
        f"{name}={_libpq_value(value)}"
        for name, value in parameters.items()
        if name not in _IN_A_SECRET
    )


def _libpq_value(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def lock_down(connection: Connection, directories: Iterable[str], files: Iterable[str]) -> None:
    """From here on the engine reaches these places only, and no setting can be changed.

    What is attached stays readable. ``directories`` end with a slash. SQLite's extension opens
    files past this: what keeps it off others is that no SQL is ever run but ours, and the
    operator's own in a template's query.
    """
    # Files in a directory are asked for by patterns of their own names.
    roots = [form for place in directories for form in (place, as_glob(place))]
    for setting, places in (("allowed_directories", roots), ("allowed_paths", files)):
        quoted = ", ".join(map(literal, places))
        connection.execute(f"SET {setting} = [{quoted}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
