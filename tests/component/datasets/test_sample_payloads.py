"""The sample's applications as payloads: held against what SQL says of their databases."""

import pytest

from headrace.adapters.postgresql.application import PostgresqlApplication
from headrace.adapters.postgresql.gathering import relation_sql
from headrace.adapters.postgresql.session import SETTINGS
from headrace.datasets.definitions import Table
from headrace.datasets.model import Options, Selection
from headrace.datasets.payload import Record
from tests.component.datasets.applications import ApplicationDatabase, a_claims_database
from tests.component.datasets.payloads import a_manifest, read_back, written
from tests.component.postgresql.server import Server

DEFINITIONS = (
    "CLAIMS_CONFIGURATION",
    "PROVIDERS",
    "PROCEDURES",
    "PRODUCT_BUILDING_BLOCKS",
    "DIAGNOSES",
)

Values = dict[str, dict[str, str | None]]


def in_the_database(database: ApplicationDatabase, table: Table) -> Values:
    """The carried values of all the table's records, by UUID, as PostgreSQL's own texts."""
    with database.connect() as connection:
        for name, value in SETTINGS.items():
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        columns = ", ".join(f'"{name}"::text' for name in (table.uuid_column, *table.columns))
        rows = connection.execute(f"SELECT {columns} FROM {relation_sql(table)}".encode())
        return {row[0]: dict(zip(table.columns, row[1:], strict=True)) for row in rows}


@pytest.mark.parametrize("code", DEFINITIONS)
def test_a_full_set_holds_all_top_level_items_with_their_dependents_as_they_are(
    postgresql: Server, code: str
) -> None:
    database = a_claims_database(postgresql)
    application, definition = database.application, database.definition(code)
    source = PostgresqlApplication()
    tops = [Selection(table_id) for table_id in definition.top_level]
    items = list(source.items(application, definition, tops))

    with source.gather(application, definition, items, Options()) as gathering:
        manifest = a_manifest(
            gathering.items, definition=code, output=definition.output, excluded=()
        )
        payload = written(manifest, gathering)
    read, records = read_back(payload, definition)

    assert read.items >= len(items) > 0
    for entry in read.tables:
        table = definition.table(entry.table_id)
        expected = in_the_database(database, table)
        found = {record.uuid: dict(record.values) for record in records[entry.table_id]}
        assert entry.complete
        assert found.items() <= expected.items()
        if definition.top_of(table.table_id) in definition.top_level:
            assert found == expected


def test_what_records_refer_to_is_what_a_join_says(postgresql: Server) -> None:
    database = a_claims_database(postgresql)
    for code in DEFINITIONS:
        definition = database.definition(code)
        source = PostgresqlApplication()
        tops = [Selection(table_id) for table_id in definition.top_level]
        items = list(source.items(database.application, definition, tops))
        with source.gather(database.application, definition, items, Options()) as gathering:
            for gathered in gathering.tables():
                lines = b"".join(gathered.lines).splitlines()
                records = [Record.of_line(line) for line in lines]
                for reference in gathered.table.all_references:
                    referred = definition.table(reference.table_id)
                    said = database.sql(
                        f'SELECT t."{gathered.table.uuid_column}", x."{referred.uuid_column}" '
                        f"FROM {relation_sql(gathered.table)} t "
                        f"LEFT JOIN {relation_sql(referred)} x "
                        f'ON x."{referred.id_column}" = t."{reference.column}"'
                    )
                    joined = dict(line.split("|") for line in said.splitlines())
                    for record in records:
                        target = record.references[reference.column]
                        assert joined[record.uuid] == (target.uuid if target else "")
