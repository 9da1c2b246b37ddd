"""Values for tests, each with a default for all that a test does not care about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from headrace.datasets.model import DataSet, Options, Process, ProcessKind, Result
from headrace.datasets.notices import Notice
from headrace.exports.model import (
    Compression,
    ExportRequest,
    FileFormat,
    Operation,
    QuotaRule,
    new_operation,
)
from headrace.exports.schedules import Schedule
from headrace.exports.sources import Column, ColumnType, Configuration, Source, Table
from headrace.exports.webhooks import Completion
from headrace.kernel.caller import Caller
from headrace.kernel.ids import RandomIds
from headrace.templates.model import Parameters, Reader, Walk

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
ALL_SCOPES = frozenset(
    f"youforce-data-api:{scope}" for scope in ("metadata:read", "data:read", "jobs:manage")
)


def a_column(name: str = "id", **changes: Any) -> Column:
    """A column that is read under the name it is shown."""
    column = Column(name=name, source=name, type=ColumnType.STRING, nullable=True)
    return replace(column, **changes)


def a_table(name: str = "employees", **changes: Any) -> Table:
    """A table of two columns."""
    table = Table(
        name=name,
        source=f"main.{name}",
        columns=(a_column("id", nullable=False), a_column("name")),
        primary_key=("id",),
        row_estimate=3,
    )
    return replace(table, **changes)


def a_configuration(*tables: str, **changes: Any) -> Configuration:
    """The default configuration of the client ``bureau`` for the tenant ``north``."""
    configuration = Configuration(
        configuration_id="hr-full",
        tenant="north",
        client_id="bureau",
        default=True,
        source="hr",
        tables=tuple(a_table(name) for name in tables or ("employees", "absences")),
    )
    return replace(configuration, **changes)


def a_source(**changes: Any) -> Source:
    """A source that no test opens."""
    return replace(Source("hr", "ducklake", {"catalog": "sqlite:/nowhere"}), **changes)


def a_caller(**changes: Any) -> Caller:
    """The client ``bureau`` of the tenant ``north``, with every scope."""
    return replace(Caller("north", "bureau", ALL_SCOPES), **changes)


def a_rule(**changes: Any) -> QuotaRule:
    """Three a day, in Amsterdam."""
    return replace(QuotaRule(limit=3, time_zone="Europe/Amsterdam"), **changes)


def a_request(*tables: str, **changes: Any) -> ExportRequest:
    """Plain CSV of two tables."""
    request = ExportRequest(
        configuration_id="hr-full",
        tables=tables or ("employees", "absences"),
        file_format=FileFormat.CSV,
        compression=Compression.NONE,
    )
    return replace(request, **changes)


def an_export(moment: datetime = NOON, **changes: Any) -> Operation:
    """A scheduled operation of ``bureau`` for ``north``."""
    values: dict[str, Any] = {
        "operation_id": RandomIds().new(moment),
        "tenant": "north",
        "client_id": "bureau",
        "request": a_request(),
        "catalog_version": 1,
        "quota_day": a_rule().day(moment),
        "created_at": moment,
    }
    return new_operation(**(values | changes))


def number_of(version: str) -> str:
    """The snapshot's number in a version of a DuckLake."""
    return version.partition("@")[0]


def a_completion(moment: datetime = NOON, **changes: Any) -> Completion:
    """The end of an operation that succeeded."""
    completion = Completion(
        operation_id="01kaqb7m3y6c9r2t5v8x1z4d7h",
        attempt=1,
        kind="full",
        status="succeeded",
        configuration_id="hr-full",
        entity=None,
        sync_version="7",
        error_code=None,
        error_detail=None,
        ended_at=moment,
        manifest="https://api.example/data/v1/operations/01kaqb7m3y6c9r2t5v8x1z4d7h/manifest",
    )
    return replace(completion, **changes)


class SteppingClock:
    """A clock that a test moves."""

    def __init__(self, moment: datetime = NOON) -> None:
        self.moment = moment

    def now(self) -> datetime:
        """The moment that the test has set."""
        return self.moment

    def advance(self, **by: float) -> None:
        """Moves on, by ``timedelta``'s arguments."""
        self.moment += timedelta(**by)


def a_schedule(**changes: Any) -> Schedule:
    """A full export of ``bureau`` every night at two, in Amsterdam."""
    schedule = Schedule(
        name="nightly",
        tenant="north",
        client_id="bureau",
        configuration_id="hr-full",
        cron="0 2 * * *",
        time_zone="Europe/Amsterdam",
    )
    return replace(schedule, **changes)


def a_process(**changes: Any) -> Process:
    """A build that somebody of ``north`` has just started."""
    process = Process(
        tenant="north",
        process_id="01kaqb7m3y6c9r2t5v8x1z4d7h",
        kind=ProcessKind.BUILD,
        definition="PROVIDERS",
        data_set="all",
        started_at=NOON,
        started_by="bureau",
        request={
            "exactVersionMatch": False,
            "disableDeleteByOmission": False,
            "inclusionDate": None,
            "createItems": False,
        },
    )
    return replace(process, **changes)


def a_data_set(**changes: Any) -> DataSet:
    """One of ``north`` with three items, not built yet."""
    data_set = DataSet(
        tenant="north",
        definition="PROVIDERS",
        code="all",
        data_set_id="01kaqb7m3y6c9r2t5v8x1z4d7j",
        description="All providers",
        options=Options(),
        created_at=NOON,
        updated_at=NOON,
        number_of_items=3,
    )
    return replace(data_set, **changes)


def a_notice(**changes: Any) -> Notice:
    """That the process has succeeded; it is due now."""
    notice = Notice(
        tenant="north",
        process_id="01kaqb7m3y6c9r2t5v8x1z4d7h",
        kind=ProcessKind.BUILD,
        result=Result.SUCCESS,
        ended_at=NOON,
        next_try_at=NOON,
    )
    return replace(notice, **changes)


def a_walk(walk_id: str = "01kaqb7m3y6c9r2t5v8x1z4d7w", **changes: Any) -> Walk:
    """One over ``persons`` by the client ``partner`` of ``north``, begun at noon."""
    walk = Walk(
        walk_id=walk_id,
        reader=Reader("north", "partner"),
        template_id="persons",
        parameters=Parameters(),
        catalog_version=1,
        begun_at=NOON,
    )
    return replace(walk, **changes)
