"""The sources of this installation, by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from webapp.collector.sources.base import Source
from webapp.collector.sources.open_trivia import OpenTriviaSource
from webapp.errors import NotFoundError
from webapp.messages import message


class SourceRegistry:
    """Open Trivia DB, and the sources that the TOML files of a directory describe."""

    def __init__(self, folder: Path, open_trivia: OpenTriviaSource, environment: Mapping[str, str]) -> None:
        """Read `folder` at every call: a new file needs no restart. Secrets come from `environment`."""
        self._folder = folder
        self._open_trivia = open_trivia
        self._environment = environment

    def find(self, name: str) -> Source:
        """Return a source.

        Raises:
            NotFoundError: when there is none of that name; the text names all.
        """
        sources, config_errors = self.scan()
        sources_by_name = {source.name: source for source in sources}
        if name not in sources_by_name:
            reason = next((f" {error}" for error in config_errors if name in error), "")
            names = ", ".join(sorted(sources_by_name))
            raise NotFoundError(
                message(
                    "There is no source “%(name)s”. There are: %(names)s.%(reason)s",
                    name=name,
                    names=names,
                    reason=reason,
                )
            )
        return sources_by_name[name]

    def available(self) -> list[Source]:
        """Return all sources that can be collected from, by title."""
        return self.scan()[0]

    def scan(self) -> tuple[list[Source], list[str]]:
        """Return all sources by title, and what is wrong with files that describe none, a line for each error."""
        sources: dict[str, Source] = {self._open_trivia.name: self._open_trivia}
        errors: list[str] = []
        for file in sorted(self._folder.glob("*.toml")):
            source, file_errors = _load_configured(file, self._environment)
            errors += file_errors
            if source is None:
                continue
            if source.name in sources:
                errors.append(f"{file}: name: there is a source {source.name!r} already; give it another name.")
            else:
                sources[source.name] = source
        return sorted(sources.values(), key=lambda source: source.title.casefold()), errors


def _load_configured(file: Path, environment: Mapping[str, str]) -> tuple[Source | None, list[str]]:
    """Return the source that a file describes, or None and what is wrong with the file."""
    # Most installations have no such file; their workers do not load the modules that read it.
    from webapp.collector.sources.json_api import load_source
    from webapp.collector.sources.json_api_config import JsonApiConfigError

    try:
        return load_source(file, environment), []
    except JsonApiConfigError as error:
        return None, str(error).splitlines()


def get_source_registry(app: Any) -> SourceRegistry:
    """Return the sources of a Flask app."""
    return cast("SourceRegistry", app.extensions["source_registry"])
