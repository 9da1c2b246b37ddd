"""`headrace template` as a process, and its calls, against a service with a template."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from headrace_client import (
    FileExpired,
    HeadraceClient,
    NotFound,
    ProtocolError,
    RowFormat,
    Selected,
    SetupError,
)
from tests.component.client.service import CLIENT_ID, CLIENT_SECRET, Answer, ApiRequest
from tests.component.client.test_command import COMMAND, DEADLINE, an_environment, headrace, until
from tests.component.client.walking import (
    TEMPLATE,
    WalkingService,
    as_csv,
    as_ndjson,
    persons,
)

ROWS = persons(1_234)
CONTENTS = {
    "csv": as_csv(ROWS),
    "ndjson": as_ndjson(ROWS),
    "json": ("[\n" + ",\n".join(ROWS) + "\n]\n").encode(),
}
MORE = "The template has more rows than this page; --all reads all of them."
FORMATS = sorted(CONTENTS)
ALL = ["template", TEMPLATE, "--all", "--count", "100"]


def a_client(service: WalkingService) -> HeadraceClient:
    return HeadraceClient(service.api_url, CLIENT_ID, CLIENT_SECRET)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.glob(".*") if path.is_file()]


@pytest.mark.parametrize("row_format", FORMATS)
def test_all_pages_become_one_document_to_the_byte(row_format: str, tmp_path: Path) -> None:
    with WalkingService(ROWS) as service:
        file = tmp_path / f"persons.{row_format}"

        done = headrace(an_environment(service, tmp_path), *ALL, "--to", str(file), "--json")

        assert done.returncode == 0, done.stderr
        assert file.read_bytes() == CONTENTS[row_format]
        assert json.loads(done.stdout) == {
            "template": TEMPLATE,
            "path": str(file),
            "format": row_format,
            "rows": len(ROWS),
            "bytes": len(CONTENTS[row_format]),
            "resumedRows": 0,
        }
        assert len(service.pages()) == 13
        assert leftovers(tmp_path) == []


@pytest.mark.parametrize("row_format", FORMATS)
def test_without_a_file_rows_are_printed(row_format: str, tmp_path: Path) -> None:
    with WalkingService(ROWS) as service:
        environment = an_environment(service, tmp_path)

        everything = headrace(environment, *ALL, "--format", row_format)
        page = headrace(environment, "template", TEMPLATE, "--format", "ndjson", "--count", "3")

        assert everything.stdout.encode() == CONTENTS[row_format]
        assert page.stdout.encode() == as_ndjson(ROWS[:3])
        assert everything.stderr == ""
        assert page.stderr == f"{MORE}\n"


def test_a_file_of_one_page_is_said_not_to_be_all_of_it(tmp_path: Path) -> None:
    with WalkingService(ROWS) as service:
        environment = an_environment(service, tmp_path)
        to = ("--to", str(tmp_path / "few.csv"))
        page = headrace(environment, "template", TEMPLATE, *to, "--count", "3")
        everything = headrace(environment, *ALL, *to)
    assert (page.returncode, MORE in page.stderr) == (0, True)
    assert (everything.returncode, MORE in everything.stderr) == (0, False)


@pytest.mark.parametrize("row_format", FORMATS)
@pytest.mark.parametrize("count", [0, 1])
def test_few_rows_are_a_document_too(count: int, row_format: str, tmp_path: Path) -> None:
    rows = persons(count)
    with WalkingService(rows) as service, a_client(service) as client:
        made = client.templates.download(TEMPLATE, tmp_path / f"few.{row_format}")

        content = made.path.read_bytes()
        assert made.rows == count
        if row_format == "json":
            assert json.loads(content) == [json.loads(row) for row in rows]
        else:
            assert content == {"csv": as_csv, "ndjson": as_ndjson}[row_format](rows)


def test_a_text_may_be_as_long_as_a_page(tmp_path: Path) -> None:
    long = json.dumps({"id": 1, "name": 'née "\n' * 100_000}, ensure_ascii=False)
    rows = [*persons(1), long]
    with WalkingService(rows) as service, a_client(service) as client:
        made = client.templates.download(TEMPLATE, tmp_path / "long.csv")

        assert made.rows == 2
        assert made.path.read_bytes() == as_csv(rows)


def test_what_was_asked_goes_along_and_is_not_asked_again(tmp_path: Path) -> None:
    with WalkingService(ROWS) as service:
        environment = an_environment(service, tmp_path)

        done = headrace(
            environment,
            *(*ALL, "--to", str(tmp_path / "some.csv")),
            *("--since", "2026-01-31", "--include-anonymized"),
        )

        assert done.returncode == 0, done.stderr
        (walk,) = service.walks.values()
        assert walk.asked == {"date": "2026-01-31", "includeAnonymized": "true"}
        first, *others = service.pages()
        assert "cursor" not in first.query
        assert all(set(page.query) == {"cursor", "count"} for page in others)


def test_all_pages_show_what_was_there_when_the_first_was_read(tmp_path: Path) -> None:
    with WalkingService(ROWS) as service:

        def change(request: ApiRequest) -> Answer | None:
            if "cursor" in request.query:
                service.people = []
            return None

        service.api_fault = change
        file = tmp_path / "persons.ndjson"

        done = headrace(an_environment(service, tmp_path), *ALL, "--to", str(file))

        assert done.returncode == 0, done.stderr
        assert file.read_bytes() == CONTENTS["ndjson"]


class Held:
    """A command that has five pages in its file and waits for the sixth."""

    def __init__(self, service: WalkingService, file: Path, environment: Mapping[str, str]) -> None:
        self.release = threading.Event()

        def hold(request: ApiRequest) -> Answer | None:
            if request.query.get("cursor", "").endswith(".500") and not self.release.is_set():
                self.release.wait(DEADLINE)
            return None

        service.api_fault = hold
        self.process = subprocess.Popen(
            [*COMMAND, *ALL, "--to", str(file)],
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        until(lambda: len(service.pages()) == 6)

    def end(self, number: signal.Signals) -> tuple[int, str]:
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=DEADLINE)
        self.release.set()
        return self.process.returncode, said


@pytest.mark.parametrize("row_format", FORMATS)
def test_killed_in_the_middle_the_same_command_goes_on_with_the_same_walk(
    row_format: str, tmp_path: Path
) -> None:
    file = tmp_path / f"persons.{row_format}"
    file.write_bytes(b"of yesterday")
    with WalkingService(ROWS) as service:
        environment = an_environment(service, tmp_path)
        held = Held(service, file, environment)
        code, _ = held.end(signal.SIGKILL)
        assert code == -signal.SIGKILL
        assert file.read_bytes() == b"of yesterday"
        with (tmp_path / f".{file.name}.partial").open("ab") as partial:
            partial.write(b"a page that came, and was not noted")
        service.people = []
        service.forget_requests()

        done = headrace(environment, *ALL, "--to", str(file), "--json")

        assert json.loads(done.stdout)["resumedRows"] == 500
        assert file.read_bytes() == CONTENTS[row_format]
        assert len(service.pages()) == 8
        assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_interrupted_it_says_how_to_go_on(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    with WalkingService(ROWS) as service:
        file = tmp_path / "persons.csv"
        held = Held(service, file, an_environment(service, tmp_path))

        returned, said = held.end(number)

        assert returned == code
        assert "Run the same command again" in said
        assert not file.exists()


def test_a_file_is_written_by_one_command_at_a_time(tmp_path: Path) -> None:
    with WalkingService(ROWS) as service:
        file, environment = tmp_path / "persons.csv", an_environment(service, tmp_path)
        held = Held(service, file, environment)

        second = headrace(environment, *ALL, "--to", str(file))
        held.end(signal.SIGKILL)

        assert second.returncode == 7
        assert "Another headrace command writes" in second.stderr


def interrupted(service: WalkingService, client: HeadraceClient, file: Path) -> None:
    """A download that was cut off after the first page."""

    def cut(request: ApiRequest) -> Answer | None:
        return Answer(404, {"code": "cut"}) if "cursor" in request.query else None

    service.api_fault = cut
    with pytest.raises(NotFound):
        client.templates.download(TEMPLATE, file, count=100)
    service.api_fault = lambda request: None
    service.forget_requests()


def test_what_was_left_of_other_rows_is_not_gone_on_with(tmp_path: Path) -> None:
    with WalkingService(ROWS) as service, a_client(service) as client:
        file = tmp_path / "persons.ndjson"
        interrupted(service, client, file)

        made = client.templates.download(TEMPLATE, file, selected=Selected(date(2026, 1, 31)))

        assert (made.resumed, made.rows) == (0, len(ROWS))
        assert file.read_bytes() == CONTENTS["ndjson"]


@pytest.mark.parametrize("noted", ["", "{", '{"wanted": {}, "standing": {"rows": -1, "x": 2}}'])
def test_a_note_that_cannot_be_read_costs_a_resumption_and_nothing_else(
    noted: str, tmp_path: Path
) -> None:
    with WalkingService(ROWS) as service, a_client(service) as client:
        file = tmp_path / "persons.ndjson"
        interrupted(service, client, file)
        (tmp_path / ".persons.ndjson.walk.json").write_text(noted)

        made = client.templates.download(TEMPLATE, file, count=100)

        assert made.resumed == 0
        assert file.read_bytes() == CONTENTS["ndjson"]


def test_a_walk_that_is_over_is_begun_anew_so_that_no_file_has_two_snapshots(
    tmp_path: Path,
) -> None:
    with WalkingService(ROWS) as service, a_client(service) as client:
        file = tmp_path / "persons.csv"
        interrupted(service, client, file)
        service.end_walks()
        service.people = list(reversed(ROWS))

        made = client.templates.download(TEMPLATE, file, count=100)

        assert file.read_bytes() == as_csv(list(reversed(ROWS)))
        assert made.resumed == 0


def test_walks_that_end_again_and_again_are_given_up(tmp_path: Path) -> None:
    with WalkingService(ROWS) as service, a_client(service) as client:

        def end(request: ApiRequest) -> Answer | None:
            if "cursor" in request.query:
                service.end_walks()
            return None

        service.api_fault = end

        with pytest.raises(FileExpired):
            client.templates.download(TEMPLATE, tmp_path / "persons.csv", count=100)

        assert len(service.pages()) == 6


def test_with_new_what_was_left_is_not_gone_on_with(tmp_path: Path) -> None:
    with WalkingService(ROWS) as service, a_client(service) as client:
        file = tmp_path / "persons.csv"
        interrupted(service, client, file)

        made = client.templates.download(TEMPLATE, file, count=100, new=True)

        assert (made.resumed, made.rows) == (0, len(ROWS))


def test_beginning_anew_forgets_what_was_left_before_anything_is_written(tmp_path: Path) -> None:
    with WalkingService(ROWS) as service, a_client(service) as client:
        file = tmp_path / "persons.csv"
        interrupted(service, client, file)
        assert len(leftovers(tmp_path)) == 2
        service.api_fault = lambda request: (
            Answer(404, {"code": "gone"}) if "exporttemplate" in request.path else None
        )

        with pytest.raises(NotFound):
            client.templates.download(TEMPLATE, file, count=100, new=True)

        assert leftovers(tmp_path) == []


def test_pages_that_are_too_large_are_asked_for_in_the_size_that_fits(tmp_path: Path) -> None:
    with WalkingService(ROWS) as service, a_client(service) as client:
        service.page_fits = 300

        made = client.templates.download(TEMPLATE, tmp_path / "persons.csv")

        assert made.path.read_bytes() == CONTENTS["csv"]
        assert [page.query["count"] for page in service.pages()] == ["5000", *["300"] * 5]


def test_rows_that_are_read_meanwhile_are_waited_for_as_long_as_there_are_more(
    tmp_path: Path,
) -> None:
    with WalkingService(ROWS) as service, a_client(service) as client:
        service.ready = list(range(0, 200, 10))

        made = client.templates.download(TEMPLATE, tmp_path / "persons.csv")

        assert made.rows == len(ROWS)


def test_rows_in_python_are_exact_and_one_snapshot() -> None:
    with WalkingService(ROWS) as service, a_client(service) as client:
        rows = client.templates.rows(TEMPLATE, count=100)
        first = next(rows)
        service.people = []
        everything = [first, *rows]

        assert everything == [json.loads(row, parse_float=Decimal) for row in ROWS]
        assert str(everything[-1]["score"]) == "1233.30"


def test_a_page_in_python_tells_what_it_is_and_how_to_go_on() -> None:
    with WalkingService(ROWS) as service, a_client(service) as client:
        first = client.templates.page(TEMPLATE, count=1_000, show_total=True)
        second = client.templates.page(TEMPLATE, following=first.next)
        by_offset = client.templates.page(TEMPLATE, count=5, offset=2)

        assert (first.name, first.offset, first.total) == ("Persons", 0, len(ROWS))
        assert first.read_at is not None
        assert len(first.rows) == 1_000
        assert (len(second.rows), second.offset, second.next) == (234, 1_000, None)
        assert [row["id"] for row in by_offset.rows] == [2, 3, 4, 5, 6]


def test_nothing_goes_to_where_a_link_points_but_to_the_service() -> None:
    with WalkingService(ROWS) as service, a_client(service) as client:
        page = client.templates.page(TEMPLATE, count=1_000)
        client.templates.page(TEMPLATE, following=page.next)

        assert len(service.pages()) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"id":1}\n{"id":', "not whole"),
        (b"id\n1\n", ""),
    ],
    ids=["a line without an end", "whole"],
)
def test_a_page_that_is_cut_off_is_not_taken(content: bytes, said: str, tmp_path: Path) -> None:
    with WalkingService(ROWS) as service, a_client(service) as client:
        service.api_fault = lambda request: (
            Answer(200, None, {"Content-Type": "x"}, content=content)
            if "exporttemplate" in request.path
            else None
        )
        file = tmp_path / "persons.ndjson"
        if said:
            with pytest.raises(ProtocolError, match=said):
                client.templates.download(TEMPLATE, file)
            assert not file.exists()
        else:
            assert client.templates.download(TEMPLATE, file).rows == 2


def test_an_unknown_template_is_exit_code_8(tmp_path: Path) -> None:
    with WalkingService(ROWS) as service:
        file = tmp_path / "x.csv"

        done = headrace(an_environment(service, tmp_path), "template", "x", "--to", str(file))

        assert done.returncode == 8
        assert "There is no such template." in done.stderr
        assert not file.exists()
        assert leftovers(tmp_path) == []


def test_a_file_whose_name_tells_no_format_needs_one(tmp_path: Path) -> None:
    with WalkingService(ROWS) as service, a_client(service) as client:
        with pytest.raises(SetupError, match="format"):
            client.templates.download(TEMPLATE, tmp_path / "persons")

        made = client.templates.download(TEMPLATE, tmp_path / "persons", RowFormat.CSV)

        assert made.path.read_bytes() == CONTENTS["csv"]
