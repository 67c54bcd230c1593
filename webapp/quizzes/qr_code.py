"""QR codes as SVG elements of a page, which need no further request."""

from __future__ import annotations

import segno
from markupsafe import Markup

QUIET_ZONE = 4
"""Modules of white around the code, without which some cameras do not find it."""


def as_svg(text: str, title: str) -> Markup:
    """Return the QR code of a text. It is black on white in dark pages, too; its size is the style sheet's."""
    code = segno.make(text, error="m", micro=False)
    svg = code.svg_inline(omitsize=True, border=QUIET_ZONE, light="#fff", dark="#000", svgclass="qr", title=title)
    # All of it was made here: segno escapes the title, and the text is only in the drawing.
    return Markup(svg.replace("<svg ", '<svg role="img" ', 1))  # noqa: S704
