"""The catalogues of translations: what is extracted from the source, and how a catalogue is brought up to date.

`make translations` runs this module: it extracts the texts, merges them into each catalogue (new ones are left empty,
and none is guessed), compiles what is translated, and names what is not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import redirect_stderr
from datetime import UTC, datetime
from io import BytesIO, StringIO
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from werkzeug.exceptions import default_exceptions

from poolproof.capacity.advice import Demand, check_demand
from poolproof.leaks.leak_detector import REMEDIES, Violation
from webapp.accounts.roles import Permission, Role
from webapp.bank.import_jobs import ImportState
from webapp.bank.item_kinds import Difficulty
from webapp.collector.runs import Status
from webapp.errors import list_error_types
from webapp.quizzes.published import QuizState

SOURCE = Path(__file__).resolve().parents[2] / "webapp"
LANGUAGES = ("ko",)
METHODS = [
    ("pooling/**", "ignore"),
    ("lab/**", "ignore"),
    ("templates/lab/**", "ignore"),
    ("templates/**.html", "jinja2"),
    ("**.py", "python"),
]
KEYWORDS = DEFAULT_KEYWORDS | dict.fromkeys(("message", "lazy_gettext", "lazy_ngettext", "retryable_form"))


def extract() -> Catalog:
    """Return a catalogue of all texts that people read."""
    errors: dict[str, tuple[int, ...] | None] = {kind.__name__: None for kind in list_error_types()}
    # One pass for each, since Babel does not find a call inside another; a reason and its advice are two texts, not one
    # with a plural.
    advice: dict[str, tuple[int, ...] | None] = {"BusyError": (2,)}
    texts = [text for keywords in (KEYWORDS, errors, advice) for text in _extract(keywords)]
    catalogue = Catalog(project="Poolproof", charset="utf-8", creation_date=datetime(2026, 11, 28, tzinfo=UTC))
    for name, text in [*texts, *_texts_of_values()]:
        if any(character.isalpha() for character in str(text)):
            catalogue.add(text, None, [(f"webapp/{name}", 1)])
    return catalogue


def catalogue_path(language: str) -> Path:
    """Return the path of a language's catalogue."""
    return SOURCE / f"translations/{language}/LC_MESSAGES/messages.po"


def read_catalogue(language: str) -> Catalog:
    """Return a language's catalogue as it was committed."""
    with catalogue_path(language).open("rb") as file:
        return read_po(file, locale=language)


def compile_catalogue(catalogue: Catalog) -> bytes:
    """Return a catalogue as gettext reads it."""
    file = BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def main() -> None:
    """Bring all catalogues up to date."""
    extracted = extract()
    for language in LANGUAGES:
        catalogue, path = read_catalogue(language), catalogue_path(language)
        catalogue.update(extracted, no_fuzzy_matching=True, update_creation_date=False)
        with path.open("wb") as file:
            write_po(file, catalogue, width=120, include_lineno=False, sort_output=True, ignore_obsolete=True)
        path.with_suffix(".mo").write_bytes(compile_catalogue(catalogue))
        for entry in catalogue:
            if entry.id and not all(entry.string or [""]):
                sys.stderr.write(f"{language}: no translation of {entry.id!r}\n")


def _extract(keywords: dict[str, tuple[int, ...] | None]) -> Iterator[tuple[str, str | tuple[str, ...]]]:
    # Babel warns of f-strings, also where they are values; `untranslated.formatted_texts` finds those that are texts.
    with redirect_stderr(StringIO()):
        extracted = list(extract_from_dir(str(SOURCE), METHODS, keywords=keywords))
    for name, _, text, _, _ in extracted:
        yield name, text


def _texts_of_values() -> Iterator[tuple[str, str]]:
    """Yield what stands in no call: titles of errors, and the words for states that pages show."""
    for kind in list_error_types():
        yield from (("errors.py", text) for text in (kind.title, kind.description()))
    for error in default_exceptions.values():
        yield from (("web/rest/problems.py", str(text)) for text in (error().name, error.description) if text)
    yield from (("console/checkout_diagnosis.py", remedy) for remedy in REMEDIES.values())
    yield "console/pool_sentences.py", check_demand(Demand(), 1).sentence
    for values in (QuizState, ImportState, Status, Difficulty, Role, Permission, Violation):
        yield from (("templates/studio", str(value.value)) for value in values)


if __name__ == "__main__":
    main()
