"""Metrics as lines of the log, as CloudWatch's embedded metric format has them."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.kernel.errors import NotFound, QuotaExhausted
from headrace.runtime import metrics
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.metrics import METRICS, Metric, emit, line
from headrace.runtime.settings import settings
from headrace.runtime.task import Task
from tests.unit.runtime.test_api import an_event

UNITS = {"Count", "Bytes", "Seconds", "None"}
"""Of CloudWatch's, those in use."""


def kept(text: str) -> set[tuple[str, str, float, tuple[tuple[str, str], ...]]]:
    """What CloudWatch makes of a line: namespace, metric, value and dimensions with their values.

    By «Embedded metric format specification»: the names of metrics and dimensions lead to members
    of the root.
    """
    told: dict[str, Any] = json.loads(text)
    found = set()
    for directive in told["_aws"]["CloudWatchMetrics"]:
        assert len(directive["Metrics"]) <= 100
        for dimensions in directive["Dimensions"]:
            assert len(dimensions) <= 30
            for metric in directive["Metrics"]:
                assert metric["Unit"] in UNITS
                values = tuple((name, told[name]) for name in dimensions)
                found.add((directive["Namespace"], metric["Name"], told[metric["Name"]], values))
    return found


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that was printed."""
    [text] = capsys.readouterr().out.splitlines()
    return text


def test_an_end_is_counted_by_product_and_a_failure_by_tenant_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    emit(
        {metrics.OPERATIONS_ENDED: 1, metrics.OPERATIONS_FAILED: 0},
        product="exports",
        tenant="north",
    )
    product, tenant = ("Product", "exports"), ("Tenant", "north")
    assert kept(printed(capsys)) == {
        ("Headrace", "OperationsEnded", 1, (product,)),
        ("Headrace", "OperationsFailed", 0, (product,)),
        ("Headrace", "OperationsFailed", 0, (product, tenant)),
    }


def test_nothing_is_kept_by_tenant_where_the_deployment_does_not_want_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENANT_METRICS", "false")
    monkeypatch.setenv("METRICS_NAMESPACE", "Headrace/acceptance")
    settings.cache_clear()
    try:
        emit({metrics.QUOTA_REFUSALS: 1}, product="exports", tenant="north")
    finally:
        settings.cache_clear()
    text = printed(capsys)
    assert kept(text) == {("Headrace/acceptance", "QuotaRefusals", 1, (("Product", "exports"),))}
    assert "north" not in text


def test_a_source_is_measured_by_its_name_and_its_lag_for_all_of_them_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured: dict[Metric, float] = {metrics.SOURCE_AGE: 90, metrics.SOURCE_LAG: 30}
    emit(measured, product="exports", source="hr")
    product, source = ("Product", "exports"), ("Source", "hr")
    assert kept(printed(capsys)) == {
        ("Headrace", "SourceAgeSeconds", 90, (product, source)),
        ("Headrace", "SourceLagSeconds", 30, (product,)),
        ("Headrace", "SourceLagSeconds", 30, (product, source)),
    }


def test_nothing_is_kept_by_source_where_it_is_not_by_tenant(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENANT_METRICS", "false")
    settings.cache_clear()
    try:
        emit({metrics.SOURCE_AGE: 90}, product="exports", source="hr")
        assert capsys.readouterr().out == ""  # it is kept for nothing but a source
        emit({metrics.SOURCE_AGE: 90, metrics.SOURCE_LAG: 30}, product="exports", source="hr")
    finally:
        settings.cache_clear()
    text = printed(capsys)
    assert kept(text) == {("Headrace", "SourceLagSeconds", 30, (("Product", "exports"),))}
    assert "hr" not in text


names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=60)


@given(
    values=st.dictionaries(
        st.sampled_from(METRICS),
        st.floats(0, 1e15, allow_nan=False) | st.integers(0, 2**53),
        min_size=1,
    ),
    product=names,
    tenant=st.none() | names,
)
def test_whatever_is_measured_is_one_line_that_has_all_of_it(
    values: dict[Metric, float], product: str, tenant: str | None
) -> None:
    dimensions = {"Product": product} | ({"Tenant": tenant} if tenant is not None else {})
    text = line(values, dimensions, "Headrace", 1_800_000_000_000)
    assert "\n" not in text
    assert kept(text) == {
        ("Headrace", metric.name, value, tuple((name, dimensions[name]) for name in one))
        for metric, value in values.items()
        for one in metric.by
        if set(one) <= dimensions.keys()
    }


def test_no_two_metrics_have_one_name() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def refused(error: Exception) -> None:
    """A call of the API by a caller of ``north`` that ends with the error."""

    def fail(call: Call) -> Reply:
        raise error

    Route("POST", "/thing", "A thing", scope=Scope.DATA_READ)(fail)(an_event(), None)


def test_a_refusal_by_the_quota_is_measured_for_the_tenant(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused(QuotaExhausted("Used up."))
    [text] = [line for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    told = {(name, value, dimensions) for _, name, value, dimensions in kept(text)}
    product = ("Product", "tests")
    assert told == {
        ("QuotaRefusals", 1, (product,)),
        ("QuotaRefusals", 1, (product, ("Tenant", "north"))),
    }


def test_a_call_that_fails_on_our_side_is_measured_and_any_other_refusal_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused(NotFound("There is no such thing."))
    assert "_aws" not in capsys.readouterr().out
    refused(RuntimeError("Oh."))
    [text] = [line for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert {name for _, name, _, _ in kept(text)} == {"Errors"}


def test_work_is_measured_by_the_memory_that_lambda_gives(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "2048")
    moments = iter((10.0, 12.5))
    monkeypatch.setattr(time, "monotonic", lambda: next(moments))
    Task(lambda event: {})({"tenant": "north"}, None)
    [text] = [line for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert {value for _, name, value, _ in kept(text) if name == "GigabyteSeconds"} == {5.0}
