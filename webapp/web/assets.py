"""Static files, served from memory: compressed, and cacheable for ever at a URL that changes with their content."""

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
    """A file as it is sent to browsers."""

    body: bytes
    gzipped: bytes
    content_type: str
    fingerprint: str


def init_app(app: Flask) -> None:
    """Give templates `asset_url`."""
    app.jinja_env.globals["asset_url"] = asset_url


def asset_url(name: str) -> str:
    """Return the URL of a file; it changes when the file does, or any module bundled with it."""
    return url_for("files.file", name=name, v=load_asset(name).fingerprint)


@blueprint.get("/files/<name>")
def file(name: str) -> Response:
    """Send a file; a script is bundled with its modules."""
    if name not in list_asset_names():
        raise NotFoundError("There is no such file.")
    asset = load_asset(name)
    response = Response(asset.body, content_type=asset.content_type)
    response.vary.add("Accept-Encoding")
    if request.accept_encodings.quality("gzip") > 0:
        response.data, response.content_encoding = asset.gzipped, "gzip"
    if request.args.get("v") == asset.fingerprint:
        response.cache_control.public = True
        response.cache_control.max_age = ONE_YEAR
        response.cache_control.immutable = True
    return response


@cache
def list_asset_names() -> frozenset[str]:
    """Return the files that have a URL of their own: all but the modules that are only bundled."""
    entry_points = script_bundle.ENTRY_POINTS
    bundled = {module for name in entry_points for module in script_bundle.resolve_modules(name)} - entry_points
    return frozenset(
        path.name for path in STATIC_FOLDER.iterdir() if path.suffix in ASSET_SUFFIXES and path.name not in bundled
    )


@cache
def load_asset(name: str) -> Asset:
    """Read and compress a file; each is loaded once."""
    body = (
        script_bundle.bundle(name).encode()
        if name in script_bundle.ENTRY_POINTS
        else (STATIC_FOLDER / name).read_bytes()
    )
    content_type = f"{guess_type(name)[0]}; charset=utf-8"
    return Asset(body, gzip.compress(body, mtime=0), content_type, hashlib.sha256(body).hexdigest()[:12])
