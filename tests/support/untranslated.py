"""Finds texts that are written into a page, a form or a script in one language only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from jinja2 import Environment, nodes

WORD = re.compile(r"[^\W\d_]{2,}")
SENTENCE = re.compile(r"[A-Za-z]{2,} [A-Za-z(“]|^[A-Z][a-z]+[ .…!?:]*$|…")
READ_ATTRIBUTES = {"alt", "aria-label", "aria-description", "label", "placeholder", "title"}
NOT_READ = {"code", "pre", "script", "style"}
SAME_IN_ALL_LANGUAGES = {
    "Poolproof",
    "UTC",
    "µs",
    "CSV",
    "JSON",
    "XLSX",
    "QR",
    "REST",
    "Excel",
    "interactive",
    "background",
}
TRANSLATING = {"_", "gettext", "ngettext", "pgettext"}
IN_A_SELECTOR = re.compile(r"[\[\]#>=<{}]|^\.|:\w")


class _TextFinder(HTMLParser):
    """Collects what a reader sees or hears of the HTML of a template."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._unread = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unread += tag in NOT_READ
        self.texts += [value for name, value in attrs if name in READ_ATTRIBUTES and value]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.texts += [value for name, value in attrs if name in READ_ATTRIBUTES and value]

    def handle_endtag(self, tag: str) -> None:
        self._unread -= tag in NOT_READ

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.texts.append(data)


def texts_in_template(environment: Environment, source: str) -> list[str]:
    """Return the texts of a template that stand outside of `_(…)`."""
    template = environment.parse(source)
    finder = _TextFinder()
    finder.feed("".join(_html(template)))
    texts = [text.strip() for text in finder.texts]
    return [text for text in [*texts, *_constants(template)] if _has_words(text)]


def _html(node: nodes.Node) -> Iterator[str]:
    """Yield the HTML of a template in its order; what is filled in has no words of its own."""
    if isinstance(node, nodes.Block) and node.name == "body_class":
        return
    if isinstance(node, nodes.TemplateData):
        yield node.data
    elif isinstance(node, nodes.Expr):
        yield "0"
    else:
        for child in node.iter_child_nodes():
            yield from _html(child)


def _constants(node: nodes.Node) -> Iterator[str]:
    """Yield sentences that expressions of a template write, or give to a macro."""
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in TRANSLATING:
        return
    if isinstance(node, nodes.Const) and isinstance(node.value, str) and SENTENCE.search(node.value):
        yield node.value
    if not isinstance(node, (nodes.Compare, nodes.Test, nodes.Getitem)):
        for child in node.iter_child_nodes():
            yield from _constants(child)


def _has_words(text: str) -> bool:
    return any(word not in SAME_IN_ALL_LANGUAGES for word in WORD.findall(text))


def texts_in_module(path: Path) -> list[str]:
    """Return the literal texts that a module flashes, or gives to fields of forms and to their validators."""
    calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return [ast.unparse(text) for call in calls for text in _read_arguments(call) if _is_literal(text)]


def _read_arguments(call: ast.Call) -> list[ast.expr]:
    function = call.func.id if isinstance(call.func, ast.Name) else ""
    is_form = function.endswith("Field") and function != "Field"
    if function in {"flash", "ValidationError", "DataRequired", "InputRequired", "FileRequired"} or is_form:
        return call.args[:1]
    if function == "SelectChoice":
        return call.args[1:2]
    return [keyword.value for keyword in call.keywords if keyword.arg == "message"]


def _is_literal(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def formatted_texts(path: Path, functions: set[str]) -> list[str]:
    """Return the texts that a module gives to these functions with their values in them already."""
    calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    named = (call for call in calls if isinstance(call.func, ast.Name) and call.func.id in functions)
    return [ast.unparse(call.args[0]) for call in named if call.args and isinstance(call.args[0], ast.JoinedStr)]


def texts_in_script(source: str) -> list[str]:
    """Return the literal texts of a script that look like a sentence, or a word that is shown."""
    code = re.sub(r"^\s*(//.*|import .*|\*.*|/\*.*)$|\s// .*$|className = .*", "", source, flags=re.MULTILINE)
    literals = re.findall(r'"((?:[^"\\\n]|\\.)*)"|`([^`]*)`', code)
    texts = [re.sub(r"\$\{[^}]*\}", "0", double or template) for double, template in literals]
    return [text for text in texts if SENTENCE.search(text) and not IN_A_SELECTOR.search(text)]
