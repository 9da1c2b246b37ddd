"""The sample's applications, as their catalog publishes them."""

from headrace.datasets.definitions import Reference
from tests.component.datasets.applications import a_claims_database, a_policies_database
from tests.component.postgresql.server import Server


def test_the_claims_application_has_the_definitions_of_the_seed(postgresql: Server) -> None:
    claims = a_claims_database(postgresql)
    assert {one.code for one in claims.application.definitions} == {
        "CLAIMS_CONFIGURATION",
        "PROVIDERS",
        "PROCEDURES",
        "DIAGNOSES",
        "PRODUCT_BUILDING_BLOCKS",
    }
    configuration = claims.definition("CLAIMS_CONFIGURATION")
    assert configuration.table(18039405).name == "GROUP CLIENTS"
    assert [table.table_id for table in configuration.owned_by(18039405)] == [18039410, 18039420]
    assert configuration.table(2220).columns == (
        "code", "description", "body", "settings", "changed_at"
    )  # fmt: skip
    assert configuration.table(18039420).owner == Reference("group_account_id", 18039410)


def test_the_policies_application_has_the_definitions_of_the_seed(postgresql: Server) -> None:
    policies = a_policies_database(postgresql, "production")
    assert [one.code for one in policies.application.definitions] == [
        "POLICIES_CONFIGURATION",
        "PROVIDERS",
    ]
    assert policies.sql("SELECT min(id) FROM policies.providers").strip() == "700001"


def test_tables_come_after_those_that_their_records_refer_to(postgresql: Server) -> None:
    for application in (a_claims_database(postgresql), a_policies_database(postgresql)):
        for definition in application.application.definitions:
            places = {table.table_id: n for n, table in enumerate(definition.tables)}
            for table in definition.tables:
                for reference in table.all_references:
                    if reference.table_id in places and reference.table_id != table.table_id:
                        assert places[reference.table_id] < places[table.table_id]


def test_two_environments_have_the_same_uuids_and_other_ids(postgresql: Server) -> None:
    test, production = a_claims_database(postgresql), a_claims_database(postgresql, "production")
    of_one = "SELECT uuid FROM claims.group_clients WHERE code = 'GC0001'"
    assert test.sql(of_one) == production.sql(of_one)
    ids = "SELECT id FROM claims.group_clients WHERE code = 'GC0001'"
    assert test.sql(ids) != production.sql(ids)
    of_key = "SELECT uuid FROM claims.group_clients WHERE code = 'GC0005'"
    assert test.sql(of_key) != production.sql(of_key)
