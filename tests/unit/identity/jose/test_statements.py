"""Every statement of the cases, put to the verifiers that the product has."""

from collections import Counter

import pytest

from tests.unit.identity.jose.cases import Case
from tests.unit.identity.jose.claim_cases import claim_cases
from tests.unit.identity.jose.header_cases import header_cases
from tests.unit.identity.jose.signature_cases import signature_cases
from tests.unit.identity.jose.statements import Kind
from tests.unit.identity.jose.writing_cases import writing_cases

CASES = (*writing_cases(), *header_cases(), *signature_cases(), *claim_cases())
ALL = [(kind, case) for case in CASES for kind in case.kinds]


@pytest.mark.abuse(231)
@pytest.mark.parametrize(
    ("kind", "case"), ALL, ids=[f"{kind.name}: {case.name}" for kind, case in ALL]
)
def test_a_statement_is_taken_or_refused_as_the_rule_has_it(kind: Kind, case: Case) -> None:
    said = kind.said(case.make(kind))
    assert said == (None if case.taken else kind.code), case.rule


def test_no_case_is_there_twice() -> None:
    names = Counter((kind.name, case.name) for kind, case in ALL)
    assert [name for name, times in names.items() if times > 1] == []
