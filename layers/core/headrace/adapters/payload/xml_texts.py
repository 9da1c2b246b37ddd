"""Any text in XML 1.0, exactly, though XML 1.0 has not all characters and changes line breaks.

What XML cannot hold is written as in JSON, ``\\u0001``, and a backslash therefore as two, in
elements and attributes alike. What a parser would change on its way (a carriage return; in an
attribute also a tab and a line feed) is written as a reference to its number.
"""

import re

from headrace.kernel.errors import PayloadRefused

# XML 1.0, production 2 (Char), turned round.
_ESCAPED = re.compile("[\\\\\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_IN_ELEMENTS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTES = {**_IN_ELEMENTS, **str.maketrans({'"': "&quot;", "\t": "&#9;", "\n": "&#10;"})}
# Most texts need nothing, and to look is a tenth of what a translation costs.
_NOT_IN_ELEMENTS = re.compile(_ESCAPED.pattern[:-1] + "&<>\r]")
_NOT_IN_ATTRIBUTES = re.compile(_NOT_IN_ELEMENTS.pattern[:-1] + '"\t\n]')
_ESCAPE = re.compile(r"\\(\\|u[0-9a-f]{4})?")


def _escaped(text: str) -> str:
    if not _ESCAPED.search(text):
        return text
    return _ESCAPED.sub(
        lambda found: "\\\\" if found[0] == "\\" else f"\\u{ord(found[0]):04x}", text
    )


def element_text(text: str) -> str:
    """As the content of an element."""
    if not _NOT_IN_ELEMENTS.search(text):
        return text
    return _escaped(text).translate(_IN_ELEMENTS)


def attribute_text(text: str) -> str:
    """As an attribute's value, with its quotes."""
    if _NOT_IN_ATTRIBUTES.search(text):
        text = _escaped(text).translate(_IN_ATTRIBUTES)
    return f'"{text}"'


def _unescape(found: re.Match[str]) -> str:
    match found[1]:
        case None:
            raise PayloadRefused("A text of the document has a backslash that means nothing.")
        case "\\":
            return "\\"
        case code:
            return chr(int(code[1:], 16))


def text_of(content: str) -> str:
    """The text that a parser read as ``content``. Raises PayloadRefused."""
    return _ESCAPE.sub(_unescape, content) if "\\" in content else content
