"""The middleware by itself: whatever an application does, nothing is out when its response is over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from poolproof import deadlines
from poolproof.core.queue_pool import FairQueuePool
from poolproof.core.stats import RequestStatistics
from poolproof.drivers import sqlite
from poolproof.integrations.wsgi import ConnectionCleanupMiddleware, WSGIApplication
from poolproof.leaks.checkout_registry import CheckoutRegistry, track_checkouts
from poolproof.leaks.checkouts import Checkout
from tests.support.pools import queue_pool

ONE = text("SELECT 1")


class Site:
    """An engine, and applications behind the middleware."""

    def __init__(self, folder: Path) -> None:
        self.engine: Engine = create_engine(f"sqlite:///{folder / 'test.sqlite'}", poolclass=FairQueuePool)
        sqlite.configure(self.engine)
        self.registry: CheckoutRegistry = track_checkouts(self.engine, "test")
        self.orphans: list[Checkout] = []
        self.registry.on_orphan = self.orphans.append
        self.statistics = RequestStatistics()
        self.left: list[Connection] = []

    def wrap(self, application: WSGIApplication, header: str | None = None) -> ConnectionCleanupMiddleware:
        return ConnectionCleanupMiddleware(application, 20.0, header, lambda: False, self.statistics)

    def leave_one(self) -> None:
        connection = self.engine.connect()
        connection.execute(ONE)
        self.left.append(connection)

    def out(self) -> int:
        return queue_pool(self.engine).checkedout()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    assert site.out() == 0
    site.engine.dispose()


def call(application: WSGIApplication, **environ: Any) -> Iterable[bytes]:
    return application(environ, lambda *arguments: None)


def test_what_is_left_is_returned_after_the_last_byte_and_told(site: Site) -> None:
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        site.leave_one()
        return [b"a", b"b"]

    body = iter(call(site.wrap(application)))
    assert [next(body), site.out()] == [b"a", 1]
    assert list(body) == [b"b"]
    assert (site.out(), len(site.orphans)) == (0, 1)
    assert (site.statistics.requests, site.statistics.statements) == (1, 2)


def test_what_is_left_is_returned_when_the_application_raises(site: Site) -> None:
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        site.leave_one()
        raise RuntimeError("the application raises")

    with pytest.raises(RuntimeError, match="the application raises"):
        call(site.wrap(application))
    assert (site.out(), site.statistics.requests) == (0, 1)


def test_what_is_left_is_returned_when_a_client_goes_in_the_middle_and_counted_once(site: Site) -> None:
    closed: list[str] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            site.leave_one()
            return iter([b"a", b"b"])

        def close(self) -> None:
            closed.append("closed")

    body: Any = call(site.wrap(lambda environ, start_response: Body()))
    assert next(body) == b"a"
    body.close()
    body.close()
    assert (site.out(), closed, site.statistics.requests) == (0, ["closed", "closed"], 1)


@pytest.mark.parametrize(
    ("header", "seconds"), [("3", 3.0), ("300", 20.0), ("0", 20.0), ("-1", 20.0), ("soon", 20.0), (None, 20.0)]
)
def test_a_trusted_header_only_shortens_the_deadline(site: Site, header: str | None, seconds: float) -> None:
    remaining: list[float | None] = []

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        remaining.append(deadlines.remaining())
        return []

    environ = {} if header is None else {"HTTP_X_REQUEST_TIMEOUT": header}
    list(call(site.wrap(application, "X-Request-Timeout"), **environ))
    assert remaining == [pytest.approx(seconds, abs=1.0)]
    assert deadlines.remaining() is None, "it was that request's own"
