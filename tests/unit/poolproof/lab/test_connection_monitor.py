from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from sqlalchemy import create_engine, text

from poolproof.lab.connection_monitor import ConnectionMonitor
from webapp.lab.services.programs import Flavour


def test_connections_to_a_schema_are_counted_and_ended(
    server_flavour: Flavour, new_schema: Callable[[str, str], str]
) -> None:
    url = new_schema(server_flavour, "poolproof_watched")
    engine = create_engine(url)
    with closing(ConnectionMonitor(url)) as monitor, engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        assert monitor.connection_count() == 1
        monitor.kill_all()
        assert monitor.wait_until_settled() == 0
        connection.invalidate()
    engine.dispose()
