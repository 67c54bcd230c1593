"""Bundles scripts: an entry point and the modules that it imports, in one file and one request.

A module writes `import { name } from "./other.js";`, each on a line of its own, and the top-level
names of all modules in one bundle differ.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

STATIC_FOLDER = Path(__file__).resolve().parent.parent / "static"
ENTRY_POINTS = frozenset(
    {
        "busy-retry.js",
        "collection-progress.js",
        "console.js",
        "erased.js",
        "item-editor.js",
        "live-results.js",
        "local-times.js",
        "play.js",
        "quiz-builder.js",
        "result.js",
        "saved-draft.js",
        "trial-play.js",
    }
)

_IMPORT = re.compile(r'^import \{ [\w, ]+ \} from "\./([a-z-]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=class|function|async|const)", re.MULTILINE)


@cache
def bundle(name: str) -> str:
    """Return the source of a script, preceded by the modules that it imports, each once."""
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", _read_source(module))) for module in resolve_modules(name))


def resolve_modules(name: str) -> list[str]:
    """Return the names of a script and of all modules that it imports, in the order in which they must run."""
    modules: list[str] = []
    for imported in _IMPORT.findall(_read_source(name)):
        modules += [module for module in resolve_modules(imported) if module not in modules]
    return [*modules, name]


def _read_source(name: str) -> str:
    return (STATIC_FOLDER / name).read_text(encoding="utf-8")
