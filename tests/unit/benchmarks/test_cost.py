"""The page of costs says what the script computes, and the script computes what the prices say."""

import re

import pytest

from benchmarks.cost import (
    FIGURES,
    PAGE,
    PRICES,
    RANGES_AT_ONCE,
    SERVICES,
    STREAMS,
    SWEEPS_A_MONTH,
    WATCHES_A_MONTH,
    WORKER_GB,
    Figures,
    Shape,
    Stream,
    large,
    sections,
    small,
    usd,
)
from tests.unit.docs.checkout import template


def figures() -> Figures:
    return Figures.read(FIGURES)


def some_figures(**streams: Stream) -> Figures:
    """Round numbers: a GB of rows takes ten seconds, a document is as large as its rows."""
    one = Stream(wall=10.0, cpu=5.0, size=10**9)
    shape = Shape(
        calls={"api_call": 7},
        workflow={"transition": 20, "s3_put": 3},
        per_range={"transition": 3},
        per_slice={"dynamodb_write": 6},
        per_part={"s3_put": 1},
    )
    return Figures(
        day="2026-01-01",
        machine="none",
        rows=1,
        rounds=1,
        plain={"postgresql": 10**9, "ducklake": 10**9},
        streams=dict.fromkeys(STREAMS, one) | streams,
        shapes={"postgresql": shape, "ducklake": shape},
        sweep_idle={"lambda_call": 1},
        sweep_operation={"dynamodb_write": 4},
        look_idle={"dynamodb_read": 3},
        watch_one={"dynamodb_read": 2},
        webhook={"transition": 3},
    )


@pytest.mark.parametrize("section", ["large", "small", "prices", "measured"])
def test_the_page_has_just_what_the_script_says(section: str) -> None:
    found = re.search(
        rf"<!-- {section}: .*? -->\n(.*?)<!-- {section}: end -->", PAGE.read_text(), re.S
    )
    assert found is not None
    assert found[1].strip() == sections(figures())[section].strip()


def test_every_price_is_in_one_line_of_the_bill_but_for_the_network() -> None:
    named = [name for names in SERVICES.values() for name in names]
    assert sorted([*named, "internet_gb"]) == sorted(PRICES)


def test_what_the_template_says_is_what_is_counted_with() -> None:
    told = template()["Parameters"]
    assert told["WorkerMemory"]["Default"] / 1024 == WORKER_GB
    assert told["RangeConcurrency"]["Default"] == RANGES_AT_ONCE
    assert 30 * 24 * 60 / told["SweepMinutes"]["Default"] == SWEEPS_A_MONTH
    assert 30 * 24 * 60 / told["WatchMinutes"]["Default"] == WATCHES_A_MONTH


def test_units_cost_what_the_prices_say() -> None:
    cost = usd({"transition": 2000, "s3_put": 10_000, "s3_get": 10_000, "s3_gb_month": 2})
    assert cost["Step Functions"] == pytest.approx(0.05)
    assert cost["S3 requests"] == pytest.approx(0.054)
    assert cost["S3 storage"] == pytest.approx(0.046)
    assert sum(cost.values()) == pytest.approx(0.15)


def test_a_large_export_is_computed_by_hand_as_well() -> None:
    usage, stored = large("DuckLake → CSV", some_figures())
    # 20 tables of 5 GB: slices of 256 MiB, a range each, parts of 8 MiB, ten seconds a GB.
    slices, parts = 19, 597
    assert stored == pytest.approx(100)
    assert usage["transition"] == 20 * (20 + 3 * (slices - 1))
    assert usage["s3_put"] == 20 * (3 + parts - 1)
    assert usage["s3_get"] == 20 * (parts - 1)
    assert usage["lambda_gb_s"] == pytest.approx(1000 * 1769 / 1024)
    assert usage["dynamodb_write"] == pytest.approx(20 * 6 * (slices - 1) + 1000 * 0.5)
    assert usage["s3_gb_month"] == pytest.approx(100 / 30)
    assert usage["api_call"] == 7


def test_parquet_is_not_cut_and_a_database_is_read_by_few_and_held() -> None:
    uncut, _ = large("PostgreSQL → Parquet", some_figures())
    assert uncut["transition"] == 20 * 20
    cut, _ = large("PostgreSQL → CSV", some_figures())
    assert cut["transition"] == 20 * (20 + 3 * 3)  # four workers at the most
    held = 1000 / 4 * 0.5
    assert cut["lambda_gb_s"] == pytest.approx(1000 * 1769 / 1024 + held)


def test_small_operations_are_so_many_times_one() -> None:
    usage = small("ducklake", some_figures())
    assert usage == {"api_call": 7000, "transition": 20_000, "s3_put": 3000, "dynamodb_write": 4000}
