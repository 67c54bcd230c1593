"""XML from strangers, piece by piece and in bounded memory: no DTD, no entities, nothing from outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler, LexicalHandler, property_lexical_handler
from xml.sax.xmlreader import AttributesImpl, Locator

from defusedxml import DefusedXmlException
from defusedxml.sax import make_parser

from webapp.bank.formats.records import ByteStream, UnreadableError

DEEPEST = 50
"""Elements within each other."""
LONGEST_REASON = 200
"""Characters: an encoding's name can be as long as somebody likes."""
LONGEST_PIECE = 1024 * 1024
"""Bytes that one tag or comment may have; the parser holds it whole."""
MOST_NAMES = 1000
LONGEST_NAME = 100
"""Of elements and attributes, all together and each, in characters; the parser keeps every name."""

_CHUNK = 64 * 1024


class Start(NamedTuple):
    """An element begins, at this line."""

    line: int
    name: str
    attributes: Mapping[str, str]


class End(NamedTuple):
    """The element that began last ends."""

    name: str


class Text(NamedTuple):
    """A piece of the text of an element; what belongs together may come in several."""

    text: str


class Comment(NamedTuple):
    """A comment."""

    text: str


Event = Start | End | Text | Comment


class BrokenXmlError(UnreadableError):
    """From `line` on the file is no XML that may be read."""

    def __init__(self, line: int, reason: str) -> None:
        """Say what is wrong there."""
        super().__init__(f"from line {line} on this is no XML that can be read ({reason})")
        self.line = line


class _ForbiddenError(Exception):
    """The document goes beyond a bound; the text says which."""


class _Gathering(ContentHandler, LexicalHandler):
    """Gathers what a parser tells, and stops it at the bounds."""

    def __init__(self, place: Locator) -> None:
        super().__init__()
        self.events: list[Event] = []
        self._place = place
        self._names: set[str] = set()
        self._depth = 0

    @property
    def line(self) -> int:
        return self._place.getLineNumber() or 1

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802 - as SAX calls it
        self._depth += 1
        attributes = dict(attrs.items())
        self._names.update((name, *attributes))
        if self._depth > DEEPEST:
            raise _ForbiddenError(f"more than {DEEPEST} elements stand within each other")
        if len(self._names) > MOST_NAMES or any(len(one) > LONGEST_NAME for one in (name, *attributes)):
            raise _ForbiddenError("it has too many names of elements, or too long ones")
        self.events.append(Start(self.line, name, attributes))

    def endElement(self, name: str) -> None:  # noqa: N802 - as SAX calls it
        self._depth -= 1
        self.events.append(End(name))

    def characters(self, content: str) -> None:
        self.events.append(Text(content))

    def comment(self, content: str) -> None:
        self.events.append(Comment(content))


def events_of(stream: ByteStream) -> Iterator[Event]:
    """Yield what a document consists of, in order; before an error everything that stands before it.

    Raises:
        BrokenXmlError: where it is no XML, or has a DTD, or goes beyond a bound.
    """
    parser = make_parser()
    gathering = _Gathering(parser)
    parser.forbid_dtd = True
    parser.setContentHandler(gathering)
    parser.setProperty(property_lexical_handler, gathering)
    parser.feed(b"")  # or it would not find an empty file too short
    silent, chunk = 0, b"-"
    while chunk:
        chunk = stream.read(_CHUNK)
        broken: BrokenXmlError | None = None
        try:
            if chunk:
                parser.feed(chunk)
            else:
                parser.close()
        except (SAXParseException, _ForbiddenError, ValueError, LookupError) as error:
            broken = _broken(error, gathering.line)
        silent = 0 if gathering.events else silent + len(chunk)
        yield from gathering.events
        gathering.events.clear()
        if silent > LONGEST_PIECE:
            broken = BrokenXmlError(gathering.line, f"a tag or comment has more than {LONGEST_PIECE} bytes")
        if broken is not None:
            raise broken


def _broken(error: Exception, line: int) -> BrokenXmlError:
    if isinstance(error, SAXParseException):
        return BrokenXmlError(error.getLineNumber() or line, error.getMessage())
    if isinstance(error, DefusedXmlException):
        return BrokenXmlError(line, "a DOCTYPE or entity is not allowed")
    # The parser says ValueError or LookupError of an encoding that it does not know.
    return BrokenXmlError(line, str(error)[:LONGEST_REASON])
