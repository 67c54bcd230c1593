"""Sources and collection runs over REST."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient

API = "/api/v1"


def start(client: FlaskClient, author: dict[str, str]) -> Any:
    return client.post(f"{API}/collection-runs", json={"source": "opentdb"}, headers=author)


def test_the_sources_are_told_with_their_limits_and_licence(client: FlaskClient, author: dict[str, str]) -> None:
    (source,) = client.get(f"{API}/sources", headers=author).get_json()["sources"]
    assert (source["name"], source["licence"]) == ("opentdb", "CC BY-SA 4.0")
    assert source["limits"]["spacing"] == 5.0


def test_a_run_is_ordered_read_cancelled_and_resumed(client: FlaskClient, author: dict[str, str]) -> None:
    created = start(client, author)
    assert created.status_code == 201
    address = created.headers["Location"]
    read = client.get(address, headers=author).get_json()
    assert (read["status"], read["ordered_by"], read["parts"], read["events"]) == ("queued", "ada", [], [])
    assert client.post(f"{address}/cancel", headers=author).get_json()["status"] == "cancelled"
    assert client.post(f"{address}/resume", headers=author).get_json()["status"] == "queued"
    assert [event["kind"] for event in client.get(address, headers=author).get_json()["events"]] == [
        "queued",
        "cancelled",
    ]
    assert [run["id"] for run in client.get(f"{API}/collection-runs", headers=author).get_json()["runs"]] == [
        read["id"]
    ]


def test_a_second_run_of_a_source_is_a_conflict_that_names_the_first(
    client: FlaskClient, author: dict[str, str]
) -> None:
    first = start(client, author).json["id"]
    repeated = start(client, author)
    assert (repeated.status_code, repeated.json["type"]) == (409, "/problems#collection-state")
    assert f"Run {first} " in repeated.json["detail"]


def test_an_unknown_source_is_named_beside_those_that_there_are(client: FlaskClient, author: dict[str, str]) -> None:
    answer = client.post(f"{API}/collection-runs", json={"source": "birds"}, headers=author)
    assert answer.status_code == 404
    assert "opentdb" in answer.get_json()["detail"]


def test_a_file_that_describes_a_source_makes_it_known_and_a_bad_one_says_why(
    app: Flask, client: FlaskClient, author: dict[str, str]
) -> None:
    directory = app.config["SETTINGS"].poolproof.instance / "sources"
    directory.mkdir()
    (directory / "birds.toml").write_text('name = "birds"\ntitle = 3\n')
    try:
        answer = client.post(f"{API}/collection-runs", json={"source": "birds"}, headers=author)
        assert answer.status_code == 404
        assert "birds.toml" in answer.get_json()["detail"]
        assert app.extensions["source_registry"].scan()[1]
    finally:
        (directory / "birds.toml").unlink()
        directory.rmdir()


def test_nobody_collects_without_signing_in(client: FlaskClient) -> None:
    assert client.post(f"{API}/collection-runs", json={"source": "opentdb"}).status_code == 401
    assert client.get("/studio/collections").status_code == 302
