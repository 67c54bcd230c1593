"""Files for browsers, out of memory: compressed, and kept for ever under an address that changes when they do."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from mimetypes import guess_type

from flask import Blueprint, Flask, Response, request, url_for

from webapp.errors import NotFoundError
from webapp.web import script_bundle
from webapp.web.script_bundle import STATIC_FOLDER

ONE_YEAR = 365 * 24 * 3600
ASSET_SUFFIXES = {".css", ".js", ".svg"}

blueprint = Blueprint("files", __name__)


@dataclass(frozen=True)
class Asset:
    """A file as it is sent."""

    body: bytes
    gzipped: bytes
    content_type: str
    fingerprint: str


def init_app(app: Flask) -> None:
    """Let templates name files."""
    app.jinja_env.globals["asset_url"] = asset_url


def asset_url(name: str) -> str:
    """Return the address of a file; it changes when the file does, or any module in it."""
    return url_for("files.file", name=name, v=load_asset(name).fingerprint)


@blueprint.get("/files/<name>")
def file(name: str) -> Response:
    """Send a file; a script with its modules."""
    if name not in list_asset_names():
        raise NotFoundError("There is no such file.")
    found = load_asset(name)
    response = Response(found.body, content_type=found.content_type)
    response.vary.add("Accept-Encoding")
    if request.accept_encodings.quality("gzip") > 0:
        response.data, response.content_encoding = found.gzipped, "gzip"
    if request.args.get("v") == found.fingerprint:
        response.cache_control.public = True
        response.cache_control.max_age = ONE_YEAR
        response.cache_control.immutable = True
    return response


@cache
def list_asset_names() -> frozenset[str]:
    """Return the files that have an address of their own: all but the modules inside of scripts."""
    inside = {
        module for name in script_bundle.ENTRY_POINTS for module in script_bundle.resolve_modules(name)
    } - script_bundle.ENTRY_POINTS
    return frozenset(
        path.name for path in STATIC_FOLDER.iterdir() if path.suffix in ASSET_SUFFIXES and path.name not in inside
    )


@cache
def load_asset(name: str) -> Asset:
    """Read a file once."""
    body = (
        script_bundle.bundle(name).encode()
        if name in script_bundle.ENTRY_POINTS
        else (STATIC_FOLDER / name).read_bytes()
    )
    kind = f"{guess_type(name)[0]}; charset=utf-8"
    return Asset(body, gzip.compress(body, mtime=0), kind, hashlib.sha256(body).hexdigest()[:12])
