"""URLs that we call: which ones are plain enough to be called at all."""

from urllib.parse import SplitResult, urlsplit


def plain_url(url: str, schemes: tuple[str, ...] = ("https",)) -> SplitResult:
    """The URL taken apart. Raises ValueError for one that is not plain.

    It has one of the schemes and a host, no user name, no fragment, and only characters that no
    two readers of URLs understand differently.
    """
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise ValueError("it holds a character that a URL cannot have")
    parts = urlsplit(url)
    if parts.port == 0:
        raise ValueError("there is no port 0")
    if parts.scheme not in schemes or not parts.hostname or parts.fragment:
        raise ValueError(f"it must be {' or '.join(schemes)}://HOST/…, without a #")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it must not hold a user name or password")
    return parts


LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def secure_url(url: str) -> SplitResult:
    """The URL taken apart, if it is plain and what goes there cannot be read on its way: by https,
    or by http to this very machine. Raises ValueError."""
    try:
        parts = plain_url(url, ("https", "http"))
    except ValueError as error:
        raise ValueError(f"is no URL that can be called: {error}") from None
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("must be https: what goes by http can be read and changed on its way")
    return parts
