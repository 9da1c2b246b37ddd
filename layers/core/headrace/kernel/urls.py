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
