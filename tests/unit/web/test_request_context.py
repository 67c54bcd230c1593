from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient


def test_a_good_request_id_is_kept(client: FlaskClient) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": "trace-0042"}).headers["X-Request-ID"] == "trace-0042"


@pytest.mark.parametrize("bad", ["short", "with blank inside", "x" * 65, 'quote"quote'])
def test_a_bad_request_id_is_replaced(client: FlaskClient, bad: str) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": bad}).headers["X-Request-ID"] != bad


def test_a_request_is_one_line_with_its_rule_and_never_its_secret(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.get("/attempts/a-secret-token", headers={"X-Request-ID": "trace-0043"})
    (record,) = [record for record in caplog.records if record.name == "poolproof.request"]
    event: Any = record.msg
    assert (event["route"], event["status"], event["request_id"]) == ("/attempts/<token>", 404, "trace-0043")
    assert "a-secret-token" not in caplog.text
