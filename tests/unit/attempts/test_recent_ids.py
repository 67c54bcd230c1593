from __future__ import annotations

from uuid import uuid4

from webapp.attempts.recent_ids import RecentIds


def test_the_last_ids_are_remembered_and_the_oldest_forgotten() -> None:
    ids, recent = [uuid4() for _ in range(5)], RecentIds(3)
    recent.add(ids[:2])
    recent.add(ids[2:])
    assert [one in recent.ids for one in ids] == [False, False, True, True, True]


def test_what_was_discarded_is_forgotten() -> None:
    ids, recent = [uuid4() for _ in range(2)], RecentIds(3)
    recent.add(ids)
    recent.discard([ids[0], uuid4()])
    assert [one in recent.ids for one in ids] == [False, True]
