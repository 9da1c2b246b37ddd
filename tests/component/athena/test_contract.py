"""What is asked of AWS and what it answers, held to botocore's models of its services.

No test here talks to AWS: what only a running Athena could show is said in docs/types.md.
"""

import json
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.session import get_session
from botocore.stub import Stubber
from botocore.validate import ParamValidator

from headrace.adapters.athena.athena_tables import AthenaTables
from headrace.adapters.athena.hive_types import duckdb_type
from headrace.exports.ports import Staging
from headrace.exports.sources import Column, ColumnType, RowFilter, Table
from headrace.exports.warehouses import Unload
from headrace.kernel.errors import HeadraceError, SchemaChanged, SourceUnavailable
from headrace.runtime.task import failure_of
from tests.builders import SteppingClock, a_column
from tests.component.athena.stand_in import SOURCE, Glue, parameter_errors, recorded
from tests.workflow import machine_with
from tests.world import REGION, template

STAGING = Staging("-staging/n/b/o/j/1/", "s3://files/-staging/n/b/o/j/1/", "arn:aws:kms:x:1:key/k")
VERSION = "athena:2026-03-04T12:00:00.123Z"


def tables(**found: Any) -> AthenaTables:
    return AthenaTables(lambda: Glue(found), SteppingClock())


def recorded_tables() -> AthenaTables:
    return tables(**{table["Name"]: table for table in recorded("glue_tables.json")["TableList"]})


def a_table(source: str, *columns: Column, filters: tuple[RowFilter, ...] = ()) -> Table:
    return Table("shown", source, columns, filters=filters)


def an_id(**changes: Any) -> Column:
    return replace(a_column("id", type=ColumnType.BIGINT), **changes)


def asked(table: Table, version: str = VERSION) -> Unload:
    return recorded_tables().unload(SOURCE, version, table, STAGING)


# --- the shapes -----------------------------------------------------------------------------


def output_errors(service: str, operation: str, answer: dict[str, Any]) -> str:
    shape = get_session().get_service_model(service).operation_model(operation).output_shape
    assert shape is not None
    return str(ParamValidator().validate(answer, shape).generate_report())


def test_the_recorded_shapes_are_those_of_the_services() -> None:
    execution = recorded("query_execution.json")
    assert output_errors("athena", "GetQueryExecution", execution) == ""
    assert output_errors("glue", "GetTables", recorded("glue_tables.json")) == ""
    failed = json.loads(recorded("query_failed.json")["Cause"])
    assert output_errors("athena", "GetQueryExecution", failed) == ""
    execution["QueryExecution"]["QueryExecutionId"] = 1
    assert output_errors("athena", "GetQueryExecution", execution) != ""


def test_the_model_refuses_what_athena_refuses() -> None:
    assert "QueryString" in parameter_errors({})
    assert "ExecutionParameters" in parameter_errors(
        {"QueryString": "q", "ExecutionParameters": []}
    )
    assert "ClientRequestToken" in parameter_errors({"QueryString": "q", "ClientRequestToken": "x"})


def test_the_state_takes_from_the_answer_what_every_answer_has() -> None:
    state = machine_with("Unload")["States"]["Unload"]
    assert state["Resource"] == "arn:Partition:states:::athena:startQueryExecution.sync"
    assert state["ResultSelector"] == {"query_execution_id.$": "$.QueryExecution.QueryExecutionId"}
    assert set(state["Parameters"]) <= {
        name + suffix
        for name in get_session()
        .get_service_model("athena")
        .operation_model("StartQueryExecution")
        .input_shape.members  # type: ignore[union-attr]
        for suffix in ("", ".$")
    }
    substitutions = template()["Resources"]["ExportStateMachine"]["Properties"]
    assert "Partition" in substitutions["DefinitionSubstitutions"]


def test_a_failed_query_tells_a_caller_no_word_of_athenas() -> None:
    failure = failure_of({"error": recorded("query_failed.json")})
    assert failure.code == "source_unavailable"
    assert "scale factor" not in failure.detail


# --- the query ------------------------------------------------------------------------------


def test_the_query_of_a_plain_table() -> None:
    columns = (an_id(), a_column("name"), an_id(name="again"), a_column("tenant"))
    unload = asked(a_table("hr.people", *columns))
    assert unload.query == (
        'UNLOAD (SELECT "id" AS "c0", CAST("name" AS varchar) AS "c1", '
        'CAST("tenant" AS varchar) AS "c2" FROM "hr"."people" WHERE 1 = ?) '
        "TO 's3://files/-staging/n/b/o/j/1/data/' WITH (format = 'PARQUET', compression = 'ZSTD')"
    )
    assert (unload.parameters, unload.workgroup, unload.database) == (("1",), "exports", "hr")
    assert 32 <= len(unload.token) <= 128


def test_an_iceberg_table_is_read_as_of_the_moment_and_its_microseconds_are_kept() -> None:
    unload = asked(a_table("hr.events", an_id(), a_column("at", type=ColumnType.TIMESTAMP)))
    assert (
        'CAST(CAST("at" AS timestamp(6)) AS varchar) AS "c1" FROM "hr"."events" '
        "FOR TIMESTAMP AS OF TIMESTAMP '2026-03-04 12:00:00.123 UTC' WHERE"
    ) in unload.query


def test_values_are_bound_as_literals_of_their_types() -> None:
    filters = (
        RowFilter("name", ("o'x", "?"), ColumnType.STRING),
        RowFilter("id", (-1,), ColumnType.BIGINT),
        RowFilter("active", (True, False), ColumnType.BOOLEAN),
        RowFilter("born", ("2020-01-01",), ColumnType.DATE),
        RowFilter("tenant", (), ColumnType.STRING),
    )
    unload = asked(a_table("hr.people", an_id(), filters=filters))
    assert (
        'WHERE 1 = ? AND "name" IN (?, ?) AND "id" IN (?) AND "active" IN (?, ?) '
        'AND "born" IN (CAST(? AS date)) AND false)'
    ) in unload.query
    assert unload.parameters == ("1", "'o''x'", "'?'", "-1", "true", "false", "'2020-01-01'")


def test_names_are_quoted() -> None:
    made = {
        "Name": 'a"b',
        "StorageDescriptor": {"Columns": [{"Name": 'i" FROM x --', "Type": "bigint"}]},
    }
    source = tables(**{'a"b': made})
    column = an_id(source='i" FROM x --')
    query = source.unload(SOURCE, VERSION, a_table('hr.a"b', column), STAGING).query
    assert 'SELECT "i"" FROM x --" AS "c0" FROM "hr"."a""b" WHERE' in query


def test_a_text_that_is_too_long_for_athena_is_refused_before_the_query() -> None:
    row_filter = RowFilter("name", ("x" * 1023,), ColumnType.STRING)
    with pytest.raises(HeadraceError, match="1024"):
        asked(a_table("hr.people", an_id(), filters=(row_filter,)))


@pytest.mark.parametrize(
    "table",
    [
        a_table("hr.nowhere", an_id()),
        a_table("hr.people_now", an_id()),
        a_table("hr.people", an_id(source="gone")),
        a_table("hr.people", an_id(source="name")),
        a_table("hr.events", a_column("dropped")),
    ],
)
def test_what_is_no_longer_as_published_is_not_asked_for(table: Table) -> None:
    with pytest.raises(SchemaChanged):
        asked(table)


# --- the schema -----------------------------------------------------------------------------


def test_the_schema_as_glue_pages_it() -> None:
    client = boto3.client(
        "glue", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x"
    )
    listed = recorded("glue_tables.json")["TableList"]
    with Stubber(client) as stub:
        stub.add_response(
            "get_tables", {"TableList": listed[:1], "NextToken": "more"}, {"DatabaseName": "hr"}
        )
        stub.add_response(
            "get_tables", {"TableList": listed[1:]}, {"DatabaseName": "hr", "NextToken": "more"}
        )
        schema = AthenaTables(lambda: client, SteppingClock()).schema(SOURCE)
    assert list(schema) == ["hr.people", "hr.events"]  # the view is none
    people = {c.name: (c.type, c.precision, c.scale) for c in schema["hr.people"]}
    assert people == {
        "id": (ColumnType.BIGINT, None, None),
        "name": (ColumnType.STRING, None, None),
        "grade": (ColumnType.STRING, None, None),
        "active": (ColumnType.BOOLEAN, None, None),
        "small": (ColumnType.INTEGER, None, None),
        "salary": (ColumnType.DECIMAL, 12, 2),
        "factor": (ColumnType.DOUBLE, None, None),
        "born": (ColumnType.DATE, None, None),
        "seen": (ColumnType.TIMESTAMP, None, None),
        "photo": (ColumnType.BINARY, None, None),
        "tags": (ColumnType.JSON, None, None),
        "place": (ColumnType.JSON, None, None),
        "amounts": (None, None, None),
        "either": (None, None, None),
        "tenant": (ColumnType.STRING, None, None),
    }
    assert [(c.name, c.nullable) for c in schema["hr.events"]] == [("id", False), ("at", True)]
    # Iceberg says which columns may be NULL, Hive does not.
    assert {c.promised for c in schema["hr.events"]} == {True}
    assert {c.promised for c in schema["hr.people"]} == {False}


@pytest.mark.parametrize(
    ("hive", "duckdb"),
    [
        ("INT", "INTEGER"),
        ("decimal", "DECIMAL(10,0)"),
        ("decimal(38,0)", "DECIMAL(38,0)"),
        ("decimal( 5 , 2 )", "DECIMAL(5,2)"),
        ("char(3)", "VARCHAR"),
        ("array<array<int>>", "INTEGER[][]"),
        ("map<string,decimal(5,2)>", "MAP(VARCHAR, DECIMAL(5,2))"),
        ('struct<a b:int,c":array<string>>', 'STRUCT("ab" INTEGER, "c""" VARCHAR[])'),
        ("decimal(39,0)", None),
        ("timestamp with local time zone", None),
        ("interval_day_time", None),
        ("array<uniontype<int>>", None),
        ("map<string>", None),
        ("struct<a>", None),
        ("", None),
    ],
)
def test_types_of_hive_in_duckdbs_words(hive: str, duckdb: str | None) -> None:
    assert duckdb_type(hive) == duckdb


def test_the_version_is_the_moment() -> None:
    source = recorded_tables()
    assert source.current_version(SOURCE) == "athena:2026-03-04T12:00:00.000Z"
    assert source.holds_version(SOURCE, VERSION)
    assert not source.holds_version(SOURCE, "7")


def test_nobody_counts_rows_when_a_catalog_is_published() -> None:
    table = a_table("hr.people", an_id())
    assert recorded_tables().counts(SOURCE, VERSION, [table, table]) == (0, 0)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("EntityNotFoundException", "no such database"),
        ("AccessDeniedException", "denies"),
        ("ThrottlingException", "cannot be read now"),
    ],
)
def test_a_catalog_that_does_not_answer_is_a_source_that_is_unavailable(
    code: str, words: str
) -> None:
    client = boto3.client(
        "glue", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x"
    )
    source = AthenaTables(lambda: client, SteppingClock())
    with Stubber(client) as stub:
        stub.add_client_error("get_database", code)
        with pytest.raises(SourceUnavailable, match=words):
            source.current_version(SOURCE)
