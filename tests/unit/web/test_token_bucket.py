from __future__ import annotations

from webapp.web.token_bucket import TokenBucket


def test_a_burst_passes_and_then_the_rate() -> None:
    bucket = TokenBucket(rate=2.0, burst=3.0, tokens=3.0, updated_at=100.0)
    assert [bucket.take(100.0) for _ in range(5)] == [0.0, 0.0, 0.0, 0.5, 0.5]
    assert bucket.take(100.5) == 0.0


def test_it_never_holds_more_than_a_burst_and_is_full_after_a_while() -> None:
    bucket = TokenBucket(rate=2.0, burst=3.0, tokens=3.0, updated_at=100.0)
    assert bucket.take(100.0) == 0.0
    assert (bucket.is_full(101.0), bucket.is_full(101.5)) == (False, True)
    assert [bucket.take(999.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
