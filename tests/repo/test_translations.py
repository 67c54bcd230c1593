"""No text of a page is in one language only, and the catalogues are complete."""

from __future__ import annotations

import re

import pytest
from babel.messages import Catalog
from babel.messages.mofile import read_mo
from flask import Flask

from tests.support.catalogue import LANGUAGES, SOURCE, catalogue_path, extract, read_catalogue
from tests.support.untranslated import formatted_texts, texts_in_module, texts_in_script, texts_in_template
from webapp.errors import list_error_types

FEATURES = ("accounts", "attempts", "bank", "collector", "console", "quizzes", "results", "web")
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%%|\{\w+\}")
EXEMPT_TEMPLATES = {"web/docs.html": "Swagger UI is in English"}
NO_WORDS = {"K7M 2XF"}
"""A code as it looks."""
EXEMPT_SCRIPTS = {"swagger-init.js": "Swagger UI is in English"}
KEY_NAMES = {"Enter", "Escape", "Home", "End", "Delete", "Tab", "Backspace"}
PARTICLES_BY_ENDING = re.compile(r"(%\(\w+\)s|\})[”)]?(을|를|은|는|이|가|과|와|으로|로)(?=[\s.,])")
BOTH_PARTICLES = "을(를)"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_has_a_translation_and_none_is_left_over(language: str) -> None:
    extracted = {entry.id for entry in extract() if entry.id}
    translated = {entry.id for entry in read_catalogue(language) if entry.id and all(_strings(entry.string))}
    assert translated == extracted, "run `make translations`, and translate what it names"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_translation_is_a_guess_or_has_other_placeholders(language: str) -> None:
    for entry in read_catalogue(language):
        texts = [entry.id] if isinstance(entry.id, str) else list(entry.id)
        if not entry.id:
            continue
        assert not entry.fuzzy, entry.id
        for string in _strings(entry.string):
            assert sorted(PLACEHOLDER.findall(string)) == sorted(PLACEHOLDER.findall(texts[-1])), entry.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compiled_is_what_is_written(language: str) -> None:
    path = catalogue_path(language)
    with path.with_suffix(".mo").open("rb") as file:
        compiled = read_mo(file)
    assert _by_first_text(compiled) == _by_first_text(read_catalogue(language))


def test_no_korean_particle_follows_a_value_that_decides_its_form() -> None:
    """을 or 를, 은 or 는, 이 or 가, 과 or 와, 으로 or 로 depend on the last letter of the word before them."""
    wrong = [
        text
        for entry in read_catalogue("ko")
        for text in _strings(entry.string)
        if entry.id and (PARTICLES_BY_ENDING.search(text) or BOTH_PARTICLES in text)
    ]
    assert wrong == []


def test_no_template_has_a_text_in_one_language_only(app: Flask) -> None:
    folder = SOURCE / "templates"
    found = {
        name: texts
        for path in sorted(folder.rglob("*.html"))
        if (name := path.relative_to(folder).as_posix()) not in EXEMPT_TEMPLATES and not name.startswith("lab/")
        if (texts := [text for text in texts_in_template(app.jinja_env, path.read_text()) if text not in NO_WORDS])
    }
    assert found == {}, "write {{ _(…) }}"


def test_no_form_and_no_flash_has_a_text_in_one_language_only() -> None:
    modules = [
        *SOURCE.rglob("pages.py"),
        *SOURCE.rglob("*_pages.py"),
        *SOURCE.rglob("*forms.py"),
        SOURCE / "web/validators.py",
    ]
    found = {str(path.relative_to(SOURCE)): texts for path in modules if (texts := texts_in_module(path))}
    assert found == {}, "write gettext(…), or lazy_gettext(…) where a module is imported"


def test_values_are_put_into_texts_after_they_were_translated() -> None:
    functions = {kind.__name__ for kind in list_error_types()} | {"message", "gettext", "lazy_gettext"}
    modules = [path for name in FEATURES for path in (SOURCE / name).rglob("*.py")]
    found = {path.name: texts for path in modules if (texts := formatted_texts(path, functions))}
    assert found == {}, "write message(…, name=value) for a sentence with values"


def test_no_style_sheet_has_a_text() -> None:
    sheets = (path.read_text() for path in (SOURCE / "static").glob("*.css"))
    assert [
        text for style_sheet in sheets for text in re.findall(r'content: "([^"]*[A-Za-z]{2}[^"]*)"', style_sheet)
    ] == []


def test_no_script_has_a_text_in_one_language_only() -> None:
    found = {
        path.name: texts
        for path in sorted((SOURCE / "static").glob("*.js"))
        if path.name not in EXEMPT_SCRIPTS
        if (texts := [text for text in texts_in_script(path.read_text()) if text not in KEY_NAMES])
    }
    assert found == {}, "give the page a text by `script_texts`, and say textOf(…)"


def test_what_finds_texts_finds_them(app: Flask) -> None:
    """Otherwise the tests above would pass for a page that no one has translated."""
    page = '<p title="Seen">Hello {{ name }}</p>{{ _("Said") }}{{ field(x, hint="Two words") }}<code>no</code>'
    assert texts_in_template(app.jinja_env, page) == ["Seen", "Hello 0", "Two words"]
    assert texts_in_script('a.textContent = "Not saved yet.";\nb.querySelector("button.primary"); // a remark') == [
        "Not saved yet."
    ]


def _by_first_text(catalogue: Catalog) -> dict[str, list[str]]:
    texts = {entry.id if isinstance(entry.id, str) else entry.id[0]: _strings(entry.string) for entry in catalogue}
    return {text: strings for text, strings in texts.items() if text}


def _strings(string: str | tuple[str, ...] | list[str] | None) -> list[str]:
    return [string or ""] if isinstance(string, str) or string is None else list(string)


def test_the_korean_readme_follows_the_english_one() -> None:
    english, korean = ((SOURCE.parent / name).read_text() for name in ("README.md", "README.ko.md"))
    for parts in (r"(?ms)^```.*?^```$", r"(?m)^#+ ", r"(?m)^<!-- .*-->$", r"(?m)^- ", r"(?m)^\|.*?\|"):
        assert len(re.findall(parts, english)) == len(re.findall(parts, korean)), parts
    commands, addresses = r"(?ms)^```.*?^```$", r"\]\((?!README)([^)]+)\)"
    assert re.findall(commands, english) == re.findall(commands, korean)
    assert set(re.findall(addresses, english)) == set(re.findall(addresses, korean))
