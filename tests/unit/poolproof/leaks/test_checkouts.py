"""One checkout, and those of a request."""

from __future__ import annotations

import threading
import weakref
from typing import Any

from poolproof.leaks.checkout_registry import CheckoutRegistry
from poolproof.leaks.checkouts import Checkout, RequestCheckouts, thread_state


class Proxy:
    """Stands for a pool's connection."""


def test_a_driver_that_counts_nothing_may_be_running_a_statement() -> None:
    proxy: Any = weakref.ref(Proxy())
    checkout = Checkout(CheckoutRegistry("test"), RequestCheckouts(), proxy, object(), object())
    assert checkout.is_statement_running()
    assert checkout.statement_count == 0


def test_each_thread_has_checkouts_of_its_own_outside_of_requests() -> None:
    others: list[RequestCheckouts] = []
    thread = threading.Thread(target=lambda: others.append(thread_state.checkouts))
    thread.start()
    thread.join()
    assert thread_state.checkouts not in others
    assert thread_state.checkouts is thread_state.checkouts
