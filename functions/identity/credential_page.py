"""The pages behind a credential's link: plain HTML, without a script."""

import base64
import hashlib
from html import escape

from headrace.runtime.api import Reply

STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem }
code { display: block; padding: .75rem; background: #eef1f4; overflow-wrap: anywhere }
button { font: inherit; padding: .5rem 1.5rem }
"""
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HTML = "text/html; charset=utf-8"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            f"style-src 'sha256-{_STYLE_DIGEST}'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    ),
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}


def waiting(client_id: str) -> Reply:
    """The page with the button: whoever only follows the link, as scanners of mail do, takes
    nothing."""
    return _page(
        200,
        "A secret is waiting for you",
        f"<p>It is that of the client <strong>{escape(client_id)}</strong>. It is shown once: have "
        "a safe place ready to keep it in, then press the button.</p>"
        '<form method="post"><button>Show the secret</button></form>',
    )


def shown(client_id: str, secret: str, token_endpoint: str) -> Reply:
    """The page with the secret."""
    return _page(
        200,
        "The secret",
        "<p>Keep it now: this page cannot be opened again, and nobody else has the secret.</p>"
        f"<p>client_id</p><code>{escape(client_id)}</code>"
        f"<p>client_secret</p><code>{escape(secret)}</code>"
        f"<p>Token endpoint</p><code>{escape(token_endpoint)}</code>",
    )


def gone() -> Reply:
    """The page of a link that does not work; it does not say why."""
    return _page(
        410,
        "This link does not work any more",
        "<p>It was used already, or it is older than seven days. If it was not you who used it, "
        "tell the operator at once. In any case ask the operator for another one.</p>",
    )


def _page(status: int, title: str, body: str) -> Reply:
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head>"
        f"<body><h1>{title}</h1>{body}</body></html>"
    )
    return Reply(status, text, HEADERS, HTML)
