from __future__ import annotations

import pytest
from itsdangerous import URLSafeSerializer, URLSafeTimedSerializer

from tests.support.accounts import PASSWORD_HASH
from webapp.web.redaction import redact, redact_message

SIGNED = URLSafeSerializer("key", salt="a").dumps("0123456789abcdef0123456789abcdef")
TIMED = URLSafeTimedSerializer("key", salt="a").dumps(["ada", 1])


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("GET /attempts/abc.def-1 HTTP/1.1", "GET /attempts/*** HTTP/1.1"),
        ("PUT /api/v1/attempts/abc/answers/7?x=1", "PUT /api/v1/attempts/***/answers/7?x=1"),
        (f"token {SIGNED}, then", "token ***, then"),
        # With a name of its own: the token, which holds the time, would make another one in each process.
        pytest.param(f"['{TIMED}']", "['***']", id="a token with a time"),
        (f"('ada', '{PASSWORD_HASH}')", "('ada', '***')"),
        ("mysql+pymysql://ada:se%40cret@db:3306/quiz is", "mysql+pymysql://ada:***@db:3306/quiz is"),
        ("mysql://ada:s@cr:et@db/quiz", "mysql://ada:***@db/quiz"),
        ("Authorization: Bearer abc.def\nHost: a", "Authorization: ***\nHost: a"),
        ("Invalid HTTP header: 'COOKIE : session=1'", "Invalid HTTP header: 'COOKIE : ***"),
        ("idempotency-key=7", "idempotency-key=***"),
        ("/sign-in?password=secret&next=/studio", "/sign-in?password=***&next=/studio"),
        ("(1062, \"Duplicate entry 'a secret' for key 'user.name'\")", '(1062, "Duplicate entry ***")'),
        ("(1366, 'Incorrect \"value\": \\'it\\'s\\' for column')", "(1366, 'Incorrect \"value\": \\*** for column')"),
    ],
)
def test_a_secret_is_masked_and_the_rest_stays(text: str, masked: str) -> None:
    assert redact(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "/attempts/<token>/answers/<id:item_id>",
        "http://127.0.0.1:8000/quizzes/a",
        "(1146, \"Table 'quiz.item' doesn't exist\")",
        "(1045, \"Access denied for user 'ada'@'db' (using password: YES)\")",
        "webapp.attempts.answer_store.store",
        "Send Authorization, with a token from POST /api/v1/tokens.",
        "poolproof.transactions.group_commit",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_a_message_of_the_server_keeps_names_and_loses_values() -> None:
    assert redact_message(1062, "Duplicate entry 'a' for key 'b'") == "Duplicate entry '***'"
    assert redact_message(1049, "Unknown database 'quiz'") == "Unknown database 'quiz'"
