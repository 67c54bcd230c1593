"""XML from strangers, piece by piece and in bounded memory: no DTD, no entities, nothing from outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler, LexicalHandler, property_lexical_handler
from xml.sax.xmlreader import AttributesImpl, Locator

from defusedxml import DefusedXmlException
from defusedxml.sax import make_parser

from webapp.bank.formats.parse_result import ByteStream, UnreadableError

MAX_DEPTH = 50
"""Elements within each other."""
MAX_REASON_LENGTH = 200
"""Characters: an encoding's name can be as long as somebody likes."""
MAX_TOKEN_BYTES = 1024 * 1024
"""Bytes that one tag or comment may have; the parser holds it whole."""
MAX_NAMES = 1000
MAX_NAME_LENGTH = 100
"""Of elements and attributes, all together and each, in characters; the parser keeps every name."""

_CHUNK = 64 * 1024


class StartElement(NamedTuple):
    """An element begins, at this line."""

    line: int
    name: str
    attributes: Mapping[str, str]


class EndElement(NamedTuple):
    """The element that began last ends."""

    name: str


class TextContent(NamedTuple):
    """A piece of the text of an element; what belongs together may come in several."""

    text: str


class Comment(NamedTuple):
    """A comment."""

    text: str


XmlEvent = StartElement | EndElement | TextContent | Comment


class BrokenXmlError(UnreadableError):
    """From `line` on the file is no XML that may be read."""

    def __init__(self, line: int, reason: str) -> None:
        """Say what is wrong there."""
        super().__init__(f"from line {line} on this is no XML that can be read ({reason})")
        self.line = line


class _LimitExceededError(Exception):
    """The document goes beyond a bound; the text says which."""


class _EventCollector(ContentHandler, LexicalHandler):
    """Gathers what a parser tells, and stops it at the bounds."""

    def __init__(self, position: Locator) -> None:
        super().__init__()
        self.events: list[XmlEvent] = []
        self._position = position
        self._names: set[str] = set()
        self._depth = 0

    @property
    def line(self) -> int:
        return self._position.getLineNumber() or 1

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802 - as SAX calls it
        self._depth += 1
        attributes = dict(attrs.items())
        self._names.update((name, *attributes))
        if self._depth > MAX_DEPTH:
            raise _LimitExceededError(f"more than {MAX_DEPTH} elements stand within each other")
        if len(self._names) > MAX_NAMES or any(len(one) > MAX_NAME_LENGTH for one in (name, *attributes)):
            raise _LimitExceededError("it has too many names of elements, or too long ones")
        self.events.append(StartElement(self.line, name, attributes))

    def endElement(self, name: str) -> None:  # noqa: N802 - as SAX calls it
        self._depth -= 1
        self.events.append(EndElement(name))

    def characters(self, content: str) -> None:
        self.events.append(TextContent(content))

    def comment(self, content: str) -> None:
        self.events.append(Comment(content))


def iter_events(stream: ByteStream) -> Iterator[XmlEvent]:
    """Yield what a document consists of, in order; before an error everything that stands before it.

    Raises:
        BrokenXmlError: where it is no XML, or has a DTD, or goes beyond a bound.
    """
    parser = make_parser()
    gathering = _EventCollector(parser)
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
        except (SAXParseException, _LimitExceededError, ValueError, LookupError) as error:
            broken = _to_xml_error(error, gathering.line)
        silent = 0 if gathering.events else silent + len(chunk)
        yield from gathering.events
        gathering.events.clear()
        if silent > MAX_TOKEN_BYTES:
            broken = BrokenXmlError(gathering.line, f"a tag or comment has more than {MAX_TOKEN_BYTES} bytes")
        if broken is not None:
            raise broken


def _to_xml_error(error: Exception, line: int) -> BrokenXmlError:
    if isinstance(error, SAXParseException):
        return BrokenXmlError(error.getLineNumber() or line, error.getMessage())
    if isinstance(error, DefusedXmlException):
        return BrokenXmlError(line, "a DOCTYPE or entity is not allowed")
    # The parser says ValueError or LookupError of an encoding that it does not know.
    return BrokenXmlError(line, str(error)[:MAX_REASON_LENGTH])
