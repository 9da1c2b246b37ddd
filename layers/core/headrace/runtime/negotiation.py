"""Which of the formats that there are a request accepts (RFC 9110 section 12)."""

from collections.abc import Mapping, Sequence

from headrace.kernel.errors import NotAcceptable


def preferred(accept: str | None, formats: Sequence[str]) -> str:
    """The media type of these that the Accept header likes best; the first of equals.

    Without a header it is the first. Raises NotAcceptable.
    """
    ranges = _weighed(accept or "*/*")
    weights = {media_type: _weight(media_type, ranges) for media_type in formats}
    best = max(formats, key=lambda media_type: weights[media_type])
    if weights[best] <= 0:
        raise NotAcceptable(
            f"There is {' and '.join(formats)}; name one of them in Accept.", formats=list(formats)
        )
    return best


def accepts_gzip(accept_encoding: str | None) -> bool:
    """May the content be compressed by gzip (RFC 9110 section 12.5.3)."""
    codings = _weighed(accept_encoding or "")
    return codings.get("gzip", codings.get("x-gzip", codings.get("*", 0.0))) > 0


def _weight(media_type: str, ranges: Mapping[str, float]) -> float:
    """By the most precise range that the media type is of."""
    main = media_type.partition("/")[0]
    for wanted in (media_type, f"{main}/*", "*/*"):
        if wanted in ranges:
            return ranges[wanted]
    return 0.0


def _weighed(header: str) -> dict[str, float]:
    """What a header lists, in small letters, with its weights; what is no weight is 1."""
    found: dict[str, float] = {}
    for one in header.split(","):
        name, *parameters = (part.strip().lower() for part in one.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                try:
                    weight = float(value)
                except ValueError:
                    weight = 1.0
        if name:
            found[name] = max(weight, found.get(name, 0.0))
    return found
