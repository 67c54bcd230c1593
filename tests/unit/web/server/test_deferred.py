from __future__ import annotations

from typing import Any

import pytest

from webapp.web.server.deferred import DeferredResponse


class Worker:
    """Records what a deferred response asks of the worker."""

    def __init__(self, is_reusable: bool | None) -> None:
        self.is_reusable = is_reusable
        self.released: list[tuple[object, bool]] = []
        self.tasks: list[tuple[Any, ...]] = []
        self.tpool = self

    def send_response(self, *arguments: object) -> bool | None:
        return self.is_reusable

    def send_raw_response(self, *arguments: object) -> bool | None:
        return self.is_reusable

    def release(self, connection: object, result: bool) -> None:
        self.released.append((connection, result))

    def submit(self, *task: Any) -> None:
        self.tasks.append(task)


def deferred(worker: Worker) -> DeferredResponse:
    return DeferredResponse(worker, {}, lambda *_: lambda _: None, "the connection")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("is_reusable", "released"), [(True, [("the connection", True)]), (False, [("the connection", False)]), (None, [])]
)
def test_the_connection_is_released_with_the_response_unless_it_is_deferred_again(
    is_reusable: bool | None, released: list[tuple[str, bool]]
) -> None:
    worker = Worker(is_reusable)
    deferred(worker).complete(lambda *_: ())
    assert worker.released == released


def test_a_raw_response_releases_the_connection() -> None:
    worker = Worker(is_reusable=True)
    deferred(worker).complete_raw("200 OK", b"", b"")
    assert worker.released == [("the connection", True)]


def test_what_takes_long_is_a_task_of_a_request_thread() -> None:
    worker = Worker(is_reusable=True)
    deferred(worker).complete_in_thread(lambda *_: ())
    ((complete, application),) = worker.tasks
    complete(application)
    assert worker.released == [("the connection", True)]


def test_it_is_never_read_as_a_body() -> None:
    with pytest.raises(TypeError):
        list(deferred(Worker(None)))
