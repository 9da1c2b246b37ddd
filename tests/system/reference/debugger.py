"""The docs page as somebody uses it: signs in, tries calls, reads what came of them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

SECRET, TOKEN, REFRESH, LOGIN, CERTIFICATE = (
    "client id and secret",
    "static API key, or an access token that you have",
    "refresh token",
    "user name and password",
    "client certificate of this browser",
)

_STORED = """async () => [
    ...Object.entries(localStorage), ...Object.entries(sessionStorage),
    ...await indexedDB.databases(), ...await caches.keys(), document.cookie,
].filter(one => one)"""


@dataclass(frozen=True)
class Tried:
    """A call that was tried, as the page shows it."""

    operation: Locator

    @property
    def status(self) -> int:
        """The status of the reply."""
        return int(self._reply.locator("td.response-col_status").inner_text().split()[0])

    @property
    def curl(self) -> str:
        """The request as curl."""
        line: str = self.operation.locator(".curl-command .curl").inner_text()
        return line

    def show_secrets(self) -> None:
        """Asks for the curl line with what is secret."""
        self.operation.get_by_label("with secrets").check()

    @property
    def text(self) -> str:
        """The reply's body as it is shown."""
        shown: str = self._reply.locator(
            ".highlight-code, .response-col_description"
        ).first.inner_text()
        return shown

    @property
    def json(self) -> Any:
        """The reply's body."""
        return json.loads(self._reply.locator(".highlight-code code").first.inner_text())

    @property
    def headers(self) -> str:
        """The reply's headers, a line each."""
        lines: str = self._reply.locator(".headerline").first.locator("..").inner_text()
        return lines

    @property
    def _reply(self) -> Locator:
        return self.operation.locator(".live-responses-table tbody")


@dataclass(frozen=True)
class Debugger:
    """The page in a browser."""

    page: Page
    asked: list[str] = field(default_factory=list)
    """The hosts that the page called."""
    violations: list[str] = field(default_factory=list)
    """What the page did against its content security policy, and its errors."""

    @property
    def standing(self) -> Locator:
        """What the page says of who is signed in."""
        return self.page.locator("#standing")

    def tries_to_sign_in(self, way: str, /, *, bound: bool = False, **fields: str) -> None:
        """Fills in the form; fields by their ids."""
        self.page.get_by_label("Sign in with").select_option(label=way)
        for name, value in fields.items():
            self.page.locator(f"#{name}").fill(value)
        if bound:
            self.page.get_by_label("DPoP").check()
        self.page.get_by_role("button", name="Sign in").click()

    def signs_in(self, way: str, /, *, bound: bool = False, **fields: str) -> None:
        """Fills in the form, and is taken."""
        self.tries_to_sign_in(way, bound=bound, **fields)
        expect(self.standing).to_contain_text("Signed in")

    def tries(self, operation_id: str, /, **fields: str) -> Tried:
        """Executes an operation, with these values in its fields (``body``: the request's)."""
        operation = self.page.locator(f"[id$='-{operation_id}']")
        if operation.locator(".opblock-body").count() == 0:
            operation.locator(".opblock-summary-control").click()
        for name, value in fields.items():
            if name == "body":
                operation.locator(".body-param__text").fill(value)
            else:
                operation.locator(
                    f"[data-property-name='{name}'], [data-param-name='{name}']"
                ).locator("input").first.fill(value)
        if (again := operation.get_by_role("button", name="Clear")).count():
            again.click()
        operation.get_by_role("button", name="Execute").click()
        operation.locator(".live-responses-table").wait_for()
        return Tried(operation)

    def stored(self) -> list[Any]:
        """Everything that the page keeps outside its memory."""
        kept: list[Any] = self.page.evaluate(_STORED)
        return kept

    def shown(self) -> str:
        """All that is in the page, with what stands in its fields."""
        fields: list[str] = self.page.evaluate(
            "() => [...document.querySelectorAll('input, textarea, select')].map(e => e.value)"
        )
        return "\n".join([self.page.content(), *fields])


@contextmanager
def opened(browser: Browser, url: str, **options: Any) -> Iterator[Debugger]:
    """The page at this URL of the API, in a window of its own that knows nothing yet.

    Fails if the page called any other host, broke its content security policy or had an error.
    """
    context = browser.new_context(**options)
    debugger = Debugger(context.new_page())
    page = debugger.page

    def noted(said: ConsoleMessage) -> None:
        if "Security Policy" in said.text:
            debugger.violations.append(said.text)

    page.on("request", lambda request: debugger.asked.append(urlsplit(request.url).netloc))
    page.on("pageerror", lambda error: debugger.violations.append(str(error)))
    page.on("console", noted)
    page.goto(f"{url}/docs")
    expect(page.get_by_role("button", name="Sign in")).to_be_enabled()
    yield debugger
    context.close()
    assert set(debugger.asked) - {""} == {urlsplit(url).netloc}
    assert debugger.violations == []
