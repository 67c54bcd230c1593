from __future__ import annotations

import gzip
import re
from collections import Counter

import pytest
from flask.testing import FlaskClient

from webapp.web import scripts


@pytest.mark.parametrize("name", sorted(scripts.ENTRANCES))
def test_a_script_comes_in_one_file_that_needs_no_other(client: FlaskClient, name: str) -> None:
    answer = client.get(f"/scripts/{name}")
    assert answer.mimetype == "text/javascript"
    assert not re.search(r"^\s*(import|export)\b", answer.text, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(scripts.ENTRANCES))
def test_modules_that_meet_in_one_file_have_no_name_in_common(name: str) -> None:
    names = re.findall(r"^(?:async )?(?:function|class|const|let) (\w+)", scripts.joined(name), re.MULTILINE)
    assert len(names) > 3
    assert {one: count for one, count in Counter(names).items() if count > 1} == {}


def test_a_module_runs_once_and_after_those_that_it_needs() -> None:
    order = scripts.modules("play.js")
    assert sorted(order) == sorted(set(order))
    assert order.index("patience.js") < order.index("sender.js") < order.index("play.js")


def test_a_script_is_compressed_for_those_who_can_read_that(client: FlaskClient) -> None:
    plain = client.get("/scripts/play.js")
    small = client.get("/scripts/play.js", headers={"Accept-Encoding": "gzip, br"})
    assert gzip.decompress(small.data) == plain.data
    assert len(small.data) < len(plain.data) / 2
    assert all("Accept-Encoding" in answer.headers["Vary"] for answer in (plain, small))


def test_a_script_may_be_kept_for_a_year_under_the_address_that_names_its_content(client: FlaskClient) -> None:
    with client.application.test_request_context():
        address = scripts.address("play.js")
    assert "max-age=31536000, immutable" in client.get(address).headers["Cache-Control"]
    assert client.get("/scripts/play.js?v=older").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["outbox.js", "nothing.js", "..%2f..%2fapp.py"])
def test_nothing_else_is_a_script(client: FlaskClient, name: str) -> None:
    assert client.get(f"/scripts/{name}").status_code == 404
