"""The upper limit without HTTP: threads store answers one by one with PyMySQL, each on a connection of its own."""

from __future__ import annotations

import threading
import time
from contextlib import closing

from webapp.lab.services.database_server import DatabaseServer

THREADS = 16
TABLE = "CREATE TABLE answer (attempt_id BIGINT, item_id BIGINT, chosen INT, PRIMARY KEY (attempt_id, item_id))"
STORE = "INSERT INTO answer VALUES (%s, %s, %s) ON DUPLICATE KEY UPDATE chosen = VALUES(chosen)"


def answers_per_second(server: DatabaseServer, seconds: float) -> float:
    """Return how many answers are committed in a second."""
    server.execute("CREATE DATABASE bench_limits")
    server.execute(TABLE, database="bench_limits")
    counts, ends_at = [0] * THREADS, time.monotonic() + seconds

    def store(number: int) -> None:
        with closing(server.connect("bench_limits")) as connection, connection.cursor() as cursor:
            while time.monotonic() < ends_at:
                cursor.execute(STORE, (number * 1000 + counts[number] // 10, counts[number] % 10, 1))
                counts[number] += 1

    threads = [threading.Thread(target=store, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.execute("DROP DATABASE bench_limits")
    return sum(counts) / seconds
