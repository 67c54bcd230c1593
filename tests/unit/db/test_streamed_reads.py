from __future__ import annotations

from poolproof import deadlines
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.db.streamed_reads import connect_for_stream


def test_only_the_first_page_is_read_within_the_deadline(work: UnitOfWork) -> None:
    connect, seen = connect_for_stream(work), []
    token = deadlines.replace_deadline(60)
    try:
        for _ in range(3):
            with connect():
                seen.append(deadlines.remaining() is not None)
    finally:
        deadlines.restore_deadline(token)
    assert seen == [True, False, False]
