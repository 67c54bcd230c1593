"""What a client is told of a request that failed for a moment, for each outcome and each way to repeat it."""

from __future__ import annotations

from contextvars import copy_context

import pytest
from flask import Flask, g

from poolproof.transactions import outcomes
from poolproof.transactions.outcomes import WriteOutcome
from webapp.errors import BusyError
from webapp.web.rest import idempotency, repeating

QUIZZES, FINISH, UNDO_PAGE = "/api/v1/quizzes", "/api/v1/attempts/token/finish", "/studio/imports/1/undo"
SAFE_REPEAT, LOOK_FIRST = "that is safe, it takes effect once", "Look before you repeat the request."


@pytest.mark.parametrize(
    ("method", "address", "outcome", "words"),
    [
        ("POST", QUIZZES, WriteOutcome.NOT_DONE, "Nothing was changed; please repeat the request."),
        ("POST", QUIZZES, WriteOutcome.UNKNOWN, f"It is not known whether it was stored. {LOOK_FIRST}"),
        ("POST", QUIZZES, WriteOutcome.PARTLY_DONE, f"A part of it was stored before, the rest was not. {LOOK_FIRST}"),
        ("PUT", f"{QUIZZES}/1", WriteOutcome.UNKNOWN, f"Repeat the request: {SAFE_REPEAT}"),
        ("DELETE", f"{QUIZZES}/1", WriteOutcome.PARTLY_DONE, f"Repeat the request: {SAFE_REPEAT}"),
        ("POST", FINISH, WriteOutcome.UNKNOWN, f"Repeat the request: {SAFE_REPEAT}"),
        ("POST", UNDO_PAGE, WriteOutcome.UNKNOWN, f"Repeat the request: {SAFE_REPEAT}"),
    ],
)
def test_the_advice_fits_what_is_known_and_how_the_request_can_be_repeated(
    app: Flask, method: str, address: str, outcome: WriteOutcome, words: str
) -> None:
    with app.test_request_context(address, method=method):
        assert words in repeating.advice(outcome)
        assert repeating.may_repeat(outcome) is (LOOK_FIRST not in words)


def test_a_key_that_was_taken_makes_the_repeat_safe(app: Flask) -> None:
    with app.test_request_context(QUIZZES, method="POST", headers={idempotency.HEADER: "one"}):
        assert LOOK_FIRST in repeating.advice(WriteOutcome.UNKNOWN), "no view has looked at the key"
        g.idempotency_key_digest = b"of the key"
        assert f"Repeat the request with the same Idempotency-Key: {SAFE_REPEAT}" in repeating.advice(
            WriteOutcome.UNKNOWN
        )


def test_without_a_record_only_a_reading_request_is_known_to_have_done_nothing(app: Flask) -> None:
    for method, outcome in (("GET", WriteOutcome.NOT_DONE), ("POST", WriteOutcome.UNKNOWN)):
        with app.test_request_context(QUIZZES, method=method):
            assert repeating.known_outcome() is outcome


def test_an_error_of_the_domain_says_what_the_requests_writes_say(app: Flask) -> None:
    def answer() -> tuple[str, str]:
        outcomes.current_writes.set(outcomes.RequestWrites())
        outcomes.record_committed()
        with app.test_request_context(QUIZZES, method="POST"):
            response = app.make_response(app.handle_user_exception(BusyError("Others do the same.")))
            body = response.get_json()
        return body["outcome"], body["detail"]

    outcome, detail = copy_context().run(answer)
    assert outcome == "partly-done"
    assert detail == f"Others do the same. A part of it was stored before, the rest was not. {LOOK_FIRST}"
