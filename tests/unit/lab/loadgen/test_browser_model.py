"""Who of the users does what, and which files a page names."""

from __future__ import annotations

import pytest

from webapp.lab.loadgen.browser_model import BrowserModel, Ending, draw_traits, files_of

PAGE = """
<link rel="icon" href="/files/icon.svg?v=1"> <link rel="stylesheet" href="/files/poolproof.css?v=2">
<script type="module" src="/files/play.js?v=3"></script> <a href="/quizzes/push">Push</a>
<svg><use href="/files/icon.svg?v=1#drop"></use></svg>
"""


def test_the_files_of_a_page_are_named_once_and_what_it_cannot_be_shown_without_comes_first() -> None:
    assert files_of(PAGE) == ["/files/poolproof.css?v=2", "/files/play.js?v=3", "/files/icon.svg?v=1"]


def test_a_page_without_files_has_none() -> None:
    assert files_of("<!doctype html><title>Push</title><h1>Push</h1>") == []


def test_the_shares_of_the_users_are_those_of_the_model() -> None:
    model = BrowserModel()
    traits = [draw_traits(model, number) for number in range(20_000)]

    def share(counted: int) -> float:
        return counted / len(traits)

    assert share(sum(trait.has_cached_files for trait in traits)) == pytest.approx(model.returning, abs=0.01)
    assert share(sum(trait.has_spare_connection for trait in traits)) == pytest.approx(model.spare, abs=0.01)
    assert share(sum(trait.line is not None for trait in traits)) == pytest.approx(model.slow, abs=0.01)
    for ending in (Ending.SILENT, Ending.RESET):
        assert share(sum(trait.ending is ending for trait in traits)) == pytest.approx(model.vanishing / 2, abs=0.005)


def test_a_user_is_the_same_in_each_push() -> None:
    assert draw_traits(BrowserModel(), 7) == draw_traits(BrowserModel(), 7)
