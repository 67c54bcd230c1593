from __future__ import annotations

from poolproof.capacity.server_info import read_server_info
from poolproof.transactions.unit_of_work import UnitOfWork


def test_the_server_says_what_it_is_and_what_it_allows(work: UnitOfWork, database: str) -> None:
    with work.read() as connection:
        facts = read_server_info(connection)
    assert facts.flavour == database
    if database == "sqlite":
        assert facts.max_connections is None
    else:
        assert (facts.wait_timeout or 0) > 0
        assert 0 < facts.max_used_connections <= (facts.max_connections or 0)
        assert not facts.read_only
