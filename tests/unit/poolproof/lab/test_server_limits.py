from __future__ import annotations

import pytest
from sqlalchemy import URL

from poolproof.lab.server_limits import NoSuchServerError, fit_app_to_server, read_limits, redacted


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
    assert read_limits("sqlite://") is not None


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://app:secret@127.0.0.1:1/app?connect_timeout=2", "nothing+known://app:secret@there/x"]
)
def test_a_server_that_does_not_answer_is_named_without_its_password(url: str) -> None:
    with pytest.raises(NoSuchServerError) as refused:
        read_limits(url)
    assert "secret" not in str(refused.value)
    assert "secret" not in redacted(url)
