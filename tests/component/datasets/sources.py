"""Source environments on loopback, by http, which answer as they are told."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.component.identity.key_server import send
from tests.serving import served

type Answer = Callable[[BaseHTTPRequestHandler], None]


def says(document: Any, status: int = 200) -> Answer:
    return lambda request: send(request, status, json.dumps(document).encode())


@dataclass
class Source:
    """``answers``: by the path behind ``/dataexchange``; every other is 404."""

    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """What a target registers."""
        return f"http://127.0.0.1:{self.port}/v1/dataexchange"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answers a request."""
        path = request.path.removeprefix("/v1/dataexchange")
        self.asked.append((path, request.headers.get("Authorization")))
        self.answers.get(path, says({"code": "not_found"}, 404))(request)


@contextmanager
def source(answers: dict[str, Answer]) -> Iterator[Source]:
    """A source that runs."""
    here = Source(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            return

    with served(Handler, silent=True) as here.port:
        yield here
