"""What the driver is called with."""

from __future__ import annotations

from sqlalchemy import make_url

from poolproof.drivers.mysql.connect_args import connect_args
from poolproof.settings import PoolSettings

LOCAL = make_url("mysql+pymysql://user@127.0.0.1/schema")


def test_every_wait_is_bounded_and_no_context_is_made_without_tls() -> None:
    arguments = connect_args(PoolSettings(connect_timeout=1.5, write_timeout=7, tls="off"), LOCAL)
    assert (arguments["connect_timeout"], arguments["read_timeout"], arguments["write_timeout"]) == (1.5, 1.5, 7)
    assert arguments["ssl_disabled"] is True
    assert "ssl_disabled" not in connect_args(PoolSettings(tls="required"), LOCAL)
