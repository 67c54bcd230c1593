"""A share of the request threads, by threads and contexts of requests."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context

import pytest

from poolproof.core.thread_share import ThreadShare, share_limit
from poolproof.errors import PoolTimeoutError, ThreadShareFullError


def is_admitted(share: ThreadShare) -> bool:
    """Say whether another request would get a place now."""

    def enter() -> bool:
        with share.hold():
            return True

    try:
        return Context().run(enter)
    except ThreadShareFullError:
        return False


def test_as_many_requests_as_allowed_hold_a_place_and_the_next_is_refused() -> None:
    share = ThreadShare(2)
    with ThreadPoolExecutor(1) as other_thread, share.hold():
        assert other_thread.submit(is_admitted, share).result()
        second = share.hold()
        Context().run(second.__enter__)
        assert share.held() == 2
        with pytest.raises(PoolTimeoutError, match="2 requests of this process"):
            Context().run(share.hold().__enter__)
        assert not is_admitted(share)
        Context().run(second.__exit__, None, None, None)
        assert is_admitted(share)
    assert (share.held(), share.rejected) == (0, 2)


def test_a_request_that_holds_a_place_is_not_counted_again() -> None:
    share = ThreadShare(1)
    with share.hold():
        with share.hold():
            assert share.held() == 1
        assert share.held() == 1
        assert not is_admitted(share)
    assert share.held() == 0


def test_a_place_in_one_share_is_none_in_another() -> None:
    first, second = ThreadShare(1), ThreadShare(1)
    with first.hold(), second.hold():
        assert (first.held(), second.held()) == (1, 1)
    assert (first.held(), second.held()) == (0, 0)


def test_an_error_gives_the_place_back() -> None:
    share = ThreadShare(1)
    with pytest.raises(KeyError), share.hold():
        raise KeyError
    assert is_admitted(share)


def test_a_place_is_given_back_once_also_from_another_context() -> None:
    share = ThreadShare(1)
    held = share.hold()
    copy_context().run(held.__enter__)
    copy_context().run(held.__exit__, None, None, None)
    assert is_admitted(share)


def test_a_child_of_fork_begins_without_holders() -> None:
    share = ThreadShare(1)
    held = share.hold()
    with held:
        child = os.fork()
        if child == 0:
            is_free = share.held() == 0 and is_admitted(share)
            os._exit(0 if is_free else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert share.held() == 1


@pytest.mark.parametrize(
    ("threads", "share", "limit"), [(8, 0.5, 4), (3, 0.5, 1), (1, 0.5, 1), (8, 1.0, 8), (64, 0.1, 6)]
)
def test_a_share_of_the_threads_is_at_least_one(threads: int, share: float, limit: int) -> None:
    assert share_limit(threads, share) == limit
