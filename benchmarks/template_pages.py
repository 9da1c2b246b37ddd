"""Page 2 of a template beside page 10,000, and both beside pages that SQL cuts.

The template's rows are those of the benchmarks' PostgreSQL, in 10,000 pages. What is timed is the
call over HTTP on a platform that runs (``make up``), and of that the function alone, as it
reports. Page 1 is told apart: its call begins the walk, and waits for the first rows. Beside it,
on the same server and on a connection that stays open:

- *offset*: ``ORDER BY id OFFSET … LIMIT …``;
- *keyset*: ``WHERE id > … ORDER BY id LIMIT …``, which needs an order by a key of one column, and
  shows rows of as many snapshots as there are pages.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import median

import psycopg
from psycopg import sql

from benchmarks import measuring, report
from benchmarks.data import DATABASE, EXPORTED, WHERE, Data
from benchmarks.product import Platform, reported
from benchmarks.publishing import TENANT as READER
from benchmarks.publishing import exported_columns, published
from headrace.catalog.model import PublishedTemplate
from headrace.catalog.usecases import PublishCatalog
from headrace.exports.sources import Table
from headrace.kernel.clock import SystemClock
from headrace.templates.definitions import Template
from headrace_admin.deployment import Deployment
from headrace_client import HeadraceClient, ServiceError
from local.home import LocalFailure

PAGES = 10_000
CLIENT = "benchmark-pages"
TEMPLATE = "benchmark-employments"
_FUNCTION = "ReadTemplate"
_PLACE = "public.employments_of_one"


@dataclass(frozen=True)
class Page:
    """One page, in seconds: as its reader waited for it, and of the function or the server."""

    waited: float
    worked: float


@dataclass(frozen=True)
class Walk:
    """A walk that was begun: seconds to its first page, and until all rows lay ready; seconds of
    the processors that the source's server spent on it."""

    first: float
    complete: float
    server: float


def measure(data: Data, rounds: int) -> str:
    """The table of all pages. Raises LocalFailure: a page does not hold its rows."""
    platform, count = Platform.here(), data.rows // PAGES
    with _alone(data):
        secret = _published(platform, data)
        return _measured(platform, data, secret, rounds, count)


def _measured(platform: Platform, data: Data, secret: str, rounds: int, count: int) -> str:
    with (
        HeadraceClient(platform.about["api_url"], CLIENT, secret, READER) as client,
        psycopg.connect(
            host=str(data.server.socket_folder), dbname=DATABASE, user="postgres", autocommit=True
        ) as connection,
    ):
        walk = _begun(client, data, count)
        ways: Mapping[str, Callable[[int], Page]] = {
            "a page of a walk": lambda number: _page(platform, client, number, count),
            "offset": lambda number: _by_offset(data, connection, number, count),
            "keyset": lambda number: _by_key(data, connection, number, count),
        }
        found: dict[tuple[str, int], list[Page]] = {}
        for name, way in ways.items():
            way(2)  # warm
            for number in (2, PAGES):
                found[name, number] = []
        for turn in range(rounds):
            for (name, number), pages in found.items():
                pages.append(ways[name](number))
                said = f"round {turn + 1}: {name}, page {number:,}"
                print(f"  {said:48} {pages[-1].waited:7.3f} s", file=sys.stderr, flush=True)
    return _report(data, rounds, count, walk, found)


@contextmanager
def _alone(data: Data) -> Iterator[None]:
    """The tenant's rows in a table of their own, so that nobody passes over those of others."""
    columns = ", ".join(EXPORTED)
    data.server.run(
        f"DROP TABLE IF EXISTS {_PLACE};"
        f"CREATE TABLE {_PLACE} AS SELECT {columns} FROM employments WHERE {WHERE} ORDER BY id;"
        f"ALTER TABLE {_PLACE} ADD PRIMARY KEY (id);"
        f"ANALYZE {_PLACE};",
        DATABASE,
    )
    try:
        yield
    finally:
        data.server.run(f"DROP TABLE {_PLACE}", DATABASE)


def _published(platform: Platform, data: Data) -> str:
    """The template is published, for a client of its own, and active; the client's secret."""
    deployment, source = Deployment.local(platform.root), data.postgresql
    columns = exported_columns(source, _PLACE, EXPORTED)
    rows = Table("employments", _PLACE, columns, primary_key=("id",), row_estimate=data.rows)
    secret = published(deployment, source, CLIENT, {TEMPLATE: rows})
    catalogs = deployment.catalogs()
    current = catalogs.current()
    assert current is not None
    base = catalogs.read(current.version)
    made = PublishedTemplate(
        Template(TEMPLATE, "Employments", EXPORTED, tenants=frozenset({READER})),
        source.name,
        rows,
    )
    others = tuple(one for one in base.templates if one.template.template_id != TEMPLATE)
    clients = tuple(
        replace(one, scopes=("templates:read",)) if one.client_id == CLIENT else one
        for one in base.clients
    )
    PublishCatalog(catalogs, SystemClock())(
        replace(base, templates=(*others, made), clients=clients)
    )
    deployment.activations().activate(READER, TEMPLATE, SystemClock().now())
    return secret


def _begun(client: HeadraceClient, data: Data, count: int) -> Walk:
    """A walk over all rows, which are read to their end."""
    process = data.server.process()
    assert process is not None
    before, clock = measuring.processor_seconds(process), time.perf_counter()
    client.templates.page(TEMPLATE, count=count)
    first = time.perf_counter() - clock
    while True:
        try:
            page = client.templates.page(TEMPLATE, count=count, offset=count, show_total=True)
            break
        except ServiceError as late:  # they are being read yet
            print(f"  {late.detail}", file=sys.stderr, flush=True)
    if page.total != data.rows:
        raise LocalFailure(f"The walk has {page.total} rows, the source {data.rows}.")
    complete = time.perf_counter() - clock
    return Walk(first, complete, measuring.processor_seconds(process) - before)


def _page(platform: Platform, client: HeadraceClient, number: int, count: int) -> Page:
    began, clock = time.time(), time.perf_counter()
    page = client.templates.page(TEMPLATE, count=count, offset=(number - 1) * count)
    waited = time.perf_counter() - clock
    _demand(page.rows, count)
    worked = [
        seconds
        for function, seconds in reported(platform, began, began + waited)
        if function == _FUNCTION
    ]
    if not worked:
        raise LocalFailure(f"{_FUNCTION} has not reported.")
    return Page(waited, worked[-1])


def _by_offset(data: Data, connection: psycopg.Connection, number: int, count: int) -> Page:
    rest = sql.SQL(f"ORDER BY id OFFSET {(number - 1) * count} LIMIT {count}")
    return _selected(data, connection, rest, count)


def _by_key(data: Data, connection: psycopg.Connection, number: int, count: int) -> Page:
    before = sql.SQL(
        f"SELECT id FROM {_PLACE} ORDER BY id OFFSET {(number - 1) * count - 1} LIMIT 1"
    )
    row = connection.execute(before).fetchone()
    assert row is not None
    last = row[0]
    rest = sql.SQL(f"WHERE id > {last} ORDER BY id LIMIT {count}")
    return _selected(data, connection, rest, count)


def _selected(data: Data, connection: psycopg.Connection, rest: sql.Composable, count: int) -> Page:
    columns = sql.SQL(", ").join(map(sql.Identifier, EXPORTED))
    query = sql.SQL("SELECT {} FROM {} {}").format(columns, sql.SQL(_PLACE), rest)
    backend = connection.info.backend_pid
    before, clock = _used(backend), time.perf_counter()
    rows = connection.execute(query).fetchall()
    waited = time.perf_counter() - clock
    _demand(rows, count)
    return Page(waited, _used(backend) - before)


def _used(backend: int) -> float:
    """The nanoseconds that a process was on a processor, in seconds."""
    with open(f"/proc/{backend}/schedstat", encoding="ascii") as told:  # noqa: PTH123
        return int(told.read().split()[0]) / 1e9


def _demand(rows: Sequence[object], count: int) -> None:
    if len(rows) != count:
        raise LocalFailure(f"A page has {len(rows)} rows and not {count}.")


def _report(
    data: Data,
    rounds: int,
    count: int,
    walk: Walk,
    found: Mapping[tuple[str, int], Sequence[Page]],
) -> str:
    head = (
        f"`python -m benchmarks template_pages -n {rounds} --rows {data.rows}` on "
        f"{datetime.now(UTC).date()}: {PAGES:,} pages of {count} rows, {report.machine()}; "
        f"medians of {rounds}."
    )
    rows = []
    for name in dict.fromkeys(name for name, _ in found):
        near, far = (
            Page(median(p.waited for p in pages), median(p.worked for p in pages))
            for pages in (found[name, 2], found[name, PAGES])
        )
        rows.append(
            [
                name,
                f"{near.waited * 1000:.1f}",
                f"{far.waited * 1000:.1f}",
                f"{far.waited / near.waited:.2f}",
                f"{near.worked * 1000:.1f}",
                f"{far.worked * 1000:.1f}",
                _whole(name, walk, near, far),
            ]
        )
    pages = report.table(
        (
            "",
            "page 2, ms",
            f"page {PAGES:,}, ms",
            "ratio",
            "worked, page 2, ms",
            f"worked, page {PAGES:,}, ms",
            "source CPU s, all pages",
        ),
        rows,
    )
    begun = (
        f"The walk's first page came after {walk.first:.2f} s, all {data.rows:,} rows lay ready "
        f"after {walk.complete:.1f} s."
    )
    return f"{head}\n\n{pages}\n\n{begun}"


def _whole(name: str, walk: Walk, near: Page, far: Page) -> str:
    """What the source works for all pages: measured of a walk, worked out of the others."""
    if name == "a page of a walk":
        return f"{walk.server:.1f}"
    return f"about {PAGES * (near.worked + far.worked) / 2:,.0f}"
