"""The sources that this installation knows, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from webapp.collector.sources.open_trivia import OpenTriviaSource
from webapp.collector.sources.protocol import Source
from webapp.errors import NotFoundError


class Sources:
    """Open Trivia DB, and what the TOML files of a folder describe."""

    def __init__(self, folder: Path, open_trivia: OpenTriviaSource) -> None:
        """Look into `folder` whenever somebody asks: a new file needs no restart."""
        self._folder = folder
        self._open_trivia = open_trivia

    def find(self, name: str) -> Source:
        """Return a source.

        Raises:
            NotFoundError: when there is none of that name; the text names all.
        """
        known = {source.name: source for source in self.all()}
        if name not in known:
            raise NotFoundError(f"There is no source {name!r}. There are: {', '.join(sorted(known))}.")
        return known[name]

    def all(self) -> list[Source]:
        """Return all sources, by title."""
        return [self._open_trivia]


def sources_of(app: Any) -> Sources:
    """Return the sources of a Flask app."""
    return cast("Sources", app.extensions["sources"])
