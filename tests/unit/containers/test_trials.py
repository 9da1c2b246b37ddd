"""What the functions are asked in containers, beside the template and the events."""

from tests.containers.judging import OUTSIDE, is_of_the_api
from tests.containers.trials import (
    LAST,
    NEEDED_FOR,
    NOT_AN_ENDPOINT,
    OF_THE_OPERATION,
    STATUSES,
    Trials,
)
from tests.unit.docs.checkout import functions, snake_case

ABOUT = {
    "api_url": "http://127.0.0.1:1",
    "clients": [{"client_id": "payroll-bureau", "client_secret": "s3cret"}],
    "users": [{"username": "somebody", "password": "hers"}],
}


def test_whatever_is_named_here_is_a_function_of_the_template() -> None:
    names = {snake_case(one) for one in functions()}
    for told in (STATUSES, NOT_AN_ENDPOINT, OUTSIDE, OF_THE_OPERATION, LAST, NEEDED_FOR):
        assert set(told) <= names


def test_every_function_has_an_expected_reply() -> None:
    trials = [Trials(ABOUT, "t0ken", "0" * 26, "0" * 26 + "-0001").of(one) for one in functions()]
    for trial in trials:
        assert isinstance(trial.expected, int) == is_of_the_api(trial.event), trial.logical_id


def test_the_events_get_what_the_platform_has() -> None:
    trials = Trials(ABOUT, "t0ken", "1" * 26, "1" * 26 + "-0007")
    assert "client_secret=s3cret&" in trials.of("IssueToken").event["body"]
    assert trials.of("Authorize").event["headers"]["Authorization"] == "Bearer t0ken"
    assert "hers" in trials.of("LogIn").event["body"]
    assert "1" * 26 in trials.of("GetExportStatus").event["path"]
    assert trials.of("DownloadJob").event["path"].endswith("-0007")
