from __future__ import annotations

import time

from flask.testing import FlaskClient

from poolproof.integrations.flask_ext import PoolingState
from tests.support.pools import queue_pool


def test_a_process_is_alive_and_ready(client: FlaskClient) -> None:
    assert client.get("/healthz").json == {"status": "alive"}
    assert client.get("/readyz").json == {"status": "ready"}


def test_readiness_does_not_wait_behind_the_requests(client: FlaskClient, pooling: PoolingState) -> None:
    connections = [pooling.work.engine.connect() for _ in range(queue_pool(pooling.work.engine).size())]
    try:
        started_at = time.monotonic()
        assert client.get("/readyz").status_code == 200
        assert time.monotonic() - started_at < 1
    finally:
        for connection in connections:
            connection.close()
