"""Signed in without a sign-in: to verify a password is slow on purpose, and most tests are about what follows."""

from __future__ import annotations

from flask.testing import FlaskClient

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.accounts import sessions, tokens, users
from webapp.accounts.auth import SessionUser


def sign_in(client: FlaskClient, work: UnitOfWork, name: str) -> None:
    """Give a browser the session that a sign-in would."""
    user = _known(work, name)
    session_id = work.run_in_transaction(lambda connection: sessions.start(connection, user.id))
    with client.session_transaction() as session:
        session["_user_id"] = SessionUser(user, session_id).get_id()


def token_of(client: FlaskClient, work: UnitOfWork, name: str) -> str:
    """Return the token that a sign-in over REST would."""
    return tokens.issue(_known(work, name), client.application.config["SECRET_KEY"])


def _known(work: UnitOfWork, name: str) -> users.UserRecord:
    with work.read() as connection:
        credentials = users.find_credentials(connection, name)
    assert credentials is not None, name
    return credentials.user
