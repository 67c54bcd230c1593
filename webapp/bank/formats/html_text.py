"""HTML reduced to its visible text; our items are plain text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

MAX_HTML_CHARACTERS = 64 * 1024
"""html.parser takes quadratic time for some malformed texts."""

_BLOCK_TAGS = {"address", "blockquote", "br", "dd", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "hr"}
_BLOCK_TAGS |= {"li", "ol", "p", "pre", "table", "tr", "ul"}
_HIDDEN_TAGS = {"script", "style"}
# Without its height x² would be x2: another answer.
_SUPER_AND_SUBSCRIPTS = {
    "sup": str.maketrans("0123456789+-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻"),
    "sub": str.maketrans("0123456789+-−", "₀₁₂₃₄₅₆₇₈₉₊₋₋"),
}
_WHITESPACE = re.compile(r"[ \t\r\n\f]+")


# A formula's text without its layout would be another formula.
_NON_TEXT = re.compile(r"<(audio|canvas|embed|iframe|img|math|object|svg|video)\b|@@PLUGINFILE@@", re.IGNORECASE)


class BrokenHtmlError(ValueError):
    """The text is no HTML that could be read; the message says why."""


class _TextExtractor(HTMLParser):
    """Collects the visible text, line by line."""

    def __init__(self, *, keep_breaks: bool) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._line = ""
        self._open: list[str] = []
        self._keep_breaks = keep_breaks

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCK_TAGS:
            self.end_line()
        if tag == "img":
            self.handle_data(dict(attrs).get("alt") or "")
        if tag in {"pre", *_HIDDEN_TAGS, *_SUPER_AND_SUBSCRIPTS}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCK_TAGS:
            self.end_line()
        if tag in {"td", "th"}:
            self._line += " "
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if _HIDDEN_TAGS.intersection(self._open):
            return
        if self._open and self._open[-1] in _SUPER_AND_SUBSCRIPTS:
            data = data.translate(_SUPER_AND_SUBSCRIPTS[self._open[-1]])
        if not self._keep_breaks and "pre" not in self._open:
            self._line += _WHITESPACE.sub(" ", data) if self._line else _WHITESPACE.sub(" ", data).lstrip()
            return
        first, *others = data.replace("\r\n", "\n").split("\n")
        self._line += first
        for other in others:
            self.lines.append(self._line.rstrip())
            self._line = other

    def end_line(self) -> None:
        if self._line.strip():
            self.lines.append(self._line.rstrip())
        self._line = ""


def extract_text(html: str, *, keep_breaks: bool = False) -> str:
    """Return the text of a piece of HTML: blocks become lines, an image becomes its alt text.

    `keep_breaks` is for texts whose line breaks are visible, as in Moodle's auto-format.

    Raises:
        BrokenHtmlError: when it has more than `MAX_HTML_CHARACTERS` characters or cannot be read.
    """
    if len(html) > MAX_HTML_CHARACTERS:
        raise BrokenHtmlError(f"A text has more than {MAX_HTML_CHARACTERS} characters of HTML.")
    parser = _TextExtractor(keep_breaks=keep_breaks)
    try:
        parser.feed(html)
        parser.close()
    except AssertionError as error:  # html.parser raises it for broken declarations
        raise BrokenHtmlError(f"A text is no HTML that can be read ({error}).") from error
    parser.end_line()
    return "\n".join(parser.lines).strip()


def has_non_text_content(html: str) -> bool:
    """Tell whether a piece of HTML has a picture, sound, film, formula or file, which its text cannot replace."""
    return _NON_TEXT.search(html) is not None
