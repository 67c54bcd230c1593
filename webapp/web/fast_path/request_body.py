"""The body of a request on the fast path: small JSON, read in a way that Flask can read it again."""

from __future__ import annotations

import io
import re
from wsgiref.types import WSGIEnvironment

from webapp.web.fast_path.routes import JSON_MEDIA_TYPE

MAX_BODY_BYTES = 1000
"""What a player sends is far smaller."""

_is_length = re.compile("[0-9]{1,4}").fullmatch


def read_json_body(environ: WSGIEnvironment) -> bytes:
    """Return a small JSON body; b"" when it is something else, which Flask then reads or refuses."""
    if environ.get("CONTENT_TYPE") != JSON_MEDIA_TYPE:
        return b""
    length = environ.get("CONTENT_LENGTH", "")
    if not _is_length(length) or int(length) > MAX_BODY_BYTES:
        return b""
    body: bytes = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = io.BytesIO(body)
    return body
