"""The bank in the studio: items, where they come from, and files in and out."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from functools import partial
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.narrowing import match_in
from webapp.bank import import_service, items
from webapp.bank.item_draft import ItemDraft
from webapp.lab.factories import make_item
from webapp.web import uploads

FILE = b"#Q Which river is long?\n^ Nile\nA Rhine\nB Nile\n\n#Q Which one?\n^ Both\nA One\nB Other\n"


def sent(studio: FlaskClient, content: bytes = FILE, name: str = "rivers", **fields: str) -> TestResponse:
    data: dict[str, Any] = {"format": "opentriviaqa", "category": "Water", **fields}
    return studio.post("/studio/import", data=data | {"file": (io.BytesIO(content), name)}, follow_redirects=True)


def sent_in_one_piece(studio: FlaskClient, content: bytes) -> TestResponse:
    """Send a large file; werkzeug's client would leave one of its own open."""
    head = '--here\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n'
    fields = b"".join(
        [head.format("format", "").encode(), b"opentriviaqa\r\n",
         head.format("file", '; filename="large"').encode(), content, b"\r\n--here--\r\n"]
    )  # fmt: skip
    kind = "multipart/form-data; boundary=here"
    return studio.post("/studio/import", data=fields, content_type=kind, follow_redirects=True)


def test_a_file_is_looked_at_then_imported_then_undone(studio: FlaskClient) -> None:
    response = sent(studio)
    assert "Nothing is stored yet" in response.text
    assert "The answer &#39;Both&#39; matches no option." in response.text
    assert "Import 1 item<" in response.text
    address = response.request.path
    assert "Imported: 1 new." in studio.post(f"{address}/import", follow_redirects=True).text
    assert "Which river is long?" in studio.get("/studio/items").text
    assert "Undone: 1 removed" in studio.post(f"{address}/undo", follow_redirects=True).text
    assert "Which river is long?" not in studio.get("/studio/items").text


def test_what_may_be_a_duplicate_leads_to_the_item_that_it_is_like(studio: FlaskClient, work: UnitOfWork) -> None:
    known = work.run_in_transaction(lambda connection: make_item(connection, stem="Which river is long?"))
    assert f'href="/studio/items/{known.id}"' in sent(studio).text


def test_a_file_whose_name_does_not_tell_its_format_is_asked_about(studio: FlaskClient) -> None:
    assert "does not tell its format" in sent(studio, format="name").text
    assert "Choose a file." in studio.post("/studio/import", data={"format": "name"}).text


def test_a_files_ending_tells_its_format(studio: FlaskClient) -> None:
    response = sent(studio, b"Is it wet? {T}\n", "folder/wet.gift", format="name")
    assert "GIFT, Water" in response.text
    assert '<h1 id="file">wet.gift</h1>' in response.text


def test_a_file_of_another_format_is_refused_with_a_sentence(studio: FlaskClient) -> None:
    assert "this is not JSON" in sent(studio, format="json").text


def test_an_import_that_is_done_is_not_done_again(studio: FlaskClient) -> None:
    address = sent(studio).request.path
    studio.post(f"{address}/import")
    assert "is done" in studio.post(f"{address}/import", follow_redirects=True).text


def test_a_busy_worker_hands_the_button_back(studio: FlaskClient) -> None:
    address = sent(studio).request.path
    with import_service.import_lock():
        answer = studio.post(f"{address}/import")
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert "The file is kept" in answer.text


def test_a_larger_file_than_any_other_form_is_taken_and_too_large_a_one_is_not(studio: FlaskClient, app: Flask) -> None:
    before = app.config[uploads.MAX_UPLOAD_CONFIG_KEY]
    app.config[uploads.MAX_UPLOAD_CONFIG_KEY] = 2 * 1024 * 1024
    try:
        assert "Import 1 item<" in sent_in_one_piece(studio, FILE + b"more\n" * 300_000).text
        for length in (2 * 1024 * 1024 + 1, 3 * 1024 * 1024):
            assert "2 MiB" in sent_in_one_piece(studio, b"x" * length).text
    finally:
        app.config[uploads.MAX_UPLOAD_CONFIG_KEY] = before


def test_an_item_tells_where_it_comes_from_and_what_it_was(studio: FlaskClient, work: UnitOfWork) -> None:
    item = work.run_in_transaction(
        lambda connection: make_item(
            connection, source="Open Trivia DB", licence="CC BY-SA 4.0", address="https://example.org/q/1",
            collected_at=datetime(2026, 5, 4, 3, 2, tzinfo=UTC), original='{"as": "it was"}',
        )
    )  # fmt: skip
    values = {name: getattr(item, name) for name in ItemDraft.__dataclass_fields__} | {"stem": "Another stem?"}
    work.run_in_transaction(lambda connection: items.change(connection, item.id, ItemDraft(**values), 1))
    page = studio.get(f"/studio/items/{item.id}").text
    link = '<a href="https://example.org/q/1" rel="noopener nofollow">https://example.org/q/1</a>'
    for text in ("Open Trivia DB", "CC BY-SA 4.0", link, "4 May 2026, 03:02 UTC", "{&#34;as&#34;: &#34;it was&#34;}"):
        assert text in page
    assert re.search(rf"Version 1.*{re.escape(item.stem)}", page, re.DOTALL)


def test_an_address_that_is_not_of_the_web_is_no_link(studio: FlaskClient, work: UnitOfWork) -> None:
    item = work.run_in_transaction(lambda connection: make_item(connection, address="javascript:alert(1)"))
    page = studio.get(f"/studio/items/{item.id}").text
    assert "javascript:alert(1)" in page
    assert 'href="javascript' not in page


def test_items_are_searched_and_paged(studio: FlaskClient, work: UnitOfWork) -> None:
    for number in range(25):
        work.run_in_transaction(partial(make_item, stem=f"Gadfly number {number}?"))
    work.run_in_transaction(make_item)
    first = studio.get("/studio/items?search=gadfly").text
    assert first.count('class="link-title"') == 20
    more = match_in(r'href="([^"]+)" rel="next"', first)[1].replace("&amp;", "&")
    assert studio.get(more).text.count('class="link-title"') == 5


def test_the_bank_can_be_had_as_a_file(studio: FlaskClient, work: UnitOfWork) -> None:
    item = work.run_in_transaction(make_item)
    page = studio.get("/studio/items").text
    address = match_in(r'href="(/studio/export\?format=json)"', page)[1]
    answer = studio.get(address)
    assert answer.mimetype == "application/json"
    assert answer.get_json()["items"][0]["stem"] == item.stem
    assert studio.get("/studio/export?format=pdf").status_code == 404
