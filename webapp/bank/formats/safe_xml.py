"""Untrusted XML, read piece by piece in bounded memory: no DTD, no entities, nothing external."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler, LexicalHandler, property_lexical_handler
from xml.sax.xmlreader import AttributesImpl, Locator

from defusedxml import DefusedXmlException
from defusedxml.sax import make_parser

from webapp.bank.formats.line_reader import MIB
from webapp.bank.formats.parse_result import ByteStream, UnreadableError

MAX_DEPTH = 50
"""Levels of nested elements."""
MAX_REASON_LENGTH = 200
"""The name of an encoding, which the parser quotes, can have any length."""
MAX_TOKEN_BYTES = MIB
"""Of one tag or comment, which the parser holds as a whole."""
MAX_NAMES = 1000
"""Different names of elements and attributes; the parser keeps every name."""
MAX_NAME_LENGTH = 100

_CHUNK_BYTES = 64 * 1024


class StartElement(NamedTuple):
    """An element begins, at this line."""

    line: int
    name: str
    attributes: Mapping[str, str]


class EndElement(NamedTuple):
    """The innermost open element ends."""

    name: str


class TextContent(NamedTuple):
    """A piece of the text of an element; one text may come in several pieces."""

    text: str


class Comment(NamedTuple):
    """A comment."""

    text: str


XmlEvent = StartElement | EndElement | TextContent | Comment


class BrokenXmlError(UnreadableError):
    """From `line` on the file is no XML that can be read."""

    def __init__(self, line: int, reason: str) -> None:
        """Name the line and the reason."""
        super().__init__(f"from line {line} on this is no XML that can be read ({reason})")
        self.line = line


class _LimitExceededError(Exception):
    """The document exceeds a limit; the text says which."""


class _EventCollector(ContentHandler, LexicalHandler):
    """Collects the parser's events, and stops the parser at the limits."""

    def __init__(self, locator: Locator) -> None:
        super().__init__()
        self.events: list[XmlEvent] = []
        # Not _locator: that is an attribute of ContentHandler.
        self._position = locator
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
        if len(self._names) > MAX_NAMES or any(len(each) > MAX_NAME_LENGTH for each in (name, *attributes)):
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
    """Yield a document's events, in order; before an error all that come before it.

    Raises:
        BrokenXmlError: when it is no XML, or has a DTD, or exceeds a limit.
    """
    parser = make_parser()
    collector = _EventCollector(parser)
    parser.forbid_dtd = True
    parser.setContentHandler(collector)
    parser.setProperty(property_lexical_handler, collector)
    parser.feed(b"")  # without it the parser accepts an empty file
    bytes_without_event, chunk = 0, b"-"
    while chunk:
        chunk = stream.read(_CHUNK_BYTES)
        broken: BrokenXmlError | None = None
        try:
            if chunk:
                parser.feed(chunk)
            else:
                parser.close()
        except (SAXParseException, _LimitExceededError, ValueError, LookupError) as error:
            broken = _to_xml_error(error, collector.line)
        bytes_without_event = 0 if collector.events else bytes_without_event + len(chunk)
        yield from collector.events
        collector.events.clear()
        if bytes_without_event > MAX_TOKEN_BYTES:
            broken = BrokenXmlError(collector.line, f"a tag or comment has more than {MAX_TOKEN_BYTES} bytes")
        if broken is not None:
            raise broken


def _to_xml_error(error: Exception, line: int) -> BrokenXmlError:
    if isinstance(error, SAXParseException):
        return BrokenXmlError(error.getLineNumber() or line, error.getMessage())
    if isinstance(error, DefusedXmlException):
        return BrokenXmlError(line, "a DOCTYPE or entity is not allowed")
    # The parser raises ValueError or LookupError for an unknown encoding.
    return BrokenXmlError(line, str(error)[:MAX_REASON_LENGTH])
