"""The files of the docs page: Swagger UI's own, from its layer, and ours beside this module.

All are text: API Gateway passes text through as it is, whatever media types it calls binary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from string import Template

from headrace.kernel.errors import NotFound
from reference.caching import digest

_OURS = Path(__file__).with_name("pages")
_PACKAGE = "flask_swagger_ui"
"""Ships Swagger UI's distribution; only its files are used, none of its code."""

_MEDIA_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
LINKED = ("swagger-ui.css", "docs.css", "swagger-ui-bundle.js", "initializer.js")
"""What the page itself links to, by version."""
IMPORTED = ("curl.js", "description.js", "proof.js", "session.js", "sign_in.js")
"""What its scripts import, by name."""
NAMES = LINKED + IMPORTED


@dataclass(frozen=True)
class Asset:
    """A style sheet or a script."""

    name: str
    text: str

    @property
    def content_type(self) -> str:
        """Its media type."""
        return _MEDIA_TYPES[Path(self.name).suffix]

    @property
    def version(self) -> str:
        """Changes when the text does."""
        return digest(self.text)


def _distribution() -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise LookupError(f"the layer with {_PACKAGE} is missing")
    return Path(spec.origin).with_name("dist")


@cache
def _assets() -> Mapping[str, Asset]:
    distribution = _distribution()
    found = {}
    for name in NAMES:
        file = _OURS / name
        if not file.exists():
            file = distribution / name
        found[name] = Asset(name, file.read_text(encoding="utf-8"))
    return found


def asset(name: str) -> Asset:
    """The asset with this name. Raises NotFound."""
    if name not in _assets():
        raise NotFound("There is no such file; the page is /docs.")
    return _assets()[name]


def page(folder: str) -> str:
    """The docs page; ``folder`` is where, seen from the page, its assets are."""
    links = {
        name.replace("-", "_").replace(".", "_"): f"{folder}{name}?v={one.version}"
        for name, one in _assets().items()
        if name in LINKED
    }
    return Template((_OURS / "docs.html").read_text(encoding="utf-8")).substitute(links)
