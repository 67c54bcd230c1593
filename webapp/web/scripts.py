"""Scripts as browsers get them: a script and the modules that it imports, in one file and one request.

A module writes `import { name } from "./other.js";`, each on a line of its own, and all
names at the top of modules that meet in one file differ.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from functools import cache
from pathlib import Path

from flask import Blueprint, Flask, Response, request, url_for

from webapp.errors import NotFoundError

SOURCES = Path(__file__).resolve().parent.parent / "static"
ENTRANCES = frozenset({"again.js", "finished.js", "play.js"})
A_YEAR = 365 * 24 * 3600

_IMPORT = re.compile(r'^import \{ [\w, ]+ \} from "\./([a-z]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=class|function|async|const)", re.MULTILINE)

blueprint = Blueprint("scripts", __name__)


def register(app: Flask) -> None:
    """Let templates name scripts."""
    app.jinja_env.globals["script"] = address


def address(name: str) -> str:
    """Return the address of a script; it changes when any module in it does."""
    return url_for("scripts.script", name=name, v=_fingerprint(name))


@blueprint.get("/scripts/<name>")
def script(name: str) -> Response:
    """Send a script with its modules."""
    if name not in ENTRANCES:
        raise NotFoundError("There is no such script.")
    response = Response(joined(name), mimetype="text/javascript")
    response.vary.add("Accept-Encoding")
    if request.accept_encodings.quality("gzip") > 0:
        response.data, response.content_encoding = _compressed(name), "gzip"
    if request.args.get("v") == _fingerprint(name):
        response.cache_control.public = True
        response.cache_control.max_age = A_YEAR
        response.cache_control.immutable = True
    return response


@cache
def joined(name: str) -> str:
    """Return a script after the modules that it imports, each once."""
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", _source(module))) for module in modules(name))


def modules(name: str) -> list[str]:
    """Return the names of a script and of what it imports, in the order in which they must run."""
    found: list[str] = []
    for imported in _IMPORT.findall(_source(name)):
        found += [module for module in modules(imported) if module not in found]
    return [*found, name]


def _source(name: str) -> str:
    return (SOURCES / name).read_text(encoding="utf-8")


@cache
def _compressed(name: str) -> bytes:
    return gzip.compress(joined(name).encode())


@cache
def _fingerprint(name: str) -> str:
    return hashlib.sha256(joined(name).encode()).hexdigest()[:12]
