"""One token for many threads, renewed in time."""

from __future__ import annotations

import threading

from headrace_client.tokens import Grant, TokenSource


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Issuer:
    """Counts what it issues."""

    def __init__(self, life: float) -> None:
        self.life = life
        self.issued = 0

    def __call__(self) -> Grant:
        self.issued += 1
        return Grant(f"token-{self.issued}", self.life)


def test_a_long_token_is_renewed_a_minute_before_its_end() -> None:
    clock, issuer = Clock(), Issuer(3600)
    source = TokenSource(issuer, clock)
    assert source.current() == "token-1"
    clock.now += 3539
    assert source.current() == "token-1"
    clock.now += 1
    assert source.current() == "token-2"


def test_a_short_token_is_not_renewed_at_every_call() -> None:
    clock, issuer = Clock(), Issuer(20)
    source = TokenSource(issuer, clock)
    source.current()
    clock.now += 17
    assert source.current() == "token-1"
    clock.now += 1
    assert source.current() == "token-2"


def test_refusing_an_old_token_does_not_lose_the_new_one() -> None:
    source = TokenSource(Issuer(3600), Clock())
    first = source.current()
    source.refuse(first)
    assert source.current() == "token-2"
    source.refuse(first)  # another thread, late
    assert source.current() == "token-2"


def test_threads_that_come_together_fetch_one_token() -> None:
    issuer = Issuer(3600)
    source = TokenSource(issuer, Clock())
    together = threading.Barrier(8)
    seen: list[str] = []

    def ask() -> None:
        together.wait()
        seen.append(source.current())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == ["token-1"] * 8
    assert issuer.issued == 1
