from __future__ import annotations

import gzip
import re

import pytest
from flask.testing import FlaskClient

from webapp.web import assets, script_bundle


@pytest.mark.parametrize("name", sorted(script_bundle.ENTRY_POINTS))
def test_a_script_comes_in_one_file_that_needs_no_other(client: FlaskClient, name: str) -> None:
    answer = client.get(f"/files/{name}")
    assert answer.mimetype == "text/javascript"
    assert not re.search(r"^\s*(import|export)\b", answer.text, re.MULTILINE)


@pytest.mark.parametrize("name", ["play.js", "poolproof.css"])
def test_a_file_is_compressed_for_those_who_can_read_that(client: FlaskClient, name: str) -> None:
    plain = client.get(f"/files/{name}")
    small = client.get(f"/files/{name}", headers={"Accept-Encoding": "gzip, br"})
    assert gzip.decompress(small.data) == plain.data
    assert len(small.data) < len(plain.data) / 2
    assert all("Accept-Encoding" in answer.headers["Vary"] for answer in (plain, small))


@pytest.mark.parametrize("name", ["play.js", "poolproof.css", "icon.svg", "local-times.js"])
def test_a_file_may_be_kept_for_a_year_under_the_address_that_names_its_content(client: FlaskClient, name: str) -> None:
    with client.application.test_request_context():
        address = assets.asset_url(name)
    assert "max-age=31536000, immutable" in client.get(address).headers["Cache-Control"]
    assert client.get(f"/files/{name}?v=older").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["outbox.js", "nothing.js", "..%2f..%2fapp.py"])
def test_nothing_else_is_a_file(client: FlaskClient, name: str) -> None:
    assert client.get(f"/files/{name}").status_code == 404
