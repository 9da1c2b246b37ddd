"""Environments compared by SQL: what the demonstration and system tests believe."""

from local.sample.comparing import TableComparison, compared
from tests.component.datasets.applications import ApplicationDatabase, a_claims_database
from tests.component.postgresql.server import Server


def comparison(
    first: ApplicationDatabase, second: ApplicationDatabase, code: str
) -> dict[str, TableComparison]:
    tables = compared(
        first.definition(code),
        (first.server.embedded, first.name),
        (second.server.embedded, second.name),
    )
    return {table.name: table for table in tables}


def test_an_environment_is_as_its_copy_in_all_definitions(postgresql: Server) -> None:
    one, other = a_claims_database(postgresql), a_claims_database(postgresql)
    for definition in one.application.definitions:
        tables = comparison(one, other, definition.code).values()
        assert all(table.is_equal and table.same > 0 for table in tables)


def test_production_is_behind_test_and_has_things_of_its_own(postgresql: Server) -> None:
    tables = comparison(
        a_claims_database(postgresql),
        a_claims_database(postgresql, "production"),
        "CLAIMS_CONFIGURATION",
    )
    # One of the differing clients was set up by hand in both, under two UUIDs; a parent of others.
    assert tables["GROUP CLIENTS"].only_first == 6
    assert tables["GROUP CLIENTS"].only_second == 2
    assert tables["GROUP ACCOUNTS"].only_second == 2
    assert tables["FLEX CODES"].is_equal
    assert tables["DYNAMIC LOGIC"].different == 2
    assert tables["MESSAGES"].only_first == 10


def test_a_changed_value_and_a_changed_reference_are_differences(postgresql: Server) -> None:
    one, other = a_claims_database(postgresql), a_claims_database(postgresql)
    other.sql("UPDATE claims.providers SET specialty_id = NULL WHERE code = 'PR00001'")
    other.sql("UPDATE claims.provider_addresses SET address = '{}' WHERE id = 1001")
    other.sql("DELETE FROM claims.tariffs WHERE id = 1001")
    tables = comparison(one, other, "PROVIDERS")
    assert (tables["PROVIDERS"].different, tables["PROVIDER ADDRESSES"].different) == (1, 1)
    assert tables["TARIFFS"].only_first == 1
    assert tables["SPECIALTIES"].is_equal


def test_ids_make_no_difference(postgresql: Server) -> None:
    one = a_claims_database(postgresql)
    other = a_claims_database(postgresql, "production")
    tables = comparison(one, other, "PROCEDURES")
    assert tables["PROCEDURE GROUPS"].is_equal
    ids = "SELECT min(id) FROM claims.procedure_groups"
    assert one.sql(ids) != other.sql(ids)
