"""Whether a thread opens a connection is known in that thread only."""

from __future__ import annotations

import threading

from poolproof.drivers.connect_state import connect_state


def test_a_thread_that_connects_does_not_make_another_one_seem_to() -> None:
    states: list[bool] = []
    connect_state.in_progress = True
    try:
        thread = threading.Thread(target=lambda: states.append(connect_state.in_progress))
        thread.start()
        thread.join()
    finally:
        connect_state.in_progress = False
    assert states == [False]
