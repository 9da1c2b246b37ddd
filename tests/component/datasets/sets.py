"""Any sets, for Hypothesis."""

from dataclasses import replace

from hypothesis import strategies as st

from headrace.datasets.payload import Record, Referred
from tests.component.datasets.payloads import Records
from tests.component.datasets.products import CURRENCIES, LOGIC, RATE_LINES, RATES

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
VALUES = st.none() | TEXTS


def _referred(table: int) -> st.SearchStrategy[Referred | None]:
    return st.none() | st.builds(Referred, st.just(table), TEXTS.filter(bool), st.tuples(VALUES))


def _records(
    values: dict[str, st.SearchStrategy[str | None]],
    references: dict[str, st.SearchStrategy[Referred | None]],
) -> st.SearchStrategy[list[Record]]:
    return st.lists(
        st.builds(
            Record,
            st.integers(0, 5),
            TEXTS.filter(bool),
            st.fixed_dictionaries(values),
            st.fixed_dictionaries(references),
        ),
        max_size=6,
    )


def _in_order(found: Records) -> Records:
    """Each record of LOGIC and RATES an item, and the lines owned by some of the rates."""
    logic, rates = found[LOGIC], found[RATES]
    start = len(logic)
    lines = {
        (record.item, record.uuid): record
        for one in (found[RATE_LINES] if rates else ())
        for record in (replace(one, item=start + one.item % len(rates)),)
    }
    return {
        LOGIC: [replace(record, item=number) for number, record in enumerate(logic)],
        RATES: [replace(record, item=start + number) for number, record in enumerate(rates)],
        RATE_LINES: [lines[place] for place in sorted(lines)],
    }


SETS = st.fixed_dictionaries(
    {
        LOGIC: _records({"code": VALUES, "body": VALUES}, {"base_id": _referred(LOGIC)}),
        RATES: _records(
            {"code": VALUES, "amount": VALUES},
            {"currency_id": _referred(CURRENCIES), "logic_id": _referred(LOGIC)},
        ),
        RATE_LINES: _records(
            {"code": VALUES}, {"rate_id": _referred(RATES), "logic_id": _referred(LOGIC)}
        ),
    }
).map(_in_order)
"""Sets of any texts that a database can hold."""
