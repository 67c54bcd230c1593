from __future__ import annotations

from typing import Any

import pytest
from werkzeug.routing import Map

from webapp.web.rest.openapi import IdConverter, api_blueprint, document_bearer_security, problem_responses
from webapp.web.rest.pagination import MAX_ID


@pytest.mark.parametrize(("text", "number"), [("7", 7), ("0" * 17 + "7", 7), ("9" * 19, MAX_ID), ("9" * 5000, MAX_ID)])
def test_a_number_that_is_no_id_becomes_one_that_no_row_has(text: str, number: int) -> None:
    assert IdConverter(Map()).to_python(text) == number


def documentation(view: Any) -> Any:
    return view._apidoc


def test_declarations_of_a_view_add_up_and_never_change_another_views() -> None:
    blueprint = api_blueprint("small", __name__)

    def view() -> None: ...

    def other() -> None: ...

    problem_responses(blueprint, 404)(view)
    other._apidoc = documentation(view)  # type: ignore[attr-defined]
    problem_responses(blueprint, 409)(document_bearer_security(view))
    assert documentation(view)["response"]["responses"].keys() == {404, 409, 503}
    assert documentation(view)["manual_doc"] == {"security": [{"bearer": []}]}
    assert documentation(other)["response"]["responses"].keys() == {404, 503}
    assert "manual_doc" not in documentation(other)
