"""Which tenants have a template: from which version on, and whom custom ones are for."""

import pytest

from headrace.kernel.errors import InvalidRequest
from headrace.templates.definitions import ApplicationVersion, Template

MINIMUM = ApplicationVersion.of("2019.2603")


@pytest.mark.parametrize(
    ("version", "enough"),
    [
        ("2019.2603", True),
        ("2019.2604", True),
        ("2019.10000", True),
        ("2020.1", True),
        ("2019.2602", False),
        ("2019.999", False),
        ("2018.9999", False),
    ],
)
def test_a_standard_template_is_there_from_its_version_on(version: str, enough: bool) -> None:
    template = Template("persons", "Persons", ("id",), minimum_version=MINIMUM)
    assert template.exists_for("anybody", ApplicationVersion.of(version)) is enough


def test_a_tenant_of_no_known_version_has_what_asks_for_none() -> None:
    assert Template("persons", "Persons", ("id",)).exists_for("anybody", None)
    assert not Template("persons", "P", ("id",), minimum_version=MINIMUM).exists_for("x", None)


def test_a_custom_template_is_for_the_tenants_that_it_names_and_from_its_version_on() -> None:
    mine = frozenset({"northwind"})
    template = Template("sessions", "S", ("id",), minimum_version=MINIMUM, tenants=mine)
    assert template.exists_for("northwind", MINIMUM)
    assert not template.exists_for("northwind", ApplicationVersion(2019, 1))
    assert not template.exists_for("harbour", MINIMUM)


@pytest.mark.parametrize(
    "text",
    ["", "2019", "2019.", ".2603", "2019.2603.1", "v2019.2603", "19.2603", "2019.٢٦٠٣", "2019.-1"],
)
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        ApplicationVersion.of(text)


def test_a_version_is_written_as_it_was() -> None:
    assert str(ApplicationVersion.of("2019.2603")) == "2019.2603"
