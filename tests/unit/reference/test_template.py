"""The template deploys just the routes there are, each function from the file of its name."""

from importlib import import_module

from openapi.routes import declared
from tests.unit.docs.checkout import functions, snake_case

type Way = tuple[str, str, str]


def ways_in_the_template() -> set[Way]:
    """Function, method and path of every API event."""
    return {
        (name, event["Properties"]["Method"].upper(), event["Properties"]["Path"])
        for name, properties in functions().items()
        for event in properties.get("Events", {}).values()
        if event["Type"] == "Api"
    }


def test_the_template_deploys_every_route_and_no_other() -> None:
    routes = {(one.logical_id, one.route.method, path) for one in declared() for path in one.paths}
    assert ways_in_the_template() == routes


def test_each_function_is_the_handler_in_the_file_of_its_name() -> None:
    for name, properties in functions().items():
        product, module, attribute = properties["Handler"].split(".")
        assert (module, attribute) == (snake_case(name), "handler")
        assert callable(import_module(f"{product}.{module}").handler)


def test_each_product_is_a_folder_that_its_routes_name() -> None:
    assert all(one.route.tag == one.product for one in declared())


def test_only_routes_without_a_scope_are_open() -> None:
    open_ways = {
        (name, event["Properties"]["Path"])
        for name, properties in functions().items()
        for event in properties.get("Events", {}).values()
        if event["Type"] == "Api" and event["Properties"].get("Auth") == {"Authorizer": "NONE"}
    }
    assert open_ways == {
        (one.logical_id, path)
        for one in declared()
        for path in one.paths
        if one.route.scope is None
    }


def test_only_the_page_and_its_files_carry_swagger_ui() -> None:
    carriers = {
        name
        for name, properties in functions().items()
        if {"Ref": "ReferenceLayer"} in properties.get("Layers", [])
    }
    assert carriers == {"ShowDocs", "GetDocsAsset"}
