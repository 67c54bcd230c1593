from __future__ import annotations

import pytest
from sqlalchemy import URL

from poolproof.lab.server_limits import NoSuchServerError, read_limits, redacted


def test_a_server_says_its_limits_and_sqlite_has_none(postgresql_url: URL) -> None:
    server = read_limits(postgresql_url.render_as_string(hide_password=False))
    assert server is not None
    assert server.max_connections == 40
    sqlite = read_limits("sqlite://")
    assert sqlite is not None
    assert sqlite.max_connections is None


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://app:secret@127.0.0.1:1/app?connect_timeout=2", "nothing+known://app:secret@there/x"]
)
def test_a_server_that_does_not_answer_is_named_without_its_password(url: str) -> None:
    with pytest.raises(NoSuchServerError) as refused:
        read_limits(url)
    assert "secret" not in str(refused.value)
    assert "secret" not in redacted(url)
