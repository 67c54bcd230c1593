"""Files for browsers, out of memory: compressed, and kept for ever under an address that changes when they do."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from mimetypes import guess_type

from flask import Blueprint, Flask, Response, request, url_for

from webapp.errors import NotFoundError
from webapp.web import scripts
from webapp.web.scripts import SOURCES

A_YEAR = 365 * 24 * 3600
KINDS = {".css", ".js", ".svg"}

blueprint = Blueprint("files", __name__)


@dataclass(frozen=True)
class File:
    """A file as it is sent."""

    body: bytes
    compressed: bytes
    kind: str
    fingerprint: str


def register(app: Flask) -> None:
    """Let templates name files."""
    app.jinja_env.globals["file"] = address


def address(name: str) -> str:
    """Return the address of a file; it changes when the file does, or any module in it."""
    return url_for("files.file", name=name, v=load(name).fingerprint)


@blueprint.get("/files/<name>")
def file(name: str) -> Response:
    """Send a file; a script with its modules."""
    if name not in names():
        raise NotFoundError("There is no such file.")
    found = load(name)
    response = Response(found.body, content_type=found.kind)
    response.vary.add("Accept-Encoding")
    if request.accept_encodings.quality("gzip") > 0:
        response.data, response.content_encoding = found.compressed, "gzip"
    if request.args.get("v") == found.fingerprint:
        response.cache_control.public = True
        response.cache_control.max_age = A_YEAR
        response.cache_control.immutable = True
    return response


@cache
def names() -> frozenset[str]:
    """Return the files that have an address of their own: all but the modules inside of scripts."""
    inside = {module for name in scripts.ENTRANCES for module in scripts.modules(name)} - scripts.ENTRANCES
    return frozenset(path.name for path in SOURCES.iterdir() if path.suffix in KINDS and path.name not in inside)


@cache
def load(name: str) -> File:
    """Read a file once."""
    body = scripts.joined(name).encode() if name in scripts.ENTRANCES else (SOURCES / name).read_bytes()
    kind = f"{guess_type(name)[0]}; charset=utf-8"
    return File(body, gzip.compress(body, mtime=0), kind, hashlib.sha256(body).hexdigest()[:12])
