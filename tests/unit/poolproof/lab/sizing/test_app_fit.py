from __future__ import annotations

from sqlalchemy import URL

from poolproof.lab.server_limits import read_limits
from poolproof.lab.sizing.app_fit import fit_app_to_server


def test_a_size_that_the_server_has_no_room_for_is_made_smaller(postgresql_url: URL) -> None:
    server = read_limits(postgresql_url.render_as_string(hide_password=False))
    assert server is not None
    fitted = fit_app_to_server(16, 4, server)
    assert 1 <= fitted.size < 16
    assert fitted.max_connections_needed <= (server.max_connections or 0)
    assert "16 would be better" in fitted.sentences[-1]
    assert fit_app_to_server(2, 1, server).size == 2


def test_what_says_no_limits_gets_what_is_best() -> None:
    assert fit_app_to_server(16, 4, None).size == 16
