"""The sources that this installation knows, by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from webapp.collector.sources.base import Source
from webapp.collector.sources.open_trivia import OpenTriviaSource
from webapp.errors import NotFoundError


class SourceRegistry:
    """Open Trivia DB, and what the TOML files of a folder describe."""

    def __init__(self, folder: Path, open_trivia: OpenTriviaSource, environment: Mapping[str, str]) -> None:
        """Look into `folder` whenever somebody asks: a new file needs no restart. Secrets come from `environment`."""
        self._folder = folder
        self._open_trivia = open_trivia
        self._environment = environment

    def find(self, name: str) -> Source:
        """Return a source.

        Raises:
            NotFoundError: when there is none of that name; the text names all.
        """
        sources, faults = self.scan()
        known = {source.name: source for source in sources}
        if name not in known:
            wrong = next((f" {fault}" for fault in faults if name in fault), "")
            raise NotFoundError(f"There is no source {name!r}. There are: {', '.join(sorted(known))}.{wrong}")
        return known[name]

    def available(self) -> list[Source]:
        """Return all sources that can be collected from, by title."""
        return self.scan()[0]

    def config_errors(self) -> list[str]:
        """Return what is wrong with the files that describe none, a line for each fault."""
        return self.scan()[1]

    def scan(self) -> tuple[list[Source], list[str]]:
        """Return what `all` and `faults` do, with one look into the folder."""
        known: dict[str, Source] = {self._open_trivia.name: self._open_trivia}
        faults: list[str] = []
        for file in sorted(self._folder.glob("*.toml")):
            source, wrong = _load_configured(file, self._environment)
            faults += wrong
            if source is None:
                continue
            if source.name in known:
                faults.append(f"{file}: name: there is a source {source.name!r} already; give it another name.")
            else:
                known[source.name] = source
        return sorted(known.values(), key=lambda source: source.title.casefold()), faults


def _load_configured(file: Path, environment: Mapping[str, str]) -> tuple[Source | None, list[str]]:
    """Return the source that a file describes, or None and what is wrong with the file."""
    # Most installations have no such file, and a worker that reads none does not load what reads it.
    from webapp.collector.sources.json_api import load_source
    from webapp.collector.sources.json_api_config import JsonApiConfigError

    try:
        return load_source(file, environment), []
    except JsonApiConfigError as error:
        return None, str(error).splitlines()


def get_source_registry(app: Any) -> SourceRegistry:
    """Return the sources of a Flask app."""
    return cast("SourceRegistry", app.extensions["source_registry"])
