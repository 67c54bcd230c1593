from __future__ import annotations

import pytest
from flask.testing import FlaskClient

KOREAN = {"language": "ko"}


def test_the_switch_returns_to_the_page_in_the_other_language(client: FlaskClient) -> None:
    assert '<html lang="en">' in client.get("/problems").text
    referrer = {"Referer": "http://localhost/problems?shown=all"}
    switched = client.post("/language?next=/problems", data=KOREAN, headers=referrer)
    assert (switched.status_code, switched.headers["Location"]) == (303, "/problems?shown=all")
    page = client.get("/problems")
    assert '<html lang="ko">' in page.text
    assert "출제자용" in page.text
    assert {"Cookie", "Accept-Language"} <= {name.strip() for name in page.headers["Vary"].split(",")}


@pytest.mark.parametrize(
    "target",
    [
        "//example.org",
        "https://example.org/",
        "/\\example.org",
        "///example.org/problems",
        "/no-such-page",
        "",
        "/language",
    ],
)
def test_the_switch_leads_to_pages_of_ours_only(client: FlaskClient, target: str) -> None:
    for referrer in ("", "https://example.org/problems?x=1"):
        switched = client.post("/language", query_string={"next": target}, data=KOREAN, headers={"Referer": referrer})
        assert (switched.status_code, switched.headers["Location"]) == (303, "/")


def test_the_query_of_another_sites_page_is_not_taken_over(client: FlaskClient) -> None:
    referrer = {"Referer": "https://example.org/problems?x=1"}
    assert client.post("/language?next=/problems", data=KOREAN, headers=referrer).headers["Location"] == "/problems"


def test_the_switch_knows_its_languages_and_its_own_forms_only(client: FlaskClient) -> None:
    assert client.post("/language", data={"language": "tlh"}).status_code == 422
    assert client.post("/language", data=KOREAN, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_under_a_prefix_the_switch_stays_there(client: FlaskClient) -> None:
    switched = client.post("/language?next=/problems", data=KOREAN, environ_overrides={"SCRIPT_NAME": "/quiz"})
    assert switched.headers["Location"] == "/quiz/problems"
    assert "Path=/quiz/" in switched.headers["Set-Cookie"]
